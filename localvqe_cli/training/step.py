"""Loss of one batch under one model."""

from __future__ import annotations

import torch
from torch import Tensor

from ..reference import LocalVQE, Taps
from .dataset import Batch
from .losses import LossWeights, delay_loss, enhancement_loss
from .precision import autocast

__all__ = ["PARTS", "batch_loss"]

#: Terms that :func:`batch_loss` returns, in order; the first is their weighted sum.
PARTS = ("loss", "compressed", "natural", "sdr", "silence", "delay")


def batch_loss(model: LocalVQE, batch: Batch, weights: LossWeights, precision: str) -> tuple[Tensor, Tensor]:
    """(the loss, the values of PARTS without a graph) of a batch, which is moved to the model's device."""
    device = model.encoder.conv.weight.device
    mic, ref, target, delay = (x.to(device, non_blocking=True) for x in batch)
    taps: Taps = {}
    with autocast(device, precision):
        out = model(mic, ref, taps)
    total, parts = enhancement_loss(out, target, mic, weights)
    if model.frontend is None:
        parts["delay"] = delay_loss(taps["delay"], delay)
        total = total + weights.delay * parts["delay"]
    else:  # which has found it already
        parts["delay"] = torch.zeros_like(total)
    parts["loss"] = total
    return total, torch.stack([parts[name].detach() for name in PARTS])
