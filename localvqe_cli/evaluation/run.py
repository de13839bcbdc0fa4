"""Score many clips, in parallel where that pays, in flat memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

from ..errors import LocalVQEError
from ..metrics import FIELDS
from .inputs import Clip
from .result import ClipOutcome, Evaluation, Problem, SystemInfo
from .scenario import sort_key
from .scoring import Plan, Settings, finish, plan

__all__ = ["evaluate"]

Progress = Callable[[float, float | None], None]

# Plans waiting for a worker: enough to keep all busy, few enough to cost nothing.
_AHEAD = 3
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def evaluate(
    clips: Sequence[Clip],
    systems: Sequence[SystemInfo],
    settings: Settings,
    *,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Evaluation:
    """Score every system on every clip.

    What goes wrong with one clip, system or metric becomes a problem of the result; the rest goes on.

    Args:
        jobs: processes; 1 computes here.
        progress: called with the clips done and their number.

    Raises:
        LocalVQEError: a worker died.
    """
    order = {clip.id: index for index, clip in enumerate(clips)}
    outcomes: list[ClipOutcome] = []
    for outcome in _outcomes(clips, tuple(systems), settings, jobs):
        outcomes.append(outcome)
        if progress is not None:
            progress(len(outcomes), len(clips))
    outcomes.sort(key=lambda outcome: (sort_key(outcome.scenario), order[outcome.id]))
    problems: dict[Problem, None] = {}
    for outcome in outcomes:
        problems.update(dict.fromkeys(outcome.problems))
    asked = [item.key for item in FIELDS if item.group in settings.groups]
    if any(system.kind == "model" for system in systems):
        asked.append("realtime_factor")
    return Evaluation(list(systems), outcomes, asked, list(problems))


def _outcomes(
    clips: Sequence[Clip], systems: tuple[SystemInfo, ...], settings: Settings, jobs: int
) -> Iterator[ClipOutcome]:
    """Outcomes in any order."""
    plans = (plan(clip, systems, settings) for clip in clips)
    if jobs == 1 or len(clips) == 1:
        for made in plans:
            yield _finish(made, systems, settings)
        return
    pool: ProcessPoolExecutor | None = None
    waiting: set[Future[ClipOutcome]] = set()
    try:
        for made in plans:
            if not any(made.todo.values()):
                yield made.outcome
                continue
            if pool is None:  # a run that finds everything in the cache starts no process
                pool = ProcessPoolExecutor(
                    min(jobs, len(clips)), mp_context=get_context("spawn"), initializer=_start_worker
                )
                _limit_threads()
            waiting.add(pool.submit(_finish, made, systems, settings))
            if len(waiting) >= jobs * _AHEAD:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    except BrokenProcessPool as exc:
        raise LocalVQEError(
            "a worker process died, perhaps for lack of memory; try fewer with --jobs (finished clips are kept)"
        ) from exc
    finally:
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)


def _finish(made: Plan, systems: tuple[SystemInfo, ...], settings: Settings) -> ClipOutcome:
    return finish(made, systems, settings) if any(made.todo.values()) else made.outcome


def _limit_threads() -> None:
    # Read by libraries when they are loaded, so they must be there before a worker starts.
    for name in _THREAD_VARIABLES:
        os.environ.setdefault(name, "1")


def _start_worker() -> None:
    import signal

    # Ctrl-C reaches every process of the terminal; the parent alone decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
