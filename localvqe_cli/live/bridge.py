"""A signal of one clock, read at the pace of another.

The reader's sample was captured at some time, so was a sample of the source: that says where to read, however late,
early or irregular either arrives. What has not arrived is silence for now and is skipped later, so that nothing ever
queues up. Where to read moves slowly, or a filter that follows the echo would have to follow the estimate's noise.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from ..audio.live_resample import LiveResampler
from ..audio.recent import Recent
from ..audio.resample import FloatArray, span_of, values_at
from ..geometry import MODEL_RATE
from .clock import DeviceClock

__all__ = ["ClockBridge"]

#: Seconds of the source that are kept for readers that come late.
_KEPT_SECONDS = 3
#: Samples that are read at one rate.
_PIECE = 256
#: Seconds in which a wrong place is put right: as long as the line's age, within these.
_SETTLING = (0.5, 20.0)
#: A place this wrong, in seconds, is left at once.
_JUMP = 0.02
#: A source that keeps being late is read later: three times in ten seconds, two of three by less than is added.
_LATE_SECONDS = 10.0
_LATE_TIMES = 3


class ClockBridge:
    """Takes blocks of a source at its rate and clock; gives samples at 16 kHz on the reader's clock.

    Attributes:
        clock: the source's.
        lag: samples at 16 kHz by which reading stays behind, beyond what both devices take.
        gaps: how often a read found something missing, counting what is missing in one piece once.
        jumps: how often reading went on elsewhere: samples were lost, or a device came back.
    """

    def __init__(self, rate: int, *, lag: int, step: int, most: int) -> None:
        """``rate`` of the source in Hz; ``lag`` grows by ``step`` samples as often as needed, up to ``most``."""
        self.clock = DeviceClock()
        self.lag = lag
        self.gaps = 0
        self.jumps = 0
        self._step, self._most = step, most
        self._ring = Recent()
        self._lost = 0.0  # samples at 16 kHz, of which the ring has whole ones
        self._position: float | None = None
        self._late: deque[tuple[float, float]] = deque()  # reads that lacked something: when, and how much at most
        self._lacking = False
        self.set_rate(rate)

    def set_rate(self, rate: int) -> None:
        """The source goes on at another rate."""
        self.rate = rate
        self._down = LiveResampler(rate, MODEL_RATE)
        # What the new filter still holds back is made good by the clock's seconds, which do not know of it.
        if self.clock.started:
            self._fill(self.clock.seconds)

    def push(self, block: FloatArray, time: float) -> None:
        """A block (n,) came at ``time``."""
        lost = self.clock.push(len(block) / self.rate, time)
        if lost:
            # In its place: before this block, and after what the filter still held back.
            self._down.reset()
            self._fill(self.clock.seconds - len(block) / self.rate)
        self._ring.push(self._down.push(block))
        self._ring.forget(self._ring.end - _KEPT_SECONDS * MODEL_RATE)

    def _fill(self, seconds: float) -> None:
        """Silence up to this place of the source."""
        missing = round(seconds * MODEL_RATE) - self._ring.end
        self._ring.skip(max(0, missing))

    def read(self, count: int, seconds: float, reader: DeviceClock) -> FloatArray:
        """The ``count`` samples at 16 kHz that belong to the reader's ones from device second ``seconds`` on."""
        if not self.clock.started:
            return np.zeros(count, np.float32)
        pieces = []
        for start in range(0, count, _PIECE):
            length = min(_PIECE, count - start)
            pieces.append(self._read(length, seconds + start / MODEL_RATE, reader))
        return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)

    def _read(self, count: int, seconds: float, reader: DeviceClock) -> FloatArray:
        target = self.clock.seconds_at(reader.time_at(seconds)) * MODEL_RATE - self.lag
        if self._position is None or abs(target - self._position) > _JUMP * MODEL_RATE:
            self.jumps += self._position is not None
            self._position = target
        age = min(seconds - reader.since, self.clock.seconds - self.clock.since)
        settling = min(max(age, _SETTLING[0]), _SETTLING[1])
        pace = (1.0 + reader.slope) / (1.0 + self.clock.slope)
        pace += (target - self._position) / (settling * MODEL_RATE)
        positions: npt.NDArray[np.float64] = self._position + pace * np.arange(count, dtype=np.float64)
        self._position += pace * count
        first, last = span_of(positions)
        self._watch(last - self._ring.end, seconds)
        if first >= self._ring.end:
            return np.zeros(count, np.float32)
        return values_at(self._ring.read(first, last), first, positions)

    def _watch(self, missing: int, seconds: float) -> None:
        """Count reads that came too early, and stay further behind where there are many."""
        if missing <= 0 or missing > self._most:  # nothing, or the device is not late but away
            self.gaps += missing > self._most and not self._lacking
            self._lacking = missing > 0
            return
        if self._lacking and self._late:
            self._late[-1] = (seconds, max(self._late[-1][1], missing))
            return
        self._lacking = True
        self.gaps += 1
        self._late.append((seconds, missing))
        while self._late[0][0] < seconds - _LATE_SECONDS:
            self._late.popleft()
        if len(self._late) < _LATE_TIMES:
            return
        typical = sorted(lack for _, lack in self._late)[-2]
        grown = min(self._most, self.lag + self._step * -(-int(typical) // self._step))
        if grown > self.lag:
            # The same samples come later; the reference's place changes at once and by a whole step.
            if self._position is not None:
                self._position -= grown - self.lag
            self.lag = grown
            self._late.clear()
