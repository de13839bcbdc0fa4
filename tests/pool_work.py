"""Work for processes of tests/unit/test_worker_pool.py, which import it; so it imports next to nothing."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any


def work(item: Any, report: Callable[[Any], None]) -> Any:
    """What ``item`` says: a number is doubled, a word is done."""
    if item == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if item == "raise":
        raise ValueError("a defect")
    if item == "report":
        report("halfway")
        return "reported"
    if item == "sleep":
        time.sleep(60.0)
    if item == "process":
        time.sleep(0.2)  # long enough for the other process to take one too
        return os.getpid(), os.environ["OMP_NUM_THREADS"]
    if item == "parent":
        return "", os.getppid()
    return item * 2


class Unloadable:
    """Work that another process cannot take over."""

    def __call__(self, item: Any, report: Callable[[Any], None]) -> Any:
        return item

    def __reduce__(self) -> Any:
        return _refuse, ()


def _refuse() -> None:
    raise ValueError("no such model any more")
