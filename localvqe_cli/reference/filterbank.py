"""Analysis and synthesis: a frozen 512-tap filterbank with a hop of 256 samples (report, 2.1).

Frame t covers samples [256 (t - 1), 256 (t + 1)), that is the previous hop and the current one. A whole clip is
therefore analysed as a stream of hops that starts after silence and ends with one hop more.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..bases import standard_bases
from ..config import ModelConfig
from ..errors import UsageError
from ..tensors import DECODER_BASIS, ENCODER_BASIS
from .history import History, causal_pad
from .precision import at_least_float32, full_precision

__all__ = ["Analysis", "Synthesis", "split_hops"]


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
        self.conv.weight = nn.Parameter(torch.from_numpy(standard_bases(config)[ENCODER_BASIS]), requires_grad=False)

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
        self.linear.weight = nn.Parameter(torch.from_numpy(standard_bases(config)[DECODER_BASIS]), requires_grad=False)
        self._scale = 0.5 if config.version == 1 else 1.0

    def forward(self, spectrum: Tensor, history: History | None = None) -> Tensor:
        with full_precision(spectrum):
            frames = F.linear(at_least_float32(spectrum).transpose(1, 2).flatten(2), self.linear.weight)
            first, second = frames.chunk(2, dim=-1)
            previous = causal_pad(second, 1, history, self)[:, :-1]
            return ((first + previous) * self._scale).flatten(1)
