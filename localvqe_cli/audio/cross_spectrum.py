"""What the searches for an echo share: signals at a lower rate, transforms of quick lengths, whitened spectra."""

from __future__ import annotations

from typing import Any

import numpy as np

from .resample import MODEL_RATE, FloatArray, Resampler

__all__ = ["decimated", "fast_length", "whitened"]


def decimated(signal: FloatArray, rate: int) -> FloatArray:
    """``signal`` (n,) at 16 kHz, at a lower rate."""
    resampler = Resampler(MODEL_RATE, rate)
    return np.concatenate([resampler.push(signal), resampler.finish()])


def fast_length(least: int) -> int:
    """The next length of only small factors, at which transforms are quick."""
    sizes = (base << max(0, int(np.ceil(np.log2(least / base)))) for base in (1, 3, 5, 9, 15))
    return min(size for size in sizes if size >= least)


def whitened(cross: Any, n_fft: int, rate: int, band: tuple[float, float]) -> Any:
    """``cross``, a spectrum of ``n_fft`` samples, with magnitude one inside the band (Hz) and none outside."""
    low, high = (int(edge * n_fft / rate) for edge in band)
    result = np.zeros_like(cross)
    result[low:high] = cross[low:high] / (np.abs(cross[low:high]) + 1e-12)
    return result
