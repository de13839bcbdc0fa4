"""An adaptive linear filter before the network: partitioned-block frequency-domain Kalman filter with a delay search.

The echo path is modelled as ``partitions`` blocks of 256 taps whose coefficients, one set per frequency bin, are the
state of a random walk; a diagonal Kalman filter follows it (Enzner and Vary, 2006; Kuech, Mabande and Enzner, 2014).
Its observation noise is the smoothed spectrum of its own error, so near-end speech slows the adaptation by itself. The
delay of the echo is the lag at which whitened microphone and reference agree best over about a second; only spectra are
delayed, by whole frames, so a change of delay costs nothing.

The filter is no part of the report: files without ``localvqe.frontend.*`` keys do not have it. It has no weights and
passes no gradient. The network gets the filter's error as its microphone and the estimated echo as its far end.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..config import FrontendConfig
from .history import History
from .precision import at_least_float32, full_precision

__all__ = ["KalmanFrontend"]

HOP = 256
#: Bins that take part in the delay search: 125 to 6250 Hz.
SEARCH_LOW, SEARCH_HIGH = 4, 200
#: Memory of the spectra that whiten, and of the agreement per lag, per frame.
WHITENING_MEMORY = 0.98
SEARCH_MEMORY = 0.9835
WHITENING_FLOOR = 1e-8
#: The best lag is believed where it beats the median lag, and the lags in use, by these factors of power, for as many
#: frames in a row.
PROMINENCE = 3.0
DOMINANCE = 1.2
PATIENCE = 4
#: The filter starts this many frames before the best lag, which may then wander over as many frames as IN_PLACE.
MARGIN = 1
IN_PLACE = 3
#: Uncertainty that a coefficient has at least after a change of delay, as a share of the initial one.
RENEWED = 0.3
NOISE_FLOOR = 1e-10
#: No update explains more of a hop than 1 / (1 + RESTRAINT): an unsure filter could otherwise fit a hop, near end and
#: all, down to rounding errors.
RESTRAINT = 0.3
#: Largest real and imaginary part of a coefficient: 60 dB.
GAIN_LIMIT = 1e3
#: An error with this many times the microphone's energy says that the filter is wrong: it starts anew.
DIVERGED = 4.0


@dataclass
class _State:
    """Everything between two frames; B streams, P partitions, L lags, F = 257 bins, S = 196 of them searched."""

    mic: Tensor  # (B, 256), the previous hop
    ref: Tensor  # (B, 256)
    spectra: Tensor  # (B, L + P, F) complex, newest first
    weights: Tensor  # (B, P, F) complex
    variance: Tensor  # (B, P, F)
    noise: Tensor  # (B, F)
    white: Tensor  # (B, L, S) complex, newest first
    mic_power: Tensor  # (B, S)
    ref_power: Tensor  # (B, S)
    agreement: Tensor  # (B, L, S) complex
    offset: Tensor  # (B,) frames
    candidate: Tensor  # (B,)
    patience: Tensor  # (B,)
    frames: int


class KalmanFrontend(nn.Module):
    """Microphone and reference hops -> error and echo hops, each (B, T, 256), without latency."""

    def __init__(self, config: FrontendConfig) -> None:
        super().__init__()
        self.config = config

    @torch.no_grad()
    def forward(self, mic: Tensor, ref: Tensor, history: History | None = None) -> tuple[Tensor, Tensor]:
        """``history`` continues a stream; without one the hops follow silence."""
        with full_precision(mic):
            mic, ref = at_least_float32(mic), at_least_float32(ref)
            state = history.recall_object(self) if history is not None else None
            if not isinstance(state, _State):
                state = self._initial(mic)
            errors, echoes = [], []
            for t in range(mic.shape[1]):
                error, echo = self._step(state, mic[:, t], ref[:, t])
                errors.append(error)
                echoes.append(echo)
            if history is not None:
                history.store_object(self, state)
            return torch.stack(errors, dim=1), torch.stack(echoes, dim=1)

    def _shape(self, like: Tensor) -> Tensor:
        """How large a partition's coefficients are expected to be, in power, against the first's: (P, 1)."""
        count = self.config.partitions
        return like.new_tensor([self.config.decay**part for part in range(count)])[:, None]

    def _initial(self, like: Tensor) -> _State:
        config, batch = self.config, like.shape[0]
        parts, lags, bins, searched = config.partitions, config.lags, HOP + 1, SEARCH_HIGH - SEARCH_LOW

        def zeros(*shape: int) -> Tensor:
            return like.new_zeros(batch, *shape)

        def complex_zeros(*shape: int) -> Tensor:
            return torch.complex(zeros(*shape), zeros(*shape))

        whole = torch.zeros(batch, dtype=torch.int64, device=like.device)
        return _State(
            mic=zeros(HOP),
            ref=zeros(HOP),
            spectra=complex_zeros(lags + parts, bins),
            weights=complex_zeros(parts, bins),
            variance=zeros(parts, bins) + config.initial_variance * self._shape(like),
            noise=zeros(bins),
            white=complex_zeros(lags, searched),
            mic_power=zeros(searched),
            ref_power=zeros(searched),
            agreement=complex_zeros(lags, searched),
            offset=whole,
            candidate=whole,
            patience=whole,
            frames=0,
        )

    def _step(self, s: _State, mic: Tensor, ref: Tensor) -> tuple[Tensor, Tensor]:
        far = torch.fft.rfft(torch.cat([s.ref, ref], dim=-1))
        near = torch.fft.rfft(torch.cat([s.mic, mic], dim=-1))
        s.mic, s.ref = mic, ref
        s.spectra = torch.cat([far[:, None], s.spectra[:, :-1]], dim=1)
        self._search(s, _hann(near), _hann(far))
        out = self._filter(s, mic)
        s.frames += 1
        return out

    # -- delay --------------------------------------------------------------------------------

    def _search(self, s: _State, near: Tensor, far: Tensor) -> None:
        far_power, near_power = _power(far), _power(near)
        if s.frames:
            s.ref_power = WHITENING_MEMORY * s.ref_power + (1.0 - WHITENING_MEMORY) * far_power
            s.mic_power = WHITENING_MEMORY * s.mic_power + (1.0 - WHITENING_MEMORY) * near_power
        else:
            s.ref_power, s.mic_power = far_power, near_power
        white = far / torch.sqrt(s.ref_power + WHITENING_FLOOR)
        s.white = torch.cat([white[:, None], s.white[:, :-1]], dim=1)
        flat = near / torch.sqrt(s.mic_power + WHITENING_FLOOR)
        s.agreement = SEARCH_MEMORY * s.agreement + s.white.conj() * flat[:, None]
        score = _power(s.agreement).mean(dim=-1)

        best = score.argmax(dim=-1)
        peak = score.gather(1, best[:, None])[:, 0]
        lags = torch.arange(score.shape[1], device=score.device)
        since = lags - s.offset[:, None]
        in_use = torch.where((since >= 0) & (since < IN_PLACE), score, 0.0).amax(dim=-1)
        away = (best < s.offset) | (best >= s.offset + IN_PLACE)
        believed = away & (peak > PROMINENCE * score.median(dim=-1).values) & (peak > DOMINANCE * in_use)
        s.patience = torch.where(believed, torch.where(best == s.candidate, s.patience, 0) + 1, 0)
        s.candidate = best
        move = s.patience >= PATIENCE
        if bool(move.any()):
            self._move(s, move, (best - MARGIN).clamp(min=0))

    def _move(self, s: _State, move: Tensor, offset: Tensor) -> None:
        """Give the streams in ``move`` (B,) another offset; coefficients stay with the lag they belong to."""
        config = self.config
        offset = torch.where(move, offset, s.offset)
        index = torch.arange(config.partitions, device=offset.device) + (offset - s.offset)[:, None]
        known = ((index >= 0) & (index < config.partitions))[..., None]
        index = index.clamp(0, config.partitions - 1)[..., None].expand_as(s.variance)
        weights = torch.where(known, s.weights.gather(1, index), 0.0)
        initial = config.initial_variance * self._shape(s.variance)
        kept = torch.maximum(s.variance.gather(1, index), RENEWED * initial)
        variance = torch.where(known, kept, initial)
        chosen = move[:, None, None]
        s.weights = torch.where(chosen, weights, s.weights)
        s.variance = torch.where(chosen, variance, s.variance)
        s.patience = torch.where(move, 0, s.patience)
        s.offset = offset

    # -- filter -------------------------------------------------------------------------------

    def _filter(self, s: _State, mic: Tensor) -> tuple[Tensor, Tensor]:
        config = self.config
        index = s.offset[:, None] + torch.arange(config.partitions, device=mic.device)
        far = s.spectra.gather(1, index[..., None].expand(-1, -1, s.spectra.shape[-1]))
        far_power = _power(far)
        keep, shape = config.transition**2, self._shape(mic)
        s.variance = keep * s.variance + (1.0 - keep) * (_power(s.weights) + config.process_floor * shape)
        echo = _last_half((far * s.weights).sum(dim=1))
        error = mic - echo
        before = s.noise
        for round_ in range(config.iterations):
            spectrum = torch.fft.rfft(torch.cat([torch.zeros_like(error), error], dim=-1))
            power = _power(spectrum)
            share = config.noise_smoothing
            s.noise = share * before + (1.0 - share) * power if s.frames else power
            explained = (1.0 + RESTRAINT) * (far_power * s.variance).sum(dim=1)
            step = s.variance / (explained + 2.0 * s.noise + NOISE_FLOOR)[:, None]
            weights = torch.view_as_real(s.weights + step * far.conj() * spectrum[:, None])
            s.weights = torch.view_as_complex(weights.clamp(-GAIN_LIMIT, GAIN_LIMIT))
            s.variance = s.variance * (1.0 - 0.5 * step * far_power)
            if round_ == config.iterations - 1:
                self._constrain(s)
            # What the updated filter makes of the same hop: the error is smaller, and nothing has to wait.
            echo = _last_half((far * s.weights).sum(dim=1))
            error = mic - echo
        bad = error.square().sum(dim=-1) > DIVERGED * mic.square().sum(dim=-1)
        if bool(bad.any()):
            chosen = bad[:, None, None]
            s.weights = torch.where(chosen, 0.0, s.weights)
            s.variance = torch.where(chosen, config.initial_variance * shape, s.variance)
            error, echo = torch.where(bad[:, None], mic, error), torch.where(bad[:, None], 0.0, echo)
        return error, echo

    def _constrain(self, s: _State) -> None:
        """Cut one partition, in turn, to its 256 taps.

        The updates leave something in the other half of each. To cut all of them every hop would cost most of the
        time, and the filter then converges more slowly.
        """
        part = s.frames % self.config.partitions
        taps = torch.fft.irfft(s.weights[:, part])
        taps[:, HOP:] = 0.0
        s.weights[:, part] = torch.fft.rfft(taps)


def _power(z: Tensor) -> Tensor:
    return z.real.square() + z.imag.square()


def _hann(spectrum: Tensor) -> Tensor:
    """The searched bins of what a Hann window would have given."""
    low, high = SEARCH_LOW, SEARCH_HIGH
    beside = spectrum[..., low - 1 : high - 1] + spectrum[..., low + 1 : high + 1]
    return 0.5 * spectrum[..., low:high] - 0.25 * beside


def _last_half(spectrum: Tensor) -> Tensor:
    samples: Tensor = torch.fft.irfft(spectrum)
    return samples[..., HOP:]
