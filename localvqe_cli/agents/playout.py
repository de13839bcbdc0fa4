"""What an agent has handed out to be played, as a signal in time: speech comes faster than it is heard."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

__all__ = ["Playout"]

Pcm = NDArray[np.int16]

#: Seconds that are handed out at most after a pause of whoever asks; what lies before is forgotten.
_MOST_SECONDS = 2.0


class Playout:
    """Plays in thought: what is said comes when all before it is over, and in between there is silence.

    All times are of one steady clock, in seconds, and never run backwards.
    """

    def __init__(self, rate: int, start: float) -> None:
        """``rate`` in Hz; sound is handed out from the time ``start`` on."""
        self.rate = rate
        self._start = start
        self._done = 0  # samples handed out since
        self._pieces: deque[tuple[int, Pcm]] = deque()  # where each begins, in order, without overlap
        self._held: list[Pcm] | None = None  # what waits while paused

    @property
    def until(self) -> float:
        """The time up to which sound was handed out."""
        return self._start + self._done / self.rate

    def say(self, samples: Pcm, now: float) -> None:
        """Play ``samples`` (n,), at once or when all before is over."""
        if self._held is not None:
            self._held.append(samples)
            return
        begin = max(self._index(now), self._done)
        if self._pieces:
            last, piece = self._pieces[-1]
            begin = max(begin, last + len(piece))
        self._pieces.append((begin, samples))

    def clear(self, now: float) -> None:
        """Stop; what has not been heard by now never will be."""
        self._held = None
        self._cut(self._index(now))

    def pause(self, now: float, lost: float) -> None:
        """Stop until :meth:`resume`; the next ``lost`` seconds are never heard."""
        if self._held is None:
            rest = np.concatenate([np.zeros(0, np.int16), *self._cut(self._index(now))])
            self._held = [rest[round(lost * self.rate) :]]

    def resume(self, now: float) -> None:
        """Go on where it was paused."""
        held, self._held = self._held, None
        for samples in held or []:
            self.say(samples, now)

    def take(self, now: float) -> Pcm:
        """What is heard from where the last call ended to ``now``, (n,) at ``rate``."""
        end = max(self._index(now), self._done)
        self._done = max(self._done, end - round(_MOST_SECONDS * self.rate))
        out = np.zeros(end - self._done, np.int16)
        while self._pieces and self._pieces[0][0] < end:
            begin, samples = self._pieces.popleft()
            if begin + len(samples) > end:
                self._pieces.appendleft((end, samples[end - begin :]))
            first = max(begin, self._done)
            heard = samples[first - begin : end - begin]
            out[first - self._done :][: len(heard)] = heard
        self._done = end
        return out

    def _index(self, time: float) -> int:
        return round((time - self._start) * self.rate)

    def _cut(self, end: int) -> list[Pcm]:
        """Take away what lies after ``end``; returns it."""
        after = []
        for index, (begin, samples) in enumerate(self._pieces):
            kept = min(max(0, end - begin), len(samples))
            self._pieces[index] = (begin, samples[:kept])
            after.append(samples[kept:])
        self._pieces = deque(piece for piece in self._pieces if len(piece[1]))
        return after
