"""Decoder blocks: skip connection, residual convolution, sub-pixel convolution (report, 2.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .activation import activation
from .conv_block import CausalConv2d, Kernel, ResidualBlock
from .history import History
from .norm import post_norm, pre_norm

__all__ = ["DecoderBlock", "SubPixelConv", "shuffle_frequency"]


def shuffle_frequency(x: Tensor) -> Tensor:
    """(B, 2C, T, F) -> (B, C, T, 2F): the upper half of the channels becomes the upper half of the axis.

    This is ``rearrange("b (r c) t f -> b c t (r f)", r=2)``: it concatenates and does not interleave.
    """
    return torch.cat(x.chunk(2, dim=1), dim=3)


class SubPixelConv(nn.Module):
    """Doubles the frequency axis: (B, I, T, F) -> (B, O, T, 2F), with a pre-norm in versions 2 and 3."""

    def __init__(self, version: int, in_channels: int, out_channels: int, kernel: Kernel) -> None:
        super().__init__()
        self.norm = pre_norm(version, in_channels)
        self.conv = CausalConv2d(in_channels, 2 * out_channels, kernel)

    def forward(self, x: Tensor, history: History | None = None) -> Tensor:
        return shuffle_frequency(self.conv(self.norm(x), history))


class DecoderBlock(nn.Module):
    """One decoder stage, (B, I, T, F) and the encoder feature of the same shape -> (B, O, T, 2F).

    With ``last`` the output is the mask: neither BatchNorm nor activation follows the sub-pixel convolution.
    """

    def __init__(
        self, version: int, in_channels: int, out_channels: int, kernel: Kernel, *, last: bool = False
    ) -> None:
        super().__init__()
        self.skip_norm = pre_norm(version, in_channels)
        self.skip_conv = nn.Conv2d(in_channels, in_channels, 1)
        self.resblock = ResidualBlock(version, in_channels, kernel)
        self.deconv = SubPixelConv(version, in_channels, out_channels, kernel)
        self.bn = nn.Identity() if last else post_norm(version, out_channels)
        self.activation = nn.Identity() if last else activation(version)

    def forward(self, x: Tensor, encoded: Tensor, history: History | None = None) -> Tensor:
        y = x + self.skip_conv(self.skip_norm(encoded))
        y = self.deconv(self.resblock(y, history), history)
        out: Tensor = self.activation(self.bn(y))
        return out
