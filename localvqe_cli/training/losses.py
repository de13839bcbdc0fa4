"""What a good output is.

Every clip is first divided by the RMS of its microphone, so that a faint call counts as much as a loud one. All terms
are then of order 1 for an unprocessed microphone:

- ``compressed``: magnitudes and complex spectra to the power 0.3 at several resolutions, where quiet parts and
  harmonics count; a bin that is too quiet costs more than one that is too loud, since lost speech cannot be recovered.
- ``natural``: waveform and complex spectrum at their natural scale, which fix the level.
- ``sdr``: signal-to-distortion ratio, level included, of clips with near-end speech.
- ``silence``: energy of the output above that of the target, in units of 10 dB, in frames that are echo or noise.

Beside them :func:`delay_loss` tells the attention where the echo is; a simulated scene knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from ..geometry import FRAME, HOP

__all__ = ["LossWeights", "delay_loss", "enhancement_loss"]

Parts: TypeAlias = dict[str, Tensor]

_EXPONENT = 0.3
_EPS = 1e-5
#: Microphones fainter than this are not raised any further (-100 dBFS).
_FLOOR_RMS = 1e-5
#: A target this far below the microphone is no speech (-45 dB).
_SILENT_CLIP = 10**-4.5
#: Frames whose target is this far below the microphone are echo or noise (-12 dB).
_ALL_BUT = 10**-1.2
#: Output energy below this share of the microphone's earns nothing more (-50 dB).
_SILENCE_FLOOR = 1e-5
_SDR_CEILING = 1e-3


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term; ``asymmetry`` is the extra cost of a compressed magnitude that is too small.

    ``delay`` weighs :func:`delay_loss`.
    """

    compressed: float = 1.0
    natural: float = 1.0
    sdr: float = 0.3
    silence: float = 0.1
    asymmetry: float = 3.0
    delay: float = 0.1
    resolutions: tuple[int, ...] = (256, 512, 1024)


def enhancement_loss(
    estimate: Tensor, target: Tensor, mic: Tensor, weights: LossWeights | None = None
) -> tuple[Tensor, Parts]:
    """Loss of a batch.

    Args:
        estimate, target, mic: (B, N) each.

    Returns:
        (the weighted sum, its unweighted terms by name), all scalars.
    """
    weights = weights or LossWeights()
    gain = 1.0 / mic.square().mean(dim=-1, keepdim=True).sqrt().clamp(min=_FLOOR_RMS)
    estimate, target, mic = estimate.float() * gain, target * gain, mic * gain
    compressed = estimate.new_zeros(())
    natural = estimate.new_zeros(())
    for size in weights.resolutions:
        ours, wanted, heard = (_stft(x, size) for x in (estimate, target, mic))
        compressed = compressed + _compressed(ours, wanted, heard, weights.asymmetry) / len(weights.resolutions)
        if size == weights.resolutions[len(weights.resolutions) // 2]:
            natural = natural + 0.5 * _relative(_length(ours - wanted), _length(heard))
    natural = natural + 0.5 * _relative((estimate - target).abs(), mic.abs())
    parts = {
        "compressed": compressed,
        "natural": natural,
        "sdr": _sdr(estimate, target, mic),
        "silence": _silence(estimate, target, mic),
    }
    total = torch.stack([getattr(weights, name) * part for name, part in parts.items()]).sum()
    return total, parts


def delay_loss(attention: Tensor, delay: Tensor) -> Tensor:
    """Cross-entropy of the attention against the true delay, mean over the frames in which echo is heard.

    The echo of a delay between two frames lies in both; its reverberation lies behind. Either is right.

    Args:
        attention: (B, T, dmax), oldest lag first, rows of sum 1.
        delay: (B, T) samples; negative where there is nothing to find.

    Returns:
        A scalar; 0 without such frames. Delays beyond the oldest lag are left out.
    """
    lags = attention.shape[-1]
    frame = delay[:, : attention.shape[1]].to(torch.int64) // HOP
    known = (delay[:, : attention.shape[1]] >= 0) & (frame + 1 < lags)
    index = (lags - 1 - frame).clamp(min=1, max=lags - 1)[..., None]
    found = (attention.gather(-1, index) + attention.gather(-1, index - 1))[..., 0]
    return -(torch.log(found + 1e-4) * known).sum() / known.sum().clamp(min=1)


def _stft(x: Tensor, size: int) -> Tensor:
    """(B, F, T, 2), scaled so that noise of unit RMS has bins of about unit magnitude."""
    window = torch.hann_window(size, device=x.device)
    spectrum = torch.stft(x, size, size // 2, window=window, return_complex=True)
    return torch.view_as_real(spectrum) / window.square().sum().sqrt()


def _length(z: Tensor) -> Tensor:
    return (z.square().sum(dim=-1) + _EPS).sqrt()


def _relative(error: Tensor, reference: Tensor) -> Tensor:
    """Mean error of each clip over the mean of its reference, then the mean over clips."""
    axes = tuple(range(1, error.ndim))
    return (error.mean(dim=axes) / (reference.mean(dim=axes) + 1e-3)).mean()


def _compressed(estimate: Tensor, target: Tensor, mic: Tensor, asymmetry: float) -> Tensor:
    power = estimate.square().sum(dim=-1) + _EPS
    wanted = target.square().sum(dim=-1) + _EPS
    magnitude, magnitude_wanted = power.pow(_EXPONENT / 2), wanted.pow(_EXPONENT / 2)
    lost = magnitude_wanted - magnitude
    cost = lost.square() + asymmetry * lost.clamp(min=0.0).square()
    scaled = estimate * power.pow((_EXPONENT - 1) / 2)[..., None]
    scaled_wanted = target * wanted.pow((_EXPONENT - 1) / 2)[..., None]
    cost = 0.5 * cost + 0.5 * (scaled - scaled_wanted).square().sum(dim=-1)
    return _relative(cost, (mic.square().sum(dim=-1) + _EPS).pow(_EXPONENT))


def _sdr(estimate: Tensor, target: Tensor, mic: Tensor) -> Tensor:
    """Mean over the clips with speech, in units of 10 dB, negated; 0 without such clips."""
    energy = target.square().mean(dim=-1)
    active = (energy > _SILENT_CLIP * mic.square().mean(dim=-1)) & (energy > 0)
    error = (estimate - target).square().mean(dim=-1)
    safe = torch.where(active, energy, torch.ones_like(energy))
    ratio = torch.log10(error / safe + _SDR_CEILING)
    return (ratio * active).sum() / active.sum().clamp(min=1)


def _silence(estimate: Tensor, target: Tensor, mic: Tensor) -> Tensor:
    """Mean of log10(output / target) where it is positive, over frames of which nearly all must go; 0 without any."""
    out, wanted, heard = (_frame_power(x) for x in (estimate, target, mic))
    echo = (wanted < _ALL_BUT * heard) & (heard > 1e-4)
    floor = _SILENCE_FLOOR * heard.clamp(min=1e-4)
    excess = torch.log10((out + floor) / (wanted + floor)).clamp(min=0.0)
    return (excess * echo).sum() / echo.sum().clamp(min=1)


def _frame_power(x: Tensor) -> Tensor:
    return x.unfold(-1, FRAME, HOP).square().mean(dim=-1)
