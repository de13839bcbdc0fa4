"""The lines of a folder's record, kept so that whatever ends a run loses little: appended to ``results.jsonl``, or in
parts.

A storage cannot append, and machines that share a folder cannot do it together. So what they have to say is in
``results.d``: small files of one writer each, written whole, that carry the name of their run. They count where the
line that began the run stands in ``results.jsonl``, and go when their lines have moved there.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from .atomic import atomic_output
from .errors import LocalVQEError, UsageError
from .storage import is_remote, join, remote

__all__ = ["Line", "Part", "RunJournal"]

NAME = "results.jsonl"

_PARTS = "results.d"
_BEGINNING = '{"format": '  # of the first line, which may be cut short anywhere
_PART_SECONDS = 5.0  # of work that a kill may cost
_PART_LINES = 2000

#: JSON-ready.
Line = dict[str, Any]


class Part:
    """What one writer has to say of a run; its lines are safe at the latest when the next are added 5 s later.

    Args:
        run: the run's name, which the line that began it has as ``run``.
        name: no other writer's.

    Attributes:
        lines: all that it holds, those of an earlier process of this name at first.

    Raises:
        LocalVQEError: it cannot be read.
    """

    def __init__(self, folder: str, run: str, name: str) -> None:
        self._folder = join(folder, _PARTS)
        self._path = join(self._folder, f"{run}.{name}.jsonl")
        self.lines = [line for line in _parsed(_content(self._path)) if line]
        self._kept, self._since = len(self.lines), time.monotonic()

    def add(self, line: Line) -> None:
        """Raises LocalVQEError where it cannot be written."""
        self.lines.append(line)
        if time.monotonic() - self._since >= _PART_SECONDS:
            self.keep()

    def keep(self) -> None:
        """Write what is not written yet.

        Raises:
            LocalVQEError: it cannot be written.
        """
        if self._kept == len(self.lines):
            return
        if not is_remote(self._folder):
            try:
                os.makedirs(self._folder, exist_ok=True)
            except OSError as exc:
                raise LocalVQEError(f"could not write {self._folder}: {exc.strerror or exc}") from exc
        _write(self._path, self.lines)
        self._kept, self._since = len(self.lines), time.monotonic()


class RunJournal:
    """The lines of the record in ``folder``."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._path = join(folder, NAME)
        self._part: Part | None = None
        self._parts = 0

    @property
    def path(self) -> str:
        return self._path

    def lines(self) -> Iterator[tuple[Line, bool]]:
        """Every line, the damaged ones empty, and whether it is in a part.

        Raises:
            UsageError: a file of the journal's name is something else, or cannot be read.
            RemoteError: the storage cannot be reached, or refuses.
        """
        parts = _names(join(self._folder, _PARTS))
        for number, (text, line) in enumerate(_read(self._path)):
            if number == 0 and not _BEGINNING.startswith(text[: len(_BEGINNING)]):
                raise UsageError(f"{self._path}: is no record of outputs; move it away or name another folder")
            yield line, False
            run = line.get("run")
            if run:
                for name in parts:
                    if name.startswith(f"{run}."):
                        for found in _parsed(_content(join(join(self._folder, _PARTS), name))):
                            yield found, True

    def append(self, run: str, line: Line) -> None:
        """Raises LocalVQEError where it cannot be written."""
        if not is_remote(self._folder):
            self._append([line])
            return
        if self._part is None or len(self._part.lines) >= _PART_LINES:
            if self._part is not None:
                self._part.keep()
            self._parts += 1
            self._part = Part(self._folder, run, f"{self._parts:06d}")
        self._part.add(line)

    def keep(self) -> None:
        """Write what is not written yet. Raises LocalVQEError where that cannot be."""
        if self._part is not None:
            self._part.keep()

    def settle(self, new: Sequence[Line], everything: Iterable[Line], runs: Iterable[str]) -> None:
        """Move what is in parts of some runs into ``results.jsonl``.

        Args:
            new: lines that it lacks. ``everything`` is all that it should hold.

        Raises:
            LocalVQEError: it cannot be written.
        """
        if is_remote(self._folder):
            _write(self._path, everything)
        elif new:
            self._append(new)
        self._part = None
        for name in _names(join(self._folder, _PARTS)):
            if name.partition(".")[0] in set(runs):
                _remove(join(join(self._folder, _PARTS), name))
        if not is_remote(self._folder):
            with suppress(OSError):  # of another run there may be more
                os.rmdir(join(self._folder, _PARTS))

    def _append(self, lines: Sequence[Line]) -> None:
        # One write at the end of the file, so that runs that share a folder do not mix their lines.
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            try:
                torn = os.lseek(file, 0, os.SEEK_END) > 0 and os.lseek(file, -1, os.SEEK_END) >= 0
                torn = torn and os.read(file, 1) != b"\n"
                data = b"\n" * torn + _packed(lines)
                while data:
                    data = data[os.write(file, data) :]
            finally:
                os.close(file)
        except OSError as exc:
            raise LocalVQEError(f"could not write {self._path}: {exc.strerror or exc}") from exc


def _packed(lines: Iterable[Line]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def _parsed(content: bytes) -> Iterator[Line]:
    for text in content.decode("utf-8", "replace").splitlines():
        yield _line(text)


def _line(text: str) -> Line:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _read(path: str) -> Iterator[tuple[str, Line]]:
    """Each line as it stands there, and what it means."""
    if is_remote(path):
        for text in _content(path).decode("utf-8", "replace").splitlines():
            yield text, _line(text)
        return
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for row in file:
                yield row.rstrip("\n"), _line(row)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as exc:
        raise UsageError(f"{path}: cannot be read ({exc.strerror or exc})") from exc


def _content(path: str) -> bytes:
    """A file's content, nothing where it is not there."""
    try:
        if is_remote(path):
            return remote.read(path)
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return b""
    except OSError as exc:
        raise LocalVQEError(f"{path}: cannot be read ({exc.strerror or exc})") from exc


def _names(folder: str) -> list[str]:
    if is_remote(folder):
        return sorted(remote.listing(folder))
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError:
        return []


def _write(path: str, lines: Iterable[Line]) -> None:
    if is_remote(path):
        remote.write(path, _packed(lines))
        return
    with atomic_output(path) as temporary:
        temporary.write_bytes(_packed(lines))


def _remove(path: str) -> None:
    with suppress(OSError):
        if is_remote(path):
            remote.remove(path)
        else:
            os.unlink(path)
