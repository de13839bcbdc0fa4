"""When a device captured its samples, from the times at which its blocks arrived.

A block may come late, because some process had to wait, but it never comes before its last sample. So the true line
from samples to time lies under all arrivals, and touches those that came at once. Of a second of arrivals only the
earliest is kept; of the last two minutes' earliest, the line is the edge of their lower convex hull under the middle.
Positions are "device seconds": samples over the nominal rate, which makes a change of rate no event at all.
"""

from __future__ import annotations

from collections import deque

__all__ = ["DeviceClock"]

_BUCKET = 1.0
_KEPT = 120
#: Buckets from which a rate can be told; until then the clock counts as exact, or as before it was lost.
_LEAST_BUCKETS = 4
#: No sound card is further off; what seems to be is noise.
_MOST_DRIFT = 1e-3
# A block that comes earlier than the line allows shows that the line was drawn through late ones.
_EARLY = 0.005
# All blocks late by this much, over this time and as many, were not delayed: samples before them are lost.
_LOSS = 0.015
_LOSS_SECONDS = 0.25
_LOSS_BLOCKS = 20
_STALL = 0.1
#: A device that was away for longer is another one, or has another clock by now.
_ABSENCE = 1.0


class DeviceClock:
    """The line of one device.

    Attributes:
        seconds: device seconds so far, those that were lost included.
        losses: how often samples were lost.
        since: device seconds at which the present line began.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.losses = 0
        self.since = 0.0
        self._slope = 0.0  # seconds of time more than device seconds, per device second
        self._offset = 0.0
        self._started = False
        self._points: deque[tuple[float, float]] = deque(maxlen=_KEPT)
        self._bucket_end = 0.0
        self._earliest: tuple[float, float] | None = None
        self._late: deque[tuple[float, float]] = deque()  # arrivals of the last moment: time, lateness

    @property
    def ppm(self) -> float:
        """How much faster than nominal the device runs."""
        return -1e6 * self._slope / (1.0 + self._slope)

    @property
    def slope(self) -> float:
        """Time that passes in a device second, less one."""
        return self._slope

    @property
    def started(self) -> bool:
        """Whether anything has arrived."""
        return self._started

    def push(self, seconds: float, time: float) -> float:
        """A block of ``seconds`` came at ``time``; returns the device seconds that were lost before it."""
        self.seconds += seconds
        if not self._started:
            self._started = True
            self._restart(time)
            return 0.0
        late = self._lateness(time)
        if late < -_EARLY:
            self._restart(time)
            return 0.0
        if self._late and time - self._late[-1][0] > seconds + _STALL:
            self._late.clear()  # what comes now all at once says nothing yet
        self._late.append((time, late))
        while len(self._late) > _LOSS_BLOCKS and self._late[1][0] <= time - _LOSS_SECONDS:
            self._late.popleft()
        lost = self._lost(time)
        self._note(time - self.seconds)
        return lost

    def time_at(self, seconds: float) -> float:
        """When the sample at ``seconds`` was captured, plus what the device always takes to hand it out."""
        return seconds * (1.0 + self._slope) + self._offset

    def seconds_at(self, time: float) -> float:
        """The inverse of :meth:`time_at`."""
        return (time - self._offset) / (1.0 + self._slope)

    def _lateness(self, time: float) -> float:
        return time - self.time_at(self.seconds)

    def _restart(self, time: float) -> None:
        """Begin a line at the newest sample, with the slope known so far."""
        self.since = self.seconds
        self._offset = time - self.seconds * (1.0 + self._slope)
        self._points.clear()
        self._late.clear()
        self._earliest = None
        self._bucket_end = self.seconds + _BUCKET

    def _lost(self, time: float) -> float:
        """Device seconds to add so that the newest blocks are no longer late, where they are all."""
        if len(self._late) < _LOSS_BLOCKS or self._late[-1][0] - self._late[0][0] < _LOSS_SECONDS:
            return 0.0
        least = min(late for _, late in self._late)
        if least < _LOSS:
            return 0.0
        lost = least / (1.0 + self._slope)
        self.seconds += lost
        self.losses += 1
        self._late.clear()
        self._earliest = None
        if lost > _ABSENCE:
            self._restart(time - self._lateness(time))  # through the earliest of the new blocks
        return lost

    def _note(self, delay: float) -> None:
        """Keep the earliest arrival of this bucket; at its end draw the line again."""
        if self._earliest is None or self._above(self.seconds, delay) < self._above(*self._earliest):
            self._earliest = (self.seconds, delay)
        if self.seconds < self._bucket_end:
            self._lower()
            return
        self._points.append(self._earliest)
        self._earliest = None
        self._bucket_end = self.seconds + _BUCKET
        self._draw()

    def _lower(self) -> None:
        """Before there is a line, an arrival below the expected one moves it."""
        if self._earliest is not None and len(self._points) < _LEAST_BUCKETS:
            self._offset += min(0.0, self._above(*self._earliest))

    def _above(self, seconds: float, delay: float) -> float:
        return delay - self._slope * seconds - self._offset

    def _draw(self) -> None:
        if len(self._points) < _LEAST_BUCKETS:
            self._offset += min(self._above(*point) for point in self._points)
            return
        # Without the middle third, so that the edge is long and its slope certain.
        third = len(self._points) // 3
        points = list(self._points)
        hull: list[tuple[float, float]] = []
        for point in points[:third] + points[-third:]:
            while len(hull) > 1 and _turns_down(hull[-2], hull[-1], point):
                hull.pop()
            hull.append(point)
        right = next(i for i, point in enumerate(hull) if point[0] >= points[-third][0])
        (x0, y0), (x1, y1) = hull[right - 1], hull[right]
        self._slope = min(max((y1 - y0) / (x1 - x0), -_MOST_DRIFT), _MOST_DRIFT)
        self._offset = min(delay - self._slope * seconds for seconds, delay in points)


def _turns_down(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    """Whether ``b`` lies on or above the line from ``a`` to ``c``."""
    return (b[1] - a[1]) * (c[0] - a[0]) >= (c[1] - a[1]) * (b[0] - a[0])
