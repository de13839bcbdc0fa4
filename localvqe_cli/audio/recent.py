"""A signal that comes in blocks, of which only the newest part is kept."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["Recent", "cut"]

Samples = npt.NDArray[np.float32]


def cut(signal: Samples, start: int, length: int) -> Samples:
    """``length`` samples from ``start``, zeros where the signal has none."""
    out = np.zeros(length, np.float32)
    low, high = max(0, start), min(len(signal), start + length)
    if high > low:
        out[low - start : high - start] = signal[low:high]
    return out


class Recent:
    """The newest part of a signal, read by positions from its start; zeros where there is none.

    Attributes:
        end: samples that have come in.
    """

    def __init__(self) -> None:
        self._held = np.zeros(0, np.float32)
        self._start = 0
        self.end = 0

    def push(self, block: Samples) -> None:
        """Append (n,) samples."""
        self._held = np.concatenate([self._held, block])
        self.end += len(block)

    def skip(self, count: int) -> None:
        """Append ``count`` zeros; where they are more than is held, that is forgotten and they take no memory."""
        if count <= len(self._held):
            self.push(np.zeros(count, np.float32))
            return
        self.end += count
        self._held, self._start = np.zeros(0, np.float32), self.end

    def read(self, start: int, end: int) -> Samples:
        """The samples from ``start`` up to ``end``."""
        return cut(self._held, start - self._start, end - start)

    def forget(self, before: int) -> None:
        """Let go of what lies before a position."""
        drop = min(max(0, before - self._start), len(self._held))
        self._held = self._held[drop:]
        self._start += drop
