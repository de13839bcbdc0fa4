"""Figures of a scene and of what became of it. The parts of the microphone are known, so nothing has to be guessed.

What the filter's error holds beyond the talker and the background is echo that was left, or talker that was taken
away: the residual, ``out - near - noise``. That is exact, as subtracting leaves the rest alone. A stage that takes
noise away as well is judged by what it lets through where only the echo speaks, against the microphone.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .scenes import HOP, Scene, Stretch
from .signals import RATE

__all__ = ["Figures", "measure"]

Doubles = NDArray[np.float64]
#: A hop has echo if it is less than this far below the active level of the echo.
_ACTIVE_DB = 20.0
#: Hops of active echo in a second, and in the quarter of one.
_SECOND, _QUARTER = 62, 16
#: Attenuation that counts as converged, and seconds of active echo after which it is expected.
CONVERGED_DB = 10.0
SETTLED = 3.0


@dataclass
class Figures:
    """One scene's figures; None where the scene has nothing of the kind.

    Attributes:
        echo_db: attenuation, energies pooled, where SETTLED seconds of active echo were heard since the start or a
            change, and the near end is silent.
        worst_db: the lowest attenuation of any second of active echo there.
        double_echo_db: attenuation where both speak, likewise settled.
        first_db: attenuation of the first second of active echo.
        converged: seconds of active echo until CONVERGED_DB holds in every quarter of a second, for one second;
            infinite if never.
        converged_again: the same, counted from a change of the path; the longest.
        resume_db: attenuation of the first second of echo after a long pause, less that of the last three before it.
        near_db: SI-SDR of the near end, for a subtraction with its noise, where it speaks alone.
        double_db: the same in double talk.
        near_level_db: level of the output where the near end speaks alone, over that of the near end.
        false_db: energy taken away where there is no echo, over that of the microphone; of a subtraction.
        jumps: changes of the delay.
        late_jumps: those in stretches where the delay must stay, else those after SETTLED seconds of active echo.
        misplaced: share of the hops with active echo, settled, whose direct sound lies before the filter's first tap.
        per_second: attenuation of each second of the scene, None where it has no echo.
    """

    echo_db: float | None = None
    worst_db: float | None = None
    double_echo_db: float | None = None
    first_db: float | None = None
    converged: float | None = None
    converged_again: float | None = None
    resume_db: float | None = None
    near_db: float | None = None
    double_db: float | None = None
    near_level_db: float | None = None
    false_db: float | None = None
    jumps: int | None = None
    late_jumps: int | None = None
    misplaced: float | None = None
    per_second: list[float | None] | None = None


def measure(scene: Scene, out: Any, offset: NDArray[np.int64] | None = None, *, subtracted: bool = True) -> Figures:
    """Judge an output.

    Args:
        out: (N,), aligned with the scene.
        offset: the filter's delay in frames, (N // 256,), if known.
        subtracted: ``out`` is the microphone less an estimate of the echo; else anything may have become of it.
    """
    out = np.asarray(out, np.float64)
    echo = _energy(scene.echo)
    active = _active(scene, echo)
    if subtracted:
        wanted = scene.near.astype(np.float64) + scene.noise
        left = _energy(out - wanted)
    else:
        wanted = scene.near.astype(np.float64)
        # Reverberation outlasts a talker.
        talking = np.convolve(_energy(scene.near) > 1e-9 * HOP, np.ones(32))[: len(echo)] > 0
        active &= ~talking
        echo, left = _energy(scene.mic), _energy(out)
    figures = Figures(per_second=_per_second(echo, left, active))
    which = np.flatnonzero(active)
    settled = np.zeros(len(echo), bool)
    if len(which) > _SECOND:
        settled = _settled(scene, active)
        figures.first_db = _db(echo[which[:_SECOND]], left[which[:_SECOND]])
        figures.converged = _convergence(echo[which], left[which])
        double = _inside(scene.double, len(echo))
        judged = np.flatnonzero(settled & ~double)
        if len(judged) >= _SECOND:
            figures.echo_db = _db(echo[judged], left[judged])
            come, stayed = (np.convolve(x[judged], np.ones(_SECOND), "valid") for x in (echo, left))
            figures.worst_db = float(10 * np.log10(come / np.maximum(stayed, 1e-20)).min())
        if (settled & double).sum() >= _SECOND:
            figures.double_echo_db = _db(echo[settled & double], left[settled & double])
        again = [which[which >= _hop(t)] for t in scene.changes]
        again = [part for part in again if len(part) > _SECOND]
        if again:
            figures.converged_again = max(_convergence(echo[part], left[part]) for part in again)
        figures.resume_db = _resume(scene, which, echo, left)
    figures.near_db = _sdr(out, wanted, scene.near_alone)
    figures.double_db = _sdr(out, wanted, scene.double)
    if scene.near_alone:
        rows = _inside(scene.near_alone, len(echo))
        figures.near_level_db = _db(_energy(out)[rows], _energy(wanted)[rows])
    if scene.no_echo and subtracted:
        rows = _inside(scene.no_echo, len(echo))
        figures.false_db = _db(_energy(scene.mic - out)[rows], _energy(scene.mic)[rows])
    if offset is not None:
        _delay_figures(figures, scene, offset, settled)
    return figures


def _delay_figures(figures: Figures, scene: Scene, offset: NDArray[np.int64], settled: NDArray[np.bool_]) -> None:
    moved = np.concatenate([[False], np.diff(offset) != 0])
    figures.jumps = int(moved.sum())
    heard = settled if not scene.quiet else _inside(scene.quiet, len(moved))
    figures.late_jumps = int((moved & heard).sum()) if settled.any() or scene.quiet else figures.jumps
    if settled.any():
        figures.misplaced = float((offset * HOP > scene.delay + 8)[settled].mean())


def _energy(x: Any) -> Doubles:
    """(N,) -> energy of each hop, (N // 256,)."""
    result: Doubles = np.square(np.asarray(x, np.float64)).reshape(-1, HOP).sum(axis=1)
    return result


def _db(over: Doubles, under: Doubles) -> float:
    return float(10 * np.log10((over.sum() + 1e-20) / (under.sum() + 1e-20)))


def _hop(seconds: float) -> int:
    return round(seconds * RATE / HOP)


def _inside(stretches: list[Stretch], hops: int) -> NDArray[np.bool_]:
    rows = np.zeros(hops, bool)
    for start, end in stretches:
        rows[_hop(start) : _hop(end)] = True
    return rows


def _active(scene: Scene, echo: Doubles) -> NDArray[np.bool_]:
    if not echo.max(initial=0.0) > 1e-9:
        return np.zeros(len(echo), bool)
    loud = echo[echo > 1e-3 * np.quantile(echo, 0.98)].mean()
    return (echo > loud * 10 ** (-_ACTIVE_DB / 10)) & ~_inside(scene.no_echo, len(echo))


def _settled(scene: Scene, active: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Active hops that come after enough active ones since the start and since each change."""
    settled = np.zeros(len(active), bool)
    bounds = [0, *(_hop(t) for t in scene.changes), len(active)]
    for start, end in pairwise(bounds):
        heard = np.cumsum(active[start:end])
        settled[start:end] = active[start:end] & (heard > SETTLED * RATE / HOP)
    return settled


def _per_second(echo: Doubles, left: Doubles, active: NDArray[np.bool_]) -> list[float | None]:
    seconds = np.arange(len(echo)) * HOP // RATE
    result: list[float | None] = []
    for second in range(int(seconds[-1]) + 1):
        rows = (seconds == second) & active
        result.append(round(_db(echo[rows], left[rows]), 1) if rows.sum() >= 10 else None)
    return result


def _convergence(echo: Doubles, left: Doubles) -> float:
    """Seconds of active echo; the arrays hold active hops only."""
    ones = np.ones(_QUARTER)
    quarter = np.convolve(echo, ones, "valid") / np.maximum(np.convolve(left, ones, "valid"), 1e-20)
    good = quarter >= 10 ** (CONVERGED_DB / 10)
    last = max(0, len(good) - (_SECOND - _QUARTER))
    for start in np.flatnonzero(good[:last]):
        if good[start : start + _SECOND - _QUARTER + 1].all():
            return float(start * HOP / RATE)
    return float("inf")


def _resume(scene: Scene, which: NDArray[np.int64], echo: Doubles, left: Doubles) -> float | None:
    losses = []
    for time in scene.resumes:
        before, after = which[which < _hop(time)][-3 * _SECOND :], which[which >= _hop(time)][:_SECOND]
        if len(before) and len(after):
            losses.append(_db(echo[after], left[after]) - _db(echo[before], left[before]))
    return min(losses) if losses else None


def _sdr(out: Doubles, wanted: Doubles, stretches: list[Stretch]) -> float | None:
    if not stretches:
        return None
    rows = np.repeat(_inside(stretches, len(out) // HOP), HOP)
    x, target = out[rows], wanted[rows]
    if not np.square(target).sum() > 0.0:
        return None
    part = target * (np.dot(x, target) / np.dot(target, target))
    return min(100.0, float(10 * np.log10(np.square(part).sum() / (np.square(x - part).sum() + 1e-20))))
