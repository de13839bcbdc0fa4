"""The small recurrent network that sets the adaptive filter's gain, for all bins at once; see ``reference``."""

from __future__ import annotations

import numpy as np

from ..config import GAIN_FEATURES
from ..geometry import BINS
from ..reference.frontend_gain import (
    COHERENCE_FLOOR,
    FAST,
    LARGEST,
    LEVEL_FLOOR,
    LOG_LIMIT,
    LOG_SCALE,
    SLOW,
    SPEECH_LIKE,
    TONAL,
    TONALITY_MEMORY,
    USUAL_TONALITY,
)
from ..tensors import FRONTEND_GAIN
from .graph import Graph, Weights

__all__ = ["gain_controller"]


def gain_controller(
    g: Graph,
    hidden: int,
    weights: Weights,
    *,
    error: tuple[str, str],
    echo: tuple[str, str],
    far: tuple[str, str],
    mic_power: str,
    far_power: str,
    unsure: str,
    noise: str,
    unadapted: str,
    adapts: str,
) -> tuple[str, str]:
    """Factors of observation noise and process noise, (1, F) each; spectra and powers are (1, F), flags (1, 1)."""

    def product(a: str, b: str) -> str:
        return g.op("Mul", a, b)

    def total(a: str, b: str) -> str:
        return g.op("Add", a, b)

    def kept(name: str, value: str, before: str) -> str:
        g.keep(f"frontend_gain.{name}", g.op("Where", adapts, value, before))
        return value

    def mixed(before: str, now: str, memory: float) -> str:
        return total(g.op("Mul", before, memory), g.op("Mul", now, 1.0 - memory))

    def level(name: str, now: str, memory: float, *, starts: bool = False) -> str:
        before = g.state(f"frontend_gain.{name}", 1, BINS)
        value = mixed(before, now, memory)
        return kept(name, g.op("Where", unadapted, now, value) if starts else value, before)

    def correlation(name: str, a: tuple[str, str], b: tuple[str, str]) -> str:
        """Squared size of the smoothed product of a and the conjugate of b."""
        re = level(f"{name}_re", total(product(a[0], b[0]), product(a[1], b[1])), FAST)
        im = level(f"{name}_im", g.op("Sub", product(a[1], b[0]), product(a[0], b[1])), FAST)
        return total(product(re, re), product(im, im))

    error_power, echo_power = (total(product(re, re), product(im, im)) for re, im in (error, echo))
    usual = level("far", far_power, SLOW, starts=True)
    slow_error, slow_echo = level("error", error_power, FAST), level("echo", echo_power, FAST)
    joint = correlation("cross", error, echo)
    coherence = g.op("Div", joint, g.op("Add", product(slow_error, slow_echo), COHERENCE_FLOOR))

    def mean(x: str) -> str:
        return g.reduce("Mean", x, [1], keep=True)

    def everywhere(x: str) -> str:
        return g.op("Expand", x, g.constant([1, BINS], np.int64))

    # All ratios in one piece: rows of numerators over rows of denominators.
    above = [error_power, echo_power, unsure, far_power, mic_power]
    below = [noise, error_power, error_power, usual, error_power]
    above += [everywhere(mean(mic_power)), everywhere(mean(echo_power))]
    below += [everywhere(mean(error_power))] * 2
    ratio = g.op("Div", g.op("Add", g.concat(0, *above), LEVEL_FLOOR), g.op("Add", g.concat(0, *below), LEVEL_FLOOR))
    logs = g.op("Mul", g.op("Clip", g.op("Log", ratio), -LOG_LIMIT, LOG_LIMIT), LOG_SCALE)
    first, whole = g.split(logs, 0, 5, 2)
    surprise = g.slice(first, 0, 2, 3)
    place = (np.arange(BINS) * (2.0 / (BINS - 1)) - 1.0)[None]
    features = g.concat(0, first, coherence, whole, everywhere(mean(surprise)), everywhere(mean(coherence)), place)
    assert len(above) + 4 == GAIN_FEATURES
    hidden_now = _recur(g, hidden, weights, g.op("Transpose", features, perm=[1, 0]), adapts)
    name = f"{FRONTEND_GAIN}.out"
    out = g.op("Gemm", hidden_now, weights[f"{name}.weight"], weights[f"{name}.bias"], transB=1)
    # How predictable the far end is, and how far the controller is to be trusted.
    before = [g.state(f"frontend_gain.before_{part}", 1, BINS) for part in ("re", "im")]
    recent_before = g.state("frontend_gain.recent", 1, BINS)
    recent = level("recent", total(product(far[0], far[0]), product(far[1], far[1])), FAST, starts=True)
    steady = correlation("steady", far, (before[0], before[1]))
    for part, now, then in zip(("re", "im"), far, before, strict=True):
        kept(f"before_{part}", now, then)
    share = g.op("Div", steady, g.op("Add", product(recent, recent_before), COHERENCE_FLOOR))
    weighted, weight = (g.reduce("Sum", x, [1], keep=True) for x in (product(share, recent), recent))
    tonality_before = g.state("frontend_gain.tonality", 1, 1)
    tonality = mixed(
        g.op("Where", unadapted, USUAL_TONALITY, tonality_before),
        g.op("Div", weighted, g.op("Add", weight, LEVEL_FLOOR)),
        TONALITY_MEMORY,
    )
    kept("tonality", tonality, tonality_before)
    beyond = g.op("Sub", TONAL, tonality)
    trust = g.op("Clip", g.op("Mul", beyond, 1.0 / (TONAL - SPEECH_LIKE)), 0.0, 1.0)
    strength = product(g.op("Tanh", g.op("Transpose", out, perm=[1, 0])), g.op("Mul", trust, LARGEST))
    factors = g.op("Exp", strength)
    noise_factor, process_factor = g.split(factors, 0, 1, 1)
    return noise_factor, process_factor


def _recur(g: Graph, hidden: int, weights: Weights, x: str, adapts: str) -> str:
    """A gated recurrent unit: features (F, 11) -> states (F, H)."""
    before = g.state("frontend_gain.hidden", BINS, hidden)

    def linear(value: str, part: str) -> list[str]:
        name = f"{FRONTEND_GAIN}.{{}}_{part}"
        out = g.op("Gemm", value, weights[name.format("weight")], weights[name.format("bias")], transB=1)
        return g.split(out, 1, hidden, hidden, hidden)

    new, old = linear(x, "ih"), linear(before, "hh")
    reset, update = (g.op("Sigmoid", g.op("Add", new[i], old[i])) for i in (0, 1))
    state = g.op("Tanh", g.op("Add", new[2], g.op("Mul", reset, old[2])))
    # (1 - update) state + update before
    now = g.op("Add", state, g.op("Mul", update, g.op("Sub", before, state)))
    g.keep("frontend_gain.hidden", g.op("Where", adapts, now, before))
    return now
