"""How fast the engine runs here, and how far that is from what the machine could do."""

from __future__ import annotations

from .baseline import Regression, compare
from .result import BenchReport, BenchRun, Machine
from .runner import BenchOptions, run_bench

__all__ = ["BenchOptions", "BenchReport", "BenchRun", "Machine", "Regression", "compare", "run_bench"]
