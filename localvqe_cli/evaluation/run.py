"""Score many clips, in parallel where that pays, in flat memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ..errors import UsageError
from ..metrics import FIELDS
from ..worker_pool import Died, Report, run_in_processes
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
    precision: str = "auto",
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
        backend, device, precision: where the models run and in what numbers, as for :class:`Enhancer`.
        progress: called with the clips done and their number.

    Raises:
        UsageError: a list or folder cannot be read or holds no clip, a name is unknown or stands twice, or a backend,
            device or precision is not there.
        ModelError, EngineError: a model cannot be used.
        LocalVQEError: no worker process can be started.
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
        precision=precision,
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
        LocalVQEError: no worker can be started.
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
    known: list[ClipOutcome] = []  # what is in the cache needs no worker
    given: list[Clip] = []

    def unknown() -> Iterator[Plan]:
        for made in plans:
            if any(made.todo.values()):
                given.append(made.clip)
                yield made
            else:
                known.append(made.outcome)

    if jobs == 1 or len(clips) == 1:
        for made in unknown():
            yield from _taken(known)
            yield finish(made, systems, settings)
    else:
        work = _Finish(systems, settings)
        for index, outcome in run_in_processes(work, unknown(), min(jobs, len(clips))):
            yield from _taken(known)
            yield _of_dead(given[index], outcome) if isinstance(outcome, Died) else outcome
    yield from known


def _taken(known: list[ClipOutcome]) -> list[ClipOutcome]:
    found = known[:]
    known.clear()
    return found


def _of_dead(clip: Clip, death: Died) -> ClipOutcome:
    return ClipOutcome(clip.id, clip.scenario, problems=[Problem(death.reason, clip.id)])


@dataclass(frozen=True)
class _Finish:
    """What a worker does with a plan."""

    systems: tuple[SystemInfo, ...]
    settings: Settings

    def __call__(self, made: Plan, report: Report) -> ClipOutcome:
        return finish(made, self.systems, self.settings)
