"""A part of a file as a file of its own."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

__all__ = ["FileWindow"]


class FileWindow(io.RawIOBase):
    """``size`` bytes of a file from ``start`` on, with a position of their own: several can show one file.

    Attributes:
        size: how many bytes it shows.
    """

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file = file
        self._start = start
        self.size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError("a position before the start")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        self._file.seek(self._start + self._position)
        data = self._file.read(max(0, min(len(buffer), self.size - self._position)))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
