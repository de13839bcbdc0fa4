"""Analysis and synthesis: a frozen 512-tap filterbank with a hop of 256 samples (report, 2.1).

Frame t covers samples [256 (t - 1), 256 (t + 1)), that is the previous hop and the current one. A whole clip is
therefore analysed as a stream of hops that starts after silence and ends with one hop more.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import ModelConfig
from ..errors import UsageError
from .history import History, causal_pad
from .precision import at_least_float32, full_precision

__all__ = ["Analysis", "Synthesis", "dct_basis", "split_hops", "stft_basis"]


def stft_basis(size: int = 512) -> tuple[Tensor, Tensor]:
    """Analysis and synthesis matrices of versions 2 and 3, both (size, size), float32.

    Row 2k-2 of the first is w[n] cos(2 pi k n / size), row 2k-1 is -w[n] sin(2 pi k n / size), k = 1..size/2, with the
    sqrt-Hann window w (report, equation 1). k = size/2 is the Nyquist bin, whose sine part is zero; only DC is dropped.
    The second is the transpose times 2 / size: its rows are output samples.
    """
    n = torch.arange(size, dtype=torch.float64)
    k = torch.arange(1, size // 2 + 1, dtype=torch.float64)
    window = torch.sqrt(0.5 - 0.5 * torch.cos(2 * math.pi * (n + 0.5) / size))
    angle = 2 * math.pi / size * torch.remainder(k[:, None] * n, size)
    analysis = torch.stack([window * torch.cos(angle), -window * torch.sin(angle)], dim=1).reshape(size, size)
    return analysis.float(), (analysis.T * (2 / size)).float()


def dct_basis(size: int = 512) -> tuple[Tensor, Tensor]:
    """Analysis and synthesis matrices of version 1: the orthonormal DCT-II and its transpose, (size, size), float32."""
    n = torch.arange(size, dtype=torch.float64)
    angle = math.pi / (2 * size) * torch.remainder(n[:, None] * (2 * n + 1), 4 * size)
    analysis = torch.cos(angle) * math.sqrt(2 / size)
    analysis[0] /= math.sqrt(2)
    return analysis.float(), analysis.T.float()


def _basis(config: ModelConfig) -> tuple[Tensor, Tensor]:
    return dct_basis(config.n_fft) if config.version == 1 else stft_basis(config.n_fft)


def split_hops(wave: Tensor, hop: int = 256) -> Tensor:
    """Cut (B, N) into the floor(N / hop) + 1 hops of the centred form, zero-padded: (B, T, hop).

    The last hop holds what is left after the last whole one, often nothing: it flushes the codec.
    """
    if wave.ndim != 2:
        raise UsageError(f"a waveform batch has shape (B, N), got {tuple(wave.shape)}")
    batch, samples = wave.shape
    count = samples // hop + 1
    return F.pad(wave, (0, count * hop - samples)).reshape(batch, count, hop)


class Analysis(nn.Module):
    """Hops of samples (B, T, 256) -> spectrum (B, 256, T, 2). The basis ``conv.weight`` is frozen."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        size, hop = config.n_fft, config.hop_length
        self.conv = nn.Conv1d(1, size, size, stride=hop, bias=False)
        self.conv.weight = nn.Parameter(_basis(config)[0][:, None], requires_grad=False)

    def forward(self, hops: Tensor, history: History | None = None, slot: str = "wave") -> Tensor:
        with full_precision(hops):
            joined = causal_pad(at_least_float32(hops), 1, history, self, slot)
            frames = torch.cat([joined[:, :-1], joined[:, 1:]], dim=-1)
            # In double precision: the power law lifts the smallest bins, and with them the rounding noise that the
            # largest ones leave there. This sum is where most of a single-precision model's error comes from.
            coefficients = F.linear(frames.double(), self.conv.weight[:, 0].double()).to(frames.dtype)
        batch, count, size = coefficients.shape
        return coefficients.view(batch, count, size // 2, 2).transpose(1, 2)


class Synthesis(nn.Module):
    """Spectrum (B, 256, T, 2) -> samples (B, 256 T), one hop late. The basis ``linear.weight`` is frozen.

    Frame t completes the hop before it, [256 (t - 1), 256 t). Overlapping halves are added; version 1, which has no
    window, takes their mean.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        size = config.n_fft
        self.linear = nn.Linear(size, size, bias=False)
        self.linear.weight = nn.Parameter(_basis(config)[1], requires_grad=False)
        self._scale = 0.5 if config.version == 1 else 1.0

    def forward(self, spectrum: Tensor, history: History | None = None) -> Tensor:
        with full_precision(spectrum):
            frames = F.linear(at_least_float32(spectrum).transpose(1, 2).flatten(2), self.linear.weight)
            first, second = frames.chunk(2, dim=-1)
            previous = causal_pad(second, 1, history, self)[:, :-1]
            return ((first + previous) * self._scale).flatten(1)
