"""What ``localvqe bench`` says of every kind of model."""

from __future__ import annotations

import os
from typing import Any

from ..benchmark import BenchRun, Machine, Regression
from ..benchmark.result import threads_in_words

__all__ = ["mode_name", "print_baseline", "print_doubts", "print_machine"]


def print_machine(console: Any, machine: Machine) -> None:
    """Where it ran."""
    every = os.cpu_count() or machine.threads
    some = "" if machine.threads >= every else f"{machine.threads} of "
    plural = "s" if every > 1 else ""
    console.print(f"{machine.cpu}, {some}{every} processor{plural}; kernels {machine.isa}")
    console.print(f"one core: {machine.fma_gflops:.0f} GFLOP/s in F32 multiply-adds")


def mode_name(run: BenchRun) -> str:
    """The first column of a run; a star where the machine was busy."""
    return run.mode + (", together" if run.together else "") + (" *" if run.busy else "")


def print_doubts(console: Any, runs: list[BenchRun], usable: int) -> None:
    """Where the table is not what it seems."""
    for asked, ran in sorted({(run.threads, run.workers) for run in runs if run.workers < run.threads}):
        console.print(f"T {asked}: {threads_in_words(ran)} ran, as many as there are processors")
    for asked, ran in sorted({(run.threads, run.workers) for run in runs if run.workers > usable}):
        shared = f"the {usable} processor{'s' if usable > 1 else ''} that this process may use"
        console.print(f"T {asked}: {ran} threads shared {shared}")
    busy = [run for run in runs if run.busy]
    if busy:
        share = min(run.cpu_share for run in busy)
        console.print(
            "* the machine was busy, so these say little: others left as little as "
            f"{100 * share:.0f} % of a core, or its peak changed by over a fifth"
        )


def print_baseline(console: Any, rows: list[Regression], max_ratio: float) -> None:
    """Is it slower than it was?"""
    for row in rows:
        verdict = "slower" if row.ratio > max_ratio else "ok"
        console.print(
            f"baseline, {row.mode}, {row.threads} threads: {row.before:.2f} -> {row.now:.2f} x floor, "
            f"ratio {row.ratio:.2f} {verdict}"
        )
