"""Samples at which the output ran out of range."""

from __future__ import annotations

import numpy as np

from .signals import ClipSignals, Score

__all__ = ["VERSION", "compute"]

VERSION = "1"

#: The largest value that 16-bit PCM can hold; a clipped file sits there.
_CEILING = 32767.0 / 32768.0


def compute(signals: ClipSignals) -> dict[str, Score]:
    """``clipped``: number of output samples at or beyond full scale of 16-bit PCM, at 16 kHz."""
    return {"clipped": float(np.count_nonzero(np.abs(signals.enhanced) >= _CEILING))}
