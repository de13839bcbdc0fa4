"""Score one clip: look up what is known, compute the rest.

:func:`plan` hashes and looks up, :func:`finish` reads audio, enhances and computes; the second runs in workers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ..audio import MODEL_RATE, ReadStats
from ..audio.queue import SampleQueue
from ..audio.resample import FloatArray
from ..engine import Enhancer, is_cpu
from ..errors import AudioError, LocalVQEError, MissingExtraError
from ..metrics import GROUPS, ClipSignals, Failure, Score, TalkType, Undefined
from ..metrics.signals import is_silent
from ..open_model import is_onnx, open_model
from ..signal_path import Model, align_reference, read_at_model_rate
from .cache import Record, ScoreCache, digest, file_sha256
from .inputs import Clip
from .result import ClipOutcome, ClipScores, Problem, SystemInfo
from .scenario import talk_type

__all__ = ["Output", "Plan", "Settings", "enhance_samples", "finish", "load_model", "plan", "signals_of"]

# Bump when the way from files to signals changes: it is part of every record's name.
_PATH_VERSION = 3
_SIGNAL = "signal"  # the record's entry for what was found about the signals themselves
_SPEED = "realtime_factor"
# An output this much shorter than its mic was cut off, not framed differently.
_SHORT_OUTPUT = 0.9


@dataclass(frozen=True)
class Settings:
    """How every clip of a run is treated.

    Attributes:
        groups: names of the metric groups to compute.
        align: shift and resample references as ``enhance --align auto`` does.
        engine: identity of the engine, where a model runs.
        cache: folder of known scores, or None.
        backend, device, precision: where models run and in what numbers, as for ``Enhancer``.
    """

    groups: tuple[str, ...]
    align: bool = True
    engine: str = ""
    cache: Path | None = None
    backend: str = "auto"
    device: int = 0
    precision: str = "auto"

    @property
    def on_cpu(self) -> bool:
        """Models run on the engine's own kernels."""
        return is_cpu(self.backend)


#: A system's output (n,) at 16 kHz, and the seconds that a second of it took; None where it was not computed here.
Output: TypeAlias = tuple[FloatArray, float | None]


@dataclass
class Plan:
    """A clip whose known scores are filled in.

    Attributes:
        keys, records: by system, of the cache.
        todo: by system, the entries still to be computed; empty once all is known.
        outputs: by system, what was enhanced together with other clips, or why it could not be.
    """

    clip: Clip
    outcome: ClipOutcome
    keys: dict[str, str] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    todo: dict[str, list[str]] = field(default_factory=dict)
    outputs: dict[str, Output | LocalVQEError] = field(default_factory=dict)


def plan(clip: Clip, systems: Iterable[SystemInfo], settings: Settings) -> Plan:
    """What is known about ``clip`` and what is to be computed. Unusable files become problems of the outcome."""
    outcome = ClipOutcome(clip.id, clip.scenario)
    made = Plan(clip, outcome)
    if clip.ref is None:
        outcome.problems.append(Problem("no reference found for it", clip.id))
        return made
    talk = talk_type(clip.scenario)
    try:
        mic, ref = file_sha256(clip.mic), file_sha256(clip.ref)
    except AudioError as exc:
        outcome.problems.append(Problem(str(exc), clip.id))
        return made
    target = None
    if clip.target is not None:
        try:
            target = file_sha256(clip.target)
        except AudioError as exc:
            outcome.problems.append(Problem(str(exc), clip.id, metric="target"))
    known = ScoreCache(settings.cache)
    for system in systems:
        try:
            identity = _identity(clip, system, settings)
        except AudioError as exc:
            outcome.problems.append(Problem(str(exc), clip.id, system.name))
            continue
        key = digest(_PATH_VERSION, talk and talk.value, mic, ref, target, identity)
        made.keys[system.name] = key
        made.records[system.name] = record = known.load(key)
        wanted = [_SIGNAL, *(g for g in settings.groups if target is not None or not GROUPS[g].needs_target)]
        made.todo[system.name] = [name for name in wanted if not _is_current(record.get(name), name)]
    if not any(made.todo.values()):
        _fill(made, settings)
        outcome.cached = bool(made.keys)
    return made


def finish(made: Plan, systems: Iterable[SystemInfo], settings: Settings) -> ClipOutcome:
    """Compute what :func:`plan` left open, keep it, and return the whole outcome. Raises nothing deliberate."""
    known = ScoreCache(settings.cache)
    clip, problems = made.clip, made.outcome.problems
    has_target = not any(problem.metric == "target" for problem in problems)
    audio = _ClipAudio(clip, clip.target if has_target else None, settings, made.outputs)
    for system in systems:
        todo = made.todo.get(system.name)
        if not todo:
            continue
        record = made.records[system.name]
        try:
            mic, ref, target = audio.mic, audio.ref, audio.target
            stats = ReadStats()
            enhanced, speed = audio.output_of(system, stats)
        except LocalVQEError as exc:
            # Of the clip itself where even the mic cannot be had, said once.
            whose = system.name if "mic" in audio.__dict__ and "ref" in audio.__dict__ else None
            problem = Problem(str(exc), clip.id, whose)
            if problem not in problems:
                problems.append(problem)
            made.records[system.name] = {}
            continue
        signals = ClipSignals(mic, ref, enhanced, target, talk_type(clip.scenario))
        for name in todo:
            if name == _SIGNAL:
                record[name] = _signal_entry(signals, system, speed, stats)
            else:
                _compute(name, signals, record, clip, system, problems)
        if any(GROUPS[name].fields and name in record for name in todo if name in GROUPS) or _SIGNAL in todo:
            known.store(made.keys[system.name], record)
    _fill(made, settings)
    return made.outcome


def enhance_samples(
    model: Model, mic: FloatArray, ref: FloatArray, *, align: bool, clock: Callable[[], float] = time.perf_counter
) -> tuple[FloatArray, float]:
    """The model's output for (n,) samples at 16 kHz, aligned with ``mic`` and as long, and the seconds it took.

    ``ref`` may have any length; with ``align`` it is shifted and resampled as ``enhance`` does it. Samples beyond full
    scale are kept.

    Raises:
        AudioError: the clip is shorter than a hop.
        LocalVQEError: the model gave samples that are no finite numbers.
    """
    hop = model.config.hop_length
    if min(mic.size, ref.size) < hop:
        raise AudioError(f"{1000.0 * min(mic.size, ref.size) / MODEL_RATE:.1f} ms is too short; hops last 16 ms")
    far = align_reference(mic, ref, model.config) if align else SampleQueue([ref]).take_padded(mic.size)
    started = clock()
    stream = model.stream(max_hops=model.clip_hops)
    out = np.concatenate([stream.process(mic, far), stream.flush()])[model.config.latency_samples :]
    seconds = clock() - started
    if not np.isfinite(out).all():
        raise LocalVQEError("the model's output is not finite; the model file may be damaged")
    return out, seconds


def signals_of(clip: Clip, systems: Iterable[SystemInfo], settings: Settings) -> dict[str, FloatArray]:
    """What can be heard of a clip, by name: mic, ref, target, every system's output; without what cannot be had."""
    audio = _ClipAudio(clip, clip.target, settings, {})
    found: dict[str, FloatArray] = {}
    with suppress(LocalVQEError):
        found = {"mic": audio.mic, "ref": audio.ref}
        if audio.target is not None:
            found["target"] = audio.target
    for system in systems:
        if system.name not in found and (system.kind == "model" or system.name in clip.outputs):
            with suppress(LocalVQEError):
                found[system.name] = audio.output_of(system, ReadStats())[0]
    return found


class _ClipAudio:
    """A clip's signals at 16 kHz, each read once and only if something needs it."""

    def __init__(
        self, clip: Clip, target: str | None, settings: Settings, outputs: dict[str, Output | LocalVQEError]
    ) -> None:
        self._clip = clip
        self._target = target
        self._settings = settings
        self._outputs = outputs

    @cached_property
    def mic(self) -> FloatArray:
        return read_at_model_rate(self._clip.mic)

    @cached_property
    def ref(self) -> FloatArray:
        assert self._clip.ref is not None
        return read_at_model_rate(self._clip.ref)

    @cached_property
    def target(self) -> FloatArray | None:
        return None if self._target is None else read_at_model_rate(self._target)

    def output_of(self, system: SystemInfo, stats: ReadStats) -> Output:
        """The system's output. Raises LocalVQEError where there is none."""
        if system.kind == "unprocessed":
            return self.mic, None
        if system.kind == "files":
            return read_at_model_rate(self._clip.outputs[system.name], stats=stats), None
        known = self._outputs.get(system.name)
        if isinstance(known, LocalVQEError):
            raise known
        if known is not None:
            return known
        assert system.source is not None
        model = load_model(system.source, self._settings)
        out, seconds = enhance_samples(model, self.mic, self.ref, align=self._settings.align)
        return out, seconds * MODEL_RATE / self.mic.size


def load_model(path: str, settings: Settings) -> Enhancer:
    """The model where it is to run, loaded once in a process."""
    return _load(path, settings.backend, settings.device, settings.precision)


@cache
def _load(path: str, backend: str, device: int, precision: str) -> Enhancer:
    return open_model(path, backend=backend, device=device, precision=precision)


def _identity(clip: Clip, system: SystemInfo, settings: Settings) -> list[Any]:
    if system.kind == "unprocessed":
        return ["mic"]
    if system.kind == "model":
        engine = settings.engine
        if is_onnx(system.source):
            engine = f"onnxruntime {version('onnxruntime')}"
        return ["model", system.sha256, engine, settings.align]
    path = clip.outputs.get(system.name)
    if path is None:
        raise AudioError("no output found for it")
    return ["file", file_sha256(path)]


def _entry_version(name: str) -> str:
    return "1" if name == _SIGNAL else GROUPS[name].version


def _is_current(entry: Any, name: str) -> bool:
    return isinstance(entry, dict) and entry.get("version") == _entry_version(name)


def _signal_entry(signals: ClipSignals, system: SystemInfo, speed: float | None, stats: ReadStats) -> Record:
    found: list[str] = []
    if system.kind == "unprocessed":
        if is_silent(signals.mic):
            found.append("the mic is silent")
        if is_silent(signals.ref) and signals.talk in (TalkType.FAR_END, TalkType.DOUBLE):
            found.append("the reference is silent, though somebody speaks at the far end")
        if signals.target is not None and is_silent(signals.target):
            found.append("the target is silent")
    else:
        if is_silent(signals.enhanced):
            found.append("the output is silent")
        if signals.enhanced.size < _SHORT_OUTPUT * signals.mic.size:
            lengths = f"{signals.enhanced.size / MODEL_RATE:.2f} of {signals.mic.size / MODEL_RATE:.2f} s"
            found.append(f"the output is shorter than the mic, {lengths}; only what it has is scored")
        if stats.bad_samples:
            found.append(f"{stats.bad_samples} samples of the output are no numbers; scored as zeros")
    seconds = signals.mic.size / MODEL_RATE
    return {"version": _entry_version(_SIGNAL), "seconds": seconds, "speed": speed, "problems": found}


def _compute(
    name: str, signals: ClipSignals, record: Record, clip: Clip, system: SystemInfo, problems: list[Problem]
) -> None:
    """Put the group's entry into ``record``, or a problem into ``problems``."""
    try:
        scores = GROUPS[name].compute(signals)
    except MissingExtraError as exc:
        problems.append(Problem(str(exc), metric=name))
        return
    except Exception as exc:  # a metric is other people's code; its failure must not stop the other clips
        reason = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
        problems.append(Problem(f"failed: {reason}", clip.id, system.name, name))
        return
    record[name] = {"version": _entry_version(name), "scores": {key: _to_json(s) for key, s in scores.items()}}


def _to_json(score: Score) -> dict[str, Any]:
    if isinstance(score, Undefined):
        return {"undefined": score.reason}
    if isinstance(score, Failure):
        return {"failure": score.reason, "value": score.value}
    return {"value": score} if np.isfinite(score) else {"failure": "the result is not finite", "value": None}


def _fill(made: Plan, settings: Settings) -> None:
    """The outcome's scores and problems, from the records."""
    outcome, clip = made.outcome, made.clip
    for system, record in made.records.items():
        signal = record.get(_SIGNAL)
        if signal is None:
            continue
        scores = outcome.systems[system] = ClipScores()
        outcome.seconds = signal["seconds"]
        whose = None if system == "mic" else system
        outcome.problems += [Problem(text, clip.id, whose) for text in signal["problems"]]
        for name in settings.groups:
            failures: dict[str, list[str]] = {}
            for key, score in record.get(name, {}).get("scores", {}).items():
                if score.get("value") is not None:
                    scores.values[key] = score["value"]
                if "undefined" in score:
                    scores.undefined[key] = score["undefined"]
                if "failure" in score:
                    failures.setdefault(score["failure"], []).append(key)
            for reason in failures:
                outcome.problems.append(Problem(reason, clip.id, system, name))
        if signal["speed"] is not None:
            scores.values[_SPEED] = signal["speed"]
