"""How a number is written for people."""

from __future__ import annotations

from ..metrics import Field

__all__ = ["MISSING", "counted", "fixed", "interval"]

MISSING = "-"


def fixed(value: float | None, item: Field) -> str:
    """With as many decimals as mean something; never ``-0.0``."""
    if value is None:
        return MISSING
    return f"{round(value, item.decimals) + 0.0:.{item.decimals}f}"


def interval(ci: tuple[float, float] | None, item: Field) -> str:
    """``4.12 .. 4.60``, or a dash."""
    return MISSING if ci is None else f"{fixed(ci[0], item)} .. {fixed(ci[1], item)}"


def counted(count: int, what: str) -> str:
    """``1 clip``, ``2 clips``."""
    return f"{count} {what}{'' if count == 1 else 's'}"
