"""Let a process that does file after file keep the memory it has let go, instead of asking the system each time."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

__all__ = ["keep_freed_memory"]

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST = 32 << 20  # bytes, as much as glibc takes
_KEPT = 128 << 20


def keep_freed_memory() -> None:
    """For this process from now on, where its C library is glibc; elsewhere nothing.

    Dask starts workers so that they give back every block of 128 kB and more; getting such blocks again page by page
    takes them as long as the work itself.
    """
    if not sys.platform.startswith("linux"):
        return
    with suppress(AttributeError, OSError):  # another C library
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, _LARGEST)
        library.mallopt(_M_TRIM_THRESHOLD, _KEPT)
