"""From measured lags to the lag at any time: straight pieces, as few as explain what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

__all__ = ["MAX_PPM", "LagCurve", "LagPoint", "Line", "fit_curve", "fit_line"]

#: Largest difference of two clocks that is looked for, in parts per million.
MAX_PPM = 1200

Floats = npt.NDArray[np.float64]

# In samples at 16 kHz. What stays within this of a line, 0.5 ms, is a loudspeaker or microphone that is moved.
_TOLERANCE = 8.0
_LEAST_POINTS = 6
_SMOOTH = 5  # points whose median must be off before a line is given up
_LEAST_GAIN = 0.75  # two pieces leave at most this share of what one leaves, or it was not the line's fault
_CANDIDATES = 48  # places at which a piece may be divided in the first look
# Two pieces are joined by a line where it is at most this steep, else at the middle by a jump.
_STEEPEST = 1500e-6
_FOREVER = 1e13


@dataclass(frozen=True)
class LagPoint:
    """``lag`` in samples at mic time ``time``, in samples at 16 kHz; ``quality`` is the peak over the typical value."""

    time: float
    lag: float
    quality: float


@dataclass(frozen=True)
class Line:
    """``lag`` at ``time``, both in samples, and the lag's change per sample."""

    time: float
    lag: float
    rate: float

    def at(self, time: float) -> float:
        return self.lag + self.rate * (time - self.time)


@dataclass(frozen=True)
class LagCurve:
    """Knots of a lag that changes linearly between them: (k,) times, not falling, and lags, in samples at 16 kHz."""

    times: Floats
    lags: Floats

    def at(self, times: Floats) -> Floats:
        """Lags at (n,) times."""
        return np.interp(times, self.times, self.lags)

    def drift(self, end: float) -> tuple[float, float]:
        """Of the time from 0 to ``end``, without what the lag jumps: its mean rate, and the most it moves."""
        times = np.append(self.times[self.times < end], end)
        lags = np.append(self.lags[self.times < end], self.at(np.array([end])))
        steps = np.where(np.diff(times) > 0.0, np.diff(lags), 0.0)
        moved = np.concatenate([[0.0], np.cumsum(steps)])
        return float(moved[-1]) / max(end, 1.0), float(np.ptp(moved))

    def furthest_back(self) -> int:
        """Samples by which reading the reference along the curve ever returns, rounded up."""
        positions = self.times - self.lags
        return int(np.ceil(np.max(np.maximum.accumulate(positions) - positions)))


def fit_line(times: Floats, lags: Floats) -> Line:
    """The line through (n,) points by least squares, with points far off the others' line left out by degrees."""
    weights = np.ones(len(times))
    mean, level, rate = float(times.mean()), float(np.median(lags)), 0.0
    for _ in range(10):
        total = weights.sum()
        mean = float((weights * times).sum() / total)
        level = float((weights * lags).sum() / total)
        spread = float((weights * (times - mean) ** 2).sum())
        rate = float((weights * (times - mean) * (lags - level)).sum()) / max(spread, 1e-9)
        off = np.abs(lags - level - rate * (times - mean))
        scale = max(0.5, 1.4826 * float(np.median(off)))
        weights = 1.0 / (1.0 + (off / (3.0 * scale)) ** 2) ** 2
    return Line(mean, level, rate)


def fit_curve(points: Sequence[LagPoint]) -> LagCurve | None:
    """The curve through points in the order of their times, held or continued where there are none.

    Returns None without points.
    """
    if not points:
        return None
    times = np.array([p.time for p in points])
    lags = np.array([p.lag for p in points])
    knots: list[tuple[float, float]] = []
    for first, last in _pieces(times, lags):
        line = _piece_line(times[first:last], lags[first:last])
        begin, end = float(times[first]), float(times[last - 1])
        if knots:
            gap, step = begin - knots[-1][0], line.at(begin) - knots[-1][1]
            if abs(step) > _STEEPEST * gap:
                middle = begin - gap / 2
                knots += [(middle, knots[-1][1]), (middle, line.at(middle))]
        else:
            begin = min(begin, 0.0)
        knots += [(begin, line.at(begin)), (end, line.at(end))]
    rate = _piece_line(times[first:last], lags[first:last]).rate
    knots.append((_FOREVER, line.at(end) + rate * (_FOREVER - end)))
    return LagCurve(*np.array(knots).T)


def _piece_line(times: Floats, lags: Floats) -> Line:
    if len(times) < 4:
        return Line(float(times.mean()), float(np.median(lags)), 0.0)
    return fit_line(times, lags)


def _pieces(times: Floats, lags: Floats) -> list[tuple[int, int]]:
    """Ranges of points that each lie along a line."""
    cuts = [0, *_cuts(times, lags, 0, len(times)), len(times)]
    # A cut was made for all that lay around it, before the others were known.
    for index in range(1, len(cuts) - 1):
        cuts[index] = _best_cut(times, lags, cuts[index - 1], cuts[index + 1])
    return list(pairwise(cuts))


def _cuts(times: Floats, lags: Floats, first: int, last: int) -> list[int]:
    """Where to divide these points so that every part lies along a line."""
    if last - first < 2 * _LEAST_POINTS or _follows(times[first:last], lags[first:last]):
        return []
    best = _best_cut(times, lags, first, last)
    if _misfit(times, lags, first, best, last) > _LEAST_GAIN * _misfit(times, lags, first, last, last):
        return []
    return [*_cuts(times, lags, first, best), best, *_cuts(times, lags, best, last)]


def _best_cut(times: Floats, lags: Floats, first: int, last: int) -> int:
    """Where two lines explain these points best: looked for at a few places, then at all beside the best of them."""
    low, high = first + _LEAST_POINTS, last - _LEAST_POINTS
    step = max(1, (high - low) // _CANDIDATES)
    best = min(range(low, high + 1, step), key=lambda cut: _misfit(times, lags, first, cut, last))
    near = range(max(low, best - step + 1), min(high, best + step - 1) + 1)
    return min(near, key=lambda cut: _misfit(times, lags, first, cut, last))


def _follows(times: Floats, lags: Floats) -> bool:
    """Whether no run of points leaves their common line."""
    off = lags - _values(fit_line(times, lags), times)
    runs = np.median(np.lib.stride_tricks.sliding_window_view(off, _SMOOTH), axis=1)
    return bool(np.abs(runs).max() <= _TOLERANCE)


def _misfit(times: Floats, lags: Floats, first: int, cut: int, last: int) -> float:
    """What two lines, up to ``cut`` and from it, leave unexplained; no point counts for more than ten tolerances."""
    total = 0.0
    for low, high in ((first, cut), (cut, last)):
        if low == high:
            continue
        off = np.abs(lags[low:high] - _values(fit_line(times[low:high], lags[low:high]), times[low:high]))
        total += float(np.minimum(off, 10.0 * _TOLERANCE).sum())
    return total


def _values(line: Line, times: Floats) -> Floats:
    return line.lag + line.rate * (times - line.time)
