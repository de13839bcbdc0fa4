"""Downloaded models on disk: where they lie, whether they are whole, and one process at a time.

A file has its final name only after its SHA-256 was found right. Beside it lies a stamp with its size and
modification time at that moment, so that starting a program does not mean hashing megabytes; a file whose stamp does
not match (copied there by hand, touched, changed) is hashed again. ``verify`` always hashes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path

import platformdirs

from ..atomic import atomic_output
from ..errors import LocalVQEError, ModelError
from ..file_digest import file_sha256
from .registry import PublishedFile

try:
    import fcntl
except ImportError:  # not a POSIX system: a collision of two downloads is then found by the digest
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "State",
    "accept",
    "cache_folder",
    "discard_partial",
    "locked",
    "part_path",
    "path_of",
    "remove",
    "state",
    "verify",
]

FOLDER_VARIABLE = "LOCALVQE_CACHE"


class State(str, Enum):
    """What the cache holds of a published file."""

    CACHED = "cached"
    DAMAGED = "damaged"
    ABSENT = "not downloaded"


def cache_folder() -> Path:
    """The folder of downloaded models; it need not exist. ``LOCALVQE_CACHE`` moves it."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    if chosen:
        return Path(chosen).expanduser() / "models"
    return Path(platformdirs.user_cache_dir("localvqe", appauthor=False)) / "models"


def path_of(file: PublishedFile) -> Path:
    """Where the whole file lies once it is here."""
    return cache_folder() / file.filename


def part_path(file: PublishedFile) -> Path:
    """Where an unfinished download grows."""
    return cache_folder() / f"{file.filename}.part"


def state(file: PublishedFile) -> State:
    """What the cache holds of ``file``; hashes it only where the stamp does not vouch for it.

    Raises:
        ModelError: it is there but cannot be read.
    """
    found = _facts(file)
    if found is None:
        return State.ABSENT
    with suppress(OSError):
        if _stamp_path(file).read_text(encoding="ascii", errors="replace") == found:
            return State.CACHED
    return verify(file)


def verify(file: PublishedFile) -> State:
    """Hash the cached file and renew or remove its stamp.

    Raises:
        ModelError: it is there but cannot be read.
    """
    path = path_of(file)
    found = _facts(file)  # before hashing: a change meanwhile must not end up under the stamp
    if found is None:
        return State.ABSENT
    if _digest(path) == file.sha256:
        _write_stamp(file, found)
        return State.CACHED
    with suppress(OSError):
        _stamp_path(file).unlink(missing_ok=True)
    return State.DAMAGED


def accept(file: PublishedFile, candidate: Path) -> Path:
    """Give a finished download its final name, if it is the published file; otherwise delete it.

    Raises:
        ModelError: the digest is wrong.
    """
    digest = _digest(candidate)
    if digest != file.sha256:
        candidate.unlink(missing_ok=True)
        raise ModelError(
            f"{file.filename}: the download has SHA-256 {digest[:12]}..., expected {file.sha256[:12]}...; "
            "it was deleted; try again or use another mirror"
        )
    path = path_of(file)
    os.replace(candidate, path)
    found = _facts(file)
    if found is not None:
        _write_stamp(file, found)
    return path


def remove(file: PublishedFile) -> int:
    """Delete everything the cache holds of ``file``, unfinished downloads included; the bytes that were freed.

    Raises:
        LocalVQEError: another process is downloading it, or the system refuses.
    """
    if not cache_folder().is_dir():
        return 0
    with locked(file):
        try:
            freed = _unlink(path_of(file))
            _unlink(_stamp_path(file))
            return freed + discard_partial(file)
        except OSError as exc:
            raise LocalVQEError(f"could not remove {path_of(file)}: {_reason(exc)}") from exc


def discard_partial(file: PublishedFile) -> int:
    """Delete an unfinished download of ``file``; the bytes that were freed."""
    return _unlink(part_path(file))


@contextmanager
def locked(file: PublishedFile, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Keep other processes and threads from downloading or removing ``file``; makes the cache folder.

    Args:
        file: what to lock.
        waiting: called before waiting for another holder; None means not to wait.

    Raises:
        LocalVQEError: the folder cannot be written, or there is another holder and ``waiting`` is None.
    """
    folder = cache_folder()
    path = folder / f".{file.filename}.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = _lock(path, file, waiting)
    except OSError as exc:
        raise LocalVQEError(f"cannot write to the model cache {folder}: {_reason(exc)}") from exc
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        os.close(handle)


def _lock(path: Path, file: PublishedFile, waiting: Callable[[], None] | None) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if fcntl is None:
                return handle
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if waiting is None:
                    raise LocalVQEError(
                        f"{file.filename} is being downloaded by another process; try again later"
                    ) from None
                waiting()
                fcntl.flock(handle, fcntl.LOCK_EX)
            except OSError:  # a filesystem without locks; the digest still protects the result
                return handle
            if _is_at(handle, path):  # and not the file of a holder who has just let go
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def _facts(file: PublishedFile) -> str | None:
    """What the stamp must say about the file as it is now; None if it is not there."""
    path = path_of(file)
    try:
        info = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise ModelError(f"cannot read {path}: {_reason(exc)}") from exc
    return f"{file.sha256} {info.st_size} {info.st_mtime_ns}\n"


def _stamp_path(file: PublishedFile) -> Path:
    return cache_folder() / f".{file.filename}.verified"


def _write_stamp(file: PublishedFile, found: str) -> None:
    # In a cache that cannot be written the file is hashed on each start, which is slower and just as safe.
    with suppress(OSError, LocalVQEError), atomic_output(_stamp_path(file)) as temporary:
        temporary.write_text(found, encoding="ascii")


def _digest(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as exc:
        raise ModelError(f"cannot read {path}: {_reason(exc)}") from exc


def _unlink(path: Path) -> int:
    try:
        size = path.lstat().st_size
        path.unlink()
    except FileNotFoundError:
        return 0
    return size


def _reason(exc: OSError) -> str:
    text = exc.strerror or str(exc)
    return text[:1].lower() + text[1:]
