"""One hop of the partitioned-block Kalman filter, in real numbers and without branches; see ``reference/kalman.py``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import FrontendConfig
from ..geometry import BINS
from ..reference.kalman import DIVERGED, GAIN_LIMIT, INAUDIBLE, NOISE_FLOOR, RENEWED, RESTRAINT
from .frontend_gain import gain_controller
from .graph import Graph, Operand, Weights
from .transforms import Pair, Transforms, power

__all__ = ["FilterValues", "kalman_step", "moved_filter"]


@dataclass(frozen=True)
class FilterValues:
    """What the filter keeps between hops: coefficients and their variance (1, P, F), noise (1, F)."""

    weights: Pair
    variance: str
    noise: str


def _sizes(config: FrontendConfig) -> NDArray[Any]:
    return (config.decay ** np.arange(config.partitions)).reshape(1, -1, 1)


def moved_filter(g: Graph, config: FrontendConfig, first: str, by: str) -> FilterValues:
    """The filter as the hop before left it, with its coefficients at the lag they belong to.

    Args:
        first: flag, () or (1,): this is the first hop.
        by: by how many hops the reference's delay grew, (1,).
    """
    parts, shape = config.partitions, (1, config.partitions, BINS)
    initial = config.initial_variance * _sizes(config)
    variance = g.op("Where", first, np.broadcast_to(initial, shape), g.state("kalman.variance", *shape))
    place = g.op("Add", np.arange(parts), by)
    known = g.op("Equal", place, g.op("Clip", place, 0.0, parts - 1.0))
    known = g.op("Unsqueeze", known, g.constant([0, 2], np.int64))
    index = g.index(g.op("Clip", place, 0.0, parts - 1.0))

    def shifted(name: str) -> str:
        return g.op("Where", known, g.gather(g.state(name, *shape), index, 1), 0.0)

    kept = g.op("Where", known, g.op("Max", g.gather(variance, index, 1), RENEWED * initial), initial)
    still = g.op("Equal", by, 0.0)
    return FilterValues(
        Pair(shifted("kalman.weights_re"), shifted("kalman.weights_im")),
        g.op("Where", still, variance, kept),
        g.state("kalman.noise", 1, BINS),
    )


def kalman_step(
    g: Graph,
    config: FrontendConfig,
    weights: Weights,
    transforms: Transforms,
    state: FilterValues,
    far: Pair,
    mic: str,
    unadapted: str,
    adapts: str,
    constrained: str,
) -> tuple[str, str]:
    """Adapt to one hop and subtract what the updated filter makes of it.

    Args:
        far: spectra of the reference at the filter's lags, (1, P, F).
        mic: (1, 256).
        unadapted: flag (1, 1), no hop before this one adapted.
        adapts: flag (1, 1), the filter hears something of the reference.
        constrained: (1, P, 1), one for the partition that is cut in this hop, else zero.

    Returns:
        (error, echo), (1, 256) each.
    """
    sizes = _sizes(config)
    old, variance, noise = state.weights, state.variance, state.noise
    far_power = power(g, far)

    def echo_of(w: Pair) -> str:
        re = g.op("Sub", g.op("Mul", far.re, w.re), g.op("Mul", far.im, w.im))
        im = g.op("Add", g.op("Mul", far.re, w.im), g.op("Mul", far.im, w.re))
        return transforms.last_hop(Pair(g.reduce("Sum", re, [1]), g.reduce("Sum", im, [1])))

    def scaled(value: str, factor: Operand) -> str:
        return g.op("Mul", value, factor)

    prior = echo_of(old)
    error = g.op("Sub", mic, prior)
    heard = transforms.of_hop(error)
    noise_weight: Operand = 2.0 * config.noise_weight
    process: str | None = None
    if config.gain_hidden:
        noise_before = g.op("Where", unadapted, power(g, heard), noise)
        unsure = g.reduce("Sum", g.op("Mul", far_power, variance), [1])

        def newest(spectra: str) -> str:
            return g.reshape(g.slice(spectra, 1, 0, 1), 1, BINS)

        noise_factor, process = gain_controller(
            g,
            config.gain_hidden,
            weights,
            error=(heard.re, heard.im),
            echo=_parts(transforms.of_hop(prior)),
            far=(newest(far.re), newest(far.im)),
            mic_power=power(g, transforms.of_hop(mic)),
            far_power=g.reduce("Sum", far_power, [1]),
            unsure=unsure,
            noise=noise_before,
            unadapted=unadapted,
            adapts=adapts,
        )
        noise_weight = scaled(noise_factor, noise_weight)

    keep = config.transition**2
    grown = scaled(g.op("Add", power(g, old), config.process_floor * sizes), 1.0 - keep)
    grown = grown if process is None else g.op("Mul", grown, process)
    variance = g.op("Add", scaled(variance, keep), grown)
    now, before = old, noise
    share = config.noise_smoothing
    for round_ in range(config.iterations):
        heard = transforms.of_hop(error) if round_ else heard
        level = power(g, heard)
        smoothed = g.op("Add", scaled(before, share), scaled(level, 1.0 - share))
        noise = g.op("Where", unadapted, level, smoothed)
        explained = scaled(g.reduce("Sum", g.op("Mul", far_power, variance), [1]), 1.0 + RESTRAINT)
        whole = g.op("Add", g.op("Add", explained, g.op("Mul", noise, noise_weight)), NOISE_FLOOR)
        step = g.op("Div", variance, whole)
        re = g.op("Add", g.op("Mul", far.re, heard.re), g.op("Mul", far.im, heard.im))
        im = g.op("Sub", g.op("Mul", far.re, heard.im), g.op("Mul", far.im, heard.re))
        now = Pair(*(_limited(g, g.op("Add", w, g.op("Mul", step, d))) for w, d in ((now.re, re), (now.im, im))))
        lost = scaled(g.op("Mul", step, far_power), 0.5)
        variance = g.op("Mul", variance, g.op("Sub", 1.0, lost))
        if round_ == config.iterations - 1:
            now = _cut(g, transforms, now, constrained)
        echo = echo_of(now)
        error = g.op("Sub", mic, echo)

    left, given = (g.reduce("Sum", g.op("Mul", x, x), [1], keep=True) for x in (error, mic))
    wrong = g.op("Greater", left, g.op("Add", scaled(given, DIVERGED), INAUDIBLE))
    new = {
        "weights_re": (g.op("Where", wrong, 0.0, now.re), old.re),
        "weights_im": (g.op("Where", wrong, 0.0, now.im), old.im),
        "variance": (g.op("Where", wrong, config.initial_variance * sizes, variance), state.variance),
        "noise": (noise, state.noise),
    }
    for name, (value, unchanged) in new.items():
        g.keep(f"kalman.{name}", g.op("Where", adapts, value, unchanged))
    echo = g.op("Where", adapts, g.op("Where", wrong, 0.0, echo), prior)
    return g.op("Sub", mic, echo), echo


def _parts(z: Pair) -> tuple[str, str]:
    return z.re, z.im


def _limited(g: Graph, value: str) -> str:
    return g.op("Clip", value, -GAIN_LIMIT, GAIN_LIMIT)


def _cut(g: Graph, transforms: Transforms, weights: Pair, constrained: str) -> Pair:
    """One partition, to its 256 taps."""
    cut = transforms.cut(Pair(*(g.reduce("Sum", g.op("Mul", w, constrained), [1]) for w in _parts(weights))))
    flag = g.flag(constrained)
    return Pair(*(g.op("Where", flag, c, w) for c, w in zip(_parts(cut), _parts(weights), strict=True)))
