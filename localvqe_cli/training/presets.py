"""Named model sizes, and how a new model starts."""

from __future__ import annotations

import torch
from torch import nn

from ..config import FrontendConfig, ModelConfig
from ..errors import UsageError
from ..reference import LocalVQE
from ..reference.bottleneck import MIN_RATE

__all__ = ["WIDTHS", "new_model", "preset"]

#: mic widths, far widths, heads of the attention, states of the recurrence.
WIDTHS: dict[str, tuple[tuple[int, ...], tuple[int, ...], int, int]] = {
    "micro": ((2, 4, 4, 4, 4, 4), (2, 4, 4), 4, 8),
    "tiny": ((2, 12, 16, 16, 16, 16), (2, 12, 16), 16, 64),
    # As many multiplications as tiny, but in multiples of 8 channels: twice the weights at the same speed.
    "slim": ((2, 8, 16, 24, 32, 32), (2, 8, 16), 16, 96),
    "small": ((2, 16, 24, 32, 40, 40), (2, 16, 24), 16, 128),
    "base": ((2, 32, 40, 40, 40, 40), (2, 32, 40), 32, 162),
}


#: Lags of the attention. Behind a front-end the echo estimate is in place already, and only its reverberation lags.
_DMAX, _DMAX_BEHIND_FRONTEND = 32, 8


def preset(width: str, *, arch: int = 2, dmax: int | None = None, frontend: bool = False) -> ModelConfig:
    """The geometry of a named size.

    Args:
        dmax: lags of the attention; None chooses.
        frontend: with an adaptive filter before the network.

    Raises:
        UsageError: no such name.
        ModelError: an architecture version or d_max out of range.
    """
    if width not in WIDTHS:
        raise UsageError(f"unknown width {width!r}; choose {', '.join(WIDTHS)}")
    mic, far, heads, states = WIDTHS[width]
    return ModelConfig(
        version=arch,
        mic_channels=mic,
        far_channels=far,
        dmax=dmax or (_DMAX_BEHIND_FRONTEND if frontend else _DMAX),
        align_hidden=heads,
        bottleneck_hidden=states,
        frontend=FrontendConfig() if frontend else None,
    )


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
