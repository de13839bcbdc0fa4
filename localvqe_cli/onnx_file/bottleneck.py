"""S4D bottleneck: a diagonal complex recurrence, one step a hop in real numbers (report, 2.5)."""

from __future__ import annotations

import numpy as np

from ..config import ModelConfig
from .graph import Graph, Weights

__all__ = ["bottleneck"]


def bottleneck(g: Graph, config: ModelConfig, weights: Weights, x: str) -> str:
    """Deepest feature (1, C, 1, F) -> the same shape."""
    hidden, features = config.bottleneck_hidden, config.bottleneck_features

    def pair(name: str) -> np.ndarray:
        return np.stack([weights[f"bottleneck.{name}_real"], weights[f"bottleneck.{name}_imag"]]).astype(np.float64)

    u = g.reshape(x, 1, features)
    v = g.op(
        "Gemm", u, g.weight(weights["bottleneck.input_proj.weight"]), weights["bottleneck.input_proj.bias"], transB=1
    )
    a, b, c = pair("a"), pair("B"), pair("C")
    # h = a h + b v, as rows of real and imaginary parts.
    state = g.state("bottleneck.state", 2, hidden)
    turned = g.op("Mul", g.gather(state, [1, 0], 0), np.stack([-a[1], a[1]]))
    kept = g.op("Add", g.op("Mul", state, a[0]), turned)
    h = g.op("Add", kept, g.op("Mul", v, b))
    g.keep("bottleneck.state", h)
    # Re(c h) is a part of the output projection, which is linear as well.
    projection = weights["bottleneck.output_proj.weight"].astype(np.float64)
    both = np.concatenate([projection * c[0], projection * -c[1]], axis=1)
    direct = g.op("Add", g.op("Mul", u, weights["bottleneck.D"]), weights["bottleneck.output_proj.bias"])
    o = g.op("Gemm", g.reshape(h, 1, 2 * hidden), g.weight(both), direct, transB=1)
    return g.reshape(o, 1, config.mic_channels[-1], 1, features // config.mic_channels[-1])
