"""An adaptive linear filter before the network: delay search and Kalman filter, without branches.

Every decision of ``reference/frontend.py`` is a choice between two values here. Counters are numbers like all else, and
wrap or stop before they lose ones.
"""

from __future__ import annotations

import math

import numpy as np

from ..config import FrontendConfig
from ..geometry import BINS
from ..reference import frontend as numbers
from .filterbank import frames
from .graph import Graph, Weights
from .kalman import kalman_step, moved_filter
from .transforms import Pair, Transforms, power

__all__ = ["FrameCounter", "frontend"]

_LOW, _HIGH = numbers.SEARCH_LOW, numbers.SEARCH_HIGH
_SEARCHED = _HIGH - _LOW


class FrameCounter:
    """How many hops there were, as far as anybody has to know: it wraps at a multiple of all periods, never to zero."""

    def __init__(self, g: Graph, *periods: int) -> None:
        self._g = g
        self._count = g.state("frames", 1)
        wrap = float(math.lcm(*periods))
        after = g.op("Add", self._count, 1.0)
        g.keep("frames", g.op("Where", g.op("Less", after, 2.0 * wrap), after, wrap))
        #: Flag (1,): this is the first hop.
        self.first = g.op("Equal", self._count, 0.0)

    def place(self, period: int) -> str:
        """The hop's place in a period, (1,)."""
        return self._g.op("Mod", self._count, float(period), fmod=1)


def frontend(
    g: Graph,
    config: FrontendConfig,
    weights: Weights,
    transforms: Transforms,
    counter: FrameCounter,
    mic: str,
    ref: str,
) -> tuple[str, str]:
    """Hops of microphone and reference -> error and echo hops, (1, 256) each."""
    parts, lags = config.partitions, config.lags
    both = frames(g, "frontend.samples", g.concat(0, ref, mic), 2)
    now = g.reshape(transforms.of_frame(both), 2, 2, 1, BINS)
    far = g.reshape(g.slice(now, 0, 0, 1), 2, 1, BINS)
    spectra = g.concat(1, far, g.state("frontend.spectra", 2, lags + parts - 1, BINS))
    g.keep("frontend.spectra", g.slice(spectra, 1, 0, lags + parts - 1))
    by, offset, idle = _delay_search(g, lags, now, ref)
    place = g.op("Add", np.arange(parts), offset)
    used = g.split(g.gather(spectra, g.index(place), 1), 0, 1, 1)
    turn = g.number(g.op("Equal", np.arange(parts), counter.place(parts)))
    hears = g.op("Less", idle, g.op("Add", offset, float(parts)))
    adapted = g.state("frontend.adapted", 1, 1)
    adapts = g.reshape(hears, 1, 1)
    g.keep("frontend.adapted", g.op("Max", adapted, g.number(adapts)))
    state = moved_filter(g, config, counter.first, by)
    return kalman_step(
        g,
        config,
        weights,
        transforms,
        state,
        Pair(used[0], used[1]),
        mic,
        g.op("Equal", adapted, 0.0),
        adapts,
        g.reshape(turn, 1, parts, 1),
    )


def _delay_search(g: Graph, lags: int, spectra: str, ref: str) -> tuple[str, str, str]:
    """Listen to one frame.

    Args:
        spectra: of the frame, (2, 2, 1, 257): reference and microphone, real and imaginary part.
        ref: the reference's hop, (1, 256).

    Returns:
        By how many frames the delay grew, how many it is now, and how many ago the last active one was, (1,) each.
    """
    level = g.reduce("Mean", g.op("Mul", ref, ref), [1])
    peak = g.op("Max", g.op("Min", level, 1.0), g.op("Mul", g.state("search.peak", 1), numbers.PEAK_MEMORY))
    g.keep("search.peak", peak)
    loud = g.op("Greater", level, g.op("Mul", peak, numbers.ACTIVE_SHARE))
    active = g.op("And", loud, g.op("Greater", level, numbers.ACTIVE_FLOOR))

    def learned(name: str, now: str, then: str) -> str:
        value = g.op("Where", active, now, then)
        g.keep(name, value)
        return value

    heard_before = g.state("search.heard", 1)
    memory = g.op("Where", g.op("Greater", heard_before, 0.0), numbers.WHITENING_MEMORY, 0.0)
    heard = g.op("Min", g.op("Add", heard_before, g.number(active)), float(numbers.HEARD_ENOUGH))
    g.keep("search.heard", heard)
    # Zero at the start, when nothing was active for as long as anybody asks.
    longest = float(numbers.IDLE_AT_START)
    waited = g.op("Sub", longest, g.state("search.since", 1))
    idle = g.op("Where", active, 0.0, g.op("Min", g.op("Add", waited, 1.0), longest))
    g.keep("search.since", g.op("Sub", longest, idle))

    # Row 0 is the reference, row 1 the microphone.
    parts = [g.reshape(part, 2, 1, _SEARCHED) for part in g.split(_hann(g, spectra), 1, 1, 1)]
    now = power(g, Pair(*parts))
    before = g.state("search.power", 2, 1, _SEARCHED)
    mixed = g.op("Add", g.op("Mul", before, memory), g.op("Mul", now, g.op("Sub", 1.0, memory)))
    usual = learned("search.power", mixed, before)
    size = g.op("Sqrt", g.op("Add", g.op("Max", usual, now), numbers.WHITENING_FLOOR))
    whitened = [g.split(g.op("Div", part, size), 0, 1, 1) for part in parts]
    # (1, 1, bins) each: the newest of the reference's, and the microphone's.
    new, flat = Pair(whitened[0][0], whitened[1][0]), Pair(whitened[0][1], whitened[1][1])

    def ring(name: str, newest: str) -> str:
        rows = g.concat(1, newest, g.state(name, 1, lags - 1, _SEARCHED))
        g.keep(name, g.slice(rows, 1, 0, lags - 1))
        return rows

    white = Pair(ring("search.white_re", new.re), ring("search.white_im", new.im))
    re = g.op("Add", g.op("Mul", white.re, flat.re), g.op("Mul", white.im, flat.im))
    im = g.op("Sub", g.op("Mul", white.re, flat.im), g.op("Mul", white.im, flat.re))

    def agreement(name: str, product: str) -> str:
        then = g.state(name, 1, lags, _SEARCHED)
        return learned(name, g.op("Add", g.op("Mul", then, numbers.SEARCH_MEMORY), product), then)

    agreed = Pair(agreement("search.agreement_re", re), agreement("search.agreement_im", im))
    score = g.reshape(g.reduce("Mean", power(g, agreed), [2]), lags)
    by, offset = _decide(g, lags, score, active, heard)
    return by, offset, idle


def _hann(g: Graph, spectra: str) -> str:
    """The searched bins of what a Hann window would have given."""
    middle, below, above = (g.slice(spectra, 3, _LOW + by, _HIGH + by) for by in (0, -1, 1))
    return g.op("Sub", g.op("Mul", middle, 0.5), g.op("Mul", g.op("Add", below, above), 0.25))


def _decide(g: Graph, lags: int, score: str, active: str, heard: str) -> tuple[str, str]:
    """By how many frames the delay grows, and how many it is then; ``score`` is (lags,), flags and counts (1,)."""
    offset = g.state("search.offset", 1)
    candidate, waiting = g.state("search.candidate", 1), g.state("search.patience", 1)
    # The lower of two medians, as in the reference: the last of the largest so many.
    half = lags - (lags - 1) // 2
    largest = g.ops("TopK", 2, score, g.constant([half], np.int64))[0]
    median, highest = g.slice(largest, 0, half - 1, half), g.slice(largest, 0, 0, 1)
    best = g.number(g.op("ArgMax", score, axis=0, keepdims=1))
    edge = g.op("Min", offset, float(numbers.MARGIN))  # zero at the start, where nothing comes before
    since = g.op("Sub", np.arange(lags), offset)
    near = _within(g, since, edge)
    in_use = g.reduce("Max", g.op("Where", near, score, 0.0), [0], keep=True)
    away = g.op("Not", _within(g, g.op("Sub", best, offset), edge))
    stands_out = g.op("Greater", highest, g.op("Mul", median, numbers.PROMINENCE))
    beats = g.op("Greater", highest, g.op("Mul", in_use, numbers.DOMINANCE))
    believed = g.op("And", away, g.op("And", stands_out, beats))
    counted = g.op("Add", g.op("Where", g.op("Equal", best, candidate), waiting, 0.0), 1.0)
    patience = g.op("Where", active, g.op("Where", believed, counted, 0.0), waiting)
    g.keep("search.candidate", g.op("Where", active, best, candidate))
    patient = g.op("Not", g.op("Less", patience, float(numbers.PATIENCE)))
    move = g.op("And", patient, g.op("Not", g.op("Less", heard, float(numbers.HEARD_ENOUGH))))
    g.keep("search.patience", g.op("Where", move, 0.0, patience))
    target = g.op("Max", g.op("Sub", best, float(numbers.MARGIN)), 0.0)
    by = g.op("Where", move, g.op("Sub", target, offset), 0.0)
    now = g.op("Add", offset, by)
    g.keep("search.offset", now)
    return by, now


def _within(g: Graph, since: str, edge: str) -> str:
    """Flags: lags since the filter's start that it hears the whole of."""
    return g.op("Equal", since, g.op("Max", g.op("Min", since, numbers.IN_PLACE - 1.0), edge))
