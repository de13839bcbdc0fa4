"""``localvqe export``: a PyTorch checkpoint becomes a GGUF file."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from ..config import DMAX_RANGE
from ..errors import UsageError
from ..export import export as run
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


def export(
    checkpoint: Annotated[
        str,
        typer.Argument(
            metavar="CHECKPOINT", help="PyTorch checkpoint or registry name.", autocompletion=complete_checkpoint
        ),
    ],
    output: OutputOption = None,
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
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Convert a PyTorch checkpoint into a GGUF file for the engine.

    BatchNorm and the attention's temperature are folded into the weights. The file is CHECKPOINT-f32.gguf unless -o
    names another.
    """
    configure_console(quiet=quiet)
    if output == "-":
        raise UsageError("a model cannot be written to stdout; name a file with -o")
    summary = run(
        checkpoint,
        output,
        arch=arch,
        dmax=dmax,
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
