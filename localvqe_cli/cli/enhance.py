"""``localvqe enhance``: recordings in, enhanced recordings out."""

from __future__ import annotations

import os
import sys
import time
from contextlib import closing
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..audio import ClipMode, Job, jobs_from_directories, jobs_from_manifest, prepare_outputs, single_job
from ..config import QUANTIZATION_PREFIX
from ..enhance_files import EnhanceOptions, FileResult, enhance_job
from ..errors import AudioError, UsageError
from ..file_notes import BAND_NOTE
from ..open_model import open_model
from .common import (
    BackendOption,
    DeviceOption,
    ForceOption,
    JobsOption,
    JsonOption,
    ModelOption,
    NoiseGateOption,
    PrecisionOption,
    QuietOption,
    StrengthOption,
    ThreadsOption,
    VerboseOption,
    check_noise_gate,
    configure_console,
    detail,
    emit_json,
    fail,
    is_own_process,
    note,
    say,
    warn,
)
from .patterns import refuse_patterns
from .progress import ListProgress, ProgressBar, times

if TYPE_CHECKING:
    from ..enhance_list import ListRun

__all__ = ["enhance"]

_STDIO = "-"


class ClipChoice(str, Enum):
    """``--clip-mode``."""

    rescale = "rescale"
    clamp = "clamp"


def enhance(
    mic: Annotated[
        str | None, typer.Argument(metavar="MIC", help="Microphone recording, a directory of them, or - for stdin.")
    ] = None,
    ref: Annotated[
        str | None, typer.Argument(metavar="REF", help="Far-end reference: what the loudspeaker played.")
    ] = None,
    mic_option: Annotated[str | None, typer.Option("--mic", metavar="PATH", help="Same as MIC.")] = None,
    ref_option: Annotated[str | None, typer.Option("--ref", metavar="PATH", help="Same as REF.")] = None,
    no_ref: Annotated[bool, typer.Option("--no-ref", help="No far end: take silence as the reference.")] = False,
    pairs: Annotated[
        str | None, typer.Option("--pairs", metavar="FILE", help="TSV or CSV with the columns id, mic and ref.")
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="Output file or existing directory, - for stdout; a directory for many. Default: MIC_enhanced.wav.",
        ),
    ] = None,
    model: ModelOption = None,
    strength: StrengthOption = 1.0,
    noise_gate: NoiseGateOption = None,
    align: Annotated[
        str,
        typer.Option(
            "--align", metavar="auto|off|MS", help="Shift and resample the reference as it needs; MS > 0 delays it."
        ),
    ] = "auto",
    mic_channel: Annotated[
        int | None,
        typer.Option("--mic-channel", min=1, metavar="N", help="Channel of MIC, from 1. Default: mix all to one."),
    ] = None,
    ref_channel: Annotated[
        int | None,
        typer.Option("--ref-channel", min=1, metavar="N", help="Channel of REF, or of MIC where that holds both."),
    ] = None,
    clip_mode: Annotated[
        ClipChoice, typer.Option("--clip-mode", help="Output beyond full scale: turn the file down, or clamp.")
    ] = ClipChoice.rescale,
    allow_truncated: Annotated[
        bool, typer.Option("--allow-truncated", help="Take what there is of a WAV shorter than its header says.")
    ] = False,
    threads: ThreadsOption = 1,
    jobs: JobsOption = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where an earlier run of these files stopped.")
    ] = False,
    cluster: Annotated[
        str | None,
        typer.Option("--cluster", metavar="WHERE", help="Machines for many files: dask://HOST:PORT, local:N or slurm."),
    ] = None,
    backend: BackendOption = "auto",
    device: DeviceOption = 0,
    precision: PrecisionOption = "auto",
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Enhance recordings, one or many.

    Removes echo; with -m denoise noise and some reverberation too. MIC is what the microphone heard, REF what the
    loudspeaker played at the same time; of one file with both, --mic-channel and --ref-channel say which is which. The
    output has MIC's length, rate and encoding, in step with it to the sample.
    """
    configure_console(quiet=quiet, verbose=verbose)
    mic = _one_of(mic, mic_option, "MIC", "--mic")
    ref = _one_of(ref, ref_option, "REF", "--ref")
    options = EnhanceOptions(
        mic_channel=mic_channel,
        ref_channel=ref_channel,
        clip_mode=ClipMode(clip_mode.value),
        align=_shift(align),
        allow_truncated=allow_truncated,
        strength=strength,
    )
    check_noise_gate(noise_gate)
    if no_ref and ref_channel is not None:
        raise UsageError("--no-ref contradicts --ref-channel; drop one of them")
    listed, batch = _plan(mic, ref, pairs, output, use_ref=not no_ref, two_channel=options.two_channel)
    options.check_channels(listed)
    _check_stdout(listed, as_json)
    if resume and not (batch and output):
        raise UsageError("--resume is for many files with -o DIR, where the record of the first run is")
    if resume and force:
        raise UsageError("--resume contradicts --force; drop one of them")
    if cluster is not None and not (batch and output):
        raise UsageError("--cluster is for many files with -o DIR, a folder or storage that all its machines see")

    settings = {
        "threads": threads,
        "noise_gate": noise_gate,
        "backend": backend,
        "device": device,
        "precision": precision,
    }
    if batch:
        failed = _enhance_list(
            listed, options, model, settings, output, jobs, cluster, force=force, resume=resume, as_json=as_json
        )
    else:
        prepare_outputs(listed, force=force)
        enhancer = _load(model, settings)
        with ProgressBar(listed[0].id) as progress:
            result = enhance_job(enhancer, listed[0], options, progress)
        _tell(result, set(), batch=False)
        if as_json:
            _print_json(enhancer, [result])
        failed = 0
    if failed:
        raise typer.Exit(1)


def _enhance_list(
    jobs: list[Job],
    options: EnhanceOptions,
    model: str | None,
    settings: dict[str, Any],
    output: str | None,
    processes: int | None,
    cluster: str | None,
    *,
    force: bool,
    resume: bool,
    as_json: bool,
) -> int:
    """Enhance many files; how many failed."""
    # Only here, so that a single file does not wait for what processes need.
    from ..cluster import check_address, connect
    from ..enhance_list import ListRun, prepare_list
    from ..worker_pool import share_imports

    check_address(cluster, processes)
    record = prepare_list(jobs, output, force=force, resume=resume)
    enhancer = _load(model, settings)
    with connect(cluster, processes) as client:
        started = time.monotonic()
        run = ListRun(enhancer, jobs, options, record=record, processes=processes, resume=resume, client=client)
        if resume:
            say(f"{len(run.finished)} of {len(jobs)} files are finished already")
        if is_own_process() and run.processes > 1:
            share_imports(["localvqe_cli.cli", "localvqe_cli.enhance_list"])
        try:
            results = _run_list(run)
        except BaseException:
            if record is not None:
                note("what is finished stays; the same command with --resume does the rest")
            raise
    if as_json:
        _print_json(enhancer, results)
    done = [result for index, result in enumerate(results) if index not in run.finished]
    failed = sum(result.error is not None for result in done)
    if resume and not done:
        return 0
    seconds, wall = sum(result.seconds for result in done), time.monotonic() - started
    say(
        f"{len(done) - failed} of {len(done)} files enhanced: {seconds:.2f} s in {wall:.2f} s"
        f" ({times(seconds / max(wall, 1e-9))}x real time)"
    )
    return failed


def _run_list(run: ListRun) -> list[FileResult]:
    results: list[FileResult] = []
    said: set[str] = set()
    with ListProgress() as progress, closing(run.results(progress)) as found:
        for index, result in enumerate(found):
            results.append(result)
            if index not in run.finished:
                _tell(result, said, batch=True)
    return results


def _load(model: str | None, settings: dict[str, Any]) -> Any:
    enhancer = load_model(model, **settings)
    kind = enhancer.metadata.get(f"{QUANTIZATION_PREFIX}type")
    say(f"model: {enhancer.name}" + (f", {kind}" if kind else ""))
    return enhancer


def _print_json(enhancer: Any, results: list[FileResult]) -> None:
    files = [result.to_dict() for result in results]
    emit_json({"model": {"name": enhancer.name, "path": str(enhancer.path)}, "files": files})


def load_model(
    model: str | None,
    *,
    threads: int,
    noise_gate: float | None,
    backend: str = "auto",
    device: int = 0,
    precision: str = "auto",
) -> Any:
    """The engine, loaded with ``model``."""
    return open_model(
        model, threads=threads, noise_gate=noise_gate, backend=backend, device=device, precision=precision
    )


def _one_of(positional: str | None, option: str | None, name: str, flag: str) -> str | None:
    if positional is not None and option is not None:
        raise UsageError(f"{name} is given twice, as an argument and with {flag}")
    value = option if positional is None else positional
    if value == "":
        raise UsageError(f"{name} is empty; name a file")
    return value


def _shift(align: str) -> str | float:
    """What ``--align`` says: a number, or a word that the options know or refuse."""
    try:
        return float(align)
    except ValueError:
        return align


def _plan(
    mic: str | None, ref: str | None, pairs: str | None, output: str | None, *, use_ref: bool, two_channel: bool
) -> tuple[list[Job], bool]:
    """The jobs, and whether they are a batch."""
    if ref is not None and not use_ref:
        raise UsageError(f"--no-ref contradicts the reference {ref}; drop one of them")
    if output == "":
        raise UsageError("--output is empty; name a file")
    refuse_patterns([mic, ref], advice="for many files name their directories, or use --pairs", error=AudioError)
    refuse_patterns([pairs])
    if pairs is not None:
        if mic is not None or ref is not None:
            raise UsageError("--pairs lists mics and references itself; drop the others")
        return jobs_from_manifest(pairs, _batch_output(output), use_ref=use_ref, two_channel=two_channel), True
    if mic is None:
        raise UsageError("no microphone recording given; see localvqe enhance --help")
    if os.path.isdir(mic):
        if ref is not None and not os.path.isdir(ref):
            raise UsageError(f"{mic} is a directory, so the reference must be one too: {ref}")
        folder = _batch_output(output)
        return jobs_from_directories(mic, ref, folder, use_ref=use_ref, two_channel=two_channel), True
    if ref is None and use_ref and not two_channel:
        raise UsageError(
            "no reference given; name the far-end recording, use --mic-channel and --ref-channel where MIC holds both, "
            "or --no-ref for silence"
        )
    if ref is not None and os.path.isdir(ref):
        raise UsageError(f"the reference {ref} is a directory but the mic is a file")
    return [single_job(mic, ref, output, two_channel=two_channel)], False


def _batch_output(output: str | None) -> str | None:
    if output == _STDIO:
        raise UsageError("several outputs cannot go to stdout; name a directory")
    return output


def _check_stdout(jobs: list[Job], as_json: bool) -> None:
    if all(job.output != _STDIO for job in jobs):
        return
    if as_json:
        raise UsageError("--json and the audio both want stdout; name an output file")
    if sys.stdout.isatty():
        raise UsageError("stdout is a terminal; name an output file with -o")


def _tell(result: FileResult, said: set[str], *, batch: bool) -> None:
    """What is to be said about one file."""
    if result.error is not None:
        fail(result.error)
        return
    prefix = f"{result.id}: " if batch else ""
    for text in result.warnings:
        warn(prefix + text)
    for text in result.notes:
        if text != BAND_NOTE:
            note(prefix + text)
        elif text not in said:
            said.add(text)
            note(text)
    for text in result.details:
        detail(prefix + text)
    speed = result.seconds / max(result.wall_seconds, 1e-9)
    target = "stdout" if result.output == _STDIO else result.output
    say(f"{target}: {result.seconds:.2f} s in {result.wall_seconds:.2f} s ({times(speed)}x real time)")
