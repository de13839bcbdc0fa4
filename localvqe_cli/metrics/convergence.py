"""How long a canceller needs from the first echo on, in clips in which only the far end speaks."""

from __future__ import annotations

import numpy as np

from ..audio.resample import FloatArray
from .signals import ClipSignals, Score, TalkType, Undefined, is_silent
from .spectra import HOP_SECONDS, spectra

__all__ = ["HOLD_SECONDS", "REACHED_DB", "VERSION", "compute", "convergence_s"]

VERSION = "1"

#: The attenuation that counts as converged, and for how long it must stay so.
REACHED_DB = 10.0
HOLD_SECONDS = 1.0
_SMOOTH_SECONDS = 0.5
# A frame holds echo while its mic is at most this far below the 95th percentile of the clip's frames.
_RANGE_DB = 20.0
_PERCENTILE = 95.0
# Echo less far above the noise than this cannot be seen to go down by 10 dB.
_CLEAR_DB = 15.0
_NOISE_PERCENTILE = 5.0
_LOWEST_HZ = 200.0  # rumble of the device is no echo


def convergence_s(mic: FloatArray, enhanced: FloatArray) -> Score:
    """Seconds of echo before the output stays 10 dB below the mic; lower is better. For far-end single talk only.

    Frames of 32 ms every 16 ms, powers from 200 Hz up. Those within 20 dB of the mic's 95th percentile hold echo, and
    only they count, also as time: a pause teaches no canceller anything. Over the last 0.5 s of them the attenuation
    is ``10 log10(sum mic / sum enhanced)``; the first frame from which it is 10 dB or more for 1 s ends the time.

    Undefined where that is never so, and where the echo's mean power is less than 15 dB above the 5th percentile of
    the mic's frames, which is taken for the noise: that depends on the mic alone, so that every system has the same
    clips. It does not tell cancelling from muting.

    Args:
        mic, enhanced: 1-d at 16 kHz; cut to the shorter.
    """
    size = min(mic.size, enhanced.size)
    if is_silent(mic[:size]):
        return Undefined("the mic is silent")
    before, after = (_power(x[:size]) for x in (mic, enhanced))
    if not before.size:
        return Undefined("shorter than a frame of 32 ms")
    echo = before >= np.percentile(before, _PERCENTILE) * 10.0 ** (-_RANGE_DB / 10.0)
    if before[echo].mean() < np.percentile(before, _NOISE_PERCENTILE) * 10.0 ** (_CLEAR_DB / 10.0):
        return Undefined(f"the echo is less than {_CLEAR_DB:.0f} dB above the noise")
    window, hold = (round(seconds / HOP_SECONDS) for seconds in (_SMOOTH_SECONDS, HOLD_SECONDS))
    low_enough = _recent(after[echo], window) <= _recent(before[echo], window) * 10.0 ** (-REACHED_DB / 10.0)
    if low_enough.size < hold:
        return Undefined(f"less than {HOLD_SECONDS:.0f} s of echo")
    held = np.convolve(low_enough, np.ones(hold), "valid") > hold - 0.5
    if not held.any():
        return Undefined(f"the output does not stay {REACHED_DB:.0f} dB below the mic for {HOLD_SECONDS:.0f} s")
    return float(held.argmax()) * HOP_SECONDS


def compute(signals: ClipSignals) -> dict[str, Score]:
    """``convergence_s``."""
    if signals.talk is not TalkType.FAR_END:
        return {"convergence_s": Undefined("not far-end single talk, so that echo cannot be told from speech")}
    return {"convergence_s": convergence_s(signals.mic, signals.enhanced)}


def _power(samples: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    found = spectra(samples, _LOWEST_HZ)
    return np.asarray((found.real**2 + found.imag**2).sum(axis=1, dtype=np.float64))


def _recent(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]], count: int) -> FloatArray:
    """Sum of each value and up to ``count - 1`` before it."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, values.size + 1)
    found: FloatArray = total[ends] - total[np.maximum(0, ends - count)]
    return found
