"""S4D bottleneck: a diagonal complex recurrence over time (report, 2.5).

h[t] = a h[t-1] + b v[t], y[t] = Re(c h[t]) per state. Frames are taken in chunks: inside a chunk the recurrence is a
triangular matrix product per state, between chunks the state moves on by one step. The result is causal to the last
bit, needs no loop over frames, and a stream that feeds one frame at a time runs the same code with chunks of one.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import ModelConfig
from .history import History
from .precision import at_least_float32, full_precision

__all__ = ["S4D", "diagonal_scan"]

CHUNK = 64
#: The slowest decay allowed: r <= exp(-0.01) (report, equation 12).
MIN_RATE = 0.01


def _powers(log_rate: Tensor, theta: Tensor, count: int) -> Tensor:
    """a^0 .. a^count of every state, (H, count + 1), complex.

    In double precision: the phase k theta of a fast state is far larger than its rounding error may be.
    """
    rate = F.softplus(log_rate.double()).clamp(min=MIN_RATE)
    k = torch.arange(count + 1, device=log_rate.device, dtype=torch.float64)
    return torch.polar(torch.exp(-rate[:, None] * k), theta.double()[:, None] * k)


def diagonal_scan(
    v: Tensor, powers: Tensor, b: Tensor, c: Tensor, start: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Run the recurrence over T frames.

    Args:
        v: input, (B, T, H) real, T >= 1.
        powers: a^0 .. a^L of every state, (H, L + 1) complex; L >= 1 is the longest chunk.
        b, c: input and output gains, (H,) complex.
        start: state before the first frame, (B, H) complex; None means zero.

    Returns:
        (y (B, T, H) real, state after the last frame (B, H) complex).
    """
    batch, frames, hidden = v.shape
    chunk = min(frames, powers.shape[1] - 1)
    state = powers.new_zeros(batch, hidden) if start is None else start
    if rest := frames % chunk:
        y, state = diagonal_scan(v[:, :-rest], powers, b, c, state)
        y_rest, state = diagonal_scan(v[:, -rest:], powers, b, c, state)
        return torch.cat([y, y_rest], dim=1), state

    chunks = frames // chunk
    powers = powers[:, : chunk + 1]
    columns = v.view(batch, chunks, chunk, hidden).permute(3, 2, 0, 1).flatten(2)

    # Within a chunk: y[i] = sum over j <= i of Re(c a^(i-j) b) v[j].
    step = torch.arange(chunk, device=v.device)
    lag = step[:, None] - step
    response = (powers[:, :chunk] * (b * c)[:, None]).real
    triangle = response[:, lag.clamp(min=0)] * (lag >= 0)
    y = (triangle @ columns).view(hidden, chunk, batch, chunks)

    # What each chunk adds to the state, sum over j of a^(L-1-j) b v[j]: real and imaginary part as two rows.
    tail = torch.view_as_real(powers[:, :chunk].flip(1) * b[:, None]).transpose(1, 2)
    added = (tail @ columns).view(hidden, 2, batch, chunks).permute(3, 2, 0, 1)
    before = []
    for gain in torch.view_as_complex(added.contiguous()):
        before.append(state)
        state = powers[:, chunk] * state + gain

    # The state that enters a chunk reaches its step i as Re(c a^(i+1) h).
    y = y + torch.einsum("hl,kbh->hlbk", powers[:, 1:] * c[:, None], torch.stack(before)).real
    return y.permute(2, 3, 1, 0).reshape(batch, frames, hidden), state


class S4D(nn.Module):
    """Deepest feature (B, C, T, F') -> the same shape. The recurrence never runs below single precision.

    Args:
        config: gives C F' and the number of states H.
        gain_std: standard deviation of the initial B and C.
    """

    def __init__(self, config: ModelConfig, *, gain_std: float = 0.3) -> None:
        super().__init__()
        hidden, features = config.bottleneck_hidden, config.bottleneck_features
        self.A_log_rate = nn.Parameter(torch.empty(hidden).uniform_(-6.0, 2.0))
        self.A_theta = nn.Parameter(torch.linspace(0.0, math.pi, hidden))
        self.B_real = nn.Parameter(torch.randn(hidden) * gain_std)
        self.B_imag = nn.Parameter(torch.randn(hidden) * gain_std)
        self.C_real = nn.Parameter(torch.randn(hidden) * gain_std)
        self.C_imag = nn.Parameter(torch.randn(hidden) * gain_std)
        self.D = nn.Parameter(torch.ones(features))
        self.input_proj = nn.Linear(features, hidden)
        self.output_proj = nn.Linear(hidden, features)

    def forward(self, x: Tensor, history: History | None = None) -> Tensor:
        batch, channels, frames, _ = x.shape
        u = x.transpose(1, 2).flatten(2)
        v = at_least_float32(self.input_proj(u))
        start = history.recall(self, "state") if history is not None else None
        with full_precision(v):
            b, c = torch.complex(self.B_real, self.B_imag), torch.complex(self.C_real, self.C_imag)
            powers = _powers(self.A_log_rate, self.A_theta, min(CHUNK, v.shape[1])).to(b.dtype)
            y, state = diagonal_scan(v, powers, b, c, start)
        if history is not None:
            history.store(self, "state", state)
        o: Tensor = self.output_proj(y) + self.D * u
        return o.to(x.dtype).view(batch, frames, channels, -1).transpose(1, 2)
