"""How loud the three signals of a call are, and by how much the microphone was turned down while the far end spoke."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from ..audio.resample import FloatArray

__all__ = ["Levels", "dbfs"]

#: Hops that are looked back on: one second.
_HOPS = 62
#: Mean square of a far end that speaks: -50 dBFS.
_ACTIVE = 1e-5
#: An echo is over when the far end has been quiet for this many hops.
_ECHO_HOPS = 20
_LEAST_HOPS = 6


def dbfs(power: float) -> float | None:
    """A mean square as a level; None for silence."""
    return 10.0 * math.log10(power) if power > 1e-12 else None


class Levels:
    """Mean squares of the last second of hops."""

    def __init__(self) -> None:
        self._hops: deque[tuple[float, float, float, bool]] = deque(maxlen=_HOPS)
        self._quiet = _ECHO_HOPS

    def note(self, mic: FloatArray, far: FloatArray, out: FloatArray) -> None:
        """A hop of each, (n,) at 16 kHz; ``out`` belongs to the hop before."""
        powers = [float(np.mean(np.square(signal, dtype=np.float64))) for signal in (mic, far, out)]
        self._quiet = 0 if powers[1] > _ACTIVE else self._quiet + 1
        self._hops.append((powers[0], powers[1], powers[2], self._quiet < _ECHO_HOPS))

    def means(self) -> tuple[float, float, float]:
        """Mean squares of microphone, far end and output."""
        count = max(1, len(self._hops))
        mic, far, out = (sum(hop[i] for hop in self._hops) / count for i in range(3))
        return mic, far, out

    def attenuation_db(self) -> float | None:
        """By how much the output is below the microphone while the far end speaks; None where it does not."""
        active = [hop for hop in self._hops if hop[3]]
        mic, out = sum(hop[0] for hop in active), sum(hop[2] for hop in active)
        if len(active) < _LEAST_HOPS or mic <= 1e-12:
            return None
        return 10.0 * math.log10(mic / max(out, 1e-12))
