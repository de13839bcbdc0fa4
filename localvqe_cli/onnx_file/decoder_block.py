"""Decoder blocks: skip connection, residual convolution, sub-pixel convolution (report, 2.3)."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from .conv_block import activation, causal_conv, pre_norm, residual_block
from .graph import Graph, Weights

__all__ = ["decoder_block", "last_decoder_block"]


def decoder_block(g: Graph, version: int, weights: Weights, name: str, x: str, encoded: str, bins: int) -> str:
    """One decoder stage but ``dec1``: (1, C, 1, F) and the encoder's of the same shape -> (1, O, 1, 2 F)."""
    weight, bias = weights[f"{name}.deconv.conv.weight"], weights[f"{name}.deconv.conv.bias"]
    y = last_decoder_block(g, version, weights, name, x, encoded, bins, weight, bias)
    if version == 1:
        scale, offset = (weights[f"{name}.bn.{part}"].reshape(-1, 1, 1) for part in ("scale", "bias"))
        y = g.op("Add", g.op("Mul", y, scale), offset)
    return activation(g, version, y)


def last_decoder_block(
    g: Graph,
    version: int,
    weights: Weights,
    name: str,
    x: str,
    encoded: str,
    bins: int,
    weight: NDArray[Any],
    bias: NDArray[Any],
) -> str:
    """A stage up to the shuffle, by another weight and bias of its sub-pixel convolution."""
    skip = pre_norm(g, version, weights, f"{name}.skip_norm", encoded, bins)
    skip_weight, skip_bias = weights[f"{name}.skip_conv.weight"], weights[f"{name}.skip_conv.bias"]
    y = g.op("Add", x, causal_conv(g, f"{name}.skip_conv", skip, skip_weight, skip_bias, bins))
    y = residual_block(g, version, weights, f"{name}.resblock", y, bins)
    y = pre_norm(g, version, weights, f"{name}.deconv.norm", y, bins)
    y = causal_conv(g, f"{name}.deconv.conv", y, weight, bias, bins)
    # The upper half of the channels becomes the upper half of the axis.
    half = weight.shape[0] // 2
    return g.concat(3, *g.split(y, 1, half, half))
