"""What the machine is and what it gives this process."""

from __future__ import annotations

import os
import platform
import resource
import sys
from pathlib import Path

__all__ = ["cpu_name", "engine_threads", "peak_rss_mb", "rss_mb"]


def cpu_name() -> str:
    """The processor's name as the system reports it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith(("model name", "Model")):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "unknown"


def engine_threads(asked: int) -> int:
    """How many of the workers asked for a stream starts: no more than the machine has processors.

    Processors that this process may not use count too, as they do for the engine.
    """
    return asked if "LOCALVQE_OVERSUBSCRIBE" in os.environ else min(asked, os.cpu_count() or asked)


def rss_mb() -> float:
    """Resident memory now, in MB of 2^20 bytes; the peak so far where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    except (OSError, ValueError, IndexError):
        return peak_rss_mb()


def peak_rss_mb() -> float:
    """Peak resident memory of this process, in MB of 2^20 bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
