"""Encoder blocks: causal convolution, norm, activation, and one residual convolution (report, 2.3)."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from .graph import Graph, Weights
from .norm import norm

__all__ = ["activation", "causal_conv", "encoder_block", "pre_norm", "residual_block"]


def activation(g: Graph, version: int, x: str) -> str:
    """ELU for version 1, ReLU6 for version 2, SiLU for version 3."""
    if version == 1:
        return g.op("Elu", x)
    return g.op("Clip", x, 0.0, 6.0) if version == 2 else g.op("Mul", x, g.op("Sigmoid", x))


def pre_norm(g: Graph, version: int, weights: Weights, name: str, x: str, bins: int) -> str:
    """What stands before a convolution: nothing in version 1, whose norms are folded into the weights."""
    return x if version == 1 else norm(g, weights, name, x, bins)


def causal_conv(
    g: Graph, name: str, x: str, weight: NDArray[Any], bias: NDArray[Any], bins: int, *, stride: int = 1
) -> str:
    """A convolution that sees the hops before, (1, I, 1, F) -> (1, O, 1, F / stride); they are the state ``name``."""
    _, channels, height, width = weight.shape
    if height > 1:
        x = g.concat(2, g.state(name, 1, channels, height - 1, bins), x)
        g.keep(name, g.slice(x, 2, 1, height))
    sides = ((width - 1) // 2, width // 2)
    return g.op(
        "Conv",
        x,
        g.weight(weight),
        bias,
        kernel_shape=[height, width],
        strides=[1, stride],
        pads=[0, sides[0], 0, sides[1]],
    )


def residual_block(g: Graph, version: int, weights: Weights, name: str, x: str, bins: int) -> str:
    """The unit's output plus its input."""
    y = pre_norm(g, version, weights, f"{name}.norm", x, bins)
    y = causal_conv(g, f"{name}.conv", y, weights[f"{name}.conv.weight"], weights[f"{name}.conv.bias"], bins)
    return g.op("Add", activation(g, version, y), x)


def encoder_block(g: Graph, version: int, weights: Weights, name: str, x: str, bins: int) -> str:
    """One encoder stage, (1, I, 1, F) -> (1, O, 1, F / 2)."""
    y = pre_norm(g, version, weights, f"{name}.norm", x, bins)
    weight, bias = weights[f"{name}.conv.weight"], weights[f"{name}.conv.bias"]
    y = activation(g, version, causal_conv(g, f"{name}.conv", y, weight, bias, bins, stride=2))
    return residual_block(g, version, weights, f"{name}.resblock", y, bins // 2)
