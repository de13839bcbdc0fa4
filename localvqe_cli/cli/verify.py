"""``localvqe verify``: is this file that checkpoint, and does the engine compute what the reference computes?"""

from __future__ import annotations

import math
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from ..open_model import is_onnx
from ..verify import verify as run
from ..verify_result import BlockResult, Verification
from .common import (
    BackendOption,
    DeviceOption,
    JsonOption,
    PrecisionOption,
    QuietOption,
    configure_console,
    emit_json,
    is_quiet,
    note,
)
from .completion import complete_checkpoint, complete_model
from .tables import print_table

__all__ = ["verify"]

_LISTED = 10


def verify(
    checkpoint: Annotated[
        str,
        typer.Argument(
            metavar="CHECKPOINT",
            help="PyTorch checkpoint or registry name: ckpt.pt, v1.1.pt.",
            autocompletion=complete_checkpoint,
        ),
    ],
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="GGUF or ONNX file, or registry name, of what was made from it.",
            autocompletion=complete_model,
        ),
    ],
    mic: Annotated[
        str | None, typer.Option("--mic", metavar="PATH", help="Microphone recording; default: a built-in signal.")
    ] = None,
    ref: Annotated[
        str | None, typer.Option("--ref", metavar="PATH", help="Reference recording; default with --mic: silence.")
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option("--tolerance", metavar="X", help="Largest difference of a block, relative to peaks above 1."),
    ] = None,
    backend: BackendOption = "auto",
    device: DeviceOption = 0,
    precision: PrecisionOption = "auto",
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compare a model file with its checkpoint, tensor by tensor and block by block.

    The PyTorch reference runs CHECKPOINT, the engine runs MODEL, on the same signal. Exits with 1 if a tensor is not
    the checkpoint's or a block drifts, and names the first block that does. Of an ONNX file, which onnxruntime runs,
    the output is compared.
    """
    configure_console(quiet=quiet)
    result = run(
        checkpoint, model, mic=mic, ref=ref, tolerance=tolerance, backend=backend, device=device, precision=precision
    )
    for text in result.notes:
        note(text)
    if as_json:
        emit_json(result.to_dict())
    elif not is_quiet():
        _print(result)
    if not result.ok:
        raise typer.Exit(1)


def _print(result: Verification) -> None:
    """The two comparisons as text on stdout, the verdict last."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    changed = [row for row in result.tensors if not row.passed]
    if changed:
        table = Table("tensor", "shape", "largest", "difference", box=box.SIMPLE, pad_edge=False)
        for row in changed[:_LISTED]:
            table.add_row(row.name, _shape(row.shape), f"{row.peak:.3g}", f"{row.max_abs:.1e}")
        print_table(console, table)
        more = f", {len(changed) - _LISTED} of them not listed" if len(changed) > _LISTED else ""
        console.print(f"tensors: {len(changed)} of {len(result.tensors)} are not the checkpoint's{more}")
    elif not is_onnx(result.model):
        console.print(f"tensors: all {len(result.tensors)} are the checkpoint's")

    table = Table(box=box.SIMPLE, pad_edge=False)
    for heading in ("block", "frame"):
        table.add_column(heading)
    for heading in ("peak", "difference", "SNR dB"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for block in result.blocks:
        table.add_row(*_cells(block))
    print_table(console, table)
    console.print(_verdict(result))


def _cells(row: BlockResult) -> tuple[str, ...]:
    snr = "exact" if row.snr_db == math.inf else f"{row.snr_db:.1f}"
    verdict = "ok" if row.passed else "DRIFT"
    return row.name, _shape(row.shape), f"{row.peak:.3g}", f"{row.max_abs:.1e}", snr, verdict


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "1"


def _verdict(result: Verification) -> str:
    held = f"{result.seconds:g} s of signal, tolerance {result.tolerance:g}"
    if result.ok:
        who = "onnxruntime" if is_onnx(result.model) else "the engine"
        return f"verified: {who} computes what the reference computes ({held})"
    first = result.first_drift
    place = f"the first block that drifts is {first}" if first else "no block drifts"
    tensors = f"changed tensors: {len(result.changed_tensors)}; " if result.changed_tensors else ""
    return f"NOT verified: {tensors}{place} ({held})"
