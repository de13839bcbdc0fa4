"""Short-time spectra for the metrics that compare signals frame by frame."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..audio.resample import FloatArray
from ..geometry import FRAME, HOP, MODEL_RATE

__all__ = ["HOP_SECONDS", "spectra"]

HOP_SECONDS = HOP / MODEL_RATE

_AT_ONCE = 1024  # frames transformed at a time, so that nothing but the result grows with the clip


def spectra(samples: FloatArray, lowest_hz: float) -> Any:
    """Hann-windowed spectra of (n,) samples, complex64 (frames, bins): whole frames, bins from ``lowest_hz`` up."""
    first = round(lowest_hz * FRAME / MODEL_RATE)
    count = max(0, (samples.size - FRAME) // HOP + 1)
    window = (0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(FRAME) / FRAME)).astype(np.float32)
    out = np.empty((count, FRAME // 2 + 1 - first), np.complex64)
    if count:
        frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP]
        for start in range(0, count, _AT_ONCE):
            piece = frames[start : start + _AT_ONCE] * window
            out[start : start + _AT_ONCE] = np.fft.rfft(piece, axis=1)[:, first:]
    return out
