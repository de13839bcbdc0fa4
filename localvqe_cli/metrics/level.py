"""How loud the near end is in the output, where the clean speech is known.

Energies would not tell: an output with half of the speech and as much echo has the energy of the whole speech. So the
speech's gain is fitted by least squares, with that of everything else in the mic beside it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..audio.align import SEARCH_SECONDS, estimate_delay
from ..audio.resample import MODEL_RATE, FloatArray
from .signals import ClipSignals, Score, Undefined, is_silent
from .spectra import HOP_SECONDS, spectra

__all__ = ["BLOCK", "RANGE_DB", "VERSION", "compute", "level_db"]

VERSION = "1"

#: Frames that share a gain, 256 ms: the speech of a syllable or two, enough to tell it from what else is there.
BLOCK = 16
#: A block counts while its speech is at most this far below the 95th percentile of the clip's blocks.
RANGE_DB = 25.0
_PERCENTILE = 95.0
# A block whose speech is gone counts as this: what is fitted below is other sounds.
_GONE_DB = -20.0
_LOUDEST_DB = 20.0
_LEAST_BLOCKS = 4
_LOWEST_HZ = 100.0
_SMOOTH = 5  # bins over which the phase of the output is averaged
_SCARCE = 0.05  # gain of the target in the mic below which the mic does not hold it
_DISTINCT = 1e-6


def level_db(mic: FloatArray, enhanced: FloatArray, target: FloatArray) -> Score:
    """Gain of the near end from mic to output in dB: negative where the output has it too quiet, 0 at best.

    In spectra of 32 ms every 16 ms from 100 Hz up, with the output moved by its delay: the target T is scaled to what
    the mic M holds of it, ``s = <M, T> / <T, T>`` over the clip, and E = M - s T is everything else. The output's
    phase against T, one angle per bin for the whole clip, is taken out (a filter's delay is no loss). Then in each
    block of 16 frames the real gains a, b with least ``|O - a s T - b E|^2``; b takes the echo that is left, which
    would be counted as speech otherwise. The level is the mean of ``20 log10 a``, at least -20 dB, over the blocks in
    which the target is within 25 dB of the 95th percentile of its blocks.

    Args:
        mic, enhanced, target: 1-d at 16 kHz; cut to the shortest.
    """
    size = min(mic.size, enhanced.size, target.size)
    if is_silent(target[:size]):
        return Undefined("the target is silent")
    if is_silent(enhanced[:size]):
        return Undefined("the output is silent")
    clean, heard, out = (spectra(x[:size], _LOWEST_HZ) for x in (target, mic, _moved(enhanced[:size], target[:size])))
    held = float(_dots(heard, clean).sum() / max(float(_dots(clean, clean).sum()), np.finfo(np.float32).tiny))
    if held < _SCARCE:
        return Undefined("the mic holds nothing of the target")
    clean *= np.float32(held)
    heard -= clean
    angle = np.convolve((out * clean.conj()).sum(axis=0), np.ones(_SMOOTH), "same")
    out *= (angle.conj() / np.maximum(np.abs(angle), np.finfo(np.float32).tiny)).astype(np.complex64)
    speech, other, both = _blocks(clean, clean), _blocks(heard, heard), _blocks(clean, heard)
    if not speech.size:
        return Undefined(f"shorter than a block of {1000 * BLOCK * HOP_SECONDS:.0f} ms")
    active = speech > np.percentile(speech, _PERCENTILE) * 10.0 ** (-RANGE_DB / 10.0)
    if np.count_nonzero(active) < _LEAST_BLOCKS:
        return Undefined(f"less than {_LEAST_BLOCKS * BLOCK * HOP_SECONDS:.1f} s of near-end speech")
    speech, other, both = speech[active], other[active], both[active]
    with_speech, with_other = _blocks(out, clean)[active], _blocks(out, heard)[active]
    space = speech * other - both**2
    # Where there is nothing else in the mic, there is nothing to tell apart.
    apart = space > _DISTINCT * speech * np.maximum(other, _DISTINCT * speech)
    gain = np.where(
        apart,
        (with_speech * other - with_other * both) / np.where(apart, space, 1.0),
        with_speech / speech,
    )
    gain_db = 20.0 * np.log10(np.clip(gain, 10.0 ** (_GONE_DB / 20.0), 10.0 ** (_LOUDEST_DB / 20.0)))
    return float(gain_db.mean())


def compute(signals: ClipSignals) -> dict[str, Score]:
    """``level_db``."""
    assert signals.target is not None
    return {"level_db": level_db(signals.mic, signals.enhanced, signals.target)}


def _moved(enhanced: FloatArray, target: FloatArray) -> FloatArray:
    """``enhanced`` as early as ``target``, where its delay can be told; zeros fill in."""
    head = SEARCH_SECONDS * MODEL_RATE
    found = estimate_delay(enhanced[:head], target[:head])
    if found is None or not found.trusted:
        return enhanced
    late = round(found.delay_ms * MODEL_RATE / 1000.0)
    out = np.zeros_like(enhanced)
    kept = enhanced[max(0, late) : enhanced.size + min(0, late)]
    out[max(0, -late) : max(0, -late) + kept.size] = kept
    return out


def _dots(first: Any, second: Any) -> Any:
    """Inner product of each frame with its partner, in real numbers, (frames,)."""
    return (first.real * second.real + first.imag * second.imag).sum(axis=1, dtype=np.float64)


def _blocks(first: Any, second: Any) -> Any:
    """The same of each whole block, (frames // 16,)."""
    dots = _dots(first, second)
    return dots[: dots.size // BLOCK * BLOCK].reshape(-1, BLOCK).sum(axis=1)
