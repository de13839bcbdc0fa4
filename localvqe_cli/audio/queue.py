"""A first-in first-out line of samples between stages that work in different block lengths."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy as np

from .resample import FloatArray

__all__ = ["SampleQueue"]


class SampleQueue:
    """Holds mono float32 samples; refills itself from ``source`` where it has one."""

    def __init__(self, source: Iterable[FloatArray] = ()) -> None:
        self._source = iter(source)
        self._blocks: deque[FloatArray] = deque()
        self._length = 0

    def __len__(self) -> int:
        """Samples held, not counting what the source may still give."""
        return self._length

    def push(self, block: FloatArray) -> None:
        """Append ``block`` (n,)."""
        if len(block):
            self._blocks.append(block)
            self._length += len(block)

    def take(self, count: int) -> FloatArray:
        """The next ``count`` samples, fewer only at the end of everything."""
        while self._length < count:
            block = next(self._source, None)
            if block is None:
                break
            self.push(block)
        parts, missing = [], min(count, self._length)
        self._length -= missing
        while missing:
            block = self._blocks.popleft()
            if len(block) > missing:
                self._blocks.appendleft(block[missing:])
                block = block[:missing]
            parts.append(block)
            missing -= len(block)
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def take_padded(self, count: int) -> FloatArray:
        """Exactly ``count`` samples, with zeros after the end."""
        taken = self.take(count)
        return taken if len(taken) == count else np.concatenate([taken, np.zeros(count - len(taken), np.float32)])

    def drain(self) -> None:
        """Read the source to its end and forget the samples."""
        self._blocks.clear()
        self._length = 0
        for _ in self._source:
            pass
