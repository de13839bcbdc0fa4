"""Whole objects of remote storage, by fsspec, which knows the protocols; without it every URL is refused.

An object appears under its name when all of it has arrived, so a process that dies leaves nothing half-written.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import LocalVQEError, MissingExtraError, RemoteError, UsageError
from .paths import name_of, scheme_of

__all__ = ["fetch", "information", "is_private", "listing", "read", "remove", "require_writable", "staged", "write"]

#: What reads each kind of storage, where the extra ``cluster`` does not bring it along.
_PACKAGES = {"s3": None, "gs": "gcsfs", "az": "adlfs", "https": None, "http": None, "memory": None}
_READ_ONLY = ("https", "http")
_RANGE = 8 << 20  # bytes of one request; an object is in memory by such pieces
_TEXT = 200
_DENIED = (401, 403)
_GONE = (404, 410)


def is_private(url: str) -> bool:
    """Whether other processes see nothing of it."""
    return scheme_of(url) == "memory"


def information(url: str) -> dict[str, Any]:
    """What the storage knows of an object, its ``size`` among it (None where it does not say).

    Raises:
        FileNotFoundError: there is none.
        RemoteError: the storage cannot be reached, or refuses.
        MissingExtraError, UsageError: it is of a kind that is not installed, or not known.
    """
    files, path = _open_storage(url)
    with _refusals(url):
        found: dict[str, Any] = files.info(path)
    if found.get("type") == "directory":
        raise FileNotFoundError(url)
    return found


def listing(folder: str) -> dict[str, dict[str, Any]]:
    """What is known of each object in a folder, by its name there; empty where there is none. Raises as information."""
    files, path = _open_storage(folder)
    try:
        with _refusals(folder):
            found = files.ls(path, detail=True)
    except FileNotFoundError:
        return {}
    return {entry["name"].rpartition("/")[2]: entry for entry in found if entry.get("type") != "directory"}


def fetch(url: str, file: BinaryIO) -> None:
    """Write an object's content to ``file``, by ranges where it is large. Raises as :func:`information`."""
    size = information(url).get("size")
    files, path = _open_storage(url)
    if size is None or size <= _RANGE:
        with _refusals(url):
            data = files.cat_file(path)
        file.write(data)
        return
    for start in range(0, size, _RANGE):
        end = min(start + _RANGE, size)
        with _refusals(url):
            data = files.cat_file(path, start=start, end=end)
        if start == 0 and len(data) == size:  # a server without ranges sends all there is
            file.write(data)
            return
        if len(data) != end - start:
            raise RemoteError(f"{url}: {len(data)} bytes came where {end - start} were asked for; did it change?")
        file.write(data)


def read(url: str) -> bytes:
    """An object's content, for small ones. Raises as :func:`information`."""
    files, path = _open_storage(url)
    with _refusals(url):
        data: bytes = files.cat_file(path)
    return data


def write(url: str, data: bytes) -> None:
    """Make or replace an object.

    Raises:
        RemoteError: the storage cannot be reached, or refuses.
    """
    files, path = _open_storage(url)
    with _writing(url):
        files.pipe_file(path, data)


def remove(url: str) -> None:
    """Remove an object. Raises as :func:`information`."""
    files, path = _open_storage(url)
    with _refusals(url):
        files.rm_file(path)


def require_writable(url: str) -> None:
    """Raise UsageError where objects of this kind can only be read."""
    if scheme_of(url) in _READ_ONLY:
        raise UsageError(
            f"cannot write {url}: {scheme_of(url)}:// can only be read; name a folder or s3://, gs://, az://"
        )
    _open_storage(url)


@contextmanager
def staged(url: str) -> Iterator[Path]:
    """A path for the body to write, in a folder of its own; a file that is there at the end becomes the object.

    Raises:
        RemoteError: the storage cannot be reached, or refuses; an object that was there stays.
    """
    with tempfile.TemporaryDirectory(prefix="localvqe-") as folder:
        path = Path(folder) / f"out{os.path.splitext(name_of(url))[1]}"
        yield path
        if path.exists():
            files, target = _open_storage(url)
            with _writing(url):
                files.put_file(os.fspath(path), target)


def _open_storage(url: str) -> tuple[Any, str]:
    """fsspec's file system for a URL, and what that calls the object."""
    scheme = scheme_of(url)
    if scheme not in _PACKAGES:
        known = ", ".join(f"{name}://" for name in _PACKAGES)
        raise UsageError(f"{url}: {scheme}:// is no storage that is known here; known are {known}")
    try:
        import fsspec
    except ImportError as exc:
        raise MissingExtraError(f"{scheme}:// ({url})", "cluster") from exc
    try:
        # Listings are never kept: another machine may be writing there.
        files = fsspec.filesystem(scheme, use_listings_cache=False)
    except ImportError as exc:
        raise MissingExtraError(f"{scheme}:// ({url})", "cluster", package=_PACKAGES[scheme]) from exc
    except Exception as exc:  # settings of that package, in its variables or files
        raise RemoteError(f"{url}: cannot be reached ({_text(exc)})") from exc
    return files, files._strip_protocol(url)


@contextmanager
def _writing(url: str) -> Iterator[None]:
    try:
        with _refusals(url):
            yield
    except FileNotFoundError as exc:
        raise RemoteError(f"could not write {url}: there is no such bucket or container") from exc


@contextmanager
def _refusals(url: str) -> Iterator[None]:
    """Give what the packages raise, each its own classes, one of ours; FileNotFoundError is left for the caller."""
    try:
        yield
    except LocalVQEError:
        raise
    except Exception as exc:
        # Over http everything is "not found", with the truth as its cause.
        cause = (exc.__cause__ if scheme_of(url) in _READ_ONLY else None) or exc
        status = getattr(cause, "status", None)
        if isinstance(cause, FileNotFoundError) or status in _GONE:
            raise FileNotFoundError(url) from exc
        text = _text(cause) if status is None else f"{status} {getattr(cause, 'message', '')}".strip()
        if isinstance(cause, PermissionError) or status in _DENIED or "Credentials" in type(cause).__name__:
            raise RemoteError(f"{url}: access denied ({text}); are the credentials right?") from exc
        raise RemoteError(f"{url}: cannot be reached ({text})") from exc


def _text(exc: BaseException) -> str:
    text = " ".join(str(exc).split()) or type(exc).__name__
    return text if len(text) <= _TEXT else f"{text[:_TEXT]}..."
