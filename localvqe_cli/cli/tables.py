"""Tables that lose no figure in a narrow window."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

__all__ = ["print_table"]

_FOLDED = 10  # columns that text which may fold needs
_TOGETHER = 24  # characters up to which a heading and its value stay on one line
_BOUND = "\0"


def print_table(console: Console, table: Table) -> None:
    """Print ``table``, or where it would be cut each row as a paragraph: its first cell, then the others with headings.

    Cells are plain strings. Columns with ``overflow="fold"`` may be folded.
    """
    folding = [column for column in table.columns if column.overflow == "fold"]
    spared = sum(max(0, _longest(column.cells) - _FOLDED) for column in folding)
    if _natural(table) - spared <= console.width:
        for column in table.columns:
            column.no_wrap = column.overflow != "fold"
        console.print(table)
        return
    headings = [str(column.header) for column in table.columns]
    for first, *cells in zip(*(map(str, column.cells) for column in table.columns), strict=True):
        parts = (f"{heading} {cell}".strip() for heading, cell in zip(headings[1:], cells, strict=True) if cell)
        text = ", ".join(part.replace(" ", _BOUND) if len(part) <= _TOGETHER else part for part in parts)
        lines = textwrap.wrap(text, max(console.width, _TOGETHER), initial_indent="  ", subsequent_indent="  ")
        for line in (first, *lines):
            console.print(line.replace(_BOUND, " "), soft_wrap=True, markup=False)


def _longest(cells: Iterable[object]) -> int:
    return max((len(str(cell)) for cell in cells), default=0)


def _natural(table: Table) -> int:
    """Width of the table with no cell folded or cut."""
    return int(Console(width=10_000).measure(table).maximum)
