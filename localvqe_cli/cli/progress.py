"""A progress bar for work that takes more than a moment, on terminals only."""

from __future__ import annotations

import sys
import time
from typing import Any

from .common import is_quiet

__all__ = ["ProgressBar"]

_PATIENCE = 1.0  # seconds before a bar is worth showing


class ProgressBar:
    """Context manager; the instance is called with the amount done and the total (None if unknown).

    Silent where stderr is no terminal, under ``--quiet``, and for work that ends within a second.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._started = time.monotonic()
        self._wanted = sys.stderr.isatty() and not is_quiet()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done: float, total: float | None) -> None:
        if not self._wanted or (self._bar is None and time.monotonic() - self._started < _PATIENCE):
            return
        if self._bar is None:
            self._start()
        self._bar.update(self._task, completed=done, total=total)

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(self._label, total=None)
        self._bar.start()
