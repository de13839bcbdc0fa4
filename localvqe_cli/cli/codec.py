"""``localvqe codec``: sound to the tokens of a speech codec, and back."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from ..audio import STDIO
from ..audio.pairing import audio_files
from ..errors import LocalVQEError, UsageError
from ..evaluation.codec import CODEC_FIELDS, CodecScores, mean_scores, score_codec
from ..lfsc.codec import Codec
from ..lfsc.codec_files import CodecResult, decode_file, encode_file, paired_output, roundtrip_file
from ..lfsc.tokens import SUFFIXES
from ..tensor_check import printable
from .common import (
    ForceOption,
    JsonOption,
    QuietOption,
    ThreadsOption,
    configure_console,
    emit_json,
    fail,
    note,
    say,
    warn,
)
from .patterns import refuse_patterns
from .progress import ProgressBar, times
from .tables import print_table

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="Turn speech into tokens, and back."
)

_ROUNDTRIP = "_codec.wav"
_DECODED = ".wav"

CodecOption = Annotated[
    str,
    typer.Option("--model", "-m", metavar="FILE", help="The codec: a GGUF file that export has made of a .nemo."),
]
SoundArgument = Annotated[
    list[str], typer.Argument(metavar="SOUND...", help="Sound files, directories of them, or - for stdin.")
]
ResultOption = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", metavar="PATH", help="Where to write, a directory for many; the default is beside the input."
    ),
]

_Work = Callable[..., CodecResult]


@app.command("encode", short_help="Sound to tokens.")
def encode(
    sounds: SoundArgument,
    model: CodecOption,
    output: ResultOption = None,
    threads: ThreadsOption = 1,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write the tokens of sound files.

    They become SOUND.npz; a name in .safetensors after -o gives that format. Any format, rate and number of channels is
    taken.
    """
    configure_console(quiet=quiet)
    files = _expand(sounds, audio_files)
    if output == STDIO:
        raise UsageError("tokens cannot be written to stdout; name a file with -o")
    _work_on(files, output, SUFFIXES[0], encode_file, model, threads, force=force, as_json=as_json)


@app.command("decode", short_help="Tokens to sound.")
def decode(
    tokens: Annotated[list[str], typer.Argument(metavar="TOKENS...", help="Files of tokens, or directories of them.")],
    model: CodecOption,
    output: ResultOption = None,
    threads: ThreadsOption = 1,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write the sound of files of tokens, as TOKENS.wav at the codec's rate; -o - is stdout."""
    configure_console(quiet=quiet)
    files = _expand(tokens, _token_files)
    _work_on(files, output, _DECODED, decode_file, model, threads, force=force, as_json=as_json)


@app.command("roundtrip", short_help="Hear what the codec does to sound.")
def roundtrip(
    sounds: SoundArgument,
    model: CodecOption,
    output: ResultOption = None,
    threads: ThreadsOption = 1,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write what sound files are after encoding and decoding, as SOUND_codec.wav; rate, length and encoding stay."""
    configure_console(quiet=quiet)
    files = _expand(sounds, audio_files)
    _work_on(files, output, _ROUNDTRIP, roundtrip_file, model, threads, force=force, as_json=as_json)


# "eval" is Python's; the function has another name.
@app.command("eval", short_help="Score the codec on sound files.")
def evaluate(
    sounds: SoundArgument,
    model: CodecOption,
    threads: ThreadsOption = 1,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compare sound files with what they are after encoding and decoding: per file, and in the mean.

    SI-SDR in dB, mel distance and STFT distance, at the codec's rate (docs/reference/codec.md).
    """
    configure_console(quiet=quiet)
    files = _expand(sounds, audio_files)
    codec = _load(model, threads)
    scores: list[CodecScores] = []
    failed = 0
    with ProgressBar("scoring") as progress:
        for number, path in enumerate(files):
            progress(number, len(files))
            try:
                scores.append(score_codec(codec, path))
            except LocalVQEError as exc:
                if len(files) == 1:
                    raise
                fail(str(exc))
                failed += 1
    means = mean_scores(scores)
    if as_json:
        rows = [{"path": s.path, "seconds": s.seconds, **s.values} for s in scores]
        emit_json({"model": {"name": codec.name, "path": str(codec.path)}, "files": rows, "mean": means})
    elif scores:
        _print_scores(scores, means)
    if failed:
        raise typer.Exit(1)


def _work_on(
    files: list[str],
    output: str | None,
    suffix: str,
    work: _Work,
    model: str,
    threads: int,
    *,
    force: bool,
    as_json: bool,
) -> None:
    """Do the same with one file or many; the first error ends it where there is one only."""
    targets = list(_targets(files, output, suffix))
    if STDIO in targets:
        if as_json:
            raise UsageError("--json and the sound both want stdout; name an output file")
        if sys.stdout.isatty():
            raise UsageError("stdout is a terminal; name an output file with -o")
    codec = _load(model, threads)
    results: list[CodecResult] = []
    failed = 0
    for source, target in zip(files, targets, strict=True):
        try:
            with ProgressBar(source) as progress:
                results.append(work(codec, source, target, force=force, progress=progress))
        except LocalVQEError as exc:
            if len(files) == 1:
                raise
            fail(str(exc))
            failed += 1
            continue
        _tell(results[-1])
    if as_json:
        found = [result.to_dict() for result in results]
        emit_json({"model": {"name": codec.name, "path": str(codec.path)}, "files": found})
    if failed:
        raise typer.Exit(1)


def _load(model: str, threads: int) -> Codec:
    codec = Codec(model, threads=threads)
    say(f"model: {codec.name}, {codec.config.summary()}")
    return codec


def _tell(result: CodecResult) -> None:
    for text in result.warnings:
        warn(f"{result.input}: {text}")
    for text in result.notes:
        note(f"{result.input}: {text}")
    target = "stdout" if result.output == STDIO else result.output
    speed = times(result.seconds / max(result.wall_seconds, 1e-9))
    say(
        f"{target}: {result.seconds:.2f} s, {result.frames} frames, in {result.wall_seconds:.2f} s ({speed}x real time)"
    )


def _expand(names: list[str], listed: Callable[[str], list[str]]) -> list[str]:
    """Files, with what directories among the names hold."""
    refuse_patterns(names)
    files: list[str] = []
    for name in names:
        if os.path.isdir(name):
            found = listed(name)
            if not found:
                raise UsageError(f"{name}: holds no such files")
            files += found
        else:
            files.append(name)
    if len(files) > 1 and STDIO in files:
        raise UsageError("stdin cannot be one of many files")
    return files


def _targets(files: list[str], output: str | None, suffix: str) -> Iterator[str]:
    """Where each result goes."""
    if output is not None and output.endswith(os.sep) and not os.path.isdir(output):
        raise UsageError(f"the folder {output} does not exist; make it first")
    folder = output is None or os.path.isdir(output)
    if not folder and len(files) > 1:
        raise UsageError(f"several results cannot go to {output}; name a directory that exists")
    taken: dict[str, str] = {}
    for source in files:
        target = paired_output(source, output, suffix) if folder else str(output)
        if target in taken:
            raise UsageError(f"{taken[target]} and {source} would both be written to {target}")
        taken[target] = source
        yield target


def _token_files(folder: str) -> list[str]:
    try:
        names = sorted(os.listdir(folder))
    except OSError as exc:
        raise UsageError(f"{folder}: cannot be listed ({exc.strerror or exc})") from exc
    return [os.path.join(folder, name) for name in names if name.lower().endswith(SUFFIXES)]


def _print_scores(scores: list[CodecScores], means: dict[str, float | None]) -> None:
    console = Console(highlight=False, markup=False, emoji=False)
    table: Any = Table(box=box.SIMPLE, pad_edge=False)
    table.add_column("file", overflow="fold")
    table.add_column("seconds", justify="right")
    for heading, more in CODEC_FIELDS.values():
        table.add_column(f"{heading} {'↑' if more else '↓'}", justify="right")
    for score in scores:
        table.add_row(printable(score.path, 200), f"{score.seconds:.2f}", *_cells(dict(score.values)))
    if len(scores) > 1:
        table.add_row("mean", "", *_cells(means))
    print_table(console, table)


def _cells(values: dict[str, float | None]) -> list[str]:
    return ["-" if values[key] is None else f"{values[key]:.3f}" for key in CODEC_FIELDS]
