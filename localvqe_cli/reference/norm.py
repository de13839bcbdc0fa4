"""Normalisation: CausalGroupNorm before a convolution (versions 2, 3), BatchNorm after it (version 1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .precision import at_least_float32

__all__ = ["CausalGroupNorm", "post_norm", "pre_norm"]

EPS = 1e-5


class CausalGroupNorm(nn.Module):
    """Normalises each frame over channels and frequency (report, equations 16 and 17).

    (B, C, T, F) -> the same shape. The statistics of frame t come from frame t alone, so the operator is causal and
    has no state. Parameters: ``weight`` and ``bias``, both (C,).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        wide = at_least_float32(x)
        var, mean = torch.var_mean(wide, dim=(1, 3), correction=0, keepdim=True)
        normal = (wide - mean) * torch.rsqrt(var + EPS)
        return (normal * self.weight[:, None, None] + self.bias[:, None, None]).to(x.dtype)


def pre_norm(version: int, channels: int) -> nn.Module:
    """What stands before a convolution that reads ``channels`` channels."""
    return nn.Identity() if version == 1 else CausalGroupNorm(channels)


def post_norm(version: int, channels: int) -> nn.Module:
    """What stands after a convolution that writes ``channels`` channels."""
    return nn.BatchNorm2d(channels, eps=EPS) if version == 1 else nn.Identity()
