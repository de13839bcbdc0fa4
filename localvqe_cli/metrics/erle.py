"""Echo return loss enhancement, as two published definitions that share a name and are not the same.

Neither tells echo from speech: both fall by whatever the system takes away, and an output of silence has an infinite
one. Read them on far-end single talk, beside AECMOS.
"""

from __future__ import annotations

import numpy as np

from ..audio.resample import FloatArray
from ..geometry import FRAME, HOP
from .signals import ClipSignals, Score, Undefined

__all__ = ["PERCENTILE", "RATIO", "VERSION", "blind_erle_db", "compute", "erle_db"]

VERSION = "1"

#: A frame has an active far end above this percentile of the clip's reference RMS (report, section 4).
PERCENTILE = 75.0
#: A frame has a silent near end while the mic's RMS is below this multiple of the reference's: 6 dB.
RATIO = 2.0


def erle_db(mic: FloatArray, enhanced: FloatArray) -> Score:
    """``10 log10(E[mic^2] / E[enhanced^2])`` in dB over the whole clip (model card, "Validation Results").

    Args:
        mic, enhanced: (n,) and (m,); cut to the shorter.
    """
    length = min(mic.size, enhanced.size)
    return _ratio_db(_energy(mic[:length]), _energy(enhanced[:length]))


def blind_erle_db(mic: FloatArray, ref: FloatArray, enhanced: FloatArray) -> Score:
    """Energy-pooled ERLE in dB over the frames that hold echo and no near-end speech (report, section 4).

    ``10 log10(sum_S |mic_f|^2 / sum_S |enhanced_f|^2)``, where S holds the frames f with
    ``rms(ref_f) > 75th percentile of rms(ref_f) over the clip`` and ``rms(mic_f) < 2 rms(ref_f)``. Frames are 512
    samples every 256, whole ones only, from the start, without a window; all three signals by the same clock.

    Args:
        mic, ref, enhanced: 1-d; cut to the shortest.
    """
    length = min(mic.size, ref.size, enhanced.size)
    if length < FRAME:
        return Undefined(f"shorter than a frame of {FRAME} samples")
    mic_power, ref_power, out_power = (_frame_energy(x[:length]) for x in (mic, ref, enhanced))
    mic_rms, ref_rms = np.sqrt(mic_power / FRAME), np.sqrt(ref_power / FRAME)
    gate = (ref_rms > np.percentile(ref_rms, PERCENTILE)) & (mic_rms < RATIO * ref_rms)
    if not gate.any():
        return Undefined("no frame has an active far end and a silent near end")
    return _ratio_db(float(mic_power[gate].sum()), float(out_power[gate].sum()))


def compute(signals: ClipSignals) -> dict[str, Score]:
    """``erle_db`` and ``blind_erle_db``."""
    return {
        "erle_db": erle_db(signals.mic, signals.enhanced),
        "blind_erle_db": blind_erle_db(signals.mic, signals.ref, signals.enhanced),
    }


def _energy(samples: FloatArray) -> float:
    return float(np.square(samples, dtype=np.float64).sum())


def _frame_energy(samples: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Energy of every whole frame; from half-frames, since frames overlap by half."""
    whole = samples.size // HOP * HOP
    halves = np.square(samples[:whole], dtype=np.float64).reshape(-1, HOP).sum(axis=1)
    return np.asarray(halves[:-1] + halves[1:])


def _ratio_db(before: float, after: float) -> Score:
    if before <= 0.0:
        return Undefined("the mic is silent")
    if after <= 0.0:
        return Undefined("the output is silent, so the ratio is infinite")
    return 10.0 * float(np.log10(before / after))
