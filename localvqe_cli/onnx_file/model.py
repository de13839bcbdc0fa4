"""A model's step as an ONNX graph: one hop of microphone and reference in, the enhanced hop before out.

The order of things is that of ``reference/model.py``, and each block is in the file of its name.
"""

from __future__ import annotations

from ..config import MIC_STAGES, ModelConfig
from ..geometry import HOP
from .align import align
from .bottleneck import bottleneck
from .conv_block import encoder_block
from .decoder_block import decoder_block, last_decoder_block
from .features import power_law
from .filterbank import analysis, frames, synthesis
from .format import MIC, OUT, REF
from .frontend import FrameCounter, frontend
from .graph import Graph, Weights
from .mask import complex_taps, mask
from .residual_echo import PERIODS, ResidualGain
from .transforms import Transforms

__all__ = ["step"]


def step(config: ModelConfig, weights: Weights, opset: int, *, with_filter: bool = True) -> Graph:
    """The graph.

    Args:
        config, weights: of a model file, dequantized.
        opset: version of the operators, 17 or later.
        with_filter: False leaves the adaptive filter out; ``mic`` and ``ref`` are its error and its echo then.
    """
    g = Graph(opset)
    near, far = g.input(MIC, 1, HOP), g.input(REF, 1, HOP)
    if config.frontend is not None and (with_filter or config.residual is not None):
        counter, transforms = FrameCounter(g, config.frontend.partitions, *PERIODS), Transforms(g)
    if config.frontend is not None and with_filter:
        near, far = frontend(g, config.frontend, weights, transforms, counter, near, far)
    residual = None if config.residual is None else ResidualGain(g, config.residual, transforms, counter, near, far)
    if config.network:
        out = _network(g, config, weights, near, far, residual)
    elif residual is not None:
        out = residual.samples()
    else:
        out = g.slice(frames(g, "error", near, 1), 1, 0, HOP)
    g.output(OUT, out, 1, HOP)
    return g


def _network(
    g: Graph, config: ModelConfig, weights: Weights, near: str, far: str, residual: ResidualGain | None
) -> str:
    version, bins = config.version, config.n_freq_bins
    both = analysis(g, weights, near, far)
    spectrum, far_spectrum = g.split(both, 0, 1, 1)
    if residual is not None:
        spectrum = g.op("Mul", spectrum, residual.of_codec())
        both = g.concat(0, spectrum, far_spectrum)
    x, reference = g.split(power_law(g, both, config.power_law_c), 0, 1, 1)
    for stage in (1, 2):
        reference = encoder_block(g, version, weights, f"far_enc{stage}", reference, config.freqs(stage - 1))
    skips = []
    for stage in range(1, MIC_STAGES + 1):
        if stage == 3:
            x = g.concat(1, x, align(g, config, weights, x, reference, config.freqs(2)))
        x = encoder_block(g, version, weights, f"mic_enc{stage}", x, config.freqs(stage - 1))
        skips.append(x)
    x = bottleneck(g, config, weights, x)
    for stage in range(MIC_STAGES, 1, -1):
        x = decoder_block(g, version, weights, f"dec{stage}", x, skips.pop(), config.freqs(stage))
    last = complex_taps(weights["dec1.deconv.conv.weight"], weights["dec1.deconv.conv.bias"])
    taps = last_decoder_block(g, version, weights, "dec1", x, skips.pop(), config.freqs(1), *last)
    assert bins == HOP
    return synthesis(g, version, weights, mask(g, taps, spectrum))
