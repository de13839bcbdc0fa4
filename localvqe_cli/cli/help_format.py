"""Help for narrow windows: click wraps at 50 columns at least, and leaves the explanations a third of them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Any

import typer

__all__ = ["HelpContext", "fit"]

# Newer versions of typer have their own copy of click.
_Formatter: Any = typer.Context.formatter_class

_NARROW = 50  # columns below which an option has its explanation underneath
_NARROWEST = 24


class _HelpFormatter(_Formatter):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.width: int = min(self.width, max(_NARROWEST, shutil.get_terminal_size().columns - 2))

    def write_dl(self, rows: Sequence[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        super().write_dl(rows, col_max if self.width >= _NARROW else min(col_max, self.width // 4), col_spacing)


class HelpContext(typer.Context):
    """A context whose help fits the window."""

    formatter_class = _HelpFormatter


def fit(command: Any) -> Any:
    """The command, whose help and whose verbs' help fit the window from now on."""
    command.context_class = HelpContext
    for verb in getattr(command, "commands", {}).values():
        fit(verb)
    return command
