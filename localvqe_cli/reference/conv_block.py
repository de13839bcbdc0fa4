"""Encoder blocks: causal convolution, norm, activation, and one residual convolution (report, 2.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .activation import activation
from .history import History, causal_pad
from .norm import post_norm, pre_norm

__all__ = ["CausalConv2d", "ConvUnit", "EncoderBlock", "ResidualBlock"]

Kernel = tuple[int, int]


class CausalConv2d(nn.Conv2d):
    """Convolution over (time, frequency) that sees no future frame.

    (B, I, T, F) -> (B, O, T, F / stride). Time is padded with kh - 1 past frames; frequency with floor((kw - 1) / 2)
    zeros below and ceil((kw - 1) / 2) above. ``stride`` acts on frequency only.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: Kernel, *, stride: int = 1) -> None:
        super().__init__(in_channels, out_channels, kernel, stride=(1, stride))
        height, width = kernel
        self._past = height - 1
        self._sides = ((width - 1) // 2, width // 2)

    def forward(self, x: Tensor, history: History | None = None) -> Tensor:
        padded = causal_pad(x, self._past, history, self, width=self._sides)
        return super().forward(padded)


class ConvUnit(nn.Module):
    """A convolution with the norm and the activation that its architecture version gives it.

    Version 1: activation(BatchNorm(conv(x))); versions 2 and 3: activation(conv(CausalGroupNorm(x))).
    """

    def __init__(self, version: int, in_channels: int, out_channels: int, kernel: Kernel, *, stride: int = 1) -> None:
        super().__init__()
        self.conv = CausalConv2d(in_channels, out_channels, kernel, stride=stride)
        self.norm = pre_norm(version, in_channels)
        self.bn = post_norm(version, out_channels)
        self.activation = activation(version)

    def forward(self, x: Tensor, history: History | None = None) -> Tensor:
        y: Tensor = self.activation(self.bn(self.conv(self.norm(x), history)))
        return y


class ResidualBlock(ConvUnit):
    """(B, C, T, F) -> the same shape: the unit's output plus its input."""

    def __init__(self, version: int, channels: int, kernel: Kernel) -> None:
        super().__init__(version, channels, channels, kernel)

    def forward(self, x: Tensor, history: History | None = None) -> Tensor:
        return torch.add(super().forward(x, history), x)


class EncoderBlock(ConvUnit):
    """One encoder stage, (B, I, T, F) -> (B, O, T, F / 2)."""

    def __init__(self, version: int, in_channels: int, out_channels: int, kernel: Kernel) -> None:
        super().__init__(version, in_channels, out_channels, kernel, stride=2)
        self.resblock = ResidualBlock(version, out_channels, kernel)

    def forward(self, x: Tensor, history: History | None = None) -> Tensor:
        y: Tensor = self.resblock(super().forward(x, history), history)
        return y
