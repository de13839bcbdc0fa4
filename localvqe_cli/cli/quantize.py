"""``localvqe quantize``: a smaller model file, and what it costs to the decibel."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import UsageError
from ..quantization import QuantizeSummary
from ..quantization import quantize as run
from .common import (
    ForceOption,
    JsonOption,
    QuietOption,
    ThreadsOption,
    VerboseOption,
    configure_console,
    detail,
    emit_json,
    fail,
    note,
    say,
)
from .completion import complete_quantize
from .progress import ProgressBar

__all__ = ["quantize"]


def quantize(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="IN.gguf [OUT.gguf] Q8_0|Q4_K",
            help="F32 model file or registry name, the file to write, and the type.",
            autocompletion=complete_quantize,
        ),
    ],
    calibrate: Annotated[
        str | None,
        typer.Option("--calibrate", metavar="PAIRS", help="Recordings: a table with id, mic and ref, or a folder."),
    ] = None,
    min_snr: Annotated[
        float | None,
        typer.Option("--min-snr", metavar="DB", help="Raise types until every clip has this SNR against F32."),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option("--keep", metavar="NAME", help="A tensor or block that stays F32; may be repeated."),
    ] = None,
    keep_bases: Annotated[
        bool,
        typer.Option("--keep-bases", help="Write the codec's constant bases too, 2.1 MB that this engine computes."),
    ] = False,
    threads: ThreadsOption = 1,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Write a smaller copy of an F32 model, with ggml's block formats.

    With recordings, what each tensor costs is measured on them, and those that hurt get finer types; without, a
    built-in choice is used and nothing is measured. OUT is IN with the type in its name unless given. Exits with 1
    if --min-snr cannot be met, after writing the best found.
    """
    configure_console(quiet=quiet, verbose=verbose)
    source, output, kind = _split(arguments)
    if output == "-":
        raise UsageError("a model cannot be written to stdout; name a file")
    with ProgressBar("quantizing") as bar:
        summary = run(
            source,
            output,
            kind,
            calibrate=calibrate,
            min_snr=min_snr,
            keep=keep or (),
            keep_bases=keep_bases,
            threads=threads,
            force=force,
            progress=bar,
        )
    for text in summary.notes:
        note(text)
    _tell(summary)
    if as_json:
        emit_json(_report(summary))
    if min_snr is not None and not summary.met:
        fail(f"no mix of types reaches {min_snr:g} dB on every clip; the best found has {summary.worst_snr_db:.1f} dB")
        raise typer.Exit(1)


def _split(arguments: list[str]) -> tuple[str, str | None, str]:
    """(source, output or None, type)."""
    if len(arguments) not in (2, 3):
        raise UsageError("expected IN.gguf [OUT.gguf] and a type, Q8_0 or Q4_K; see --help")
    return arguments[0], arguments[1] if len(arguments) == 3 else None, arguments[-1]


def _tell(summary: QuantizeSummary) -> None:
    for tensor in summary.tensors:
        alone = "" if tensor.alone_db is None else f", {tensor.alone_db:.1f} dB alone"
        detail(f"{tensor.name}: {tensor.type}, {tensor.nbytes:,} of {tensor.f32_bytes:,} bytes{alone}")
    for name, snr in summary.clips.items():
        detail(f"{name}: {snr:.1f} dB")
    share = summary.nbytes / summary.f32_bytes
    bases = summary.bases_bytes
    learned = (summary.nbytes - (bases if summary.has_bases else 0)) / (summary.f32_bytes - bases)
    say(
        f"wrote {summary.output}: {_mix(summary)}; {summary.nbytes:,} bytes, {share:.2f} of F32 "
        f"({learned:.2f} without the codec's constant bases)"
    )
    if summary.clips:
        say(
            f"SNR against F32 on {len(summary.clips)} clips: median {summary.snr_db:.1f} dB, "
            f"worst {summary.worst_snr_db:.1f} dB"
        )
    else:
        say("SNR not measured: that takes recordings (--calibrate)")


def _mix(summary: QuantizeSummary) -> str:
    kinds = [tensor.type for tensor in summary.tensors]
    return ", ".join(f"{kinds.count(kind)} tensors {kind}" for kind in dict.fromkeys(sorted(kinds)))


def _report(summary: QuantizeSummary) -> dict[str, Any]:
    report = asdict(summary)
    report |= {key: str(Path(report[key])) for key in ("source", "output")}
    return report | {"snr_db": summary.snr_db, "worst_snr_db": summary.worst_snr_db}
