"""``localvqe verify``: is this file that checkpoint, and does the engine compute what the reference computes?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError
from .common import JsonOption, QuietOption, configure_console, emit_json, is_quiet, note
from .completion import complete_checkpoint, complete_model

if TYPE_CHECKING:
    from ..audio.resample import FloatArray
    from ..verify_result import BlockResult, Verification

__all__ = ["verify"]

# Every hop is compared in full, so a recording is cut where more would only take longer.
_MAX_SECONDS = 60
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
            metavar="MODEL", help="GGUF file or registry name of what was made from it.", autocompletion=complete_model
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
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compare a model file with its checkpoint, tensor by tensor and block by block.

    The PyTorch reference runs CHECKPOINT, the engine runs MODEL, on the same signal. Exits with 1 if a tensor is not
    the checkpoint's or a block drifts, and names the first block that does.
    """
    configure_console(quiet=quiet)
    from .. import verify as verification
    from ..models import named

    microphone, reference = _signals(mic, ref)
    result = verification.verify(named(checkpoint), named(model), mic=microphone, ref=reference, tolerance=tolerance)
    for text in result.notes:
        note(text)
    if as_json:
        emit_json(result.to_dict())
    elif not is_quiet():
        _print(result)
    if not result.passed:
        raise typer.Exit(1)


def _signals(mic: str | None, ref: str | None) -> tuple[FloatArray | None, FloatArray | None]:
    """The recordings, if any are given: mono, 16 kHz, the reference as long as the microphone."""
    if mic is None:
        if ref is not None:
            raise UsageError("--ref needs --mic beside it")
        return None, None
    import numpy as np

    microphone = _read(mic)
    reference = np.zeros_like(microphone)
    if ref is not None:
        found = _read(ref)[: len(microphone)]
        reference[: len(found)] = found
    return microphone, reference


def _read(path: str) -> FloatArray:
    """The first minute of a recording."""
    from ..audio import MODEL_RATE
    from ..signal_path import read_at_model_rate

    samples = read_at_model_rate(path, _MAX_SECONDS)
    if len(samples) == _MAX_SECONDS * MODEL_RATE:
        note(f"{path}: the first {_MAX_SECONDS} s are used")
    return samples


def _print(result: Verification) -> None:
    """The two comparisons as text on stdout, the verdict last."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False, soft_wrap=True)
    changed = [row for row in result.tensors if not row.passed]
    if changed:
        table = Table("tensor", "shape", "largest", "difference", box=box.SIMPLE, pad_edge=False)
        for row in changed[:_LISTED]:
            table.add_row(row.name, _shape(row.shape), f"{row.peak:.3g}", f"{row.max_abs:.1e}")
        console.print(table)
        more = f", {len(changed) - _LISTED} of them not listed" if len(changed) > _LISTED else ""
        console.print(f"tensors: {len(changed)} of {len(result.tensors)} are not the checkpoint's{more}")
    else:
        console.print(f"tensors: all {len(result.tensors)} are the checkpoint's")

    table = Table(box=box.SIMPLE, pad_edge=False)
    for heading in ("block", "frame"):
        table.add_column(heading)
    for heading in ("peak", "difference", "SNR dB"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for block in result.blocks:
        table.add_row(*_cells(block))
    console.print(table)
    console.print(_verdict(result))


def _cells(row: BlockResult) -> tuple[str, ...]:
    snr = "exact" if row.snr_db == math.inf else f"{row.snr_db:.1f}"
    verdict = "ok" if row.passed else "DRIFT"
    return row.name, _shape(row.shape), f"{row.peak:.3g}", f"{row.max_abs:.1e}", snr, verdict


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "1"


def _verdict(result: Verification) -> str:
    held = f"{result.seconds:g} s of signal, tolerance {result.tolerance:g}"
    if result.passed:
        return f"verified: the engine computes what the reference computes ({held})"
    first = result.first_drift
    place = f"the first block that drifts is {first}" if first else "no block drifts"
    tensors = f"changed tensors: {len(result.changed_tensors)}; " if result.changed_tensors else ""
    return f"NOT verified: {tensors}{place} ({held})"
