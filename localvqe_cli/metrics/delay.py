"""How far the output lags the microphone."""

from __future__ import annotations

from ..audio.align import SEARCH_SECONDS, estimate_delay
from ..audio.resample import MODEL_RATE
from .signals import ClipSignals, Score, Undefined

__all__ = ["VERSION", "compute"]

VERSION = "1"


def compute(signals: ClipSignals) -> dict[str, Score]:
    """``delay_ms`` by GCC-PHAT over lags of -2 to 2 s in the first minute; undefined where no peak is beyond doubt.

    Positive: the output is late. AECMOS, SI-SDR and PESQ compare signals by the same clock and suffer from a delay.
    """
    length = SEARCH_SECONDS * MODEL_RATE
    found = estimate_delay(signals.enhanced[:length], signals.mic[:length])
    if found is None:
        return {"delay_ms": Undefined("the mic or the output is silent")}
    if not found.trusted:
        return {"delay_ms": Undefined("too little of the mic is left in the output to tell")}
    return {"delay_ms": found.delay_ms}
