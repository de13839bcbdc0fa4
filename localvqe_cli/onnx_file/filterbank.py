"""Analysis and synthesis: a frozen 512-tap filterbank with a hop of 256 samples (report, 2.1)."""

from __future__ import annotations

import numpy as np

from ..geometry import FRAME, HOP
from ..tensors import DECODER_BASIS, ENCODER_BASIS
from .graph import Graph, Weights

__all__ = ["analysis", "frames", "overlap_add", "synthesis"]

#: The basis has real and imaginary part of a bin next to each other; here all real parts come first.
_PARTS = np.concatenate([np.arange(0, FRAME, 2), np.arange(1, FRAME, 2)])


def frames(g: Graph, name: str, hops: str, rows: int) -> str:
    """The hops before, the state ``name``, in front of these: (rows, 256) -> (rows, 512)."""
    joined = g.concat(1, g.state(name, rows, HOP), hops)
    g.keep(name, hops)
    return joined


def analysis(g: Graph, weights: Weights, mic: str, ref: str) -> str:
    """Hops (1, 256) of microphone and reference -> both spectra, (2, 2, 1, 256): which, part, hop, bin."""
    both = frames(g, "filterbank.analysis", g.concat(0, mic, ref), 2)
    return g.reshape(g.op("MatMul", both, weights[ENCODER_BASIS][_PARTS, 0].T), 2, 2, 1, HOP)


def synthesis(g: Graph, version: int, weights: Weights, spectrum: str) -> str:
    """A spectrum (1, 512), real parts first -> the hop before, (1, 256). Version 1 takes the mean of overlapping
    halves, for it has no window."""
    scale = 0.5 if version == 1 else 1.0
    return overlap_add(g, "filterbank.synthesis", g.op("MatMul", spectrum, weights[DECODER_BASIS][:, _PARTS].T * scale))


def overlap_add(g: Graph, name: str, frame: str) -> str:
    """The first half of a frame (1, 512) and the second of the one before: (1, 256)."""
    first, second = g.split(frame, 1, HOP, HOP)
    out = g.op("Add", first, g.state(name, 1, HOP))
    g.keep(name, second)
    return out
