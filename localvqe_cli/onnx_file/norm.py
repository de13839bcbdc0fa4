"""CausalGroupNorm of versions 2 and 3 (report, section 3): one mean and one variance over channels and bins."""

from __future__ import annotations

import numpy as np

from .graph import Graph, Weights

__all__ = ["EPS", "norm"]

EPS = 1e-5


def norm(g: Graph, weights: Weights, name: str, x: str, bins: int) -> str:
    """(1, C, 1, F) -> the same shape."""
    # Runtimes older than a year want scale and offset of every element, not of every channel.
    scale, offset = (
        np.repeat(weights[f"{name}.{part}"], bins).reshape(-1, 1, bins).astype(np.float32)
        for part in ("weight", "bias")
    )
    return g.op("LayerNormalization", x, scale, offset, axis=1, epsilon=EPS)
