"""What a folder of outputs says of itself: how each file in it was made, so that a killed run can go on.

The journal grows by a line for each file that is done, after its output has its name. A run first writes which
outputs it is going to make: what the folder knew of these does not hold any more. A line that a kill cut short is
as good as none. ``results.tsv`` is made of it at the end of a run, for people and spreadsheets.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .atomic import atomic_output, check_output
from .errors import UsageError
from .run_journal import Line, RunJournal
from .storage import Stamp, is_remote, join, stamp
from .storage.remote import listing

__all__ = ["OutputEntry", "RunRecord", "entry_line", "entry_of", "recipe_digest"]

TABLE = "results.tsv"

_FORMAT = 1
_COLUMNS = ("id", "seconds", "wall_seconds", "warnings", "error", "output_sha256", "model_sha256")

# What a reader of lines and tabs could take for an end.
_BREAKS = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")


@dataclass(frozen=True)
class OutputEntry:
    """What became of one output.

    Attributes:
        output: its name in the folder.
        recipe: digest of all that decides how it sounds, but for the inputs.
        model_sha256: of the model file.
        inputs: stamps of microphone and reference before they were read.
        size, sha256: of the output; -1 and empty where there is none.
        result: the file's result, JSON-ready.
    """

    output: str
    recipe: str
    model_sha256: str
    inputs: list[Stamp]
    size: int
    sha256: str
    result: dict[str, Any]


def recipe_digest(recipe: Mapping[str, Any]) -> str:
    """Name of a recipe; its values are JSON-ready."""
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()


class RunRecord:
    """The record in ``folder``, a path or a URL, which need not exist yet.

    Attributes:
        folder: the same.
        entries: what is known, by the output's name.
        outputs: names of all outputs that runs have made or were going to make.
        run: the name of the run that has begun, empty before.

    Raises:
        UsageError: it cannot be read, or a file of its name is something else.
        RemoteError: the folder's storage cannot be reached, or refuses.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = os.fspath(folder)
        self.entries: dict[str, OutputEntry] = {}
        self.outputs: set[str] = set()
        self.run = ""
        self._table = join(self.folder, TABLE)
        self._journal = RunJournal(self.folder)
        self._in_parts: set[str] = set()
        self._runs: set[str] = set()
        self._known = False
        for line, in_part in self._journal.lines():
            self._known = True
            self._take(line, in_part)

    def prepare(self, *, force: bool) -> None:
        """Say at once whether the record can be written.

        Raises:
            UsageError: it cannot, or ``results.tsv`` is there and not of a record, without ``force``.
            RemoteError: as the class.
        """
        check_output(self._table, force=force or self._known)
        check_output(self._journal.path, force=True)

    def begin(self, recipe: Mapping[str, Any], outputs: Sequence[str]) -> None:
        """Say which outputs are going to be made, and how.

        Raises:
            LocalVQEError: the system or the storage refuses to write.
        """
        self.run = secrets.token_hex(6)
        line = {"format": _FORMAT, "run": self.run, "recipe": recipe, "outputs": outputs}
        self._settle(line)
        self._claim(outputs)
        self._runs.add(self.run)

    def add(self, entry: OutputEntry, *, in_part: bool = False) -> None:
        """Keep what became of an output that is whole and has its name, or failed.

        Args:
            in_part: who made it has written the line, in a :class:`Part` of this run.

        Raises:
            LocalVQEError: the system or the storage refuses to write.
        """
        if in_part:
            self._in_parts.add(entry.output)
        else:
            self._in_parts.discard(entry.output)
            self._journal.append(self.run, entry_line(entry))
        self.entries[entry.output] = entry

    def is_whole(self, output: str) -> bool:
        """The output is there as it was written."""
        entry = self.entries.get(output)
        return entry is not None and self._size(output) == entry.size

    def keep(self) -> None:
        """Write what a run that ends early has not written yet.

        Raises:
            LocalVQEError: the system or the storage refuses to write.
        """
        self._journal.keep()

    def finish(self) -> None:
        """Leave nothing but ``results.jsonl``, after the last entry of a run.

        Raises:
            LocalVQEError: the system or the storage refuses to write.
        """
        if self._in_parts or is_remote(self.folder):
            self._settle()

    def write_table(self, first: Iterable[str] = ()) -> None:
        """Write ``results.tsv``, the outputs named ``first`` at the top and in that order.

        Raises:
            LocalVQEError: the system or the storage refuses to write.
        """
        entries = [self.entries[name] for name in dict.fromkeys([*first, *self.entries]) if name in self.entries]
        with (
            atomic_output(self._table) as path,
            open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file,
        ):
            rows = csv.writer(file, delimiter="\t", lineterminator="\n")
            rows.writerow(_COLUMNS)
            rows.writerows(_row(entry) for entry in entries)

    def _settle(self, *more: Line) -> None:
        new = [entry_line(self.entries[name]) for name in sorted(self._in_parts) if name in self.entries]
        self._journal.settle([*new, *more], [*self._everything(), *more], self._runs)
        self._in_parts.clear()

    def _everything(self) -> Iterator[Line]:
        if self.outputs:
            yield {"format": _FORMAT, "outputs": sorted(self.outputs)}
        yield from map(entry_line, self.entries.values())

    def _size(self, output: str) -> int | None:
        if is_remote(self.folder):
            return self._sizes.get(output)
        found = stamp(join(self.folder, output))
        return None if found is None else int(found[0])

    @cached_property
    def _sizes(self) -> dict[str, int]:
        return {name: int(known.get("size") or 0) for name, known in listing(self.folder).items()}

    def _claim(self, outputs: Iterable[str]) -> None:
        self.outputs.update(outputs)
        for name in outputs:
            self.entries.pop(name, None)
            self._in_parts.discard(name)

    def _take(self, line: Line, in_part: bool) -> None:
        if line.get("format", _FORMAT) != _FORMAT:
            raise UsageError(f"{self._journal.path}: was written by another version of localvqe; name another folder")
        if "outputs" in line:
            try:
                self._claim([str(name) for name in line["outputs"]])
            except TypeError:  # damaged, so it says nothing
                return
            self._runs.add(str(line.get("run", "")))
        entry = entry_of(line)
        if entry is not None:
            self.entries[entry.output] = entry
            (self._in_parts.add if in_part else self._in_parts.discard)(entry.output)


def entry_line(entry: OutputEntry) -> Line:
    """The journal's line of an entry."""
    return {"entry": vars(entry)}


def entry_of(line: Line) -> OutputEntry | None:
    """The entry that a line is; None where it is none, or damaged."""
    try:
        return OutputEntry(**line["entry"])
    except (KeyError, TypeError):
        return None


def _row(entry: OutputEntry) -> list[str]:
    found = entry.result
    cells = [
        str(found.get("id")),
        f"{found.get('seconds') or 0.0:.3f}",
        f"{found.get('wall_seconds') or 0.0:.3f}",
        "; ".join(map(str, found.get("warnings") or ())),
        str(found.get("error") or ""),
        entry.sha256,
        entry.model_sha256,
    ]
    return [_BREAKS.sub(" ", cell) for cell in cells]
