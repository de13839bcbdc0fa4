"""Sample-rate conversion of a mono stream: by a constant ratio, or reading at any positions."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import soxr

from ..geometry import MODEL_RATE
from .recent import Recent

__all__ = ["MODEL_RATE", "FloatArray", "PositionReader", "Resampler", "span_of", "values_at"]

FloatArray = npt.NDArray[np.float32]

# Neighbours of a position that its value is made of, and the window over them: 85 dB down to 7/8 of the band.
_TAPS = 48
_KAISER_BETA = 9.0
# Each tap as a function of the position between two samples; the polynomials' error is 100 dB down.
_DEGREE = 7
# Small enough that BLAS does not share a product among threads, which would cost more than it computes.
_SLICE = 512


class Resampler:
    """Converts blocks of a mono float32 signal from one rate to another, without delay.

    ``n`` samples in give ``round(n * out_rate / in_rate)`` out over the stream's life, sample 0 at
    time 0 on both sides. The result does not depend on how the input is cut into blocks. Equal
    rates pass through untouched.
    """

    def __init__(self, in_rate: int, out_rate: int) -> None:
        self._stream: Any = None
        if in_rate != out_rate:
            self._stream = soxr.ResampleStream(in_rate, out_rate, 1, dtype="float32", quality="HQ")

    def push(self, block: FloatArray) -> FloatArray:
        """Feed ``block`` (n,); returns the samples that became ready."""
        if self._stream is None:
            return block
        return np.asarray(self._stream.resample_chunk(block), dtype=np.float32)

    def finish(self) -> FloatArray:
        """The samples still inside; the stream ends here."""
        if self._stream is None:
            return np.zeros(0, np.float32)
        return np.asarray(self._stream.resample_chunk(np.zeros(0, np.float32), last=True), dtype=np.float32)


class PositionReader:
    """Reads a signal between its samples, for a rate that varies: error below -84 dB up to 7/8 of half the rate.

    Nothing keeps aliases out, so positions should advance by about one a sample.
    """

    def __init__(self, source: Iterable[FloatArray], history: int = 0) -> None:
        """``source`` gives the signal in blocks (n,); positions may go back by ``history`` samples."""
        self._source = iter(source)
        self._history = history
        self._recent = Recent()
        self._ended = False

    def read(self, positions: npt.NDArray[np.float64]) -> FloatArray:
        """The signal's values at (n,) positions in samples; it is zero outside of itself."""
        if not len(positions):
            return np.zeros(0, np.float32)
        first, last = span_of(positions)
        self._pull(last)
        values = values_at(self._recent.read(first, last), first, positions)
        self._recent.forget(first - self._history)
        return values

    @property
    def length(self) -> int | None:
        """Samples in the whole signal, None before its end was met."""
        return self._recent.end if self._ended else None

    def _pull(self, end: int) -> None:
        while not self._ended and self._recent.end < end:
            block = next(self._source, None)
            if block is None:
                self._ended = True
            else:
                self._recent.push(block)


def span_of(positions: npt.NDArray[np.float64]) -> tuple[int, int]:
    """First sample, and the one after the last, that the values at (n,) positions are made of; n is not 0."""
    return int(np.floor(positions.min())) - _TAPS // 2 + 1, int(np.floor(positions.max())) + _TAPS // 2 + 1


def values_at(span: FloatArray, first: int, positions: npt.NDArray[np.float64]) -> FloatArray:
    """A signal between its samples, (n,); ``span`` is what :func:`span_of` names, from sample ``first`` on."""
    below = np.floor(positions).astype(np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(span, _TAPS)
    values = np.empty(len(positions), np.float32)
    for start in range(0, len(positions), _SLICE):
        now = slice(start, start + _SLICE)
        powers = np.polynomial.chebyshev.chebvander(2.0 * (positions[now] - below[now]) - 1.0, _DEGREE)
        taken = windows[below[now] - _TAPS // 2 + 1 - first] @ _tap_polynomials()
        values[now] = np.einsum("nd,nd->n", taken, powers.astype(np.float32))
    return values


@cache
def _tap_polynomials() -> FloatArray:
    """Chebyshev coefficients (taps, degree + 1) of a windowed sinc over the position between two samples."""
    nodes = np.cos(np.pi * (np.arange(64) + 0.5) / 64)
    distance = np.arange(_TAPS)[:, None] - (_TAPS // 2 - 1) - (nodes[None, :] + 1.0) / 2.0
    inside = np.clip(1.0 - (distance / (_TAPS // 2)) ** 2, 0.0, None)
    taps = np.sinc(distance) * np.i0(_KAISER_BETA * np.sqrt(inside)) / np.i0(_KAISER_BETA)
    fitted = np.polynomial.chebyshev.chebfit(nodes, taps.T, _DEGREE)
    return np.ascontiguousarray(fitted.T, dtype=np.float32)
