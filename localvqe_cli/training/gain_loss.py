"""What the controller of the adaptive filter's gain is trained for."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from ..geometry import BINS, FRAME, HOP

__all__ = ["residual_loss"]

_BANDS = 64
#: How many times the near end's power a residual of the same power counts: at 25 a residual 14 dB below the near end
#: costs half of the most that speech can cost, so that near-end speech in the echo estimate is not cheap.
_WEIGHT = 25.0
#: What nobody hears, as a share of the microphone's mean power: 50 dB below it.
_INAUDIBLE = 1e-5


def residual_loss(echo: Tensor, estimate: Tensor, mic: Tensor, loudness: Tensor) -> Tensor:
    """Mean over frames and bands of log(1 + 25 P(echo - estimate) / (P(mic - echo) + floor)); 0 is the best.

    The difference is what the filter left of the echo, or took from the near end: both count where they stand out of
    near end and noise, and a decibel counts the same however loud the echo is.

    Args:
        echo, estimate, mic: (B, N) samples at 16 kHz, N >= 512; ``mic`` is near end, noise and echo together.
        loudness: mean square of each whole scene's microphone, (B,).
    """
    residual, kept = _band_power(echo - estimate), _band_power(mic - echo)
    # A window of ones would sum up to the number of samples; a Hann window's squares are 3/8 of it.
    floor = _INAUDIBLE * loudness * FRAME * 0.375 * (HOP) / _BANDS + 1e-9
    return torch.log1p(_WEIGHT * residual / (kept + floor[:, None, None])).mean()


def _band_power(x: Tensor) -> Tensor:
    """(B, N) -> (B, T, bands)."""
    window = torch.hann_window(FRAME, dtype=x.dtype, device=x.device)
    spectrum = torch.stft(x, FRAME, HOP, window=window, center=False, return_complex=True)
    power: Tensor = torch.view_as_real(spectrum).square().sum(dim=-1).transpose(1, 2)
    return power @ _bands(x.dtype, x.device)


@cache
def _bands(dtype: torch.dtype, device: torch.device) -> Tensor:
    """Triangles of unit height at equal distances on the mel scale, 0 to 8 kHz: (257, bands)."""
    top = 2595.0 * torch.log10(torch.tensor(1.0 + 8000.0 / 700.0, dtype=torch.float64))
    corners = 700.0 * (10.0 ** (torch.linspace(0.0, 1.0, _BANDS + 2, dtype=torch.float64) * top / 2595.0) - 1.0)
    bins = torch.linspace(0.0, 8000.0, BINS, dtype=torch.float64)[:, None]
    rise = (bins - corners[:-2]) / (corners[1:-1] - corners[:-2])
    fall = (corners[2:] - bins) / (corners[2:] - corners[1:-1])
    return torch.minimum(rise, fall).clamp(min=0.0).to(dtype).to(device)
