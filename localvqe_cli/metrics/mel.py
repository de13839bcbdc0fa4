"""The spectrogram that AECMOS' network reads: 160 mel bands in decibels, scaled to its own maximum.

The form is speechmos' (librosa's mel spectrogram with its defaults), computed here so that a score does not wait for
librosa, which takes seconds to load and several times as long to compute. Slaney's mel scale: linear to 1000 Hz,
logarithmic above, in triangles of equal energy.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ..audio.resample import MODEL_RATE, FloatArray

__all__ = ["BANDS", "MEL_HOP", "WINDOW", "log_mel", "mel_triangles"]

#: Of AECMOS, not of the model: samples of a frame and between frames at 16 kHz, and mel bands from 0 to 8 kHz.
WINDOW = 513
MEL_HOP = 256
BANDS = 160

_LINEAR_HZ = 1000.0  # the scale is linear below
_HZ_PER_MEL = 200.0 / 3.0
_LOG_STEP = np.log(6.4) / 27.0  # of the frequency per mel above
_FAINTEST = 1e-10  # power
_RANGE_DB = 80.0
_AT_ONCE = 128  # frames, whose spectra stay in the cache of the processor


def log_mel(samples: FloatArray) -> FloatArray:
    """``(dB + 40) / 40`` of the mel power over the loudest of the clip, from -1 (80 dB below it or less) to 1.

    Args:
        samples: (n,) float32 at 16 kHz, at least one window.

    Returns:
        ((n - 1) // 256 + 1, 160); the frames are centred on every 256th sample, with zeros before and after.
    """
    window, bands = _tables()
    count = (samples.size - 1) // MEL_HOP + 1
    padded = np.zeros((count - 1) * MEL_HOP + 2 * WINDOW, np.float32)
    padded[WINDOW // 2 : WINDOW // 2 + samples.size] = samples
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::MEL_HOP][:count]
    power = np.empty((count, WINDOW // 2 + 1), np.float32)
    for start in range(0, count, _AT_ONCE):
        # In double precision, as there: a quiet band next to a loud one is all rounding otherwise.
        spectrum = np.fft.rfft(frames[start : start + _AT_ONCE] * window, axis=1)
        np.add(
            np.square(spectrum.real), np.square(spectrum.imag), out=power[start : start + _AT_ONCE], casting="unsafe"
        )
    mel = power @ bands
    db = 10.0 * np.log10(np.maximum(mel, np.float32(_FAINTEST)))
    db -= db.max()
    found: FloatArray = (np.maximum(db, np.float32(-_RANGE_DB)) + np.float32(40.0)) / np.float32(40.0)
    return found


@lru_cache(maxsize=1)
def _tables() -> tuple[Any, Any]:
    """The periodic Hann window (513,) and the weight of each bin in each band (257, 160)."""
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(WINDOW) / WINDOW)
    triangles, widths = mel_triangles(MODEL_RATE, WINDOW, BANDS)
    weights = triangles * (2.0 / widths)[:, None]
    return window, np.ascontiguousarray(weights.T, dtype=np.float32)


def mel_triangles(rate: int, window: int, bands: int) -> tuple[Any, Any]:
    """Bands from 0 Hz to half of ``rate``, evenly spaced on the mel scale.

    Returns:
        weights (bands, window // 2 + 1) of the bins of a transform of ``window`` samples, 1 at a band's middle; and
        how wide each band is, Hz (bands,).
    """
    edges = _hertz(np.linspace(0.0, _mel(rate / 2), bands + 2))
    bins = np.arange(window // 2 + 1) * (rate / window)
    rise = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    return np.maximum(0.0, np.minimum(rise, fall)), edges[2:] - edges[:-2]


def _mel(hertz: float) -> float:
    """Above 1000 Hz only."""
    return float(_LINEAR_HZ / _HZ_PER_MEL + np.log(hertz / _LINEAR_HZ) / _LOG_STEP)


def _hertz(mel: Any) -> Any:
    knee = _LINEAR_HZ / _HZ_PER_MEL
    return np.where(mel < knee, mel * _HZ_PER_MEL, _LINEAR_HZ * np.exp(_LOG_STEP * (np.maximum(mel, knee) - knee)))
