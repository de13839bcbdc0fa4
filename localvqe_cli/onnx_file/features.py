"""Power-law compression of a spectrum before the first learned layer (report, 2.2)."""

from __future__ import annotations

from .graph import Graph

__all__ = ["EPS", "power_law"]

EPS = 1e-12


def power_law(g: Graph, spectrum: str, c: float) -> str:
    """Compress magnitudes to |z|^c and keep directions: (..., 2, 1, F) -> the same shape."""
    power = g.op("Add", g.reduce("Sum", g.op("Mul", spectrum, spectrum), [1], keep=True), EPS)
    return g.op("Div", spectrum, g.op("Add", g.op("Pow", power, (1.0 - c) / 2.0), EPS))
