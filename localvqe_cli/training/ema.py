"""A running average of the weights, which is better than the weights themselves while the learning rate is high."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

__all__ = ["WeightAverage"]


class WeightAverage:
    """Exponential average of everything in a model's state dict.

    Args:
        model: its state is the first value.
        decay: share of the old average kept at each update; less at the beginning, (1 + n) / (10 + n).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.state: dict[str, Tensor] = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take in the model's present weights."""
        self.updates += 1
        share = 1.0 - min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value.detach(), share)
            else:
                self.state[name].copy_(value)

    def load(self, state: Mapping[str, Tensor], updates: int) -> None:
        """Go on from a saved average."""
        for name, value in self.state.items():
            value.copy_(state[name])
        self.updates = updates
