"""From what was asked for to what is to be done: clips, systems and settings of an evaluation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..errors import UsageError
from ..metrics import DEFAULT_GROUPS, GROUPS
from .cache import default_folder
from .inputs import Clip, attach_outputs, clips_from_folders, read_sources, with_scenario
from .result import SystemInfo
from .scoring import Settings
from .systems import MIC, Named, engine_identity, model_system, output_systems

__all__ = ["Setup", "prepare"]


@dataclass(frozen=True)
class Setup:
    """What is to be done.

    Attributes:
        clips: with the outputs of every system that is not run.
        systems: the unprocessed mic first.
        settings: how every clip is treated.
        notes: what a reader of the result should know.
    """

    clips: list[Clip]
    systems: list[SystemInfo]
    settings: Settings
    notes: list[str] = field(default_factory=list)


def prepare(
    sources: Sequence[str],
    *,
    mic: str | None = None,
    ref: str | None = None,
    target: str | None = None,
    scenario: str | None = None,
    models: Sequence[Named] = (),
    enhanced: Sequence[Named] = (),
    metrics: Sequence[str] | None = None,
    align: bool = True,
    cache: bool = True,
    backend: str = "auto",
    device: int = 0,
    precision: str = "auto",
) -> Setup:
    """Read lists and folders, load each model once, and choose the metrics; arguments as for :func:`evaluate`.

    Raises:
        UsageError, ModelError, EngineError: as :func:`evaluate`.
    """
    groups, notes = _groups(metrics)
    clips = _clips(sources, mic, ref, target, scenario)
    clips, systems = _systems(clips, models, enhanced, backend, device, precision)
    runs = any(system.kind == "model" for system in systems)
    engine = engine_identity(backend, device, precision) if runs else ""
    settings = Settings(groups, align, engine, default_folder() if cache else None, backend, device, precision)
    return Setup(clips, systems, settings, notes)


def _groups(metrics: Sequence[str] | None) -> tuple[tuple[str, ...], list[str]]:
    """The metrics to compute, and a sentence on those that nobody asked for and that are not installed."""
    if metrics is None:
        lacking = [GROUPS[name] for name in DEFAULT_GROUPS if not GROUPS[name].installed]
        missed = [group for group in lacking if not group.optional]
        names = ", ".join(group.name for group in missed)
        extras = ",".join(dict.fromkeys(group.extra for group in missed))
        groups = tuple(name for name in DEFAULT_GROUPS if GROUPS[name] not in lacking)
        return groups, [f"not computed: {names}; they need pip install 'localvqe[{extras}]'"] if missed else []
    chosen = [name.strip().lower() for name in metrics if name.strip()]
    for name in chosen:
        if name not in GROUPS:
            raise UsageError(f"--metrics {name}: no such metric; choose from {', '.join(GROUPS)}")
    if not chosen:
        raise UsageError(f"--metrics is empty; choose from {', '.join(GROUPS)}")
    return tuple(name for name in GROUPS if name in chosen), []


def _clips(
    sources: Sequence[str], mic: str | None, ref: str | None, target: str | None, scenario: str | None
) -> list[Clip]:
    if sources:
        if mic is not None or ref is not None or target is not None:
            raise UsageError("SOURCE lists mics, references and targets itself; drop --mic, --ref and --target")
        return read_sources(sources, scenario=scenario)
    if mic is None or ref is None:
        raise UsageError("nothing to score: name a manifest or a folder, or --mic DIR --ref DIR")
    clips = clips_from_folders(mic, ref, target)
    return clips if scenario is None else with_scenario(clips, scenario)


def _systems(
    clips: list[Clip],
    models: Sequence[Named],
    enhanced: Sequence[Named],
    backend: str,
    device: int,
    precision: str,
) -> tuple[list[Clip], list[SystemInfo]]:
    places: dict[str, str] = {}
    for given, folder in enhanced:
        name = given or os.path.basename(os.path.normpath(folder))
        if name in places:
            raise UsageError(f"two folders of outputs are called {name}; name one with --enhanced NAME=DIR")
        places[name] = folder
    clips = attach_outputs(clips, places)
    outputs = output_systems(clips, places)
    ran = [model_system(name, model, backend, device, precision) for name, model in models]
    if not ran and not outputs:
        ran = [model_system(None, None, backend, device, precision)]
    systems = [SystemInfo(MIC, "unprocessed"), *ran, *outputs]
    names = [system.name for system in systems]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two systems are called {name}; name one with NAME=...")
    return clips, systems
