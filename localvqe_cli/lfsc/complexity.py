"""Multiply-adds of a speech codec, counted from the shapes of its convolutions."""

from __future__ import annotations

import math

from ..families import LFSCConfig
from ..families.lfsc_tensors import convolutions

__all__ = ["macs_per_frame"]


def macs_per_frame(config: LFSCConfig) -> dict[str, int]:
    """Of a frame, by side: ``encoder`` and ``decoder``."""
    counts = {"encoder": 0, "decoder": 0}
    positions = {"encoder": config.samples_per_frame, "decoder": 1}  # that a frame has there
    for conv in convolutions(config):
        side, _, rest = conv.name.partition(".")
        stage, _, part = rest.partition(".")
        if part == "down":
            positions[side] //= config.encoder_rates[int(stage)]
        # Of a transposed convolution every input position meets every tap once.
        counts[side] += positions[side] * math.prod(conv.shape)
        if part == "up":
            positions[side] *= config.decoder_rates[int(stage)]
    return counts
