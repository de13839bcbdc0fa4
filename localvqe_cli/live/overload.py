"""Whether the model keeps up with the call: time spent against time that passes."""

from __future__ import annotations

__all__ = ["Overload"]

#: Seconds of work beyond what the sound lasted, at which the model is left out ...
_MOST_BEHIND = 0.1
#: ... and seconds of sound until it is tried again.
_REST = 5.0
#: Of the load that is reported: seconds over which it is averaged.
_AVERAGE = 1.0


class Overload:
    """Told of every piece of work.

    Attributes:
        load: share of the time that the model took of late, 1 where it just keeps up; 0 while it is left out.
        resting: the microphone is to be passed through.
        times: how often that began.
    """

    def __init__(self) -> None:
        self.load = 0.0
        self.times = 0
        self._behind = 0.0
        self._rest = 0.0

    @property
    def resting(self) -> bool:
        return self._rest > 0.0

    def note(self, spent: float, sound: float) -> None:
        """``spent`` seconds went into a piece of ``sound`` seconds."""
        if self.resting:
            self._rest -= sound
            return
        self.load += min(1.0, sound / _AVERAGE) * (spent / sound - self.load)
        self._behind = max(0.0, self._behind + spent - sound)
        if self._behind > _MOST_BEHIND:
            self._behind, self._rest, self.load = 0.0, _REST, 0.0
            self.times += 1
