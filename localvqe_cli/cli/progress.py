"""Progress of work that takes more than a moment: a bar on terminals, and for long work lines elsewhere."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from .common import is_quiet, say

if TYPE_CHECKING:
    from ..enhance_list import Standing

__all__ = ["ListProgress", "ProgressBar", "StageProgress"]

_PATIENCE = 1.0  # seconds before a bar is worth showing
_LINE_SECONDS = 20.0  # between two lines where there is no bar


class ProgressBar:
    """Context manager; the instance is called with the amount done, the total (None if unknown), and perhaps a text.

    Silent where stderr is no terminal, under ``--quiet``, and for work that ends within a second.
    """

    def __init__(self, label: str, *, timed: bool = True) -> None:
        """``timed`` shows the share done and the time left; a caller that says both itself does without."""
        self._label, self._timed = label, timed
        self._started = time.monotonic()
        self._wanted = sys.stderr.isatty() and not is_quiet()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done: float, total: float | None, text: str = "") -> None:
        if not self._wanted or (self._bar is None and time.monotonic() - self._started < _PATIENCE):
            return
        if self._bar is None:
            self._start()
        self._bar.update(self._task, completed=done, total=total, text=text)

    def _start(self) -> None:
        end = (TaskProgressColumn(), TimeRemainingColumn()) if self._timed else (TextColumn("{task.fields[text]}"),)
        columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=None), *end)
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(self._label, total=None, text="")
        self._bar.start()


class StageProgress:
    """Context manager for work in stages; called with a stage's name, the amount done and the total.

    Each stage has its bar on a terminal. Elsewhere, in a log say, one that takes long gets a line now and then.
    """

    def __init__(self) -> None:
        self._stage: str | None = None
        self._bar: ProgressBar | None = None
        self._told = 0.0

    def __enter__(self) -> StageProgress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.__exit__()

    def __call__(self, stage: str, done: float, total: float) -> None:
        if stage != self._stage or self._bar is None:
            self.__exit__()
            self._stage, self._bar, self._told = stage, ProgressBar(stage), time.monotonic()
        self._bar(done, total)
        if not sys.stderr.isatty() and time.monotonic() - self._told >= _LINE_SECONDS:
            say(f"{stage}: {100 * done / max(total, 1):.0f} %")
            self._told = time.monotonic()


class ListProgress:
    """Context manager for a list of files; called with how far it is.

    On a terminal a bar with files done, speed, failures and time left; elsewhere a line with these now and then.
    """

    def __init__(self) -> None:
        self._bar = ProgressBar("enhancing", timed=False)
        self._told = time.monotonic()

    def __enter__(self) -> ListProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.__exit__()

    def __call__(self, standing: Standing) -> None:
        self._bar(standing.share, 1.0, text := list_line(standing))
        if not sys.stderr.isatty() and time.monotonic() - self._told >= _LINE_SECONDS:
            say(f"enhancing: {text}")
            self._told = time.monotonic()


def list_line(standing: Standing) -> str:
    """What is to be said about a list in work."""
    parts = [f"{standing.done} of {standing.files} files", f"{times(standing.times_real_time)}x real time"]
    if standing.failed:
        parts.append(f"{standing.failed} failed")
    if standing.seconds_left is not None:
        parts.append(f"{timedelta(seconds=round(standing.seconds_left))} left")
    return ", ".join(parts)


def times(factor: float) -> str:
    """Short files are mostly overhead: below 10 a rounded factor would be a coarse one, or 0."""
    return f"{factor:.1f}" if factor < 9.95 else f"{factor:.0f}"
