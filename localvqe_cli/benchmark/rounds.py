"""Ways of running a model, measured in turn: what a shared machine does meanwhile meets all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from ..engine import measure_peak
from ..worker_pool import usable_cpus
from .result import is_busy, lower_quartile

__all__ = ["Conditions", "Times", "Way", "in_turn", "timed"]

Times = NDArray[np.float64]
#: One pass over the input: it returns the ms per hop that it measured, (n,).
Way = Callable[[], Times]

_PEAK_SECONDS = 0.1


class Conditions:
    """What the machine gave, looked at before, between and after what is measured.

    Args:
        threads: how many of them at once, for every way; more than the processors that this process may use count as
            so many.
    """

    def __init__(self, threads: Iterable[int]) -> None:
        self._peaks: list[float] = []
        self._shares: dict[int, list[float]] = {n: [] for n in sorted({1, *map(_at_once, threads)})}

    def look(self) -> None:
        """Measure once more."""
        for threads, shares in self._shares.items():
            peak, share = _peak(threads)
            shares.append(share)
            # Processors may be two halves of one core, which gives less to each while both run.
            if threads == 1:
                self._peaks.append(peak)

    @property
    def peak(self) -> float:
        """Multiply-adds per second of one core: the most that was seen."""
        return max(self._peaks)

    def cpu_share(self, threads: int) -> float:
        """Share of the time that so many threads had while each computed; a quarter of the looks had less."""
        return lower_quartile(self._shares[_at_once(threads)])

    def busy(self, threads: int) -> bool:
        """True where the figures of so many threads say little, see :func:`is_busy`."""
        return is_busy(self._shares[_at_once(threads)], self._peaks)


def in_turn(ways: Sequence[Way], rounds: int, threads: Iterable[int]) -> tuple[list[Times], Conditions]:
    """One pass of each way, then the next of each, ``rounds`` times.

    Args:
        threads: as for :class:`Conditions`.

    Returns:
        The times of each way, its passes one after the other, and what the machine gave meanwhile.
    """
    conditions = Conditions(threads)
    conditions.look()
    passes: list[list[Times]] = [[] for _ in ways]
    for _ in range(rounds):
        for way, taken in zip(ways, passes, strict=True):
            taken.append(way())
        conditions.look()
    return [np.concatenate(taken) for taken in passes], conditions


def timed(body: Callable[[], object], hops: int) -> Times:
    """ms per hop of one run of so many, (1,)."""
    started = time.perf_counter()
    body()
    return np.array([(time.perf_counter() - started) * 1e3 / hops])


def _at_once(threads: int) -> int:
    return min(threads, usable_cpus())


def _peak(threads: int) -> tuple[float, float]:
    """Multiply-adds per second of one of so many threads that compute at once, and the share of the time they had."""
    wall, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(threads) as pool:
        peaks = list(pool.map(measure_peak, [_PEAK_SECONDS] * threads))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return max(peaks), min(1.0, cpu / wall / threads)
