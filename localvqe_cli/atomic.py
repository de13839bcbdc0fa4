"""Output files that appear whole or not at all.

Every file this package writes goes through :func:`atomic_output`: the caller writes a temporary file
beside the target, which takes the target's name only once it is complete.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import LocalVQEError, UsageError
from .storage import is_remote
from .storage.remote import information, require_writable, staged

__all__ = ["atomic_output", "check_output", "remove_leftovers"]

StrPath = str | os.PathLike[str]

# Leaves room for the dot, the token and the suffix inside the usual 255-byte limit of a file name.
_MAX_STEM_BYTES = 160
# A name made by _create_beside: stem and suffix of the final name.
_TEMPORARY = re.compile(r"\.(.*)\.[0-9a-f]{12}\.tmp(\.[^.]*|)", re.DOTALL)
_WRITE_BITS = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


def check_output(path: StrPath, *, force: bool = False, inputs: Iterable[StrPath] = ()) -> Path:
    """Say at once, before any work, whether ``path`` can be written.

    Args:
        path: the file to be written.
        force: allow an existing file to be replaced.
        inputs: files that are still to be read; ``path`` must be none of them, even with ``force``.

    Returns:
        ``path`` as a Path; of a URL that is nothing to open.

    Raises:
        UsageError: it is a directory, one of the inputs, read-only, in a folder that is missing or
            read-only, or exists and ``force`` is not given.
        RemoteError: its storage cannot be asked.
    """
    target = Path(path)
    if is_remote(os.fspath(path)):
        _check_remote(os.fspath(path), force, inputs)
        return target
    folder = _real_path(path).parent
    try:
        info = target.stat()
    except FileNotFoundError:
        info = None
    except OSError as exc:
        raise UsageError(f"cannot write {path}: {_reason(exc)}") from exc
    if info is not None and stat.S_ISDIR(info.st_mode):
        raise UsageError(f"cannot write {path}: it is a directory; name a file")
    if not folder.is_dir():
        raise UsageError(f"cannot write {path}: the folder {target.parent} does not exist")
    if info is None:
        _require_writable_folder(path, target, folder)
        return target
    for other in inputs:
        if _is_same_file(target, other):
            raise UsageError(f"cannot write {path}: it is the input itself; choose another output")
    if not stat.S_ISREG(info.st_mode):  # a pipe or a device such as /dev/null is written in place
        return target
    if not force:
        raise UsageError(f"{path} exists; use --force to overwrite it")
    # Replacing a file needs no permission on the file itself, so its write protection is ours to honour.
    if not info.st_mode & _WRITE_BITS:
        raise UsageError(f"cannot write {path}: it is read-only")
    _require_writable_folder(path, target, folder)
    return target


@contextmanager
def atomic_output(path: StrPath) -> Iterator[Path]:
    """Write a file completely or leave no trace.

    Yields a fresh temporary path in the target's folder, with the target's suffix, for the body to
    write. On a normal exit it replaces the target (a symbolic link keeps pointing where it did); on
    any exception, an interrupt included, it is removed and the target stays as it was. Pipes and
    devices are yielded as they are. For a URL the temporary path is among the system's temporary files.

    Raises:
        UsageError: the target is a directory or its folder cannot be written.
        LocalVQEError: the system refused the write, for example because the disk is full.
        RemoteError: the storage of a URL did.
    """
    if is_remote(os.fspath(path)):
        with staged(os.fspath(path)) as temporary:
            yield temporary
        return
    final = _real_path(path)
    if final.is_dir():
        raise UsageError(f"cannot write {path}: it is a directory; name a file")
    if final.exists() and not final.is_file():
        yield final
        return
    temporary = _create_beside(path, final)
    try:
        yield temporary
        with suppress(OSError):
            temporary.chmod(final.stat().st_mode & 0o777)
        os.replace(temporary, final)
    except OSError as exc:
        if exc.filename is not None and os.fspath(exc.filename) != os.fspath(temporary):
            raise  # about another file that the body touched, not about this one
        raise LocalVQEError(f"could not write {path}: {_reason(exc)}") from exc
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: StrPath, names: Iterable[str]) -> None:
    """Remove what killed processes left of files that were to get these names in ``folder``."""
    stems = {(_short_stem(Path(name)), Path(name).suffix) for name in names}
    with suppress(OSError):
        for name in os.listdir(folder):
            found = _TEMPORARY.fullmatch(name)
            if found is not None and found.groups() in stems:
                with suppress(OSError):
                    os.unlink(os.path.join(folder, name))


def _check_remote(url: str, force: bool, inputs: Iterable[StrPath]) -> None:
    require_writable(url)
    if url in [os.fspath(path) for path in inputs]:
        raise UsageError(f"cannot write {url}: it is the input itself; choose another output")
    if not force:
        with suppress(FileNotFoundError):
            information(url)
            raise UsageError(f"{url} exists; use --force to overwrite it")


def _real_path(path: StrPath) -> Path:
    try:
        return Path(os.path.realpath(path))
    except (OSError, ValueError) as exc:
        raise UsageError(f"cannot write {str(path)!r}: {_reason(exc)}") from exc


def _short_stem(final: Path) -> str:
    return final.stem.encode(errors="surrogateescape")[:_MAX_STEM_BYTES].decode(errors="ignore")


def _create_beside(path: StrPath, final: Path) -> Path:
    temporary = final.with_name(f".{_short_stem(final)}.{secrets.token_hex(6)}.tmp{final.suffix}")
    try:
        # Created here, with the umask's mode, so that nobody else's file can stand at this name.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except (OSError, ValueError) as exc:
        raise UsageError(f"cannot write {path}: {_reason(exc)}") from exc
    return temporary


def _require_writable_folder(path: StrPath, target: Path, folder: Path) -> None:
    if not os.access(folder, os.W_OK | os.X_OK) or not folder.stat().st_mode & _WRITE_BITS:
        raise UsageError(f"cannot write {path}: the folder {target.parent} is read-only")


def _is_same_file(target: Path, other: StrPath) -> bool:
    try:
        return os.path.samefile(target, other)
    except (OSError, ValueError):
        return False


def _reason(exc: Exception) -> str:
    text = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
    return text[:1].lower() + text[1:]
