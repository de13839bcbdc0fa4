"""Score many clips, in parallel where that pays, in flat memory."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeAlias

from ..errors import LocalVQEError, UsageError
from ..metrics import FIELDS
from .inputs import Clip
from .prepare import prepare
from .result import ClipOutcome, Evaluation, Problem, SystemInfo
from .scenario import sort_key
from .scoring import Plan, Settings, finish, plan
from .systems import Named
from .together import enhance_together

__all__ = ["evaluate", "score"]

StrPath: TypeAlias = str | os.PathLike[str]
Systems: TypeAlias = StrPath | Sequence[StrPath] | Mapping[str, StrPath]
Progress = Callable[[float, float | None], None]

# Plans waiting for a worker: enough to keep all busy, few enough to cost nothing.
_AHEAD = 3
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def evaluate(
    pairs: StrPath | Sequence[StrPath] = (),
    *,
    models: Systems = (),
    enhanced: Systems = (),
    mic: StrPath | None = None,
    ref: StrPath | None = None,
    target: StrPath | None = None,
    scenario: str | None = None,
    metrics: Sequence[str] | None = None,
    align: bool = True,
    jobs: int = 1,
    cache: bool = True,
    backend: str = "auto",
    device: int = 0,
    progress: Progress | None = None,
) -> Evaluation:
    """Score models and outputs on recordings, beside the unprocessed microphone.

    What goes wrong with one clip, system or metric becomes a problem of the result; the rest goes on.

    Args:
        pairs: TSV or CSV with the columns id, scenario, mic, ref and where present target, or a folder of ``*_mic`` and
            ``*_lpb``; or several.
        models: models to run, by path or registry name; or a mapping from the name that each has in the result. The
            embedded one where neither models nor outputs are named.
        enhanced: folders of outputs to score as they are; or a mapping likewise.
        mic, ref, target: folders of microphones, references and clean speech, instead of ``pairs``.
        scenario: of the clips that name none.
        metrics: names such as ``aecmos`` and ``erle``; None is all that are installed.
        align: let models have references shifted as :func:`enhance_file` does.
        jobs: processes. More than 1 needs a script that guards its start with ``if __name__ == "__main__"``.
        cache: keep scores, and use those kept, found by content.
        backend, device: where the models run, as for :class:`Enhancer`.
        progress: called with the clips done and their number.

    Raises:
        UsageError: a list or folder cannot be read or holds no clip, a name is unknown or stands twice, or a backend or
            device is not there.
        ModelError, EngineError: a model cannot be used.
        LocalVQEError: a worker process died.
    """
    if jobs < 1:
        raise UsageError(f"jobs is {jobs}, expected 1 or more")
    sources = [pairs] if isinstance(pairs, str | os.PathLike) else pairs
    setup = prepare(
        [os.fspath(source) for source in sources],
        mic=_path(mic),
        ref=_path(ref),
        target=_path(target),
        scenario=scenario,
        models=_named(models),
        enhanced=_named(enhanced),
        metrics=metrics,
        align=align,
        cache=cache,
        backend=backend,
        device=device,
    )
    return score(setup.clips, setup.systems, setup.settings, notes=setup.notes, jobs=jobs, progress=progress)


def _named(systems: Systems) -> list[Named]:
    if isinstance(systems, Mapping):
        return [(name, os.fspath(path)) for name, path in systems.items()]
    if isinstance(systems, str | os.PathLike):
        return [(None, os.fspath(systems))]
    return [(None, os.fspath(path)) for path in systems]


def _path(path: StrPath | None) -> str | None:
    return None if path is None else os.fspath(path)


def score(
    clips: Sequence[Clip],
    systems: Sequence[SystemInfo],
    settings: Settings,
    *,
    notes: Sequence[str] = (),
    jobs: int = 1,
    progress: Progress | None = None,
) -> Evaluation:
    """Score every system on every clip; ``notes`` go into the result.

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
    return Evaluation(list(systems), outcomes, asked, list(problems), list(notes))


def _outcomes(
    clips: Sequence[Clip], systems: tuple[SystemInfo, ...], settings: Settings, jobs: int
) -> Iterator[ClipOutcome]:
    """Outcomes in any order."""
    plans = enhance_together((plan(clip, systems, settings) for clip in clips), systems, settings)
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
    # Ctrl-C reaches every process of the terminal; the parent alone decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
