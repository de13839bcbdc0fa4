"""How much one task gets: about a minute of work, less at the beginning and at the end."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

__all__ = ["Chunks"]

_SECONDS = 60.0
#: Of sound; what a task gets while nobody knows how fast workers are.
_FIRST_BYTES = 4 << 20
#: What a file costs beyond its length, in bytes of sound: opening, aligning, writing, a few requests to a storage.
_FILE_BYTES = 1 << 16
_MAX_FILES = 2000


class Chunks:
    """Hands out the files of a list, the largest first.

    Args:
        sizes: bytes of each file to do, by its index; 0 where nobody knows.
    """

    def __init__(self, sizes: dict[int, int]) -> None:
        self._costs = {index: size + _FILE_BYTES for index, size in sizes.items()}
        self._waiting = deque(sorted(self._costs, key=lambda index: -self._costs[index]))
        self._left = sum(self._costs.values())
        self._seconds = self._bytes = 0.0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def take(self, workers: int) -> list[int]:
        """The indices of the next chunk, one at the least.

        Args:
            workers: that share what is left; each is to get several chunks of it, so that they end together.
        """
        goal = _FIRST_BYTES if self._seconds <= 0.0 else self._bytes / self._seconds * _SECONDS
        goal = min(goal, self._left / (2 * max(1, workers)))
        chunk = [self._waiting.popleft()]
        cost = self._costs[chunk[0]]
        while self._waiting and len(chunk) < _MAX_FILES and cost + self._costs[self._waiting[0]] <= goal:
            chunk.append(self._waiting.popleft())
            cost += self._costs[chunk[-1]]
        self._left -= cost
        return chunk

    def done(self, indices: Sequence[int], seconds: float) -> None:
        """A worker took so long for these, which were not there before."""
        self._bytes += sum(self._costs[index] for index in indices)
        self._seconds += seconds
