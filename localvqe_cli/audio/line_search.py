"""Find the echo in a window where its lag changes at a constant rate.

GCC-PHAT as in :mod:`.align`, at a quarter of the rate and over lines instead of lags: short chunks of the reference are
stretched by each rate, and their correlations are added up along it.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt

from .align import ACTIVE_SHARE, MIN_RATIO, PEAK_SECONDS
from .cross_spectrum import decimated, fast_length, whitened
from .lag_curve import MAX_PPM, Line
from .recent import cut
from .resample import MODEL_RATE, FloatArray
from .statistics import typical_size

__all__ = ["find_line"]

_RATE = 4000
_BAND_HZ = (300.0, 1900.0)
_CHUNK = 2 * _RATE
_STRETCH_PPM = 200  # 100 ppm beside the truth smear a chunk's echo by 0.2 ms
_STEP_PPM = 25
_MARGIN = 32  # samples beside a chunk that its stretched form may reach into
# Over thousands of lines chance reaches higher than over a single one, and chunks here overlap less.
_MIN_PROMINENCE = 13.0
_REPEAT_SECONDS = 1.0  # a reference that repeats itself has one echo at several lags
_MOST_REPEATS = 8
_ALIKE = 0.4


def find_line(
    mic: FloatArray,
    ref: FloatArray,
    around: float,
    reach_seconds: float,
    *,
    certain: bool = False,
    repeats: bool = False,
) -> Line | None:
    """Search lags within ``reach_seconds`` of ``around`` samples, and all rates, for the line of the echo.

    Args:
        mic, ref: (n,) and (m,) samples at 16 kHz.
        certain: there is an echo, so the best line will do.
        repeats: of several lags that fit alike, seconds apart, take the nearest; a reference that repeats itself has
            its echo at all of them.

    Returns:
        Times and lags in samples at 16 kHz; None where no line stands out, or the reference is silent.
    """
    near, far = decimated(mic, _RATE), decimated(ref, _RATE)
    offset = round(around * _RATE / MODEL_RATE)
    reach = int(reach_seconds * _RATE)
    floor = ACTIVE_SHARE * float(np.mean(np.square(far)))
    starts = [
        start
        for start in range(0, max(1, len(far) - _CHUNK // 2), _CHUNK)
        if float(np.mean(np.square(cut(far, start, _CHUNK)))) >= floor
    ]
    if not starts:
        return None
    middle = (starts[0] + starts[-1]) / 2
    rates, heights = _heights(near, far, starts, middle, offset, reach)
    best = heights.max(axis=0)
    peak = int(best.argmax())
    row = int(heights[:, peak].argmax())
    typical = typical_size(heights[row])
    if not certain:
        if best[peak] < _MIN_PROMINENCE * max(typical, float(np.finfo(np.float32).tiny)):
            return None
        if _without(best, peak).max() * MIN_RATIO > best[peak]:
            return _nearest(mic, ref, best, around, reach) if repeats else None
    lag = (peak - reach + offset) * MODEL_RATE / _RATE
    # The lag was met at reference time ``middle``, so at mic time ``middle + lag``.
    time = (middle + _CHUNK / 2) * MODEL_RATE / _RATE + lag
    return Line(time, lag, rates[row] / (1.0 + rates[row]))


def _heights(
    near: FloatArray, far: FloatArray, starts: list[int], middle: float, offset: int, reach: int
) -> tuple[list[float], FloatArray]:
    """Rates (n,), and how well (n, 2 reach + 1) each of them and each lag at the time ``middle`` explain the chunks."""
    length = _CHUNK + 2 * reach
    n_fft = fast_length(length)
    window = np.hanning(_CHUNK)
    half = np.arange(_CHUNK) - _CHUNK / 2
    stretches = range(-MAX_PPM, MAX_PPM + 1, _STRETCH_PPM)
    steps = range(-_STRETCH_PPM // 2, _STRETCH_PPM // 2, _STEP_PPM)
    rates = [1e-6 * (stretch + step) for stretch in stretches for step in steps]
    sums = np.zeros((len(rates), 2 * reach + 1), np.float32)
    for start in starts:
        piece = np.fft.rfft(cut(near, start + offset - reach, length), n_fft)
        chunk = cut(far, start - _MARGIN, _CHUNK + 2 * _MARGIN)
        for index, stretch in enumerate(stretches):
            positions = half / (1.0 + 1e-6 * stretch) + _CHUNK / 2 + _MARGIN
            # In single precision, which at this length takes half as long.
            stretched = (np.interp(positions, np.arange(len(chunk)), chunk) * window).astype(np.float32)
            cross = whitened(piece * np.conj(np.fft.rfft(stretched, n_fft)), n_fft, _RATE, _BAND_HZ)
            found = np.fft.irfft(cross, n_fft)[: 2 * reach + 1]
            for row in range(index * len(steps), (index + 1) * len(steps)):
                _add_moved(sums[row], found, round(rates[row] * (start - middle)))
    return rates, np.abs(sums, out=sums)


def _nearest(mic: FloatArray, ref: FloatArray, best: FloatArray, around: float, reach: int) -> Line | None:
    """The line nearest to ``around`` of those that fit alike, where they are as far apart as repeated sentences."""
    peaks: list[int] = []
    left = best
    while len(peaks) < _MOST_REPEATS and left.max() >= _ALIKE * best.max():
        peaks.append(int(left.argmax()))
        left = _without(left, peaks[-1])
    if any(abs(a - b) < _REPEAT_SECONDS * _RATE for a, b in combinations(peaks, 2)):
        return None
    # A piece of the mic as long as the search holds the repetitions too, and whitened it looks like their onset.
    for peak in sorted(peaks, key=lambda peak: abs(peak - reach)):
        lag = around + (peak - reach) * MODEL_RATE / _RATE
        line = find_line(mic, ref, lag, 2 * PEAK_SECONDS)
        if line is not None:
            return line
    return None


def _without(heights: FloatArray, peak: int) -> FloatArray:
    width = int(PEAK_SECONDS * _RATE)
    others: FloatArray = heights.copy()
    others[max(0, peak - width) : peak + width + 1] = 0.0
    return others


def _add_moved(total: FloatArray, found: npt.NDArray[np.floating], shift: int) -> None:
    """Add ``found``, read ``shift`` samples later."""
    if shift >= 0:
        total[: max(0, len(total) - shift)] += found[shift:]
    else:
        total[-shift:] += found[:shift]
