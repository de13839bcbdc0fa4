"""Who speaks when: spurts of the far and the near end over a scene, with the pauses that calls have.

A spurt is a pair (start, stop) in samples. Inside one a voice goes on, with the short gaps between its sentences.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..geometry import MODEL_RATE

__all__ = ["Spurts", "Turns", "alone", "together"]

Spurts = list[tuple[int, int]]

#: Longest pause of one side, s; where the scene is too short for it, 70 % of the scene.
LONGEST_PAUSE = 15.0
_SHORTEST_SPURT = 0.4
#: A side that takes part speaks at least for this share of the scene, and at most for this many seconds at least.
_LEAST_SHARE, _LEAST_SECONDS = 0.25, 1.5


@dataclass(frozen=True)
class Turns:
    """Spurts of both sides, each in order and without overlap."""

    far: Spurts
    near: Spurts


def alone(rng: np.random.Generator, length: int, pause_share: float) -> Spurts:
    """One side speaks and the other does not take part.

    Args:
        length: of the scene, samples.
        pause_share: chance of one long pause, at the beginning or later.
    """
    spurts = _chatter(rng, 0, length, float(rng.uniform(0.0, 0.4)))
    if rng.random() < pause_share:
        spurts = _without(spurts, *_long_pause(rng, length))
    return _at_least(rng, spurts, length)


def together(rng: np.random.Generator, length: int, overlap_share: float, pause_share: float) -> Turns:
    """Both sides speak.

    Of three kinds of scene: both speak nearly all the time (``overlap_share``); parts of far end only, both and near
    end only in any order; or turns, one after the other with little overlap.

    Args:
        length: of the scene, samples.
        pause_share: chance of one long pause of the far end; half of that for the near end.
    """
    kind = rng.random()
    if kind < overlap_share:
        far, near = (_chatter(rng, 0, length, float(rng.uniform(0.0, 0.3))) for _ in range(2))
    elif kind < overlap_share + 0.55 * (1.0 - overlap_share):
        far, near = _parts(rng, length)
    else:
        far, near = _turns(rng, length)
    sides = []
    for spurts, share in ((far, pause_share), (near, 0.5 * pause_share)):
        if rng.random() < share:
            spurts = _without(spurts, *_long_pause(rng, length))
        sides.append(_at_least(rng, spurts, length))
    return Turns(*sides)


def _chatter(rng: np.random.Generator, start: int, stop: int, pause: float) -> Spurts:
    """Spurts of 3.6 s and pauses of ``pause`` seconds in the mean; begins with either."""
    spurts: Spurts = []
    at = start if rng.random() < 0.5 else start + int(rng.exponential(pause) * MODEL_RATE)
    while stop - at > _SHORTEST_SPURT * MODEL_RATE:
        end = min(stop, at + int((0.8 + rng.gamma(2.0, 1.4)) * MODEL_RATE))
        spurts.append((at, end))
        at = end + int((0.05 + rng.exponential(pause)) * MODEL_RATE)
    return spurts


def _parts(rng: np.random.Generator, length: int) -> tuple[Spurts, Spurts]:
    """Two to four parts of random length; in each the far end, the near end or both speak, each of them somewhere."""
    who = ["far", "near", "both"]
    order = [who[i] for i in rng.permutation(3)]
    if length < 6 * MODEL_RATE:
        order = order[:2] if "both" in order[:2] else [*order[:1], "both"]
    elif length > 12 * MODEL_RATE and rng.random() < 0.4:
        order.append(who[int(rng.integers(3))])
    edges = np.cumsum(rng.dirichlet(np.full(len(order), 4.0))) * length
    far: Spurts = []
    near: Spurts = []
    start = 0
    for part, edge in zip(order, edges, strict=True):
        stop = int(edge)
        if part != "near":
            far += _chatter(rng, start, stop, float(rng.uniform(0.0, 0.3)))
        if part != "far":
            near += _chatter(rng, start, stop, float(rng.uniform(0.0, 0.3)))
        start = stop
    return far, near


def _turns(rng: np.random.Generator, length: int) -> tuple[Spurts, Spurts]:
    """Turns of a few seconds; the next begins a little after the end of the last, or before it."""
    sides: tuple[Spurts, Spurts] = ([], [])
    side, at = int(rng.integers(2)), int(rng.exponential(0.4) * MODEL_RATE)
    free = [0, 0]  # until when each side still speaks
    while length - at > _SHORTEST_SPURT * MODEL_RATE:
        start = max(at, free[side])
        stop = min(length, start + int((0.6 + rng.gamma(2.0, 1.4)) * MODEL_RATE))
        if stop - start > _SHORTEST_SPURT * MODEL_RATE:
            sides[side].append((start, stop))
            free[side] = stop
        at = max(stop + int(rng.normal(0.15, 0.6) * MODEL_RATE), at + int(_SHORTEST_SPURT * MODEL_RATE))
        side = 1 - side
    return sides


def _long_pause(rng: np.random.Generator, length: int) -> tuple[int, int]:
    longest = min(LONGEST_PAUSE * MODEL_RATE, 0.7 * length)
    duration = int(rng.uniform(min(1.5 * MODEL_RATE, longest), longest))
    start = 0 if rng.random() < 0.5 else int(rng.uniform(0, length - duration))
    return start, start + duration


def _without(spurts: Spurts, first: int, last: int) -> Spurts:
    """``spurts`` with [first, last) cut out."""
    pieces = [piece for start, stop in spurts for piece in ((start, min(stop, first)), (max(start, last), stop))]
    return [(start, stop) for start, stop in pieces if stop - start > 0.25 * MODEL_RATE]


def _at_least(rng: np.random.Generator, spurts: Spurts, length: int) -> Spurts:
    """``spurts``, or one of its own where hardly anything is left."""
    least = min(int(_LEAST_SHARE * length), int(_LEAST_SECONDS * MODEL_RATE))
    if sum(stop - start for start, stop in spurts) >= least:
        return spurts
    duration = int(rng.uniform(1.0, 2.0) * least)
    start = int(rng.uniform(0, length - duration))
    return [(start, start + duration)]
