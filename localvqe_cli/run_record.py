"""What a folder of outputs says of itself: how each file in it was made, so that a killed run can go on.

``results.jsonl`` grows by a line for each file that is done, after its output has its name. A run first writes which
outputs it is going to make: what the folder knew of these does not hold any more. A line that a kill cut short is
as good as none. ``results.tsv`` is made of it at the end of a run, for people and spreadsheets.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .atomic import atomic_output, check_output
from .errors import LocalVQEError, UsageError

__all__ = ["OutputEntry", "RunRecord", "recipe_digest", "stamp"]

TABLE = "results.tsv"
JOURNAL = "results.jsonl"

_FORMAT = 1
_BEGINNING = '{"format": '  # of the first line, which may be cut short anywhere
_COLUMNS = ("id", "seconds", "wall_seconds", "warnings", "error", "output_sha256", "model_sha256")

# What a reader of lines and tabs could take for an end.
_BREAKS = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")

#: Size and time of change of a file, by which it is known again; None where it is not there.
Stamp = list[int] | None


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


def stamp(path: str | None) -> Stamp:
    """The stamp of a file; None for no path."""
    if not path:
        return None
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return [found.st_size, found.st_mtime_ns]


class RunRecord:
    """The record in ``folder``, which need not exist yet.

    Attributes:
        entries: what is known, by the output's name.
        outputs: names of all outputs that runs have made or were going to make.

    Raises:
        UsageError: it cannot be read, or a file of its name is something else.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder)
        self._journal, self._table = self._folder / JOURNAL, self._folder / TABLE
        self.entries: dict[str, OutputEntry] = {}
        self.outputs: set[str] = set()
        self._read()

    def prepare(self, *, force: bool) -> None:
        """Say at once whether the record can be written.

        Raises:
            UsageError: it cannot, or ``results.tsv`` is there and not of a record, without ``force``.
        """
        check_output(self._table, force=force or self._journal.exists())
        check_output(self._journal, force=True)

    def begin(self, recipe: Mapping[str, Any], outputs: Sequence[str]) -> None:
        """Say which outputs are going to be made, and how.

        Raises:
            LocalVQEError: the system refuses to write.
        """
        self._append({"format": _FORMAT, "recipe": recipe, "outputs": outputs})
        self._claim(outputs)

    def add(self, entry: OutputEntry) -> None:
        """Keep what became of an output that is whole and has its name, or failed.

        Raises:
            LocalVQEError: the system refuses to write.
        """
        self._append({"entry": vars(entry)})
        self.entries[entry.output] = entry

    def is_whole(self, output: str) -> bool:
        """The output is there as it was written."""
        entry = self.entries.get(output)
        found = stamp(os.fspath(self._folder / output))
        return entry is not None and found is not None and found[0] == entry.size

    def write_table(self, first: Iterable[str] = ()) -> None:
        """Write ``results.tsv``, the outputs named ``first`` at the top and in that order.

        Raises:
            LocalVQEError: the system refuses to write.
        """
        entries = [self.entries[name] for name in dict.fromkeys([*first, *self.entries]) if name in self.entries]
        with (
            atomic_output(self._table) as path,
            open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file,
        ):
            rows = csv.writer(file, delimiter="\t", lineterminator="\n")
            rows.writerow(_COLUMNS)
            rows.writerows(_row(entry) for entry in entries)

    def _claim(self, outputs: Iterable[str]) -> None:
        self.outputs.update(outputs)
        for name in outputs:
            self.entries.pop(name, None)

    def _append(self, line: dict[str, Any]) -> None:
        # One write at the end of the file, so that runs that share a folder do not mix their lines.
        try:
            file = os.open(self._journal, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            try:
                torn = os.lseek(file, 0, os.SEEK_END) > 0 and os.lseek(file, -1, os.SEEK_END) >= 0
                torn = torn and os.read(file, 1) != b"\n"
                data = ("\n" if torn else "").encode() + json.dumps(line).encode() + b"\n"
                while data:
                    data = data[os.write(file, data) :]
            finally:
                os.close(file)
        except OSError as exc:
            raise LocalVQEError(f"could not write {self._journal}: {exc.strerror or exc}") from exc

    def _read(self) -> None:
        try:
            with open(self._journal, encoding="utf-8", errors="replace") as file:
                for number, line in enumerate(file):
                    if number == 0 and not _BEGINNING.startswith(line.rstrip("\n")[: len(_BEGINNING)]):
                        raise UsageError(
                            f"{self._journal}: is no record of outputs; move it away or name another folder"
                        )
                    self._take(_parsed(line))
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as exc:
            raise UsageError(f"{self._journal}: cannot be read ({exc.strerror or exc})") from exc

    def _take(self, line: dict[str, Any]) -> None:
        if line.get("format", _FORMAT) != _FORMAT:
            raise UsageError(f"{self._journal}: was written by another version of localvqe; name another folder")
        try:
            if "outputs" in line:
                self._claim([str(name) for name in line["outputs"]])
            elif "entry" in line:
                entry = OutputEntry(**line["entry"])
                self.entries[entry.output] = entry
        except TypeError:  # damaged, so it says nothing
            return


def _parsed(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


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
