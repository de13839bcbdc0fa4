"""How a new model starts."""

from __future__ import annotations

import torch
from torch import nn

from ..config import ModelConfig
from ..reference import LocalVQE
from ..reference.bottleneck import MIN_RATE

__all__ = ["new_model"]


def new_model(config: ModelConfig, seed: int) -> LocalVQE:
    """A model that starts as the identity and with an attention that already finds repetitions.

    Both encoders start equal and both projections of the AlignBlock too, so its similarity is the correlation of the
    microphone with the delayed far end, in random features; the smoothing starts as a mean over time. Learning to be
    useful from there is a small step, whereas from unrelated encoders the attention first has to become one. The
    recurrence starts with states of unit gain for noise, however slow they are.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LocalVQE(config)
        _correlate(model)
        _calm(model)
    return model


@torch.no_grad()
def _calm(model: LocalVQE) -> None:
    rate = nn.functional.softplus(model.bottleneck.A_log_rate).clamp(min=MIN_RATE)
    gain = torch.sqrt(1.0 - torch.exp(-2.0 * rate))
    model.bottleneck.B_real.mul_(gain)
    model.bottleneck.B_imag.mul_(gain)


@torch.no_grad()
def _correlate(model: LocalVQE) -> None:
    for stage in (1, 2):
        if model.config.mic_channels[stage] != model.config.far_channels[stage]:
            return
        source = model.get_submodule(f"mic_enc{stage}").state_dict()
        model.get_submodule(f"far_enc{stage}").load_state_dict(source)
    align = model.align
    # Zero-sum rows: what all channels share says nothing about the delay.
    weight = align.pconv_mic.weight
    weight.sub_(weight.mean(dim=1, keepdim=True))
    align.pconv_ref.weight.copy_(weight)
    for projection in (align.pconv_mic, align.pconv_ref):
        if projection.bias is not None:
            projection.bias.zero_()
    smooth = align.conv[1]
    assert isinstance(smooth, nn.Conv2d)
    smooth.weight.zero_()
    smooth.weight[:, :, :, 1] = 1.0 / (smooth.weight.shape[1] * smooth.weight.shape[2]) ** 0.5
    if smooth.bias is not None:
        smooth.bias.zero_()
