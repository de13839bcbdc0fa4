"""Complex convolving mask in real arithmetic (report, 2.6)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import HOP
from .graph import Graph

__all__ = ["complex_taps", "mask"]

_ROWS = _COLUMNS = 3
_TAPS = _ROWS * _COLUMNS


def complex_taps(weight: NDArray[Any], bias: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The convolution that gives the mask's 9 complex weights at once instead of three numbers for each.

    Args:
        weight, bias: of ``dec1.deconv.conv``, 2 x 27 output channels: 3 bases of 9 taps each, row by row.

    Returns:
        The same with 2 x 18: real parts, then imaginary ones, of 9 taps each, column by column.
    """
    root = math.sqrt(3.0) / 2.0
    bases = np.array([[1.0, -0.5, -0.5], [0.0, root, -root]])

    def mixed(rows: NDArray[Any]) -> NDArray[Any]:
        parts = rows.astype(np.float64).reshape(2, 3, _ROWS, _COLUMNS, *rows.shape[1:])
        taps: NDArray[Any] = np.einsum("pb,hbrc...->hpcr...", bases, parts).reshape(2 * 2 * _TAPS, *rows.shape[1:])
        return taps

    return mixed(weight), mixed(bias)


def mask(g: Graph, taps: str, spectrum: str) -> str:
    """Weights (1, 18, 1, 256) and the microphone's spectrum (1, 2, 1, 256) -> the enhanced one, (1, 512)."""
    patch = g.concat(2, g.state("mask.spectrum", 1, 2, _ROWS - 1, HOP), spectrum)
    g.keep("mask.spectrum", g.slice(patch, 2, 1, _ROWS))
    wide = g.op("Pad", patch, g.constant([0, 0, 0, 1, 0, 0, 0, 1], np.int64))
    x = g.concat(2, *(g.slice(wide, 3, column, column + HOP) for column in range(_COLUMNS)))  # (1, 2, 9, 256)
    m = g.reshape(taps, 1, 2, _TAPS, HOP)
    signs = np.array([1.0, -1.0]).reshape(1, 2, 1, 1)
    re = g.reduce("Sum", g.op("Mul", g.op("Mul", m, x), signs), [1, 2])
    im = g.reduce("Sum", g.op("Mul", m, g.gather(x, [1, 0], 1)), [1, 2])
    return g.concat(1, re, im)
