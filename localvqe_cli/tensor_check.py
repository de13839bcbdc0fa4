"""Comparing the tensors a file holds with the table of tensors.py, in words.

Checkpoints and GGUF files are held to the same table, so they are told about it the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = ["names", "printable", "shape_problems", "shape_text"]

Shape = tuple[int, ...]

_SHOWN = 4
_MAX_NAME = 80


def printable(text: str, limit: int = _MAX_NAME) -> str:
    """Text out of a file, safe to show on one line: no control characters, at most ``limit`` characters."""
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."


def names(items: Iterable[str]) -> str:
    """``a, b, c, d and 3 more``."""
    listed = [printable(item) for item in items]
    head = ", ".join(listed[:_SHOWN])
    return f"{head} and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else head


def shape_text(shape: Shape) -> str:
    """``(32, 2, 4, 4)``, with a bound on what a hostile file can make it print."""
    return printable(str(shape))


def shape_problems(found: Mapping[str, Shape], expected: Mapping[str, Shape]) -> list[str]:
    """One line each for the missing, the unknown and every misshapen tensor; empty if all agree.

    Args:
        found: name -> PyTorch shape of what the file holds.
        expected: name -> PyTorch shape of what it should hold.
    """
    problems = []
    missing = [name for name in expected if name not in found]
    if missing:
        problems.append(f"missing tensor{'s' if len(missing) > 1 else ''} {names(missing)}")
    extra = [name for name in found if name not in expected]
    if extra:
        problems.append(f"unknown tensor{'s' if len(extra) > 1 else ''} {names(extra)}")
    problems += [
        f"tensor {name} has shape {shape_text(found[name])}, expected {expected[name]}"
        for name in expected
        if name in found and found[name] != expected[name]
    ]
    return problems
