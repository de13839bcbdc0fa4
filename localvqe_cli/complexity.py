"""Multiply-adds of one hop, block by block, counted from the shapes of a ModelConfig.

Counted are the products of weights and activations and of AlignBlock's attention, which is what a roofline needs;
norms, activations, the power law and softmax are left out (together a few percent of the time, no matrix products).
"""

from __future__ import annotations

import math

from .config import FAR_STAGES, GAIN_FEATURES, MIC_STAGES, FrontendConfig, ModelConfig
from .geometry import BINS, FRAME
from .tensors import ALIGN_SMOOTH, DECODER_BASIS, ENCODER_BASIS, gguf_shapes

__all__ = ["macs_by_block", "macs_per_hop"]

_TRANSFORM = round(2.5 * FRAME * math.log2(FRAME))


def macs_by_block(config: ModelConfig) -> dict[str, int]:
    """Block name -> multiply-adds per hop, in the order of computation."""
    counts = {} if config.frontend is None else {"frontend": _frontend(config.frontend)}
    if config.residual is not None:
        # Two analyses and, without a network, their synthesis; thirty products a bin.
        counts["residual_echo"] = (2 if config.network else 3) * _TRANSFORM + 30 * BINS
    return counts | _network(config) if config.network else counts


def _network(config: ModelConfig) -> dict[str, int]:
    shapes = gguf_shapes(config)

    def weights(prefix: str) -> int:
        return sum(
            math.prod(shape) for name, shape in shapes.items() if name.startswith(f"{prefix}.") and len(shape) > 1
        )

    bins = config.freqs(FAR_STAGES)
    features = config.far_channels[FAR_STAGES]
    smoothing = math.prod(shapes[f"{ALIGN_SMOOTH}.weight"])
    counts = {}
    counts["analysis"] = 2 * math.prod(shapes[ENCODER_BASIS])
    for side, stages in (("mic_enc", range(1, 3)), ("far_enc", range(1, FAR_STAGES + 1))):
        for stage in stages:
            counts[f"{side}{stage}"] = weights(f"{side}{stage}") * config.freqs(stage)
    projections = (weights("align.pconv_mic") + weights("align.pconv_ref")) * bins
    # Per lag: similarity over bins and heads, smoothing, and the weighted sum of far-end features.
    counts["align"] = projections + config.dmax * (bins * config.align_hidden + smoothing + bins * features)
    for stage in range(3, MIC_STAGES + 1):
        counts[f"mic_enc{stage}"] = weights(f"mic_enc{stage}") * config.freqs(stage)
    # A complex state takes eight real products: four of a h, two of B v, two of Re(C h).
    counts["bottleneck"] = weights("bottleneck") + config.bottleneck_features + 8 * config.bottleneck_hidden
    for stage in range(MIC_STAGES, 0, -1):
        counts[f"dec{stage}"] = weights(f"dec{stage}") * config.freqs(stage)
    counts["mask"] = 9 * (4 + 2) * config.n_freq_bins
    counts["synthesis"] = math.prod(shapes[DECODER_BASIS])
    return counts


def _frontend(config: FrontendConfig) -> int:
    """Of the adaptive filter: per bin and partition three for the prediction, four for an echo, and per update two for
    the power, four for the coefficient and three for its variance; four per lag and searched bin; the weights of the
    learned controller once per bin. Transforms of 512 samples by 2.5 n log2 n, as many as the method needs.
    """
    coefficients = config.partitions * BINS
    filtering = coefficients * (3 + 4 + config.iterations * (9 + 4))
    transforms = (2 + 1 + 2 * config.iterations + 2) * _TRANSFORM
    controlling, hidden = 0, config.gain_hidden
    if hidden:
        controlling = BINS * (3 * hidden * (GAIN_FEATURES + hidden) + 2 * hidden) + 3 * coefficients + 2 * _TRANSFORM
    return filtering + 4 * config.lags * 196 + transforms + controlling


def macs_per_hop(config: ModelConfig) -> int:
    """Multiply-adds of one hop; 29.8 million for the widths of v1.1."""
    return sum(macs_by_block(config).values())
