"""AlignBlock: attention over the far end's recent past, a soft delay (report, 2.4); the oldest lag comes first."""

from __future__ import annotations

import math

import numpy as np

from ..config import ModelConfig
from ..tensors import ALIGN_SMOOTH
from .conv_block import causal_conv
from .graph import Graph, Weights

__all__ = ["align"]


def align(g: Graph, config: ModelConfig, weights: Weights, mic: str, far: str, bins: int) -> str:
    """Features of microphone and far end (1, C, 1, F) -> the far end moved to where its echo is, of the same shape."""
    heads, lags = config.align_hidden, config.dmax
    scale = 1.0 / math.sqrt(bins)
    query_weight, query_bias = weights["align.pconv_mic.weight"] * scale, weights["align.pconv_mic.bias"] * scale
    query = causal_conv(g, "align.pconv_mic", mic, query_weight, query_bias, bins)
    key = causal_conv(
        g, "align.pconv_ref", far, weights["align.pconv_ref.weight"], weights["align.pconv_ref.bias"], bins
    )
    keys = _past(g, "align.key", key, heads, lags, bins)
    # (1, h, dmax, F) times (1, h, F, 1): the similarity of each lag.
    similarity = g.reshape(g.op("MatMul", keys, g.reshape(query, 1, heads, bins, 1)), 1, heads, 1, lags)
    smooth = weights[f"{ALIGN_SMOOTH}.weight"], weights[f"{ALIGN_SMOOTH}.bias"]
    logits = causal_conv(g, "align.similarity", similarity, smooth[0], smooth[1], lags)
    delay = g.op("Softmax", logits, axis=3)
    channels = config.far_channels[-1]
    frames = _past(g, "align.ref", far, channels, lags, bins)
    return g.op("MatMul", delay, frames)


def _past(g: Graph, name: str, x: str, channels: int, lags: int, bins: int) -> str:
    """The last ``lags`` hops, oldest first: (1, C, dmax, F)."""
    if lags == 1:
        return x
    frames = g.concat(2, g.state(name, 1, channels, lags - 1, bins), x)
    g.keep(name, g.slice(frames, 2, 1, np.iinfo(np.int64).max))
    return frames
