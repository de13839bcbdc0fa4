"""PESQ, wide band (ITU-T P.862.2), where the clean speech is known and the ``pesq`` package is installed."""

from __future__ import annotations

from ..audio.resample import MODEL_RATE
from ..errors import MissingExtraError
from .signals import ClipSignals, Failure, Score, Undefined, is_silent

__all__ = ["VERSION", "compute"]

VERSION = "1"

_SHORTEST = MODEL_RATE // 4  # the standard's own limit


def compute(signals: ClipSignals) -> dict[str, Score]:
    """``pesq``, 1.04 to 4.64, higher is better; output and target cut to the shorter.

    Raises:
        MissingExtraError: the package is not installed.
    """
    assert signals.target is not None
    try:
        from pesq import PesqError, pesq
    except ImportError as exc:
        raise MissingExtraError("PESQ", "pesq") from exc
    length = min(signals.target.size, signals.enhanced.size)
    if length < _SHORTEST:
        return {"pesq": Failure(f"{length / MODEL_RATE:.3f} s are shorter than the 0.25 s that PESQ needs")}
    target, enhanced = signals.target[:length], signals.enhanced[:length]
    if is_silent(target) or is_silent(enhanced):
        return {"pesq": Undefined("the target or the output is silent")}
    try:
        return {"pesq": float(pesq(MODEL_RATE, target, enhanced, "wb"))}
    except PesqError as exc:  # it finds no utterance
        text = exc.args[0] if exc.args else exc
        return {"pesq": Undefined((text.decode(errors="replace") if isinstance(text, bytes) else str(text)).strip())}
