"""The Fourier transform of a frame as products with one matrix, which the graph holds once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..geometry import BINS, FRAME, HOP
from .graph import Graph

__all__ = ["Pair", "Transforms", "power"]


@dataclass(frozen=True)
class Pair:
    """Real and imaginary part."""

    re: str
    im: str


def power(g: Graph, z: Pair) -> str:
    """Squared magnitude."""
    return g.op("Add", g.op("Mul", z.re, z.re), g.op("Mul", z.im, z.im))


class Transforms:
    """Spectra of F = 257 bins are rows (n, 2 F), real parts first; samples are rows of a frame or of half of one.

    What the matrices are made of is constant, so a runtime makes them when it loads the graph.
    """

    def __init__(self, g: Graph) -> None:
        self._g = g
        angles = 2.0 * np.pi / FRAME * (np.arange(FRAME)[:, None] * np.arange(BINS) % FRAME)
        self._forward = g.constant(np.concatenate([np.cos(angles), -np.sin(angles)], axis=1))
        twice = np.full(BINS, 2.0)
        twice[[0, -1]] = 1.0
        back = g.op("Transpose", g.op("Mul", self._forward, np.tile(twice, 2) / FRAME), perm=[1, 0])
        self._first, self._last = g.split(self._forward, 0, HOP, HOP)
        self._back = back
        self._back_first, self._back_last = g.split(back, 1, HOP, HOP)

    def of_frame(self, samples: str) -> str:
        """(n, 512) -> (n, 2 F)."""
        return self._g.op("MatMul", samples, self._forward)

    def of_hop(self, samples: str) -> Pair:
        """A hop behind as many zeros: (n, 256) -> (n, F)."""
        return self.parts(self._g.op("MatMul", samples, self._last))

    def frame(self, spectrum: str) -> str:
        """(n, 2 F) -> (n, 512)."""
        return self._g.op("MatMul", spectrum, self._back)

    def last_hop(self, spectrum: Pair) -> str:
        """The last 256 samples that a spectrum stands for: (n, F) -> (n, 256)."""
        return self._g.op("MatMul", self._g.concat(1, spectrum.re, spectrum.im), self._back_last)

    def cut(self, spectrum: Pair) -> Pair:
        """The spectrum of the first 256 samples alone: (n, F) -> (n, F)."""
        samples = self._g.op("MatMul", self._g.concat(1, spectrum.re, spectrum.im), self._back_first)
        return self.parts(self._g.op("MatMul", samples, self._first))

    def parts(self, spectrum: str) -> Pair:
        """(n, 2 F) -> (n, F)."""
        return Pair(*self._g.split(spectrum, 1, BINS, BINS))
