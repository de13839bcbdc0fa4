"""``localvqe inspect``: what is in a model file, and what is wrong with it."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from ..description import Description
from ..errors import GGUFError, LocalVQEError
from ..families import SHAPE_PREFIXES
from ..inspection import inspect as run
from ..tensor_check import printable
from .common import JsonOption, emit_json, note
from .completion import complete_model
from .tables import print_table

__all__ = ["inspect"]

_PIPE_WIDTH = 120
_MAX_VALUE = 500
_LOUDEST = 5


def inspect(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="Model file, checkpoint or registry name; default: the embedded model.",
            autocompletion=complete_model,
        ),
    ] = None,
    tensors: Annotated[bool, typer.Option("--tensors/--no-tensors", help="List every tensor.")] = True,
    arch: Annotated[
        int | None,
        typer.Option("--arch", metavar="N", help="Architecture version of a checkpoint that does not say."),
    ] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also examine the weights: poles of the bottleneck, gain of each layer.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the metadata, tensors, sizes and problems of a model file.

    Exits with 4 if the file is not usable, after showing whatever could be read of it; with 1 if --deep
    finds weights that make the output run away.
    """
    found = run(model, tensors=tensors, arch=arch, deep=deep)
    for text in found.notes:
        note(text)
    if as_json:
        emit_json(found.to_dict())
    else:
        _print(found)
    if found.problems:
        raise GGUFError(f"{found.path}: {found.problems[0]}")
    if found.deep is not None and found.deep.warnings:
        raise LocalVQEError(f"{found.path}: {found.deep.warnings[0]}")


def _print(found: Description) -> None:
    """The report as text on stdout; names and values out of the file cannot reach the terminal as commands."""
    # rich takes 80 columns where there is no terminal, which would break the rows that scripts and tests look at.
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = max(console.width, _PIPE_WIDTH)
    table_style: dict[str, Any] = {"box": box.SIMPLE, "pad_edge": False}

    report: dict[str, Any] = found.to_dict()
    console.print(_headline(found), soft_wrap=True)
    if report["metadata"]:
        table = Table(**table_style)
        for heading in ("key", "type"):
            table.add_column(heading)
        table.add_column("value", overflow="fold")
        for key, entry in report["metadata"].items():
            if report.get("tensors") and key.startswith(SHAPE_PREFIXES):
                continue  # the table below has the shapes
            table.add_row(printable(key), entry["type"], printable(_value(entry["value"]), _MAX_VALUE))
        print_table(console, table)
    elif report["config"]:
        table = Table(**table_style)
        for heading in ("setting", "value"):
            table.add_column(heading)
        for key, value in report["config"].items():
            table.add_row(key, _value(value))
        print_table(console, table)
    if report.get("tensors"):
        table = Table(**table_style)
        for heading in ("tensor", "type", "shape"):
            table.add_column(heading)
        for heading in ("bytes", "min", "max", "rms"):
            table.add_column(heading, justify="right")
        for row in report["tensors"]:
            shape = " x ".join(map(str, row["shape"])) or "scalar"
            if row.get("stored_shape", row["shape"]) != row["shape"]:
                shape += f" (as {' x '.join(map(str, row['stored_shape']))})"
            numbers = ("-" if row[key] is None else f"{row[key]:.4g}" for key in ("min", "max", "rms"))
            table.add_row(printable(row["name"]), row["type"], shape, f"{row['bytes']:,}", *numbers)
        print_table(console, table)
    if "deep" in report:
        _print_deep(console, report["deep"])
    totals = report["totals"]
    types = ", ".join(f"{count} {name}" for name, count in totals["types"].items())
    console.print(
        f"{totals['tensors']} tensors{f' ({types})' if types else ''}, {totals['parameters']:,} parameters, "
        f"{totals['tensor_bytes']:,} bytes of tensors in {report['bytes']:,} bytes of file"
    )
    for problem in report["problems"]:
        console.print(f"problem: {problem}")
    console.print("usable: yes" if report["usable"] else "usable: NO")


def _print_deep(console: Any, deep: dict[str, Any]) -> None:
    if deep["largest_pole"] is None:
        console.print("no network, so nothing that could run away")
        return
    console.print(f"largest pole of the bottleneck: {deep['largest_pole']:.6f} (stable below 1)")
    if deep["decay_seconds"] is not None:
        console.print(f"its slowest stable state falls by 60 dB in {deep['decay_seconds']:.3g} s")
    loudest = sorted(deep["gains"].items(), key=lambda item: -item[1])[:_LOUDEST]
    console.print("largest peak gains: " + ", ".join(f"{name} {gain:.3g}" for name, gain in loudest))
    for warning in deep["warnings"]:
        console.print(f"warning: {warning}")


def _headline(found: Description) -> str:
    kind = f"GGUF version {found.format_version}" if found.format == "GGUF" else found.format
    name = found.metadata.get("general.name")
    parts = [] if name is None else [printable(_value(name), _MAX_VALUE)]
    parts.append(kind)
    if found.config is not None:
        parts.append(found.config.summary())
    return f"{printable(str(found.path), _MAX_VALUE)}: {', '.join(parts)}"


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value[:_MAX_VALUE]))
    return str(value)
