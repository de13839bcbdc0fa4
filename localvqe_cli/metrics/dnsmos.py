"""DNSMOS P.835: opinion scores for speech, background and overall, predicted by a network (Reddy et al., ICASSP 2022).

Computed by speechmos over the whole output at 16 kHz, averaged over windows of 9.01 s every second. Scores are 1 to
5, higher is better. It hears the output only: a system that deletes the near end is not found out by it.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ..audio.resample import MODEL_RATE
from ..errors import MissingExtraError
from .sessions import one_thread_session
from .signals import ClipSignals, Failure, Score, Undefined, is_silent, within_full_scale

__all__ = ["VERSION", "WINDOW_SECONDS", "compute"]

VERSION = "1"

WINDOW_SECONDS = 9.01
_KEYS = {"dnsmos_sig": "sig_mos", "dnsmos_bak": "bak_mos", "dnsmos_ovrl": "ovrl_mos"}


def compute(signals: ClipSignals) -> dict[str, Score]:
    """``dnsmos_sig``, ``dnsmos_bak`` and ``dnsmos_ovrl`` of the output.

    A clip shorter than the window is scored as DNSMOS' authors score it, repeated until the window is full, and
    reported.

    Raises:
        MissingExtraError: speechmos or what it needs is not installed.
    """
    if is_silent(signals.enhanced):
        return dict.fromkeys(_KEYS, Undefined("the output is silent"))
    found = _scorer()(within_full_scale(signals.enhanced), MODEL_RATE, False)
    values = {key: float(found[theirs]) for key, theirs in _KEYS.items()}
    if signals.enhanced.size >= int(WINDOW_SECONDS * MODEL_RATE):
        return dict(values)
    seconds = signals.enhanced.size / MODEL_RATE
    reason = f"{seconds:.2f} s are shorter than DNSMOS' window of {WINDOW_SECONDS} s, which was filled by repetition"
    return {key: Failure(reason, value) for key, value in values.items()}


@lru_cache(maxsize=1)
def _scorer() -> Any:
    try:
        import speechmos.dnsmos as package
    except ImportError as exc:
        raise MissingExtraError("DNSMOS", "eval") from exc
    models = Path(package.__file__).parent / "dnsmos_models"
    primary, p808 = str(models / "sig_bak_ovr.onnx"), str(models / "model_v8.onnx")
    scorer = package.DNSMOS(primary, p808)
    scorer.onnx_sess = one_thread_session(primary)
    scorer.p808_onnx_sess = _NoP808()
    scorer.audio_melspec = lambda audio: np.zeros((1, 1), np.float32)
    return scorer


class _NoP808:
    """Stands in for the network of the other standard, P.808, which is not reported and takes half of the time."""

    def run(self, _outputs: object, _inputs: object) -> list[list[list[float]]]:
        return [[[0.0]]]
