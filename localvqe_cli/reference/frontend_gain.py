"""A small recurrent network that sets the adaptive filter's gain, one set of weights for all frequency bins.

How fast a Kalman filter should follow depends on what its error is made of: the echo path that moved, or somebody
talking. The hand rule of ``kalman`` takes the smoothed error for noise and the coefficients for a slow random walk. The
controller scales both, per bin and hop, by what it makes of levels that the filter knows anyway. It only sees ratios,
so loudness does not matter, and it starts as the hand rule: its outputs begin at a factor of one. Whatever it does,
the filter stays linear, so it cannot delete speech as a mask can.

Long notes fool it. They are few frequencies, which almost any coefficients cancel, so it takes the filter for settled,
and the next chord is heard. The more the far end's spectrum follows from the one before, the less the controller is
trusted, until the hand rule is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from ..config import GAIN_FEATURES
from ..geometry import BINS

if TYPE_CHECKING:
    from .kalman import Complex

__all__ = ["LARGEST", "GainController", "GainState"]

#: Natural logarithm of the largest factor, and of the inverse of the smallest.
LARGEST = 4.0
#: Memory per hop of the far end's usual level, and of error and echo.
SLOW, FAST = 0.98, 0.9
LEVEL_FLOOR, COHERENCE_FLOOR = 1e-9, 1e-14
#: Log ratios beyond this are cut off; what is left is scaled to be of order one.
LOG_LIMIT, LOG_SCALE = 12.0, 0.3
#: Tonality is the coherence of successive far-end spectra, 0..1, bins weighted by their power: of noise 0.3, of speech
#: 0.5, of chords 0.8, of a tone 1. Its memory per hop, and what it is taken to be at first.
TONALITY_MEMORY, USUAL_TONALITY = 0.99, 0.5
#: Up to the first the controller is trusted wholly, from the second on not at all.
SPEECH_LIKE, TONAL = 0.62, 0.8


class GainState(NamedTuple):
    """What the controller keeps between hops, (B, F) but for the last two."""

    far: Tensor
    error: Tensor
    echo: Tensor
    cross_re: Tensor
    cross_im: Tensor
    before_re: Tensor  # the far end's newest spectrum in the hop before
    before_im: Tensor
    recent: Tensor  # its smoothed power
    steady_re: Tensor  # its smoothed product with the spectrum before it
    steady_im: Tensor
    tonality: Tensor  # (B, 1)
    hidden: Tensor  # (B, F, H)


class GainController(nn.GRUCell):
    """Levels of one hop -> factors of the filter's observation noise and process noise, (B, F) each, e^-4 .. e^4."""

    def __init__(self, hidden: int) -> None:
        super().__init__(GAIN_FEATURES, hidden)
        self.out = nn.Linear(hidden, 2)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def initial(self, like: Tensor) -> GainState:
        """The state of ``len(like)`` streams before their first hop."""
        level = like.new_zeros(like.shape[0], BINS)
        hidden = like.new_zeros(*level.shape, self.hidden_size)
        return GainState._make([*[level] * (len(GainState._fields) - 2), level[:, :1], hidden])

    def forward(  # type: ignore[override]
        self,
        state: GainState,
        error: Complex,
        echo: Complex,
        far: Complex,
        mic_power: Tensor,
        far_power: Tensor,
        unsure: Tensor,
        noise: Tensor,
        first: Tensor,
    ) -> tuple[Tensor, Tensor, GainState]:
        """One hop.

        Args:
            error, echo: spectra before the filter's update, (B, F).
            far: the newest spectrum of the reference that the filter hears, (B, F).
            mic_power, far_power: of the microphone, and of the reference summed over the filter's lags, (B, F).
            unsure: power of the error that the filter's own uncertainty explains, (B, F).
            noise: the observation noise before this hop, (B, F).
            first: (B, 1), bool: no hop before this one adapted.
        """
        error_power, echo_power = error.power(), echo.power()
        usual = torch.where(first, far_power, SLOW * state.far + (1.0 - SLOW) * far_power)
        slow_error = FAST * state.error + (1.0 - FAST) * error_power
        slow_echo = FAST * state.echo + (1.0 - FAST) * echo_power
        cross_re, cross_im, joint = _correlation(error, echo, state.cross_re, state.cross_im)
        coherence = joint / (slow_error * slow_echo + COHERENCE_FLOOR)

        def mean(x: Tensor) -> Tensor:
            return x.mean(dim=-1, keepdim=True)

        surprise = _log_ratio(unsure, error_power)
        bins = error_power.shape[-1]
        place = torch.arange(bins, dtype=mean(surprise).dtype, device=surprise.device) * (2.0 / (bins - 1)) - 1.0
        columns = (
            _log_ratio(error_power, noise),
            _log_ratio(echo_power, error_power),
            surprise,
            _log_ratio(far_power, usual),
            _log_ratio(mic_power, error_power),
            coherence,
            _log_ratio(mean(mic_power), mean(error_power)),
            _log_ratio(mean(echo_power), mean(error_power)),
            mean(surprise),
            mean(coherence),
            place,
        )
        features = torch.stack([column.expand_as(error_power) for column in columns], dim=-1)
        hidden = self._recur(features, state.hidden)
        recent, steady, tonality = _listen_to(far, state, first)
        trust = ((TONAL - tonality) / (TONAL - SPEECH_LIKE)).clamp(0.0, 1.0)
        factors = torch.exp(LARGEST * trust[..., None] * torch.tanh(self.out(hidden)))
        kept = GainState(
            usual, slow_error, slow_echo, cross_re, cross_im, far.re, far.im, recent, *steady, tonality, hidden
        )
        return factors[..., 0], factors[..., 1], kept

    def _recur(self, x: Tensor, hidden: Tensor) -> Tensor:
        """A gated recurrent unit on (B, F, features); written out, so that it compiles into one piece with the rest."""
        new = nn.functional.linear(x, self.weight_ih, self.bias_ih)
        old = nn.functional.linear(hidden, self.weight_hh, self.bias_hh)
        new_reset, new_update, new_state = new.chunk(3, dim=-1)
        old_reset, old_update, old_state = old.chunk(3, dim=-1)
        update = torch.sigmoid(new_update + old_update)
        state = torch.tanh(new_state + torch.sigmoid(new_reset + old_reset) * old_state)
        return (1.0 - update) * state + update * hidden


def _correlation(
    a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor], re: Tensor, im: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The smoothed product of a and the conjugate of b, which was (re, im) a hop ago, and its squared size."""
    re = FAST * re + (1.0 - FAST) * (a[0] * b[0] + a[1] * b[1])
    im = FAST * im + (1.0 - FAST) * (a[1] * b[0] - a[0] * b[1])
    return re, im, re.square() + im.square()


def _listen_to(far: Complex, state: GainState, first: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor], Tensor]:
    """Smoothed power of the far end, (B, F), that of its product with the spectrum before, and tonality, (B, 1)."""
    power = far.power()
    recent = torch.where(first, power, FAST * state.recent + (1.0 - FAST) * power)
    re, im, joint = _correlation(far, (state.before_re, state.before_im), state.steady_re, state.steady_im)
    coherence = joint / (recent * state.recent + COHERENCE_FLOOR)
    now = (coherence * recent).sum(dim=-1, keepdim=True) / (recent.sum(dim=-1, keepdim=True) + LEVEL_FLOOR)
    before = torch.where(first, USUAL_TONALITY, state.tonality)
    return recent, (re, im), TONALITY_MEMORY * before + (1.0 - TONALITY_MEMORY) * now


def _log_ratio(a: Tensor, b: Tensor) -> Tensor:
    ratio = torch.log((a + LEVEL_FLOOR) / (b + LEVEL_FLOOR))
    return LOG_SCALE * ratio.clamp(-LOG_LIMIT, LOG_LIMIT)
