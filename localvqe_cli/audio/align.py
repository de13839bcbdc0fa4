"""Find by how much the echo lags the reference, and what shift brings it where the model looks.

AlignBlock (report, section 2.4) sees lags of 0 to dmax-1 frames, a front-end's delay search those of its own. A
recording chain that adds more, or that starts the reference late, puts the echo outside; no canceller recovers from
that by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from .cross_spectrum import decimated, fast_length, whitened
from .recent import cut
from .resample import MODEL_RATE, FloatArray
from .statistics import typical_size

__all__ = ["SEARCH_SECONDS", "DelayEstimate", "estimate_delay", "reference_shift"]

#: How much of the recording the search looks at.
SEARCH_SECONDS = 60
MAX_LAG_SECONDS = 2.0

_RATE = 8000  # of the signals; lags are read at twice this rate
_CHUNK = 2 * _RATE
_BAND_HZ = (300.0, 4000.0)  # where speech is; outside it the whitened spectrum is noise
# A chunk joins the average where the reference has at least this share of its mean power.
ACTIVE_SHARE = 0.1
# Set on real recordings. With an echo the peak stands 16 to 400 times above the correlation's typical
# size and at least 2.2 times above every other peak; without one, or with a stranger's reference, 7.8
# and 1.41 are the most seen in a hundred pairs.
_MIN_PROMINENCE = 11.0
MIN_RATIO = 1.8
PEAK_SECONDS = 0.05  # a room's reflections belong to its peak

_FRAME_MS = 16.0
_TARGET_MS = 48.0  # three frames: room before the direct path and for the drift of two clocks
_FAR_MARGIN_MS = 32.0
_NEAR_TOLERANCE_MS = 2.0


@dataclass(frozen=True)
class DelayEstimate:
    """Outcome of the search.

    Attributes:
        delay_ms: the mic's echo comes this long after the reference (negative: before it).
        prominence: peak height over the correlation's typical size.
        ratio: peak height over the next separate peak.
    """

    delay_ms: float
    prominence: float
    ratio: float

    @property
    def trusted(self) -> bool:
        """The peak cannot be chance."""
        return self.prominence >= _MIN_PROMINENCE and self.ratio >= MIN_RATIO


def estimate_delay(mic: FloatArray, ref: FloatArray) -> DelayEstimate | None:
    """GCC-PHAT between ``mic`` (n,) and ``ref`` (m,) at 16 kHz, averaged over active chunks.

    Lags of -2 to 2 s are searched. Returns None where either signal is silent.
    """
    if not (np.any(mic) and np.any(ref)):
        return None
    near, far = decimated(mic, _RATE), decimated(ref, _RATE)
    reach = int(MAX_LAG_SECONDS * _RATE)
    length = _CHUNK + 2 * reach
    n_fft = fast_length(length)
    window = _window()
    floor = ACTIVE_SHARE * float(np.mean(np.square(far)))
    total = np.zeros(n_fft // 2 + 1, np.complex128)
    for start in range(0, len(far), _CHUNK // 2):
        chunk = cut(far, start, _CHUNK)
        if float(np.mean(np.square(chunk))) < floor:
            continue
        # The mic's piece reaches one maximal lag beyond the chunk on both sides.
        piece = cut(near, start - reach, length)
        cross = np.fft.rfft(piece, n_fft) * np.conj(np.fft.rfft(chunk * window, n_fft))
        total += whitened(cross, n_fft, _RATE, _BAND_HZ)
    correlation = np.abs(_at_twice_the_rate(total, n_fft)[: 4 * reach + 1])
    lag = 2 * reach
    peak = int(correlation.argmax())
    height = float(correlation[peak])
    width = int(PEAK_SECONDS * MODEL_RATE)
    others = np.delete(correlation, slice(max(0, peak - width), peak + width + 1))
    tiny = np.finfo(np.float32).tiny
    return DelayEstimate(
        delay_ms=(peak - lag) * 1000.0 / MODEL_RATE,
        prominence=height / max(typical_size(correlation), tiny),
        ratio=height / max(float(others.max()), tiny),
    )


def _at_twice_the_rate(spectrum: Any, n_fft: int) -> Any:
    """The signal (2 n_fft,) of ``spectrum`` with the values between samples; two short transforms beat a long one."""
    signal = np.empty(2 * n_fft)
    signal[::2] = np.fft.irfft(spectrum, n_fft)
    signal[1::2] = np.fft.irfft(spectrum * _half_sample(n_fft), n_fft)
    return signal


@cache
def _window() -> Any:
    return np.hanning(_CHUNK)


@cache
def _half_sample(n_fft: int) -> Any:
    """What a spectrum is multiplied by to read its signal half a sample later."""
    return np.exp(1j * np.pi / n_fft * np.arange(n_fft // 2 + 1))


def is_visible(delay_ms: float, lags: int) -> bool:
    """Whether a model that looks back over ``lags`` frames sees an echo that comes ``delay_ms`` after the reference."""
    return -_NEAR_TOLERANCE_MS <= delay_ms <= (lags - 1) * _FRAME_MS - _FAR_MARGIN_MS


def reference_shift(delay_ms: float, lags: int) -> int:
    """Samples at 16 kHz by which to delay the reference so that the model sees the echo.

    Args:
        lags: frames that the model looks back, ``ModelConfig.visible_lags``.

    Zero while ``delay_ms`` lies in the model's window; negative means to drop samples from the
    reference's start.
    """
    if is_visible(delay_ms, lags):
        return 0
    return round((delay_ms - _TARGET_MS) * MODEL_RATE / 1000.0)
