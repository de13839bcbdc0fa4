"""The table of tensor names and shapes, per architecture version, derived from a ModelConfig.

Two listings exist: what a checkpoint's state dict holds (PyTorch shapes) and what a GGUF file holds
after folding. Both are ordered the way files are written. The engine's table is written from the second
when it is built (``native/contract``), with symbols for the widths: so what decides which tensors there
are is the version, never a width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .config import GAIN_FEATURES, MASK_CHANNELS, MIC_STAGES, SMOOTH_KERNEL, ModelConfig

__all__ = [
    "ConvBlock",
    "blocks",
    "decoder_output_norms",
    "gguf_shapes",
    "matrix_shape",
    "quantizable_shapes",
    "state_dict_shapes",
]

Shape = tuple[int, ...]

ENCODER_BASIS = "encoder.conv.weight"
DECODER_BASIS = "decoder.linear.weight"
FRONTEND_GAIN = "frontend.gain"
TEMPERATURE = "align.temperature"
ALIGN_SMOOTH = "align.conv.1"
#: Of the bottleneck's recurrence, real and imaginary, each (H,): its poles in a file, its input and output gains.
S4D_POLES = ("a_real", "a_imag")
S4D_GAINS = ("B_real", "B_imag", "C_real", "C_imag")

_BATCH_NORM_PARTS = ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True)
class ConvBlock:
    """One encoder or decoder block.

    Attributes:
        name: ``mic_enc1``, ``far_enc2``, ``dec3`` ...
        in_channels: channels that enter the block's main convolution.
        out_channels: channels that leave the block (after the pixel shuffle for a decoder).
        decoder: True for ``decN``, whose main convolution is ``decN.deconv.conv``.
    """

    name: str
    in_channels: int
    out_channels: int
    decoder: bool


def blocks(config: ModelConfig) -> list[ConvBlock]:
    """All convolution blocks in state-dict order: mic_enc1-2, far_enc1-2, mic_enc3-5, dec5-1."""
    mic, far = config.mic_channels, config.far_channels
    out = [ConvBlock(f"mic_enc{i}", mic[i - 1], mic[i], False) for i in (1, 2)]
    out += [ConvBlock(f"far_enc{i}", far[i - 1], far[i], False) for i in (1, 2)]
    # The aligned far-end feature joins the mic feature before stage 3 (report, 2.4).
    out += [
        ConvBlock(f"mic_enc{i}", mic[i - 1] + (far[2] if i == 3 else 0), mic[i], False)
        for i in range(3, MIC_STAGES + 1)
    ]
    for i in range(MIC_STAGES, 0, -1):
        out.append(ConvBlock(f"dec{i}", mic[i], mic[i - 1] if i > 1 else MASK_CHANNELS, True))
    return out


def decoder_output_norms(config: ModelConfig) -> list[tuple[str, int]]:
    """(name, channels) of the version-1 decoder norms that no convolution can absorb: dec5..dec2."""
    if config.version != 1:
        return []
    return [(f"{b.name}.bn", b.out_channels) for b in blocks(config) if b.decoder and b.name != "dec1"]


def _basis(config: ModelConfig) -> dict[str, Shape]:
    n = config.n_fft
    return {ENCODER_BASIS: (n, 1, n), DECODER_BASIS: (n, n)}


def _conv(name: str, out_channels: int, in_channels: int, kernel: Shape) -> dict[str, Shape]:
    return {f"{name}.weight": (out_channels, in_channels, *kernel), f"{name}.bias": (out_channels,)}


def _affine(name: str, channels: int) -> dict[str, Shape]:
    return {f"{name}.weight": (channels,), f"{name}.bias": (channels,)}


def _batch_norm(name: str, channels: int) -> dict[str, Shape]:
    parts: dict[str, Shape] = {f"{name}.{part}": (channels,) for part in _BATCH_NORM_PARTS}
    return {**parts, f"{name}.num_batches_tracked": ()}


def _block(config: ModelConfig, block: ConvBlock, *, folded: bool) -> dict[str, Shape]:
    kernel = (config.kernel_size_h, config.kernel_size_w)
    group_norm = config.version >= 2
    batch_norm = config.version == 1 and not folded
    name, cin, cout = block.name, block.in_channels, block.out_channels
    width = cin if block.decoder else cout
    shapes: dict[str, Shape] = {}
    if block.decoder:
        if group_norm:
            shapes |= _affine(f"{name}.skip_norm", cin)
        shapes |= _conv(f"{name}.skip_conv", cin, cin, (1, 1))
    else:
        shapes |= _conv(f"{name}.conv", cout, cin, kernel)
        if group_norm:
            shapes |= _affine(f"{name}.norm", cin)
        if batch_norm:
            shapes |= _batch_norm(f"{name}.bn", cout)
    shapes |= _conv(f"{name}.resblock.conv", width, width, kernel)
    if group_norm:
        shapes |= _affine(f"{name}.resblock.norm", width)
    if batch_norm:
        shapes |= _batch_norm(f"{name}.resblock.bn", width)
    if block.decoder:
        if group_norm:
            shapes |= _affine(f"{name}.deconv.norm", cin)
        shapes |= _conv(f"{name}.deconv.conv", 2 * cout, cin, kernel)
        if batch_norm and name != "dec1":
            shapes |= _batch_norm(f"{name}.bn", cout)
    return shapes


def _align(config: ModelConfig) -> dict[str, Shape]:
    hidden = config.align_hidden
    return {
        **_conv("align.pconv_mic", hidden, config.mic_channels[2], (1, 1)),
        **_conv("align.pconv_ref", hidden, config.far_channels[2], (1, 1)),
        **_conv(ALIGN_SMOOTH, 1, hidden, SMOOTH_KERNEL),
    }


def _bottleneck(config: ModelConfig) -> dict[str, Shape]:
    hidden, features = config.bottleneck_hidden, config.bottleneck_features
    return {
        **{f"bottleneck.{part}": (hidden,) for part in S4D_GAINS},
        "bottleneck.D": (features,),
        "bottleneck.input_proj.weight": (hidden, features),
        "bottleneck.input_proj.bias": (hidden,),
        "bottleneck.output_proj.weight": (features, hidden),
        "bottleneck.output_proj.bias": (features,),
    }


def _body(config: ModelConfig, *, folded: bool) -> dict[str, Shape]:
    """Everything between the two bases, in order; AlignBlock sits between stages 2 and 3."""
    shapes: dict[str, Shape] = {}
    poles: dict[str, Shape] = {}
    temperature: dict[str, Shape] = {}
    if not folded:
        hidden = (config.bottleneck_hidden,)
        poles = {"bottleneck.A_log_rate": hidden, "bottleneck.A_theta": hidden}
        temperature = {TEMPERATURE: ()}
    for block in blocks(config):
        if block.name == "mic_enc3":
            shapes |= temperature | _align(config)
        if block.name == f"dec{MIC_STAGES}":
            shapes |= poles | _bottleneck(config)
        shapes |= _block(config, block, folded=folded)
    return shapes


def _frontend_gain(config: ModelConfig) -> dict[str, Shape]:
    """The learned controller of the adaptive filter, a recurrent unit and its output (reference/frontend_gain.py)."""
    if config.frontend is None or config.frontend.gain_hidden == 0:
        return {}
    hidden = config.frontend.gain_hidden
    return {
        f"{FRONTEND_GAIN}.weight_ih": (3 * hidden, GAIN_FEATURES),
        f"{FRONTEND_GAIN}.weight_hh": (3 * hidden, hidden),
        f"{FRONTEND_GAIN}.bias_ih": (3 * hidden,),
        f"{FRONTEND_GAIN}.bias_hh": (3 * hidden,),
        f"{FRONTEND_GAIN}.out.weight": (2, hidden),
        f"{FRONTEND_GAIN}.out.bias": (2,),
    }


def state_dict_shapes(config: ModelConfig) -> dict[str, Shape]:
    """Name -> PyTorch shape of every entry of a checkpoint's state dict."""
    if not config.network:
        return _frontend_gain(config)
    constants: dict[str, Shape] = {"mask.v_real": (3,), "mask.v_imag": (3,)}
    return _frontend_gain(config) | _basis(config) | _body(config, folded=False) | constants


def gguf_shapes(config: ModelConfig) -> dict[str, Shape]:
    """Name -> PyTorch shape of every tensor of an F32 GGUF file, in file order.

    A file stores the same shape reversed (ne0 is the last axis): (O, I, kh, kw) as [kw, kh, I, O].
    """
    shapes = _frontend_gain(config)
    if not config.network:
        return shapes
    for name, channels in decoder_output_norms(config):
        shapes |= {f"{name}.scale": (channels,), f"{name}.bias": (channels,)}
    hidden = config.bottleneck_hidden
    shapes |= {f"bottleneck.{part}": (hidden,) for part in S4D_POLES}
    return shapes | _basis(config) | _body(config, folded=True)


def quantizable_shapes(config: ModelConfig) -> dict[str, Shape]:
    """Name -> PyTorch shape of every tensor that may be quantized, in file order: the weights of convolutions and
    linear layers, without the codec's bases and the attention's smoothing."""
    kept = {ENCODER_BASIS, DECODER_BASIS, f"{ALIGN_SMOOTH}.weight", *_frontend_gain(config)}
    return {name: shape for name, shape in gguf_shapes(config).items() if len(shape) > 1 and name not in kept}


def matrix_shape(shape: Shape, block: int = 1) -> tuple[int, int]:
    """(rows, columns) of the matrix that a quantized weight of this PyTorch shape is stored as: a row per output
    channel, padded to a multiple of ``block``."""
    return shape[0], -(-math.prod(shape[1:]) // block) * block
