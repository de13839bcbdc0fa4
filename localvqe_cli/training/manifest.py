"""The list of recordings a training run may use.

A manifest is a TSV file with a header. Columns: ``path`` (relative to the file), ``kind`` (speech, noise or rir),
``split`` (train or valid), ``speaker``; ``seconds``, ``licence`` and ``source`` are kept, others are ignored.
"""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError

__all__ = ["KINDS", "SPLITS", "Entry", "read_manifest", "select"]

KINDS = ("speech", "noise", "rir")
SPLITS = ("train", "valid")
FILE_NAME = "manifest.tsv"
_REQUIRED = ("path", "kind", "split")


@dataclass(frozen=True)
class Entry:
    """One recording.

    Attributes:
        path: the file, the manifest's folder included.
        kind: speech, noise, or rir (the impulse response of a loudspeaker, a device or a small room).
        split: train or valid; voices of one are not in the other.
        speaker: whose voice; may name a group of unknown voices. Empty for what is not speech.
        licence, source: where it comes from and on what terms.
    """

    path: Path
    kind: str
    split: str
    speaker: str = ""
    licence: str = ""
    source: str = ""


def read_manifest(data: str | os.PathLike[str]) -> list[Entry]:
    """Entries of a manifest, in file order.

    Args:
        data: the TSV file, or a folder that holds ``manifest.tsv``.

    Raises:
        UsageError: it is missing, has no such columns, or a row that makes no sense.
    """
    path = Path(data)
    if path.is_dir():
        path = path / FILE_NAME
    try:
        with open(path, encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    except OSError as exc:
        raise UsageError(f"{path}: cannot be read: {exc.strerror or exc}; give a folder with {FILE_NAME}") from exc
    except (UnicodeDecodeError, csv.Error) as exc:
        raise UsageError(f"{path}: is no tab-separated text: {exc}") from exc
    if not rows:
        raise UsageError(f"{path}: lists no recordings")
    missing = [name for name in _REQUIRED if name not in rows[0]]
    if missing:
        raise UsageError(f"{path}: has no column {missing[0]!r}; it needs {', '.join(_REQUIRED)}")
    return [_entry(path, number, row) for number, row in enumerate(rows, start=2)]


def select(entries: list[Entry], kind: str, split: str) -> list[Entry]:
    """The entries of one kind and split."""
    return [entry for entry in entries if entry.kind == kind and entry.split == split]


def _entry(manifest: Path, line: int, row: dict[str, str | None]) -> Entry:
    values = {name: row.get(name) or "" for name in ("path", "kind", "split", "speaker", "licence", "source")}
    for name, allowed in (("kind", KINDS), ("split", SPLITS)):
        if values[name] not in allowed:
            raise UsageError(f"{manifest}:{line}: {name} is {values[name]!r}, expected {' or '.join(allowed)}")
    if not values["path"]:
        raise UsageError(f"{manifest}:{line}: has no path")
    return Entry(manifest.parent / values.pop("path"), **values)
