"""What a program calls to have sound enhanced: the ``enhance`` verb's options as keywords."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .audio import (
    ClipMode,
    Job,
    jobs_from_directories,
    jobs_from_manifest,
    jobs_from_pairs,
    prepare_outputs,
    single_job,
)
from .cluster import check_address, connect
from .engine import Enhancer
from .enhance_files import EnhanceOptions, FileResult, enhance_job
from .enhance_list import ListRun, prepare_list
from .errors import UsageError
from .open_model import open_model

__all__ = ["enhance", "enhance_file", "enhance_files"]

StrPath: TypeAlias = str | os.PathLike[str]
#: A model as :class:`Enhancer` takes it, or one that is loaded.
AnyModel: TypeAlias = StrPath | Enhancer | None


def enhance(
    mic: ArrayLike,
    ref: ArrayLike | None = None,
    *,
    model: AnyModel = None,
    noise_gate: float | None = None,
    threads: int | None = None,
) -> NDArray[np.float32]:
    """Enhance one clip that is in memory, at 16 kHz; see :meth:`Enhancer.enhance` for arrays, result and errors.

    Args:
        model, noise_gate, threads: as for :func:`enhance_file`.
    """
    enhancer = _loaded(model, noise_gate, threads)
    return enhancer._clip(*enhancer._signals(mic, ref))


def enhance_file(
    mic: StrPath,
    ref: StrPath | None = None,
    *,
    output: StrPath | None = None,
    model: AnyModel = None,
    strength: float = 1.0,
    noise_gate: float | None = None,
    align: float | Literal["auto", "off"] = "auto",
    mic_channel: int | None = None,
    ref_channel: int | None = None,
    clip_mode: Literal["rescale", "clamp"] = "rescale",
    allow_truncated: bool = False,
    threads: int | None = None,
    force: bool = False,
    progress: Callable[[float, float | None], None] | None = None,
) -> FileResult:
    """Enhance a recording of any length, in flat memory; the output has its rate, length, encoding and alignment.

    Args:
        mic: what the microphone heard; any format, rate and channels that libsndfile reads.
        ref: what the loudspeaker played. None is silence, or with both channels given a channel of ``mic``.
        output: the file to write, or a folder that exists; None is ``MIC_enhanced.wav`` beside the mic.
        model: path of a GGUF or ONNX file, a name from the registry, None for the embedded default; or an
            :class:`Enhancer`, which is loaded once for many calls.
        strength: share of the enhanced signal, 0..1.
        noise_gate: hops of output at or below this level in dBFS become silence; of the model, so not beside an
            Enhancer.
        align: shift the reference where the model could not see the echo (``auto``), never (``off``), or delay it by so
            many milliseconds (negative: advance).
        mic_channel, ref_channel: channels to take, from 1; None mixes all to one.
        clip_mode: output beyond full scale turns the whole file down (``rescale``), or single samples (``clamp``).
        allow_truncated: take what there is of a WAV shorter than its header says.
        threads: CPU threads, 1..32, or 0 for the engine's choice; None is 1. Of the model, so not beside an Enhancer.
        force: overwrite the output.
        progress: called with the seconds done and the seconds in all, None where unknown.

    Raises:
        AudioError: an input is missing, damaged, empty, too short or without a finite sample.
        ModelError, EngineError: as :class:`Enhancer`.
        UsageError: the output exists or cannot be written, or an option is out of range.
        LocalVQEError: writing failed, or the model's output is not finite.
    """
    options = _options(mic_channel, ref_channel, clip_mode, align, allow_truncated, strength)
    path = None if output is None else os.fspath(output)
    job = single_job(os.fspath(mic), _path(ref), path, two_channel=options.two_channel)
    options.check_channels([job])
    prepare_outputs([job], force=force)
    return enhance_job(_loaded(model, noise_gate, threads), job, options, progress)


def enhance_files(
    pairs: StrPath | Iterable[tuple[StrPath, StrPath | None]],
    *,
    output: StrPath | None = None,
    no_ref: bool = False,
    model: AnyModel = None,
    strength: float = 1.0,
    noise_gate: float | None = None,
    align: float | Literal["auto", "off"] = "auto",
    mic_channel: int | None = None,
    ref_channel: int | None = None,
    clip_mode: Literal["rescale", "clamp"] = "rescale",
    allow_truncated: bool = False,
    threads: int | None = None,
    force: bool = False,
    jobs: int | None = 1,
    resume: bool = False,
    cluster: str | None = None,
) -> list[FileResult]:
    """Enhance many recordings; one that fails has an ``error`` in its result, and the others go on.

    Args:
        pairs: (mic, ref) paths; or a TSV or CSV with the columns id, mic and ref; or a folder of ``X_mic`` and
            ``X_lpb`` or ``X_ref``.
        output: folder for the outputs, made where it is missing; None writes each beside its mic. A folder gets
            ``results.tsv`` too, with a row for each file, and ``results.jsonl``, which ``resume`` reads.
        no_ref: take silence for every reference.
        model, strength, noise_gate, align, mic_channel, ref_channel, clip_mode, allow_truncated, threads, force: as for
            :func:`enhance_file`.
        jobs: processes, 1..256; None for as many as there are processors. Outputs do not depend on it. More than 1
            needs a script that guards its start with ``if __name__ == "__main__"``.
        cluster: machines for the work instead of processes: ``dask://HOST:PORT``, a scheduler that runs; ``local:N``, N
            Dask workers here; ``slurm``, ``jobs`` Slurm jobs as dask-jobqueue's configuration describes them. Needs
            ``output``, which all machines see under this name.
        resume: leave alone what an earlier call made in this ``output``, of these inputs, with the same model file and
            options; the results have it all the same. The rest is done, and written over what the earlier call left.

    Raises:
        UsageError: the list or folder cannot be read, an output exists or cannot be written, or an option is out of
            range; nothing was done then.
        ModelError, EngineError: as :class:`Enhancer`.
        RemoteError: a storage or a cluster cannot be reached, or refuses.
        LocalVQEError: the record in the folder cannot be written, or no process can be started.
    """
    options = _options(mic_channel, ref_channel, clip_mode, align, allow_truncated, strength)
    folder = _path(output)
    listed = _jobs(pairs, folder, use_ref=not no_ref, two_channel=options.two_channel)
    options.check_channels(listed)
    processes = jobs if cluster is None or jobs != 1 else None
    check_address(cluster, processes)
    record = prepare_list(listed, folder, force=force, resume=resume)
    loaded = _loaded(model, noise_gate, threads)
    with connect(cluster, processes) as client:
        run = ListRun(loaded, listed, options, record=record, processes=processes, resume=resume, client=client)
        return list(run.results())


def _jobs(
    pairs: StrPath | Iterable[tuple[StrPath, StrPath | None]],
    folder: str | None,
    *,
    use_ref: bool,
    two_channel: bool,
) -> list[Job]:
    if not isinstance(pairs, str | os.PathLike):
        named = [(os.fspath(mic), _path(ref) if use_ref else None) for mic, ref in pairs]
        return jobs_from_pairs(named, folder, two_channel=two_channel and use_ref)
    path = os.fspath(pairs)
    if os.path.isdir(path):
        return jobs_from_directories(path, None, folder, use_ref=use_ref, two_channel=two_channel)
    return jobs_from_manifest(path, folder, use_ref=use_ref, two_channel=two_channel)


def _options(
    mic_channel: int | None,
    ref_channel: int | None,
    clip_mode: str,
    align: str | float,
    allow_truncated: bool,
    strength: float,
) -> EnhanceOptions:
    if clip_mode not in (known := [mode.value for mode in ClipMode]):
        raise UsageError(f"clip_mode is {clip_mode!r}, expected {' or '.join(known)}")
    return EnhanceOptions(
        mic_channel=mic_channel,
        ref_channel=ref_channel,
        clip_mode=ClipMode(clip_mode),
        align=align,
        allow_truncated=allow_truncated,
        strength=strength,
    )


def _path(path: StrPath | None) -> str | None:
    return None if path is None else os.fspath(path)


def _loaded(model: AnyModel, noise_gate: float | None, threads: int | None) -> Enhancer:
    if not isinstance(model, Enhancer):
        return open_model(model, threads=1 if threads is None else threads, noise_gate=noise_gate)
    if noise_gate is not None or threads is not None:
        raise UsageError("threads and noise_gate belong to the model: give them to the Enhancer that was passed")
    return model
