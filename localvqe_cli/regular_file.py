"""Opening a file that anybody may have named: what is no ordinary file is refused before it is waited for."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from .errors import LocalVQEError
from .tensor_check import printable

__all__ = ["open_regular"]


@contextmanager
def open_regular(
    path: str | os.PathLike[str], expected: str, error: type[LocalVQEError]
) -> Iterator[tuple[BinaryIO, int]]:
    """A file, open for reading, and its size in bytes; ``expected`` is what messages say instead of a directory.

    Raises:
        LocalVQEError: of the kind ``error``, where it is not there, is no regular file, or cannot be read.
    """
    try:
        info = os.stat(path)
        if stat.S_ISDIR(info.st_mode):
            raise error(f"{path}: is a directory, expected {expected}")
        if not stat.S_ISREG(info.st_mode):
            raise error(f"{path}: is not a regular file")
        with open(path, "rb") as file:
            yield file, os.fstat(file.fileno()).st_size
    except FileNotFoundError as exc:
        raise error(f"{path}: no such file") from exc
    except OSError as exc:
        raise error(f"{path}: cannot be read: {exc.strerror or exc}") from exc
    except ValueError as exc:  # a NUL byte in the name
        raise error(f"{printable(str(path))}: no such file") from exc
