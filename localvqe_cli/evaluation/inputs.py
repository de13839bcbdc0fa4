"""Which clips are scored, and where each system's output for them lies."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..audio.pairing import audio_files, beside, file_stem, read_rows
from ..errors import UsageError
from . import scenario as scenarios

__all__ = [
    "Clip",
    "attach_outputs",
    "clips_from_folder",
    "clips_from_folders",
    "clips_from_manifest",
    "read_source",
    "read_sources",
    "with_scenario",
]

_MIC_SUFFIX = "_mic"
_REF_SUFFIXES = ("_lpb", "_ref")
_TARGET_SUFFIX = "_target"
_OUTPUT_SUFFIXES = ("_enhanced", "_enh", "_out", "")
_SUBFOLDERS = {"mic": ("mic", "mics"), "ref": ("ref", "refs", "lpb"), "target": ("target",), "enhanced": ("enhanced",)}
#: System whose outputs the manifest or the folder itself brings.
ENHANCED = "enhanced"


@dataclass(frozen=True)
class Clip:
    """One clip to score.

    Attributes:
        id: unique in the run.
        scenario: normalised name.
        mic: path.
        ref: path; None where none was found, which is for the caller to report.
        target: path of the clean near-end speech, where there is one.
        outputs: system -> path of its output.
    """

    id: str
    scenario: str
    mic: str
    ref: str | None
    target: str | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)


def read_source(source: str, *, scenario: str | None = None) -> list[Clip]:
    """Clips of a manifest or a folder; ``scenario`` stands in where nothing names one.

    Raises:
        UsageError: it cannot be read as either, or holds no clip.
    """
    clips = clips_from_folder(source) if os.path.isdir(source) else clips_from_manifest(source)
    return clips if scenario is None else with_scenario(clips, scenario)


def read_sources(sources: Sequence[str], *, scenario: str | None = None) -> list[Clip]:
    """Clips of several manifests or folders, one after the other.

    Raises:
        UsageError: one cannot be read or holds no clip, or two have a clip of the same id.
    """
    clips: dict[str, Clip] = {}
    for source in sources:
        for clip in read_source(source, scenario=scenario):
            if clip.id in clips:
                raise UsageError(f"{source}: has a clip {clip.id!r}, as an earlier source has")
            clips[clip.id] = clip
    return list(clips.values())


def with_scenario(clips: Sequence[Clip], scenario: str) -> list[Clip]:
    """``clips``, where those of an unknown scenario have this one."""
    return [replace(clip, scenario=scenarios.of_clip(clip.id, _or(clip.scenario, scenario))) for clip in clips]


def clips_from_manifest(path: str) -> list[Clip]:
    """Clips of a TSV or CSV with a header: id, mic, ref, and where present scenario, target, enhanced.

    Other columns are ignored; paths are relative to the file. A scenario that no column gives is looked for in the
    mic's name. An empty ref stays None.

    Raises:
        UsageError: the file cannot be read, lacks a column, an id or a mic, or repeats an id.
    """
    base = os.path.dirname(path)
    clips: dict[str, Clip] = {}
    for line, row in read_rows(path, ("id", "mic", "ref"), ("scenario", "target", "enhanced")):
        name = row["id"]
        if not name or not row["mic"]:
            raise UsageError(f"{path} line {line}: the column {'mic' if name else 'id'} is empty")
        if name in clips:
            raise UsageError(f"{path} line {line}: the id {name!r} appears twice")
        mic = beside(base, row["mic"])
        given = scenarios.normalised(row["scenario"])
        clips[name] = Clip(
            id=name,
            scenario=scenarios.of_clip(name, _or(given, scenarios.from_name(file_stem(mic)))),
            mic=mic,
            ref=beside(base, row["ref"]) if row["ref"] else None,
            target=beside(base, row["target"]) if row["target"] else None,
            outputs={ENHANCED: beside(base, row["enhanced"])} if row["enhanced"] else {},
        )
    if not clips:
        raise UsageError(f"{path}: lists no clips")
    return list(clips.values())


def clips_from_folder(folder: str) -> list[Clip]:
    """Clips of a folder in the AEC challenge's naming, or of one with the subfolders mic, ref and others.

    ``X_mic.wav`` goes with ``X_lpb`` or ``X_ref``, and where present ``X_target`` and ``X_enhanced`` or
    ``X_mic_enhanced``; the scenario is part of X.

    Raises:
        UsageError: it cannot be listed or holds no mic.
    """
    found = {role: _subfolder(folder, names) for role, names in _SUBFOLDERS.items()}
    if found["mic"] is not None and found["ref"] is not None:
        clips = clips_from_folders(found["mic"], found["ref"], found["target"])
        return attach_outputs(clips, {ENHANCED: found["enhanced"]}) if found["enhanced"] else clips
    files = {file_stem(path): path for path in audio_files(folder, outputs=True)}
    clips = []
    for stem, mic in files.items():
        if not stem.endswith(_MIC_SUFFIX):
            continue
        name = stem.removesuffix(_MIC_SUFFIX)
        output = files.get(f"{stem}_enhanced") or files.get(f"{name}_enhanced")
        clips.append(
            Clip(
                id=name,
                scenario=scenarios.of_clip(name, scenarios.from_name(name)),
                mic=mic,
                ref=next((files[name + end] for end in _REF_SUFFIXES if name + end in files), None),
                target=files.get(name + _TARGET_SUFFIX),
                outputs={ENHANCED: output} if output else {},
            )
        )
    if not clips:
        raise UsageError(f"{folder}: holds no clips (files named *_mic and *_lpb or *_ref, or folders mic and ref)")
    return clips


def clips_from_folders(mics: str, refs: str, targets: str | None = None) -> list[Clip]:
    """Clips of folders for each role, matched by name: the same stem, with or without ``_mic``, ``_lpb`` and the like.

    Raises:
        UsageError: a folder cannot be listed, or the first holds no audio.
    """
    by_name = {_bare(path): path for path in audio_files(mics, outputs=True)}
    ref_by_name = {_bare(path): path for path in audio_files(refs, outputs=True)}
    target_by_name = {_bare(path): path for path in audio_files(targets, outputs=True)} if targets else {}
    if not by_name:
        raise UsageError(f"{mics}: holds no audio")
    return [
        Clip(
            name,
            scenarios.of_clip(name, scenarios.from_name(name)),
            mic,
            ref_by_name.get(name),
            target_by_name.get(name),
        )
        for name, mic in by_name.items()
    ]


def attach_outputs(clips: Sequence[Clip], folders: Mapping[str, str]) -> list[Clip]:
    """Find each system's output for each clip in its folder: ``ID``, ``ID_enhanced``, or the mic's name likewise.

    A clip without one is left without, for the caller to report.

    Raises:
        UsageError: a folder cannot be listed, or holds no output of any clip.
    """
    out = list(clips)
    for system, folder in folders.items():
        files = {file_stem(path): path for path in audio_files(folder, outputs=True)}
        hits = 0
        for index, clip in enumerate(out):
            mic = file_stem(clip.mic)
            stems = [base + end for base in (clip.id, mic, mic.removesuffix(_MIC_SUFFIX)) for end in _OUTPUT_SUFFIXES]
            path = next((files[stem] for stem in stems if stem in files), None)
            if path is not None:
                out[index] = replace(clip, outputs={**clip.outputs, system: path})
                hits += 1
        if not hits:
            example = f"{out[0].id}_enhanced.wav" if out else "ID_enhanced.wav"
            raise UsageError(f"{folder}: holds no output for any clip (expected names such as {example})")
    return out


def _or(scenario: str, other: str) -> str:
    return scenarios.normalised(other) if scenario == scenarios.UNKNOWN else scenario


def _bare(path: str) -> str:
    stem = file_stem(path)
    for suffix in (_MIC_SUFFIX, *_REF_SUFFIXES, _TARGET_SUFFIX):
        stem = stem.removesuffix(suffix)
    return stem


def _subfolder(folder: str, names: tuple[str, ...]) -> str | None:
    paths = (os.path.join(folder, name) for name in names)
    return next((path for path in paths if os.path.isdir(path)), None)
