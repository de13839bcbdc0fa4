"""The codec's network in PyTorch: encoder, quantizer, decoder. Nothing in it is causal.

Shapes are (channels, time); one column of the encoder's output, and of the tokens, stands for a frame of sound.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F

from ..families import LFSCConfig
from ..families.lfsc_config import LEAK, SHRINK
from ..families.lfsc_tensors import residual_name

__all__ = ["ReferenceCodec", "Tap"]

#: Called with the name of an intermediate result and its value.
Tap = Callable[[str, torch.Tensor], None]


class ReferenceCodec:
    """Encoder, quantizer and decoder over one set of weights.

    Args:
        config: hyperparameters.
        weights: name in a model file -> tensor of ``families.lfsc_tensors.lfsc_shapes(config)``, float32 or wider;
            the arithmetic is in their type.
    """

    def __init__(self, config: LFSCConfig, weights: Mapping[str, torch.Tensor]) -> None:
        self.config = config
        self._weights = dict(weights)

    # -- sound to tokens ----------------------------------------------------------------------

    @torch.inference_mode()
    def encode(self, sound: torch.Tensor, tap: Tap | None = None) -> torch.Tensor:
        """(samples,) -> (groups * dimensions, frames), not yet quantized.

        ``samples`` is a multiple of ``config.samples_per_frame``, and there are ``config.least_frames`` or more.
        """
        config = self.config
        x = self._convolve("encoder.pre", sound[None])
        _show(tap, "enc_pre_conv", x)
        for stage, rate in enumerate(config.encoder_rates):
            x = self._residual_layer("encoder", stage, x, config.encoder_dilations, len(config.encoder_kernels))
            _show(tap, f"enc_res{stage}", x)
            x = self._convolve(f"encoder.{stage}.down", _act(x), stride=rate, pad=(rate + 1) // 2)
            _show(tap, f"enc_down{stage}", x)
        x = self._convolve("encoder.post", _act(x))
        _show(tap, "encoded", x)
        return x

    @torch.inference_mode()
    def quantize(self, encoded: torch.Tensor) -> torch.Tensor:
        """(groups * dimensions, frames) -> tokens (groups, frames), int32."""
        levels = self._levels(encoded)
        scale = (levels - 1) / 2 * SHRINK
        offset = torch.where(levels % 2 == 0, 0.5, 0.0).to(encoded.dtype)
        shift = torch.tan(offset / scale)
        grouped = encoded.reshape(self.config.groups, len(self.config.levels), -1)
        steps = torch.round(scale * torch.tanh(grouped + shift) - offset) + torch.floor(levels / 2)
        tokens = (steps.to(torch.int64) * self._bases()[:, None]).sum(dim=1)
        return tokens.to(torch.int32)

    # -- tokens to sound ----------------------------------------------------------------------

    @torch.inference_mode()
    def dequantize(self, tokens: torch.Tensor) -> torch.Tensor:
        """Tokens (groups, frames) in 0 .. codes - 1 -> (groups * dimensions, frames), values from -1 to below 1."""
        one = next(iter(self._weights.values()))
        levels = self._levels(one)
        steps = tokens.to(torch.int64)[:, None, :] // self._bases()[:, None] % levels.to(torch.int64)
        half = torch.floor(levels / 2)
        return ((steps - half) / half).reshape(self.config.code_channels, -1)

    @torch.inference_mode()
    def decode(self, codes: torch.Tensor, tap: Tap | None = None) -> torch.Tensor:
        """(groups * dimensions, frames), ``config.least_frames`` or more -> (frames * samples_per_frame,), -1 to 1."""
        config = self.config
        x = self._convolve("decoder.pre", codes)
        _show(tap, "dec_pre_conv", x)
        for stage, rate in enumerate(config.decoder_rates):
            x = self._lengthen(f"decoder.{stage}.up", _act(x), rate)
            _show(tap, f"dec_up{stage}", x)
            x = self._residual_layer("decoder", stage, x, config.decoder_dilations, len(config.decoder_kernels))
            _show(tap, f"dec_res{stage}", x)
        x = torch.tanh(self._convolve("decoder.post", _act(x)))
        _show(tap, "audio", x)
        return x[0]

    # -- blocks -------------------------------------------------------------------------------

    def _convolve(
        self, name: str, x: torch.Tensor, *, stride: int = 1, dilation: int = 1, pad: int | None = None
    ) -> torch.Tensor:
        """Convolution of a signal that is continued by its mirror image; every layer mirrors its own input."""
        weight = self._weights[f"{name}.weight"]
        if pad is None:
            pad = (weight.shape[-1] - 1) // 2 * dilation
        mirrored = F.pad(x[None], (pad, pad), mode="reflect") if pad else x[None]
        return F.conv1d(mirrored, weight, self._weights[f"{name}.bias"], stride=stride, dilation=dilation)[0]

    def _lengthen(self, name: str, x: torch.Tensor, rate: int) -> torch.Tensor:
        """Transposed convolution to ``rate`` times the length; beyond the ends are zeros."""
        weight = self._weights[f"{name}.weight"].swapaxes(0, 1)
        bias = self._weights[f"{name}.bias"]
        return F.conv_transpose1d(x[None], weight, bias, rate, padding=(rate + 1) // 2, output_padding=rate % 2)[0]

    def _residual_layer(
        self, side: str, stage: int, x: torch.Tensor, dilations: tuple[int, ...], chains: int
    ) -> torch.Tensor:
        """The mean of chains of residual blocks, each with a kernel of its own, over the same input."""
        total = torch.zeros_like(x)
        for chain in range(chains):
            h = x
            for block, dilation in enumerate(dilations):
                name = residual_name(side, stage, chain, block)
                h = h + self._convolve(
                    f"{name}.skip", _act(self._convolve(f"{name}.input", _act(h), dilation=dilation))
                )
            total += h
        return total / chains

    def _levels(self, like: torch.Tensor) -> torch.Tensor:
        return torch.tensor(self.config.levels, dtype=like.dtype)[:, None]

    def _bases(self) -> torch.Tensor:
        levels = self.config.levels
        return torch.tensor([math.prod(levels[:i]) for i in range(len(levels))])


def _act(x: torch.Tensor) -> torch.Tensor:
    return F.leaky_relu(x, LEAK)


def _show(tap: Tap | None, name: str, value: torch.Tensor) -> None:
    if tap is not None:
        tap(name, value)
