"""``localvqe models``: the published models, and which of them are here."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from .. import gguf_file, models
from ..errors import LocalVQEError, ModelError, UsageError
from ..models import EMBEDDED, PublishedFile, cache, describe, download, embedded_name, find_published, registry
from ..tensor_check import printable
from .common import JsonOption, QuietOption, configure_console, emit_json, fail, note, say
from .completion import complete_model
from .progress import ProgressBar
from .tables import print_table

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="List, download and check published models."
)

_VALUE_LIMIT = 300


NamesArgument = Annotated[
    list[str], typer.Argument(metavar="NAME...", help="For example v1.1.", autocompletion=complete_model)
]


@app.command("list", short_help="List the models one can name.")
def list_models(as_json: JsonOption = False) -> None:
    """List the models that -m can name, and where they are."""
    rows = [*map(describe.embedded_facts, EMBEDDED), *map(describe.facts, registry.PUBLISHED)]
    if as_json:
        emit_json({"folder": str(cache.cache_folder()), "models": rows})
        return
    _print_table(rows)
    say(f"downloads are kept in {cache.cache_folder()}")


@app.command("show", short_help="Show one model.")
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="For example v1.1.", autocompletion=complete_model)],
    as_json: JsonOption = False,
) -> None:
    """Show what is known of a model, and what is in it if it is here."""
    found = _find(name)
    known = describe.embedded_facts(found) if isinstance(found, str) else describe.facts(found)
    known["contents"] = describe.contents(known)
    if as_json:
        emit_json(known)
    else:
        _print_facts(known)


@app.command("pull", short_help="Download models.")
def pull(
    names: NamesArgument,
    force: Annotated[bool, typer.Option("--force", help="Download again what is already here.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Fail rather than use the network.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Download models and check their SHA-256.

    They come from Hugging Face or from the https address in LOCALVQE_MIRROR. An interrupted download goes on where
    it stopped.
    """
    configure_console(quiet=quiet)
    wanted = _find_all(names)
    failed = 0
    for published in wanted:
        try:
            _pull(published, force=force, offline=offline)
        except LocalVQEError as exc:
            if len(wanted) == 1:
                raise
            fail(str(exc))
            failed += 1
    if failed:
        raise typer.Exit(1)


@app.command("verify", short_help="Check downloaded models.")
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME...", help="Default: all that are here.", autocompletion=complete_model),
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compare downloaded models with their published SHA-256.

    Exits with 1 if one differs, or is named and not here.
    """
    configure_console(quiet=quiet)
    wanted = _find_all(names) if names else [f for f in registry.PUBLISHED if cache.path_of(f).exists()]
    verdicts = [_verify(published) for published in wanted]
    if as_json:
        emit_json({"models": verdicts})
    if not wanted:
        say("nothing is downloaded")
    if not all(verdict["ok"] for verdict in verdicts):
        raise typer.Exit(1)


@app.command("rm", short_help="Remove downloaded models.")
def rm(names: NamesArgument, quiet: QuietOption = False) -> None:
    """Remove downloaded models, unfinished downloads included."""
    configure_console(quiet=quiet)
    for published in _find_all(names):
        if isinstance(published, str):
            raise UsageError(f"{published} is part of the package and cannot be removed")
        freed = cache.remove(published)
        if freed:
            say(f"removed {published.short}: {_size(freed)} freed")
        else:
            note(f"{published.short} is not downloaded; nothing to remove")


def _find(name: str) -> PublishedFile | str:
    """The published file of that name, or the name of a model inside the package."""
    embedded = embedded_name(name)
    if embedded is not None:
        return embedded
    published = find_published(name)
    if published is None:
        raise ModelError(f"{printable(name)}: no published model of that name; see localvqe models list")
    return published


def _find_all(names: list[str]) -> list[PublishedFile | str]:
    """Each file once, in the order given."""
    return list(dict.fromkeys(map(_find, names)))


def _pull(published: PublishedFile | str, *, force: bool, offline: bool) -> None:
    if isinstance(published, str):
        note(f"{published} is part of the package; nothing to download")
        return
    with ProgressBar(published.short) as progress:
        result = download.pull(published, force=force, offline=offline, progress=progress, report=say)
    if result.downloaded:
        say(f"{published.short}: {_size(result.path.stat().st_size)}, SHA-256 as published, {result.path}")
    else:
        note(f"{published.short} is already here: {result.path}")


def _verify(published: PublishedFile | str) -> dict[str, Any]:
    """Check one model, say how it is, and return that as plain data."""
    expected = problem = path = None
    if isinstance(published, str):  # nothing was published that it could be compared with, but it must be a model
        name = published
        try:
            path = models.resolve(name)
            gguf_file.read(path)
        except ModelError as exc:
            problem = str(exc)
    else:
        name, path, expected = published.short, cache.path_of(published), published.sha256
        found = cache.verify(published)
        if found is cache.State.ABSENT:
            problem = f"{name} is not downloaded; run: localvqe models pull {name}"
        elif found is cache.State.DAMAGED:
            problem = f"{path} is not the published file; run: localvqe models pull {name}"
    if problem is None:
        say(f"{name}: ok, {path}")
    else:
        fail(problem)
    return {"name": name, "path": str(path), "sha256": expected, "ok": problem is None, "problem": problem}


def _print_table(rows: list[dict[str, Any]]) -> None:
    table = Table(box=box.SIMPLE, pad_edge=False)
    table.add_column("name")
    table.add_column("line", overflow="fold")
    for heading in ("parameters", "size"):
        table.add_column(heading, justify="right")
    table.add_column("where", overflow="fold")
    for row in rows:
        size = "-" if row["bytes"] is None else _size(row["bytes"])
        table.add_row(row["name"], row["line"], f"{row['parameters']:,}", size, row["where"])
    print_table(Console(highlight=False, markup=False), table)


def _print_facts(known: dict[str, Any]) -> None:
    """One fact a line; text out of a file cannot reach the terminal as commands."""
    lines = {
        key: known[key]
        for key in ("name", "file", "format", "line", "version", "dmax", "parameters", "license", "sha256", "url")
    }
    lines |= {"where": known["where"], "path": known["path"], "bytes": known["bytes"]}
    content = known["contents"]
    if content is not None:
        types = ", ".join(f"{count} {kind}" for kind, count in content["totals"]["types"].items())
        lines["tensors"] = f"{content['totals']['tensors']} ({types})"
        lines |= {k: entry["value"] for k, entry in content["metadata"].items() if k.startswith("general.")}
        lines["usable"] = "yes" if content["usable"] else f"NO: {content['problems'][0]}"
    width = max(map(len, lines)) + 2
    for key, value in lines.items():
        if value is not None:
            text = f"{value:,}" if key in ("parameters", "bytes") else printable(str(value), _VALUE_LIMIT)
            print(f"{printable(key):<{width}}{text}")


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"
