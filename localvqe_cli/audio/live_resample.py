"""Sample-rate conversion for live calls, where every millisecond of waiting counts.

``Resampler`` (soxr) works in long blocks: its output comes 37 ms late between 48 and 16 kHz and 115 ms late from 8 kHz,
in bursts, in each direction. This one is a windowed sinc, 2 ms late between the same rates, and hands out every sample
that its input determines. What it gives up is the last tenth of the band, from 7.1 kHz on at 16 kHz, which soxr keeps.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from .resample import FloatArray

__all__ = ["LiveResampler"]

#: Zero crossings of the sinc on each side: 2 ms at 16 kHz, the lower rate of most conversions.
_CROSSINGS = 32
#: Of the Kaiser window: what does not fit below the lower rate's half is 80 dB down ...
_BETA = 8.0
#: ... from a little above it on; the band is flat to 0.44 of the lower rate, 7.1 of 8 kHz.
_CUTOFF = 0.48
# Rows of weights that are made at a time: odd rates need many, and double precision only here.
_ROWS = 1024


class LiveResampler:
    """Converts blocks of a mono float32 signal; ``out[n]`` is the input at time ``n / out_rate``, without delay.

    A sample is handed out as soon as all that it depends on has come in, see :meth:`ready`. The result does not depend
    on how the input is cut into blocks. Equal rates pass through untouched.
    """

    def __init__(self, in_rate: int, out_rate: int) -> None:
        common = math.gcd(in_rate, out_rate)
        self._up, self._down = out_rate // common, in_rate // common
        self._taps: FloatArray | None = None
        self._half = 0
        if in_rate != out_rate:
            self._half = math.ceil(_CROSSINGS * in_rate / min(in_rate, out_rate))
            self._taps = _taps(self._up, self._half, min(in_rate, out_rate) / in_rate)
        self.reset()

    def reset(self) -> None:
        """Forget the signal."""
        # Silence before the start stands for the neighbours that the first samples lack.
        self._kept = np.zeros(max(0, self._half - 1), np.float32)
        self._next = 0  # position of the next output, in 1/up of an input sample after the first that is kept

    def ready(self, samples: int) -> int:
        """How many outputs ``samples`` inputs determine; below 0 while not even the first is."""
        return -(-(samples - self._half) * self._up // self._down)

    def push(self, block: FloatArray) -> FloatArray:
        """Feed ``block`` (n,); returns the samples that became ready."""
        if self._taps is None:
            return block
        width = 2 * self._half
        held = np.concatenate([self._kept, block])
        # Output at position p needs the inputs from p // up on, as many as a row of taps.
        count = max(0, -(-((len(held) - width + 1) * self._up - self._next) // self._down))
        positions = self._next + self._down * np.arange(count)
        first, phase = np.divmod(positions, self._up)
        done, self._next = divmod(self._next + self._down * count, self._up)
        self._kept = held[done:].copy()
        if count == 0:
            return np.zeros(0, np.float32)
        windows = held[first[:, None] + np.arange(width)]
        out: FloatArray = np.einsum("nk,nk->n", windows, self._taps[phase])
        return out


@lru_cache(maxsize=4)
def _taps(up: int, half: int, share: float) -> FloatArray:
    """(up, 2 half) weights: row p makes the output that lies p/up of an input sample after the input ``half - 1``.

    ``share`` is the lower rate over that of the input.
    """
    rows = [_rows(start, min(start + _ROWS, up), up, half, share) for start in range(0, up, _ROWS)]
    return np.concatenate(rows)


def _rows(start: int, stop: int, up: int, half: int, share: float) -> FloatArray:
    distance = np.arange(start, stop)[:, None] / up + (half - 1) - np.arange(2 * half)
    window = np.i0(_BETA * np.sqrt(np.maximum(0.0, 1.0 - (distance / half) ** 2)))
    taps = np.sinc(2.0 * _CUTOFF * share * distance) * window
    # Every row passes a constant as it is, or the steps between rows would be heard as tones.
    rows: FloatArray = (taps / taps.sum(axis=1, keepdims=True)).astype(np.float32)
    return rows
