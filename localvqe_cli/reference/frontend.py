"""An adaptive linear filter before the network: a Kalman filter with a delay search.

The filter itself is in ``kalman``, its learned gain in ``frontend_gain``. The delay of the echo is the lag at which
whitened microphone and reference agree best over about a second in which the reference was active; only spectra are
delayed, by whole frames, so a change of delay costs nothing.

The filter is no part of the report: files without ``localvqe.frontend.*`` keys do not have it. Inference passes no
gradient; training runs ``kalman`` by itself. The network gets the filter's error as its microphone and the estimated
echo as its far end.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..config import FrontendConfig
from ..geometry import BINS, HOP
from .frontend_gain import GainController
from .history import History
from .kalman import Complex, FilterState, initial_filter, kalman_step, moved
from .precision import at_least_float32, full_precision

__all__ = ["DelaySearch", "KalmanFrontend"]

#: Bins that take part in the delay search: 125 to 6250 Hz.
SEARCH_LOW, SEARCH_HIGH = 4, 200
#: Memory of the spectra that whiten, and of the agreement per lag, per frame.
WHITENING_MEMORY = 0.98
SEARCH_MEMORY = 0.9835
WHITENING_FLOOR = 1e-8
#: A frame tells something about the delay if the reference's mean square in it is above this share of the loudest
#: lately, which is forgotten by PEAK_MEMORY a frame, and above an absolute floor (-60 dBFS). In others nothing is
#: learned and nothing moves: silence agrees with everything.
ACTIVE_SHARE, ACTIVE_FLOOR, PEAK_MEMORY = 1e-4, 1e-6, 0.9995
#: The best lag is believed where it beats the median lag, and the lags in use, by these factors of power, for as many
#: active frames in a row, after so many active frames in all.
PROMINENCE = 3.0
DOMINANCE = 1.2
PATIENCE = 4
HEARD_ENOUGH = 15
#: More than any filter is long.
IDLE_AT_START = 1 << 20
#: The filter starts this many frames before the best lag, which may then wander up to IN_PLACE frames behind the start.
MARGIN = 1
IN_PLACE = 3


class DelaySearch:
    """By how many frames each of B streams should delay its reference. No gradient passes."""

    def __init__(self, lags: int, like: Tensor) -> None:
        batch, searched = like.shape[0], SEARCH_HIGH - SEARCH_LOW

        def complex_zeros(*shape: int) -> Tensor:
            return torch.complex(like.new_zeros(batch, *shape), like.new_zeros(batch, *shape))

        self.offset = torch.zeros(batch, dtype=torch.int64, device=like.device)  # frames
        self._idle = self.offset + IDLE_AT_START  # frames since the last active one
        self._white = complex_zeros(lags, searched)  # newest first
        self._mic_power = like.new_zeros(batch, searched)
        self._ref_power = like.new_zeros(batch, searched)
        self._agreement = complex_zeros(lags, searched)
        self._peak = like.new_zeros(batch)
        self._candidate = self.offset
        self._patience = self.offset
        self._heard = self.offset  # active frames

    @torch.no_grad()
    def step(self, near: Tensor, far: Tensor, ref: Tensor) -> Tensor:
        """Listen to one frame.

        Args:
            near, far: spectra of microphone and reference, two hops each, (B, 257) complex.
            ref: the reference's hop, (B, 256).

        Returns:
            By how many frames the offset grew, (B,).
        """
        near, far = _hann(near), _hann(far)
        level = ref.square().mean(dim=-1)
        # Bounded at full scale, so that one wild sample does not make all that follows look silent.
        self._peak = torch.maximum(level.clamp(max=1.0), PEAK_MEMORY * self._peak)
        active = (level > ACTIVE_SHARE * self._peak) & (level > ACTIVE_FLOOR)
        memory = torch.where(self._heard > 0, WHITENING_MEMORY, 0.0).to(level.dtype)[:, None]
        self._heard = self._heard + active
        self._idle = torch.where(active, 0, self._idle + 1)

        def learned(now: Tensor, then: Tensor) -> Tensor:
            return torch.where(active.reshape(-1, *[1] * (now.ndim - 1)), now, then)

        self._ref_power = learned(memory * self._ref_power + (1.0 - memory) * _power(far), self._ref_power)
        self._mic_power = learned(memory * self._mic_power + (1.0 - memory) * _power(near), self._mic_power)
        white = _whitened(far, self._ref_power)
        self._white = torch.cat([white[:, None], self._white[:, :-1]], dim=1)
        flat = _whitened(near, self._mic_power)
        agreement = SEARCH_MEMORY * self._agreement + self._white.conj() * flat[:, None]
        self._agreement = learned(agreement, self._agreement)
        score = _power(self._agreement).mean(dim=-1)

        best = score.argmax(dim=-1)
        peak = score.gather(1, best[:, None])[:, 0]
        # An echo at the very edge loses what comes of it before the edge.
        first = torch.where(self.offset == 0, 0, self.offset + MARGIN)
        lag = torch.arange(score.shape[1], device=score.device)
        near = (lag >= first[:, None]) & (lag < self.offset[:, None] + IN_PLACE)
        in_use = torch.where(near, score, 0.0).amax(dim=-1)
        away = (best < first) | (best >= self.offset + IN_PLACE)
        believed = away & (peak > PROMINENCE * score.median(dim=-1).values) & (peak > DOMINANCE * in_use)
        patience = torch.where(believed, torch.where(best == self._candidate, self._patience, 0) + 1, 0)
        self._patience = learned(patience, self._patience)
        self._candidate = learned(best, self._candidate)
        move = (self._patience >= PATIENCE) & (self._heard >= HEARD_ENOUGH)
        self._patience = torch.where(move, 0, self._patience)
        by = torch.where(move, (best - MARGIN).clamp(min=0) - self.offset, 0)
        self.offset = self.offset + by
        return by

    def adapts(self, partitions: int) -> Tensor:
        """Whether a filter of so many partitions hears an active frame, (B, 1)."""
        return (self._idle < self.offset + partitions)[:, None]


@dataclass
class _State:
    """Everything between two frames; B streams, P partitions, L lags, F = 257 bins."""

    mic: Tensor  # (B, 256), the previous hop
    ref: Tensor  # (B, 256)
    spectra: Tensor  # (B, L + P, F) complex, newest first
    search: DelaySearch
    filter: FilterState
    adapted: Tensor  # (B, 1): any hop so far
    frames: int = 0


class KalmanFrontend(nn.Module):
    """Microphone and reference hops -> error and echo hops, each (B, T, 256), without latency."""

    def __init__(self, config: FrontendConfig) -> None:
        super().__init__()
        self.config = config
        self.gain = GainController(config.gain_hidden) if config.gain_hidden else None

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

    def _initial(self, like: Tensor) -> _State:
        config, batch = self.config, like.shape[0]
        hop, spectra = like.new_zeros(batch, HOP), like.new_zeros(batch, config.lags + config.partitions, BINS)
        return _State(
            mic=hop,
            ref=hop,
            spectra=torch.complex(spectra, spectra),
            search=DelaySearch(config.lags, like),
            filter=initial_filter(config, self.gain, like),
            adapted=torch.zeros(batch, 1, dtype=torch.bool, device=like.device),
        )

    def _step(self, s: _State, mic: Tensor, ref: Tensor) -> tuple[Tensor, Tensor]:
        config = self.config
        far = torch.fft.rfft(torch.cat([s.ref, ref], dim=-1))
        near = torch.fft.rfft(torch.cat([s.mic, mic], dim=-1))
        s.mic, s.ref = mic, ref
        s.spectra = torch.cat([far[:, None], s.spectra[:, :-1]], dim=1)
        by = s.search.step(near, far, ref)
        if bool(by.any()):
            s.filter = moved(config, s.filter, by)
        index = s.search.offset[:, None] + torch.arange(config.partitions, device=mic.device)
        used = s.spectra.gather(1, index[..., None].expand(-1, -1, s.spectra.shape[-1]))
        constrained = mic.new_zeros(config.partitions, 1)
        constrained[s.frames % config.partitions] = 1.0
        adapts = s.search.adapts(config.partitions)
        s.filter, heard = kalman_step(
            config, self.gain, s.filter, Complex(used.real, used.imag), mic, ~s.adapted, adapts, constrained
        )
        s.adapted = s.adapted | adapts
        s.frames += 1
        return heard.error, heard.echo


def _power(z: Tensor) -> Tensor:
    return z.real.square() + z.imag.square()


def _whitened(spectrum: Tensor, power: Tensor) -> Tensor:
    """At most of magnitude one: an onset, for which the smoothed power is too small, must not outweigh a second."""
    return spectrum / torch.sqrt(torch.maximum(power, _power(spectrum)) + WHITENING_FLOOR)


def _hann(spectrum: Tensor) -> Tensor:
    """The searched bins of what a Hann window would have given."""
    low, high = SEARCH_LOW, SEARCH_HIGH
    beside = spectrum[..., low - 1 : high - 1] + spectrum[..., low + 1 : high + 1]
    return 0.5 * spectrum[..., low:high] - 0.25 * beside
