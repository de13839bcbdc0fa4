"""The optimizer and its learning rate."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import nn

__all__ = ["Schedule", "make_optimizer", "set_rate"]

_WEIGHT_DECAY = 0.01
#: The poles of the recurrence learn more slowly: a small step moves a slow state far.
_POLES = ("A_log_rate", "A_theta")
_POLE_RATE = 0.2


@dataclass(frozen=True)
class Schedule:
    """Learning rate by step: a linear rise, a plateau, and a fall only when one is asked for.

    It knows no horizon, so a run can be continued as long as it pays and be brought down at any step.

    Attributes:
        rate: on the plateau.
        warmup: steps of the rise.
        decay_start: first step of the fall; None while nobody has asked.
        decay_steps: its length; the rate ends at ``rate / 100``.
    """

    rate: float
    warmup: int = 500
    decay_start: int | None = None
    decay_steps: int = 0

    def at(self, step: int) -> float:
        """Rate of step ``step``, counted from 0."""
        rate = self.rate * min(1.0, (step + 1) / max(1, self.warmup))
        if self.decay_start is None or step < self.decay_start:
            return rate
        done = min(1.0, (step - self.decay_start) / max(1, self.decay_steps))
        return rate * max(0.01, 1.0 - math.sqrt(done))

    def changed(self, step: int, *, rate: float | None, decay_steps: int | None) -> Schedule:
        """From ``step`` on with another rate, or a fall that begins there, where they are given."""
        changed = self if rate is None else replace(self, rate=rate)
        return replace(changed, decay_start=step, decay_steps=decay_steps) if decay_steps else changed


def make_optimizer(model: nn.Module) -> torch.optim.AdamW:
    """AdamW; only matrices and kernels are decayed."""
    matrices: list[nn.Parameter] = []
    vectors: list[nn.Parameter] = []
    poles: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            is_pole = name.rpartition(".")[2] in _POLES
            (poles if is_pole else matrices if parameter.ndim > 1 else vectors).append(parameter)
    groups = [
        {"params": matrices, "weight_decay": _WEIGHT_DECAY, "scale": 1.0},
        {"params": vectors, "weight_decay": 0.0, "scale": 1.0},
        {"params": poles, "weight_decay": 0.0, "scale": _POLE_RATE},
    ]
    return torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.98))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group its share of ``rate``."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]
