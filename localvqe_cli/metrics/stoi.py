"""STOI, short-time objective intelligibility (Taal et al., 2011), where the clean speech is known."""

from __future__ import annotations

import warnings

from ..audio.resample import MODEL_RATE
from ..errors import MissingExtraError
from .signals import ClipSignals, Failure, Score, Undefined, is_silent

__all__ = ["VERSION", "compute"]

VERSION = "1"


def compute(signals: ClipSignals) -> dict[str, Score]:
    """``stoi``, 0 to 1, higher is better; output and target cut to the shorter.

    Raises:
        MissingExtraError: the package ``pystoi`` is not installed.
    """
    assert signals.target is not None
    try:
        from pystoi import stoi
    except ImportError as exc:
        raise MissingExtraError("STOI", "pesq") from exc
    length = min(signals.target.size, signals.enhanced.size)
    target, enhanced = signals.target[:length], signals.enhanced[:length]
    if is_silent(target) or is_silent(enhanced):
        return {"stoi": Undefined("the target or the output is silent")}
    with warnings.catch_warnings():
        # pystoi answers 1e-5 and a warning where too little speech is left for one window.
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return {"stoi": float(stoi(target, enhanced, MODEL_RATE))}
        except (RuntimeWarning, ValueError, IndexError):
            return {"stoi": Failure("less speech than the 0.4 s that STOI's window needs")}
