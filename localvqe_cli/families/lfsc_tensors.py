"""The convolutions of a Low Frame-rate Speech Codec and the tensors they are stored in.

One list serves all who meet a weight: what a checkpoint calls it, what a model file calls it, and its shape. A model
file's names are shorter, since GGUF allows 63 characters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .lfsc_config import LFSCConfig

__all__ = ["Convolution", "convolutions", "lfsc_quantizable_shapes", "lfsc_shapes", "residual_name"]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Convolution:
    """One convolution.

    Attributes:
        name: in a model file, without ``.weight`` and ``.bias``.
        source: in a checkpoint, likewise.
        shape: PyTorch shape of the weight in a model file, (out, in, kernel).
        transposed: it lengthens time; a checkpoint then has (in, out, kernel).
    """

    name: str
    source: str
    shape: tuple[int, int, int]
    transposed: bool = False

    @property
    def source_shape(self) -> tuple[int, int, int]:
        """PyTorch shape of the weight in a checkpoint; its first axis is the one that has gains."""
        out, inner, kernel = self.shape
        return (inner, out, kernel) if self.transposed else self.shape


def residual_name(side: str, stage: int, chain: int, block: int) -> str:
    """``residual_name("encoder", 2, 0, 0) == "encoder.2.res.0.0"``; its two convolutions are below it."""
    return f"{side}.{stage}.res.{chain}.{block}"


def convolutions(config: LFSCConfig) -> Iterator[Convolution]:
    """Every convolution in the order in which sound passes them, which is that of the file."""
    last = len(config.encoder_rates)
    side, source = "encoder", "audio_encoder"
    yield _conv(side, source, "pre", "pre_conv", config.encoder_width(0), 1, config.encoder_in_kernel)
    for stage, rate in enumerate(config.encoder_rates):
        width = config.encoder_width(stage)
        yield from _residual(side, source, stage, width, config.encoder_kernels, len(config.encoder_dilations))
        down = f"down_sample_conv_layers.{stage}"
        yield _conv(side, source, f"{stage}.down", down, config.encoder_width(stage + 1), width, 2 * rate)
    width = config.encoder_width(last)
    yield _conv(side, source, "post", "post_conv", config.code_channels, width, config.encoder_out_kernel)

    side, source = "decoder", "audio_decoder"
    width = config.decoder_width(0)
    yield _conv(side, source, "pre", "pre_conv", width, config.code_channels, config.decoder_in_kernel)
    for stage, rate in enumerate(config.decoder_rates):
        width = config.decoder_width(stage + 1)
        yield Convolution(
            f"{side}.{stage}.up",
            f"{source}.up_sample_conv_layers.{stage}.conv",
            (width, config.decoder_width(stage), 2 * rate),
            transposed=True,
        )
        yield from _residual(side, source, stage, width, config.decoder_kernels, len(config.decoder_dilations))
    width = config.decoder_width(len(config.decoder_rates))
    yield _conv(side, source, "post", "post_conv", 1, width, config.decoder_out_kernel)


def lfsc_shapes(config: LFSCConfig) -> dict[str, Shape]:
    """Name -> PyTorch shape of every tensor of a model file, in file order."""
    shapes: dict[str, Shape] = {}
    for conv in convolutions(config):
        shapes |= {f"{conv.name}.weight": conv.shape, f"{conv.name}.bias": conv.shape[:1]}
    return shapes


def lfsc_quantizable_shapes(config: LFSCConfig) -> dict[str, Shape]:
    """Name -> PyTorch shape of every tensor that may be stored in fewer bits: all weights but the first and last, which
    are small and see the sound itself."""
    kept = ("encoder.pre.weight", "decoder.post.weight")
    return {name: shape for name, shape in lfsc_shapes(config).items() if len(shape) > 1 and name not in kept}


def _conv(side: str, source: str, name: str, original: str, out: int, inner: int, kernel: int) -> Convolution:
    return Convolution(f"{side}.{name}", f"{source}.{original}.conv", (out, inner, kernel))


def _residual(
    side: str, source: str, stage: int, width: int, kernels: tuple[int, ...], blocks: int
) -> Iterator[Convolution]:
    for chain, kernel in enumerate(kernels):
        for block in range(blocks):
            original = f"{source}.res_layers.{stage}.res_blocks.{chain}.res_blocks.{block}"
            for part in ("input", "skip"):
                name = f"{residual_name(side, stage, chain, block)}.{part}"
                yield Convolution(name, f"{original}.{part}_conv.conv", (width, width, kernel))
