"""Follow by how much the echo lags the reference while a recording goes on: two devices have two clocks.

A search over a window finds a line, a lag and its rate of change. From there every segment's whitened correlation is
compared with the average of those before, which holds the room's reflections and so shows a change of a tenth of a
sample. Where the echo is lost, the search begins again. Lags and times are in samples at 16 kHz: the microphone hears
at time t what the reference held at t - lag(t).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .align import ACTIVE_SHARE, MAX_LAG_SECONDS, SEARCH_SECONDS, DelayEstimate, estimate_delay
from .cross_spectrum import whitened
from .lag_curve import LagPoint, Line, fit_line
from .line_search import find_line
from .recent import Recent
from .resample import MODEL_RATE, FloatArray
from .statistics import rms, typical_size

__all__ = ["WIDE_SECONDS", "DriftTracker"]

#: Largest lag of either sign that is looked for.
WIDE_SECONDS = 10.0

_SEGMENT = 2 * MODEL_RATE
_LATER_SECONDS = 30  # a window of the search after the first
_NEAR_SECONDS = 0.25  # around where the echo was lost
_LEAN_SECONDS = 0.06  # around a lag that is known to be right at some time of the window
_BAND_HZ = (300.0, 4000.0)
_REACH = 1024  # a segment is correlated at lags within 64 ms of the expected one
_N_FFT = 36864  # of small factors, and no less than a segment with that reach on both sides
_STRAIGHT_PPM = 30  # the search's rates are 25 ppm apart
_STEP_REACH = 320  # a segment may differ by 20 ms from what is expected
_FORGET = 0.1
_MEMORY = 24  # points that the expected line is drawn through
_FAINT = 1e-5  # RMS of a reference that nobody hears
_LOST = 5  # active segments in a row without the echo
_OFTEN = 8  # fruitless searches, after which only every eighth window is searched at all lags
# Of segments with an echo in 30 recordings nearly all reach 7 and most 20; of others one in a hundred reaches 5.
_LEAST_QUALITY = 6.0


class DriftTracker:
    """Takes both signals in blocks of any length and finds lags as soon as the signals allow it, in flat memory.

    Attributes:
        first: outcome of the search over the first minute at a constant lag, None where a signal is silent in it.
        points: what was found so far, by time.
    """

    def __init__(self) -> None:
        self.first: DelayEstimate | None = None
        self.points: list[LagPoint] = []
        self._mic, self._ref = Recent(), Recent()
        self._next = 0  # mic time of the next segment or window
        self._line: Line | None = None  # where the echo is being followed
        self._last: Line | None = None  # where it was before it was lost
        self._locked = 0  # points found before the current lock
        self._template = np.zeros(0, np.complex128)
        self._power = 0.0  # of the reference's segments, averaged
        self._missed = 0
        self._missed_since = 0
        self._failures = 0
        self._begun = False

    def push(self, mic: FloatArray, ref: FloatArray) -> None:
        """Append (n,) and (m,) samples at 16 kHz."""
        self._mic.push(mic)
        self._ref.push(ref)
        self._run(final=False)

    def finish(self) -> None:
        """No more samples come: look at what is left."""
        self._run(final=True)

    @property
    def line(self) -> Line | None:
        """Lag and rate of change expected now; None while no echo is being followed."""
        return self._line

    def _run(self, *, final: bool) -> None:
        while self._search(final=final) if self._line is None else self._track(final=final):
            keep = self._missed_since if self._missed else self._next
            known = self._line or self._last
            lag = 0.0 if known is None else known.at(keep)
            self._mic.forget(keep - _REACH)
            self._ref.forget(int(keep - max(0.0, lag)) - 2 * _REACH)

    # -- search -------------------------------------------------------------------------------

    def _search(self, *, final: bool) -> bool:
        """Look for the echo in the next window; False where that has to wait."""
        length = (_LATER_SECONDS if self._begun else SEARCH_SECONDS) * MODEL_RATE
        start, end = self._next, self._next + length
        prior = 0 if self._last is None else round(self._last.at(start))
        if not final and min(self._mic.end, self._ref.end + min(0, prior)) < end + _REACH:
            return False
        end = min(end, self._mic.end)
        if end <= start:
            return False
        line = self._found(self._mic.read(start, end), self._ref.read(start - prior, end - prior))
        self._begun, self._missed = True, 0
        if line is None or not self._lock(Line(line.time + start, line.lag + prior, line.rate), start, end):
            self._next = end
        return True

    def _found(self, mic: FloatArray, ref: FloatArray) -> Line | None:
        """The line of the echo in this window, times counted from it and lags from the expected one."""
        everywhere = self._failures < _OFTEN or self._failures % _OFTEN == 0
        if not self._begun:
            self.first = estimate_delay(mic, ref)
        # One segment has no other to agree with.
        if len(_segments(0, len(mic))) < 2 or rms(mic) == 0.0 or rms(ref) < _FAINT:
            return None
        self._failures += 1
        if self._last is not None:
            near = find_line(mic, ref, 0.0, _NEAR_SECONDS)
            if near is not None:
                return near
        if not everywhere:
            return None
        steady = estimate_delay(mic, ref) if self._begun else self.first
        if steady is not None and steady.trusted:
            lag = steady.delay_ms * MODEL_RATE / 1000.0
            return find_line(mic, ref, lag, _LEAN_SECONDS, certain=True)
        # A clock that is far off blurs the echo at any steady lag.
        return find_line(mic, ref, 0.0, MAX_LAG_SECONDS) or find_line(mic, ref, 0.0, WIDE_SECONDS, repeats=True)

    def _lock(self, line: Line, start: int, end: int) -> bool:
        """Compare the window's segments with one another; whether most of the active ones agree about ``line``."""
        begins = [begin for begin in _segments(start, end) if self._is_active(begin, line)]
        if len(begins) < 2:
            return False
        times = np.array(begins, np.float64) + _SEGMENT / 2
        middle = float(times.mean())
        for _ in range(4):
            spectra = np.array([self._correlation(begin, line) for begin in begins])
            shape, rate = _straightened(spectra, times - middle)
            peak = int(np.argmax(np.abs(shape)))
            peak -= len(shape) if peak > len(shape) // 2 else 0
            line = Line(middle, line.at(middle) + peak, line.rate + rate)
            if abs(rate) < _STRAIGHT_PPM * 1e-6:
                break
        spectra = np.array([self._correlation(begin, line) for begin in begins])
        total = spectra.sum(axis=0)
        # Each without its own share, or noise would agree with itself.
        found = [_shift_between(own, total - own) for own in spectra]
        good = [
            LagPoint(time, line.at(time) + shift, quality)
            for time, (shift, quality) in zip(times.tolist(), found, strict=True)
            if quality >= _LEAST_QUALITY
        ]
        if 2 * len(good) < len(begins):
            return False
        self._line, self._last = line, line
        self._template = total / len(begins)
        self._locked = len(self.points)
        self.points += good
        self._failures = 0
        self._next = begins[-1] + _SEGMENT
        self._redraw()
        return True

    # -- following ----------------------------------------------------------------------------

    def _track(self, *, final: bool) -> bool:
        """Measure the next segment; False where that has to wait."""
        assert self._line is not None
        start, time = self._next, self._next + _SEGMENT / 2
        lag = self._line.at(time)
        if not final and min(self._mic.end, self._ref.end + int(min(0.0, lag))) < start + _SEGMENT + 2 * _REACH:
            return False
        if start + _SEGMENT // 2 > self._mic.end:
            return False
        self._next += _SEGMENT
        if not self._is_active(start, self._line):
            return True
        own = self._correlation(start, self._line)
        shift, quality = _shift_between(own, self._template)
        if quality >= _LEAST_QUALITY:
            self._missed = 0
            self.points.append(LagPoint(time, lag + shift, quality))
            turn = np.exp(2j * np.pi * np.arange(len(own)) * shift / (2 * _REACH))
            self._template = (1.0 - _FORGET) * self._template + _FORGET * own * turn
            self._redraw()
            return True
        if not self._missed:
            self._missed_since = start
        self._missed += 1
        # The lag may have changed within the segments without an echo, so the search goes over them again.
        self._missed_since = max(self._missed_since, self._next - _LATER_SECONDS * MODEL_RATE)
        if self._missed >= _LOST:
            self._last, self._line = self._line, None
            self._next = self._missed_since
        return True

    def _redraw(self) -> None:
        """Draw the expected line through the newest points of this lock."""
        assert self._line is not None
        recent = self.points[self._locked :][-_MEMORY:]
        if len(recent) >= 4:
            times, lags = (np.array([getattr(point, name) for point in recent]) for name in ("time", "lag"))
            self._line = fit_line(times, lags)

    def _is_active(self, start: int, line: Line) -> bool:
        """Whether somebody may hear this segment of the reference."""
        begin = int(start - line.at(start + _SEGMENT / 2))
        power = rms(self._ref.read(begin, begin + _SEGMENT)) ** 2
        self._power += (_FORGET if self._power else 1.0) * (power - self._power)
        return power >= max(ACTIVE_SHARE * self._power, _FAINT**2)

    def _correlation(self, start: int, line: Line) -> Any:
        """Spectrum (1025,) of one segment's whitened correlation; lag 0 of it is ``line``."""
        times = np.arange(start, start + _SEGMENT)
        positions = times - line.lag - line.rate * (times - line.time)
        first = int(np.floor(positions[0]))
        held = self._ref.read(first, first + _SEGMENT + _SEGMENT // 100)
        ref = np.interp(positions - first, np.arange(len(held)), held) * _window()
        mic = self._mic.read(start - _REACH, start + _SEGMENT + _REACH)
        cross = np.fft.rfft(mic, _N_FFT) * np.conj(np.fft.rfft(ref, _N_FFT))
        found = np.fft.irfft(whitened(cross, _N_FFT, MODEL_RATE, _BAND_HZ), _N_FFT)[: 2 * _REACH]
        return np.fft.rfft(np.roll(found, -_REACH))


@cache
def _window() -> Any:
    return np.hanning(_SEGMENT)


def _segments(start: int, end: int) -> range:
    """Where a window's segments begin; the last may reach out of it by half."""
    return range(start, end - _SEGMENT // 2, _SEGMENT)


def _straightened(spectra: Any, times: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], float]:
    """The sum (2048,) of segments' correlations along the best rate near the one they were taken at, and that rate."""
    omega = 2.0 * np.pi * np.arange(spectra.shape[1]) / (2 * _REACH)
    best = (-1.0, np.zeros(0), 0.0)
    for rate in np.arange(-_STRAIGHT_PPM, _STRAIGHT_PPM + 1, 2) * 1e-6:
        shape = np.fft.irfft((spectra * np.exp(1j * rate * np.outer(times, omega))).sum(axis=0), 2 * _REACH)
        height = float(np.abs(shape).max())
        if height > best[0]:
            best = (height, shape, float(rate))
    return best[1], best[2]


def _shift_between(own: Any, template: Any) -> tuple[float, float]:
    """By how many samples ``own`` comes later than ``template``, and the peak's height over the typical value."""
    around = np.fft.irfft(own * np.conj(template), 2 * _REACH)
    around = np.roll(around, _STEP_REACH + 1)[: 2 * _STEP_REACH + 3]
    peak = 1 + int(np.argmax(around[1:-1]))
    left, top, right = (float(value) for value in around[peak - 1 : peak + 2])
    bend = left - 2.0 * top + right
    fine = 0.5 * (left - right) / bend if bend < 0.0 else 0.0
    return peak - _STEP_REACH - 1 + fine, top / max(typical_size(np.abs(around)), float(np.finfo(np.float32).tiny))
