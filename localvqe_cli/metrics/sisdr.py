"""Scale-invariant signal-to-distortion ratio (Le Roux et al., ICASSP 2019), where the clean speech is known."""

from __future__ import annotations

import numpy as np

from ..audio.resample import FloatArray
from .signals import ClipSignals, Score, Undefined, is_silent

__all__ = ["VERSION", "compute", "si_sdr_db"]

VERSION = "1"


def si_sdr_db(estimate: FloatArray, target: FloatArray) -> Score:
    """``10 log10(|a t|^2 / |a t - e|^2)`` with ``a = <e, t> / |t|^2``, in dB, means removed; higher is better.

    Samples are compared one by one, so an output that is late by a single sample scores badly.

    Args:
        estimate, target: (n,) and (m,); cut to the shorter.
    """
    length = min(estimate.size, target.size)
    if is_silent(target[:length]):
        return Undefined("the target is silent")
    if is_silent(estimate[:length]):
        return Undefined("the output is silent")
    est, clean = (np.asarray(x[:length], np.float64) for x in (estimate, target))
    est, clean = est - est.mean(), clean - clean.mean()
    wanted = clean * (np.dot(est, clean) / np.dot(clean, clean))
    signal, distortion = float(np.square(wanted).sum()), float(np.square(est - wanted).sum())
    if distortion <= 0.0:
        return Undefined("the output is the target itself, so the ratio is infinite")
    if signal <= 0.0:
        return Undefined("the output holds nothing of the target")
    return 10.0 * float(np.log10(signal / distortion))


def compute(signals: ClipSignals) -> dict[str, Score]:
    """``si_sdr_db`` of the output, and ``si_sdr_improvement_db`` over the unprocessed mic."""
    assert signals.target is not None
    after = si_sdr_db(signals.enhanced, signals.target)
    before = si_sdr_db(signals.mic, signals.target)
    gain: Score
    if isinstance(after, float) and isinstance(before, float):
        gain = after - before
    else:
        gain = after if not isinstance(after, float) else before
    return {"si_sdr_db": after, "si_sdr_improvement_db": gain}
