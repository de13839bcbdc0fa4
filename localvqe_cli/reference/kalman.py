"""One hop of a partitioned-block frequency-domain Kalman filter, as a pure function of its state.

The echo path is modelled as P blocks of 256 taps whose coefficients, one set per frequency bin, are the state of a
random walk; a diagonal Kalman filter follows it (Enzner and Vary, 2006; Kuech, Mabande and Enzner, 2014). Its
observation noise is the smoothed spectrum of its own error, so near-end speech slows the adaptation by itself.

Complex numbers are pairs of real tensors here, and transforms are matrix products: so the hop can be compiled as a
whole, and gradients pass through it.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from ..config import FrontendConfig
from ..geometry import BINS, HOP
from .frontend_gain import GainController, GainState

__all__ = [
    "Complex",
    "FilterState",
    "Heard",
    "initial_filter",
    "kalman_step",
    "moved",
    "partition_sizes",
]

NOISE_FLOOR = 1e-10
#: No update explains more of a hop than 1 / (1 + RESTRAINT): an unsure filter could otherwise fit a hop, near end and
#: all, down to rounding errors.
RESTRAINT = 0.3
#: Largest real and imaginary part of a coefficient: 60 dB.
GAIN_LIMIT = 1e3
#: An error with this many times the microphone's energy says that the filter is wrong: it starts anew. Below the
#: audible (a mean square of -70 dBFS) it is only the last of an echo that has faded sooner in the microphone.
DIVERGED, INAUDIBLE = 4.0, 1e-7 * HOP
#: Uncertainty that a coefficient has at least after a change of delay, as a share of the initial one.
RENEWED = 0.3


class Complex(NamedTuple):
    """Real and imaginary part."""

    re: Tensor
    im: Tensor

    def power(self) -> Tensor:
        """Squared magnitude."""
        return self.re.square() + self.im.square()


class FilterState(NamedTuple):
    """What the filter keeps between hops; B streams, P partitions, F = 257 bins."""

    weights: Complex  # (B, P, F)
    variance: Tensor  # (B, P, F)
    noise: Tensor  # (B, F)
    gain: GainState | None  # of the learned controller


class Heard(NamedTuple):
    """What one hop gave, (B, 256) each; ``prior`` is the echo as the filter estimated it before it saw the hop."""

    error: Tensor
    echo: Tensor
    prior: Tensor


class _Transforms(NamedTuple):
    late: Tensor  # (256, 2 F): the spectrum of a hop behind 256 zeros, real parts first
    back: Tensor  # (2 F, 256): the last 256 samples that a spectrum stands for
    constrain: Tensor  # (2 F, 2 F): the spectrum of the first 256 samples alone


@cache
def _transforms(dtype: torch.dtype, device: torch.device) -> _Transforms:
    bins = torch.arange(BINS, dtype=torch.float64)

    def angles(first: int) -> Tensor:
        samples = torch.arange(first, first + HOP, dtype=torch.float64)
        return 2.0 * math.pi / (2 * HOP) * (samples[:, None] * bins % (2 * HOP))

    def forward(first: int) -> Tensor:
        return torch.cat([angles(first).cos(), -angles(first).sin()], dim=1)

    twice = torch.full((BINS,), 2.0, dtype=torch.float64)
    twice[0] = twice[-1] = 1.0

    def backward(first: int) -> Tensor:
        return (forward(first) * twice.repeat(2) / (2 * HOP)).T

    made = (forward(HOP), backward(HOP), backward(0) @ forward(0))
    return _Transforms(*(matrix.to(dtype).to(device).contiguous() for matrix in made))


def partition_sizes(config: FrontendConfig, like: Tensor) -> Tensor:
    """How large a partition's coefficients are expected to be, in power, against the first's: (P, 1)."""
    return like.new_tensor([config.decay**part for part in range(config.partitions)])[:, None]


def initial_filter(config: FrontendConfig, gain: GainController | None, like: Tensor) -> FilterState:
    """The state of ``len(like)`` streams before their first hop, of the type of ``like``."""
    zeros = like.new_zeros(like.shape[0], config.partitions, BINS)
    variance = zeros + config.initial_variance * partition_sizes(config, like)
    return FilterState(
        Complex(zeros, zeros),
        variance,
        like.new_zeros(like.shape[0], BINS),
        None if gain is None else gain.initial(like),
    )


def kalman_step(
    config: FrontendConfig,
    gain: GainController | None,
    state: FilterState,
    far: Complex,
    mic: Tensor,
    first: Tensor,
    adapts: Tensor,
    constrained: Tensor,
) -> tuple[FilterState, Heard]:
    """Adapt to one hop and subtract what the updated filter makes of it.

    Args:
        gain: the learned controller of the filter's gain, or None for the hand rule.
        far: spectra of the reference at the P lags of the filter, (B, P, F).
        mic: (B, 256).
        first: (B, 1), bool: no hop before this one adapted.
        adapts: (B, 1), bool: the reference says something in the hops that the filter hears. In others it keeps what it
            knows, or it would forget in a pause and learn from what is no echo.
        constrained: (P, 1), one for the partition that is cut to its 256 taps in this hop, else zero. The updates leave
            something in the other half of each; to cut all of them every hop would cost most of the time, and the
            filter then converges more slowly.
    """
    transforms = _transforms(mic.dtype, mic.device)

    def spectrum(samples: Tensor) -> Complex:
        both = samples @ transforms.late
        return Complex(both[:, :BINS], both[:, BINS:])

    def echo_of(weights: Complex) -> Tensor:
        re = (far.re * weights.re - far.im * weights.im).sum(dim=1)
        im = (far.re * weights.im + far.im * weights.re).sum(dim=1)
        return torch.cat([re, im], dim=1) @ transforms.back

    weights, variance, noise = state.weights, state.variance, state.noise
    far_power = far.power()
    sizes = partition_sizes(config, mic)
    prior = echo_of(weights)
    echo, error = prior, mic - prior
    heard = spectrum(error)

    noise_weight: Tensor | float = config.noise_weight
    process_weight: Tensor | float = 1.0
    control = state.gain
    if gain is not None and control is not None:
        noise_before = torch.where(first, heard.power(), noise)
        unsure = (far_power * variance).sum(dim=1)
        noise_factor, process_factor, control = gain(
            control,
            heard,
            spectrum(prior),
            Complex(far.re[:, 0], far.im[:, 0]),
            spectrum(mic).power(),
            far_power.sum(dim=1),
            unsure,
            noise_before,
            first,
        )
        noise_weight, process_weight = config.noise_weight * noise_factor, process_factor[:, None]

    keep = config.transition**2
    variance = keep * variance + (1.0 - keep) * process_weight * (weights.power() + config.process_floor * sizes)
    before = noise
    for round_ in range(config.iterations):
        if round_:
            heard = spectrum(error)
        share = config.noise_smoothing
        noise = torch.where(first, heard.power(), share * before + (1.0 - share) * heard.power())
        explained = (1.0 + RESTRAINT) * (far_power * variance).sum(dim=1)
        step = variance / (explained + 2.0 * noise * noise_weight + NOISE_FLOOR)[:, None]
        re = weights.re + step * (far.re * heard.re[:, None] + far.im * heard.im[:, None])
        im = weights.im + step * (far.re * heard.im[:, None] - far.im * heard.re[:, None])
        weights = Complex(re.clamp(-GAIN_LIMIT, GAIN_LIMIT), im.clamp(-GAIN_LIMIT, GAIN_LIMIT))
        variance = variance * (1.0 - 0.5 * step * far_power)
        if round_ == config.iterations - 1:
            weights = _cut(weights, constrained, transforms)
        # What the updated filter makes of the same hop: the error is smaller, and nothing has to wait.
        echo = echo_of(weights)
        error = mic - echo

    wrong = error.square().sum(dim=-1) > DIVERGED * mic.square().sum(dim=-1) + INAUDIBLE
    anew = wrong[:, None, None]
    weights = Complex(torch.where(anew, 0.0, weights.re), torch.where(anew, 0.0, weights.im))
    variance = torch.where(anew, config.initial_variance * sizes, variance)
    echo = torch.where(wrong[:, None], 0.0, echo)
    echo = torch.where(adapts, echo, prior)
    state = _chosen(adapts, FilterState(weights, variance, noise, control), state)
    return state, Heard(mic - echo, echo, prior)


def _chosen(adapts: Tensor, new: FilterState, old: FilterState) -> FilterState:
    """By stream: the new state where ``adapts``, else the old one."""

    def either(a: Tensor, b: Tensor) -> Tensor:
        return torch.where(adapts.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    weights = Complex(either(new.weights.re, old.weights.re), either(new.weights.im, old.weights.im))
    control = None
    if new.gain is not None and old.gain is not None:
        control = GainState(*(either(a, b) for a, b in zip(new.gain, old.gain, strict=True)))
    return FilterState(weights, either(new.variance, old.variance), either(new.noise, old.noise), control)


def _cut(weights: Complex, constrained: Tensor, transforms: _Transforms) -> Complex:
    chosen = torch.cat([(weights.re * constrained).sum(dim=1), (weights.im * constrained).sum(dim=1)], dim=1)
    cut = (chosen @ transforms.constrain)[:, None]
    rest = 1.0 - constrained
    return Complex(weights.re * rest + cut[..., :BINS] * constrained, weights.im * rest + cut[..., BINS:] * constrained)


def moved(config: FrontendConfig, state: FilterState, by: Tensor) -> FilterState:
    """The state after the reference's delay grew by ``by`` (B,) hops: coefficients stay with the lag they belong to."""
    index = torch.arange(config.partitions, device=by.device) + by[:, None]
    known = ((index >= 0) & (index < config.partitions))[..., None]
    index = index.clamp(0, config.partitions - 1)[..., None].expand_as(state.variance)
    still = (by == 0)[:, None, None]

    def shifted(values: Tensor) -> Tensor:
        return torch.where(still, values, torch.where(known, values.gather(1, index), 0.0))

    initial = config.initial_variance * partition_sizes(config, state.variance)
    kept = torch.maximum(state.variance.gather(1, index), RENEWED * initial)
    variance = torch.where(still, state.variance, torch.where(known, kept, initial))
    weights = Complex(shifted(state.weights.re), shifted(state.weights.im))
    return state._replace(weights=weights, variance=variance)
