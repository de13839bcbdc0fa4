"""Sizes of a signal's values."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["rms", "typical_size"]

#: Median of a normal distribution's absolute value.
_NORMAL_MEDIAN = 0.6745


def rms(signal: Any) -> float:
    """Root mean square of (n,) values; 0 of none."""
    return float(np.sqrt(np.mean(np.square(signal, dtype=np.float64)))) if len(signal) else 0.0


def typical_size(sizes: Any) -> float:
    """Standard deviation of the noise among (n,) absolute values, whatever a few that stand out of it are like."""
    return float(np.median(sizes)) / _NORMAL_MEDIAN
