"""AlignBlock: cross-attention over the far end's recent past, a soft delay (report, 2.4).

Both sums over lags are products with banded matrices. They are computed chunk by chunk as dense products, so that the
largest intermediate is twice the attention itself; no tensor of size T x dmax x C x F exists.

Lags are ordered oldest first: index i means a lag of dmax - 1 - i frames.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import SMOOTH_KERNEL, ModelConfig
from .history import History, causal_pad
from .precision import at_least_float32, full_precision

__all__ = ["AlignBlock", "band_mix", "band_similarity"]


def _windows(padded: Tensor, chunk: int, lags: int) -> Tensor:
    """(..., T + lags - 1, W) -> overlapping windows (..., T / chunk, chunk + lags - 1, W)."""
    windows: Tensor = padded.unfold(-2, chunk + lags - 1, chunk)
    return windows.transpose(-1, -2)


def _rows(x: Tensor, chunk: int) -> Tensor:
    """(..., T, W) -> (..., T / chunk, chunk, W)."""
    return x.reshape(*x.shape[:-2], -1, chunk, x.shape[-1])


def _chunk(frames: int, lags: int) -> int:
    return min(frames, lags)


def band_similarity(query: Tensor, key: Tensor, lags: int) -> Tensor:
    """Inner product of each query frame with the ``lags`` key frames that end at it.

    Args:
        query: (..., T, W).
        key: (..., T + lags - 1, W); frame t of the query is aligned with frame t + lags - 1.
        lags: number of lags, at least 1.

    Returns:
        (..., T, lags); entry [t, i] is <query[t], key[t + i]>, oldest lag first.
    """
    frames = query.shape[-2]
    chunk = _chunk(frames, lags)
    extra = -frames % chunk
    rows = _rows(F.pad(query, (0, 0, 0, extra)), chunk)
    dense = rows @ _windows(F.pad(key, (0, 0, 0, extra)), chunk, lags).transpose(-1, -2)
    # Row t of a chunk needs columns t .. t + lags - 1. In rows one longer, those stand below each other.
    width = chunk + lags - 1
    skewed = F.pad(dense.flatten(-2), (0, chunk)).view(*dense.shape[:-1], width + 1)
    return skewed[..., :lags].flatten(-3, -2)[..., :frames, :]


def band_mix(weights: Tensor, value: Tensor) -> Tensor:
    """Weighted sum of the value frames that end at each frame.

    Args:
        weights: (..., T, lags), oldest lag first.
        value: (..., T + lags - 1, W).

    Returns:
        (..., T, W); frame t is the sum over i of weights[t, i] * value[t + i].
    """
    frames, lags = weights.shape[-2:]
    chunk = _chunk(frames, lags)
    extra = -frames % chunk
    width = chunk + lags - 1
    # Rows of width + 1, read as rows of width, move right by one place per frame.
    rows = _rows(F.pad(weights, (0, chunk, 0, extra)), chunk)
    dense = rows.flatten(-2)[..., : chunk * width].view(*rows.shape[:-1], width)
    mixed: Tensor = dense @ _windows(F.pad(value, (0, 0, 0, extra)), chunk, lags)
    return mixed.flatten(-3, -2)[..., :frames, :]


class AlignBlock(nn.Module):
    """Microphone and far-end features (B, C, T, F) -> (aligned far end (B, C_far, T, F), delay (B, T, dmax)).

    ``temperature`` is a buffer: it is saved with the model but never trained.
    """

    temperature: Tensor

    def __init__(self, config: ModelConfig, *, temperature: float = 0.1) -> None:
        super().__init__()
        hidden = config.align_hidden
        self.dmax = config.dmax
        self.register_buffer("temperature", torch.tensor(float(temperature)))
        self.pconv_mic = nn.Conv2d(config.mic_channels[2], hidden, 1)
        self.pconv_ref = nn.Conv2d(config.far_channels[2], hidden, 1)
        # Index 0 is the padding, which streaming replaces by history; the name is the checkpoint's.
        self.conv = nn.Sequential(nn.Identity(), nn.Conv2d(hidden, 1, SMOOTH_KERNEL))

    def similarity(self, mic: Tensor, ref: Tensor, history: History | None = None) -> Tensor:
        """V of report equation 6: (B, h, T, dmax)."""
        query, key = at_least_float32(self.pconv_mic(mic)), at_least_float32(self.pconv_ref(ref))
        with full_precision(query):
            past = causal_pad(key, self.dmax - 1, history, self, "key")
            return band_similarity(query, past, self.dmax) / math.sqrt(query.shape[-1])

    def attention(self, similarity: Tensor, history: History | None = None) -> Tensor:
        """Smoothing and softmax of report equation 7: (B, h, T, dmax) -> (B, T, dmax)."""
        with full_precision(similarity):
            height, width = SMOOTH_KERNEL
            padded = causal_pad(similarity, height - 1, history, self, "similarity", width=(width // 2, width // 2))
            logits = self.conv(padded)[:, 0]
            return torch.softmax(logits / self.temperature, dim=-1)

    def forward(self, mic: Tensor, ref: Tensor, history: History | None = None) -> tuple[Tensor, Tensor]:
        delay = self.attention(self.similarity(mic, ref, history), history)
        batch, channels, count, _ = ref.shape
        frames = ref.transpose(1, 2).flatten(2)
        past = causal_pad(frames, self.dmax - 1, history, self, "ref")
        mixed = band_mix(delay.to(past.dtype), past)
        aligned = mixed.view(batch, count, channels, -1).transpose(1, 2)
        return aligned, delay

    @torch.no_grad()
    def fold_temperature(self) -> None:
        """Divide the smoothing convolution by the temperature and set that to 1; a second call changes nothing."""
        for parameter in self.conv.parameters():
            parameter.div_(self.temperature)
        self.temperature.fill_(1.0)
