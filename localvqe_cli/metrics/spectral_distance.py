"""How far two signals are apart in their spectra, over seven resolutions: what neural codecs are trained and judged by.

Formulas: the losses of NVIDIA's codecs, whose model card gives distances of this size without defining them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from ..audio.resample import FloatArray
from .mel import mel_triangles

__all__ = ["WINDOWS", "mel_distance", "stft_distance"]

#: Samples of a frame, which is a Hann window with its end points; the hop is a quarter of it.
WINDOWS = (32, 64, 128, 256, 512, 1024, 2048)
#: Mel bands at each of them.
BANDS = (5, 10, 20, 40, 80, 160, 320)

_HOPS_PER_WINDOW = 4
_FAINT = 1e-5  # power that is added to every bin
_AT_ONCE = 1 << 18  # samples of frames transformed at a time


def mel_distance(one: FloatArray, other: FloatArray, rate: int) -> float:
    """Mean difference of log mel magnitudes; 0 for equal signals, smaller is better.

    Args:
        one, other: (n,) and (m,) samples at ``rate`` Hz, cut to the shorter; a clip of less than 512 samples is too
            short for the long windows and counts as one frame there.
        rate: of both.
    """
    n = min(one.size, other.size)
    means = []
    for window, bands in zip(WINDOWS, BANDS, strict=True):
        weights = _filters(rate, window, bands)
        frames = max(1, n // (window // _HOPS_PER_WINDOW))  # the last one, centred on the end, does not count
        pairs = _magnitudes(one[:n], other[:n], window, "constant")
        apart = [np.abs(np.log1p(a @ weights) - np.log1p(b @ weights)).mean(axis=1) for a, b in pairs]
        means.append(float(np.concatenate(apart)[:frames].mean()))
    return float(np.mean(means))


def stft_distance(one: FloatArray, other: FloatArray) -> float:
    """Mean difference of log magnitudes of bins; arguments and sense as of :func:`mel_distance`."""
    n = min(one.size, other.size)
    means = []
    for window in WINDOWS:
        pairs = _magnitudes(one[:n], other[:n], window, "reflect")
        apart = [np.abs(np.log1p(a) - np.log1p(b)).mean(axis=1) for a, b in pairs]
        means.append(float(np.concatenate(apart).mean()))
    return float(np.mean(means))


def _magnitudes(one: FloatArray, other: FloatArray, window: int, beyond: str) -> Iterator[tuple[Any, Any]]:
    """Magnitudes (frames, bins) of both in pieces; frames are centred on every hop, the signal goes on as ``beyond``
    says."""
    hop, half = window // _HOPS_PER_WINDOW, window // 2
    mode: Any = beyond if one.size > half else "constant"  # there is not enough to reflect
    shape = np.hanning(window)
    framed = [
        np.lib.stride_tricks.sliding_window_view(np.pad(np.asarray(x, np.float64), half, mode=mode), window)[::hop]
        for x in (one, other)
    ]
    step = _AT_ONCE // window
    for start in range(0, len(framed[0]), step):
        spectra = (np.fft.rfft(frames[start : start + step] * shape, axis=1) for frames in framed)
        a, b = (np.sqrt(np.square(s.real) + np.square(s.imag) + _FAINT) for s in spectra)
        yield a, b


@lru_cache(maxsize=len(WINDOWS))
def _filters(rate: int, window: int, bands: int) -> Any:
    """(bins, bands), each band 1 at its middle."""
    return np.ascontiguousarray(mel_triangles(rate, window, bands)[0].T)
