"""What an adaptive filter leaves of the echo, taken down bin by bin: a gain without weights.

The filter knows what it took away, and its error shows how much it leaves when nobody speaks at the near end:

    leak = smallest P(error) / P(echo) of the last two seconds
    g    = 1 / (1 + (overestimate leak P(echo) / P(error))^2)

Echo that is left stands ``leak`` below the estimate and is taken down; what is louder than that is near end and stays.
The leak is a geometric mean over nine bins, counts only frames whose echo stands out of the background, and is no less
than a share that falls from ``leak_most`` to ``leak_least`` while the error rises above the background: what hardly
stands out of it is rather a rest of the echo than a talker, and costs nobody anything. Powers are averaged over the
last five frames, but not over bins: between its harmonics a talker is told from an echo. No bin falls below the
background: where the gain would push it under ``noise_fill`` times the smallest recent power, it stops there. Silence
with holes is heard as echo; noise that goes on is not. What is left of it all is for ``noise_reduction``.

Not in the report: files without ``localvqe.residual.*`` keys do not have it. It looks back only. Frames are the
codec's: the previous hop and the present one under a square root of a Hann window. So what lies behind it needs no
transform of its own, and latency stays one hop.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..config import ResidualConfig
from ..geometry import BINS, HOP
from .history import History, causal_pad
from .noise_reduction import speech_gain
from .precision import at_least_float32, full_precision

__all__ = ["ResidualEcho"]

#: Frames over which powers are averaged.
FRAMES = 5
POWER_FLOOR = 1e-12
#: The background is the smallest smoothed power of this many blocks of frames, the present one included: 12 to 12.8 s.
#: Shorter memories take what is left of a talker's echo for background.
NOISE_MEMORY = 0.9
BLOCKS, BLOCK_FRAMES = 16, 50
#: The same for the leak: 1.8 to 2 s, since paths move.
LEAK_BLOCKS, LEAK_BLOCK_FRAMES = 8, 16
#: Bins over which the leak is averaged.
LEAK_BINS = 9


@dataclass
class _State:
    """B streams, F = 257 bins."""

    error: Tensor  # (B, FRAMES, F), latest powers, oldest first
    echo: Tensor
    smooth: Tensor  # (B, F)
    minima: Tensor  # (B, BLOCKS, F), of each block; the last is of the present one
    leaks: Tensor  # (B, LEAK_BLOCKS, F), the same of the leak, 1 where there was no echo
    speech: Tensor  # (B, F), what the noise's gain kept in the last frame, over the noise
    frames: int = 0


class ResidualEcho(nn.Module):
    """Error and echo hops of the filter, each (B, T, 256) -> gain (B, T, 257), 0..1, of the frame each hop ends, and
    the error's spectrum in that frame, which it is for, (B, T, 257) complex."""

    window: Tensor

    def __init__(self, config: ResidualConfig) -> None:
        super().__init__()
        self.config = config
        phase = math.pi * (torch.arange(2 * HOP, dtype=torch.float64) + 0.5) / (2 * HOP)
        self.register_buffer("window", torch.sin(phase).to(torch.get_default_dtype()), persistent=False)

    @torch.no_grad()
    def forward(self, error: Tensor, echo: Tensor, history: History | None = None) -> tuple[Tensor, Tensor]:
        """``history`` continues a stream; without one the hops follow silence."""
        with full_precision(error):
            spectrum = self.spectrum(error, history, "error")
            error_power = spectrum.abs().square()
            echo_power = self.spectrum(echo, history, "echo").abs().square()
            state = history.recall_object(self) if history is not None else None
            if not isinstance(state, _State):
                past = error_power.new_zeros(error_power.shape[0], FRAMES, BINS)
                empty = past.new_full((past.shape[0], BLOCKS, BINS), math.inf)
                leaks = past.new_ones(past.shape[0], LEAK_BLOCKS, BINS)
                state = _State(past, past, past[:, 0], empty, leaks, past[:, 0])
            gains = [self._step(state, error_power[:, t], echo_power[:, t]) for t in range(error_power.shape[1])]
            if history is not None:
                history.store_object(self, state)
            return torch.stack(gains, dim=1), spectrum

    def spectrum(self, hops: Tensor, history: History | None, slot: str) -> Tensor:
        """(B, T, 256) -> (B, T, 257) complex, of the frames that each hop ends."""
        joined = causal_pad(at_least_float32(hops), 1, history, self, slot)
        spectrum: Tensor = torch.fft.rfft(torch.cat([joined[:, :-1], joined[:, 1:]], dim=-1) * self.window)
        return spectrum

    def samples(self, spectrum: Tensor, history: History | None) -> Tensor:
        """(B, T, 257) -> (B, 256 T), one hop late: the overlapping halves of the frames, added."""
        frames: Tensor = torch.fft.irfft(spectrum) * self.window
        first, second = frames[..., :HOP], frames[..., HOP:]
        return (first + causal_pad(second, 1, history, self, "overlap")[:, :-1]).flatten(1)

    def _step(self, s: _State, error: Tensor, echo: Tensor) -> Tensor:
        s.error = torch.cat([s.error[:, 1:], error[:, None]], dim=1)
        s.echo = torch.cat([s.echo[:, 1:], echo[:, None]], dim=1)
        error_mean, echo_mean = s.error.mean(dim=1), s.echo.mean(dim=1)
        background = self._background(s, error)
        ratio = (error_mean + POWER_FLOOR) / (echo_mean + POWER_FLOOR)
        leak = self._leak(s, torch.where(echo_mean > background, ratio, 1.0), error_mean, background)
        gain = 1.0 / (1.0 + (self.config.overestimate * leak / ratio).square())
        fill = self.config.noise_fill * background
        s.frames += 1
        gain = torch.maximum(gain, torch.sqrt(fill / (error + POWER_FLOOR)).clamp(max=1.0))
        if not self.config.noise_reduction:
            return gain
        kept, s.speech = speech_gain(
            gain.square() * error, background + POWER_FLOOR, s.speech, self.config.noise_reduction
        )
        return gain * kept

    def _leak(self, s: _State, ratio: Tensor, error: Tensor, background: Tensor) -> Tensor:
        config = self.config
        s.leaks = _least(s.leaks, ratio.clamp(max=1.0), s.frames % LEAK_BLOCK_FRAMES == 0, 1.0)
        around = nn.functional.avg_pool1d(
            s.leaks.amin(dim=1).log(), LEAK_BINS, stride=1, padding=LEAK_BINS // 2, count_include_pad=False
        )
        stands_out = (error.mean(dim=-1, keepdim=True) + POWER_FLOOR) / (
            background.mean(dim=-1, keepdim=True) + POWER_FLOOR
        )
        least = (config.leak_background / stands_out).clamp(config.leak_least, config.leak_most)
        return torch.maximum(around.exp(), least)

    def _background(self, s: _State, power: Tensor) -> Tensor:
        s.smooth = power if s.frames == 0 else NOISE_MEMORY * s.smooth + (1.0 - NOISE_MEMORY) * power
        s.minima = _least(s.minima, s.smooth, s.frames % BLOCK_FRAMES == 0, math.inf)
        return s.minima.amin(dim=1)


def _least(minima: Tensor, value: Tensor, starts: bool, empty: float) -> Tensor:
    """Minima (B, blocks, F) with ``value`` (B, F) in the present block, the last; ``starts``: this frame begins one."""
    if starts:
        minima = torch.cat([minima[:, 1:], torch.full_like(minima[:, :1], empty)], dim=1)
    return torch.cat([minima[:, :-1], torch.minimum(minima[:, -1:], value[:, None])], dim=1)
