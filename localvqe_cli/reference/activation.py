"""The activation of each architecture version."""

from __future__ import annotations

from torch import nn

__all__ = ["activation"]


def activation(version: int) -> nn.Module:
    """ELU for version 1, ReLU6 for version 2 (report, 2.3), SiLU for version 3."""
    if version == 1:
        return nn.ELU()
    return nn.ReLU6() if version == 2 else nn.SiLU()
