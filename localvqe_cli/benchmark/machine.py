"""What the machine is and what it gives this process."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

from ..freed_memory import give_back_freed_memory

if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes
else:
    import resource

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
    """Resident memory in use now, in MB of 2^20 bytes; the peak so far where the system does not tell."""
    # Freed pages would be counted, and those who get them next would seem to take none.
    give_back_freed_memory()
    if sys.platform == "win32":
        return float(_working_set().now) / 2**20
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    except (OSError, ValueError, IndexError):
        return peak_rss_mb()


def peak_rss_mb() -> float:
    """Peak resident memory of this process, in MB of 2^20 bytes."""
    if sys.platform == "win32":
        return float(_working_set().peak) / 2**20
    else:  # noqa: RET505, for mypy to see which system it is on
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


if sys.platform == "win32":

    class _WorkingSet(ctypes.Structure):
        """Windows' PROCESS_MEMORY_COUNTERS: resident bytes, now and at most, among others."""

        _fields_ = (
            ("size", wintypes.DWORD),
            ("faults", wintypes.DWORD),
            ("peak", ctypes.c_size_t),
            ("now", ctypes.c_size_t),
            ("others", ctypes.c_size_t * 6),
        )

    def _working_set() -> _WorkingSet:
        counters = _WorkingSet(size=ctypes.sizeof(_WorkingSet))
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.GetCurrentProcess.restype = wintypes.HANDLE
        kernel.K32GetProcessMemoryInfo.argtypes = [wintypes.HANDLE, ctypes.POINTER(_WorkingSet), wintypes.DWORD]
        if not kernel.K32GetProcessMemoryInfo(kernel.GetCurrentProcess(), ctypes.byref(counters), counters.size):
            raise ctypes.WinError(ctypes.get_last_error())
        return counters
