"""By what a file is known again without reading it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from ..errors import RemoteError
from .paths import is_remote
from .remote import information

__all__ = ["Stamp", "stamp", "stamps"]

#: Size and time of change of a file, or what the storage says of an object's version; None where there is none.
Stamp = list[int | str] | None

_AT_ONCE = 32  # questions to a storage, each of which is a wait
#: After so many objects and not one answer, nobody wants to wait for the rest.
_PATIENCE = 32
#: What storages call an object's version, the surest first.
_VERSIONS = ("ETag", "etag", "mtime", "LastModified", "last_modified", "updated", "created")


def stamp(path: str | None) -> Stamp:
    """The stamp of a file; None for no path.

    Raises:
        RemoteError, MissingExtraError, UsageError: a storage cannot be asked.
    """
    if not path:
        return None
    if is_remote(path):
        return _remote_stamp(path)
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return [found.st_size, found.st_mtime_ns]


def stamps(paths: Sequence[str | None]) -> dict[str, Stamp]:
    """The stamps of many files, without those whose storage cannot be asked.

    Raises:
        RemoteError: none of the first remote ones can be asked.
        MissingExtraError, UsageError: as :func:`stamp`.
    """
    wanted = [path for path in dict.fromkeys(paths) if path]
    found = {path: stamp(path) for path in wanted if not is_remote(path)}
    remote = [path for path in wanted if is_remote(path)]
    answered, refusal = False, None
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for start in range(0, len(remote), _PATIENCE):
            part = remote[start : start + _PATIENCE]
            for path, answer in zip(part, pool.map(_asked, part), strict=True):
                if isinstance(answer, RemoteError):
                    refusal = refusal or answer
                else:
                    found[path], answered = answer, True
            if not answered and refusal is not None:
                raise refusal
    return found


def _asked(path: str) -> Stamp | RemoteError:
    try:
        return stamp(path)
    except RemoteError as exc:
        return exc


def _remote_stamp(url: str) -> Stamp:
    try:
        known = information(url)
    except FileNotFoundError:
        return None
    size = known.get("size")
    version = next((str(known[name]) for name in _VERSIONS if known.get(name) is not None), "")
    return [-1 if size is None else int(size), version]
