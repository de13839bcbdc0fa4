"""``localvqe export``: a checkpoint or .nemo archive becomes a GGUF file, a model of either kind an ONNX file."""

from __future__ import annotations

import statistics
from dataclasses import asdict
from enum import Enum
from typing import Annotated, Any

import typer

from ..config import DMAX_RANGE
from ..errors import UsageError
from ..export import export as run
from ..lfsc.export import TYPES
from ..onnx_file.format import OPSETS, GraphPart
from ..onnx_file.writer import export_onnx
from ..quantization.clips import read_clips
from .common import (
    ForceOption,
    JsonOption,
    OutputOption,
    QuietOption,
    configure_console,
    emit_json,
    note,
    say,
)
from .completion import complete_checkpoint

__all__ = ["export"]


class Format(str, Enum):
    """``--format``."""

    gguf = "gguf"
    onnx = "onnx"


#: ``--type``, whichever way it is written.
WeightType = Enum("WeightType", {name: name for name in TYPES}, type=str)  # type: ignore[misc]


class States(str, Enum):
    """``--states``."""

    separate = "separate"
    packed = "packed"


def export(
    checkpoint: Annotated[
        str,
        typer.Argument(
            metavar="CHECKPOINT",
            help="PyTorch checkpoint, a codec's .nemo, or registry name; for ONNX a GGUF file as well.",
            autocompletion=complete_checkpoint,
        ),
    ],
    output: OutputOption = None,
    kind: Annotated[Format, typer.Option("--format", help="For the engine, or for other runtimes.")] = Format.gguf,
    arch: Annotated[
        int | None,
        typer.Option("--arch", metavar="N", help="Architecture version 1, 2 or 3, if the checkpoint does not say."),
    ] = None,
    dmax: Annotated[
        int | None,
        typer.Option(
            "--dmax",
            metavar="N",
            help=f"Frames the model looks back, {DMAX_RANGE[0]} to {DMAX_RANGE[1]}, if the checkpoint does not say.",
        ),
    ] = None,
    weights: Annotated[
        WeightType | None,
        typer.Option("--type", case_sensitive=False, help="A codec's weights: F32, or half or a quarter of the size."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="TEXT", help="Name of the model, kept in the file.")
    ] = None,
    licence: Annotated[
        str | None, typer.Option("--license", metavar="TEXT", help="Licence of the model, kept in the file.")
    ] = None,
    meta: Annotated[
        list[str] | None,
        typer.Option("--meta", metavar="KEY=TEXT", help="A further key to keep in the file; may be repeated."),
    ] = None,
    part: Annotated[
        GraphPart | None,
        typer.Option("--part", help="ONNX: the whole model, or what is behind its adaptive filter."),
    ] = None,
    states: Annotated[
        States | None, typer.Option("--states", help="ONNX: an input and output per state, or one vector for all.")
    ] = None,
    opset: Annotated[
        int | None,
        typer.Option(
            "--opset",
            metavar="N",
            help=f"ONNX: version of the operators, {OPSETS[0]} to {OPSETS[1]}; {OPSETS[0]} if not given.",
        ),
    ] = None,
    fp16: Annotated[bool, typer.Option("--fp16", help="ONNX: keep the weights in half precision.")] = False,
    int8: Annotated[
        str | None,
        typer.Option(
            "--int8", metavar="PAIRS", help="ONNX: 8-bit convolutions, calibrated on a table or folder of pairs."
        ),
    ] = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Convert a PyTorch checkpoint into a GGUF file for the engine, or a model into an ONNX file for other runtimes.

    What only training needs is folded into the weights: BatchNorm, the attention's temperature, a codec's weight norm.
    The file is CHECKPOINT-f32.gguf, or CHECKPOINT.onnx, unless -o names another. An ONNX file takes and gives one hop,
    and its states.
    """
    configure_console(quiet=quiet)
    if output == "-":
        raise UsageError("a model cannot be written to stdout; name a file with -o")
    if kind is Format.onnx:
        if weights is not None:
            raise UsageError("--type is of speech codecs; for half precision in ONNX say --fp16")
        _export_onnx(
            checkpoint,
            output,
            part=part or GraphPart.step,
            packed=states is States.packed,
            half=fp16,
            calibrate=int8,
            opset=OPSETS[0] if opset is None else opset,
            arch=arch,
            dmax=dmax,
            name=name,
            license=licence,
            meta=_texts(meta or []),
            force=force,
            as_json=as_json,
        )
        return
    if part or states or opset is not None or fp16 or int8 is not None:
        raise UsageError("--part, --states, --opset, --fp16 and --int8 are of ONNX files; add --format onnx")
    summary = run(
        checkpoint,
        output,
        arch=arch,
        dmax=dmax,
        type=TYPES[0] if weights is None else weights.value,
        name=name,
        license=licence,
        meta=_texts(meta or []),
        force=force,
    )
    for text in summary.notes:
        note(text)
    config = summary.config
    size = f"{summary.tensors} tensors, {summary.parameters:,} parameters, {summary.nbytes / 1e6:.1f} MB"
    say(f"wrote {summary.output}: {config.summary()}, {size}")
    if as_json:
        emit_json(
            {
                "output": str(summary.output),
                "bytes": summary.nbytes,
                "tensors": summary.tensors,
                "parameters": summary.parameters,
                "temperature": summary.temperature,
                "config": asdict(config),
                "notes": list(summary.notes),
            }
        )


def _export_onnx(checkpoint: str, output: str | None, *, calibrate: str | None, as_json: bool, **options: Any) -> None:
    """Export to ONNX and say what came of it."""
    recordings = None if calibrate is None else read_clips(calibrate)
    for text in recordings.notes if recordings is not None else ():
        note(text)
    clips = recordings.clips if recordings is not None else ()
    summary = export_onnx(checkpoint, output, int8=clips, **options)
    for text in summary.notes:
        note(text)
    size = f"{summary.nodes} nodes, {len(summary.states)} states, {summary.nbytes / 1e6:.1f} MB"
    say(f"wrote {summary.output}: {summary.config.summary()}, {size}")
    if summary.clips:
        worst, median = min(summary.clips.values()), statistics.median(summary.clips.values())
        say(f"SNR against floats on {len(summary.clips)} clips: median {median:.1f} dB, worst {worst:.1f} dB")
    if as_json:
        emit_json(
            {
                "output": str(summary.output),
                "bytes": summary.nbytes,
                "nodes": summary.nodes,
                "parameters": summary.parameters,
                "states": {name: list(shape) for name, shape in summary.states.items()},
                "config": asdict(summary.config),
                "snr_db": summary.clips,
                "notes": list(summary.notes),
            }
        )


def _texts(pairs: list[str]) -> dict[str, str]:
    """The keys of ``--meta``, in its order."""
    out: dict[str, str] = {}
    for pair in pairs:
        key, separator, text = pair.partition("=")
        if not separator:
            raise UsageError(f"--meta {pair}: expected KEY=TEXT, for example --meta general.version=1.0")
        if key in out:
            raise UsageError(f"--meta {key} is given twice")
        out[key] = text
    return out
