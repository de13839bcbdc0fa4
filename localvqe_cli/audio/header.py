"""What a WAV header promises, read without libsndfile, which quietly believes the file's size instead."""

from __future__ import annotations

import io
import struct
from typing import Any, BinaryIO, NamedTuple

__all__ = ["ClosedWav", "promised_wav_frames", "unclosed_wav"]

# Programs that write WAV into a pipe cannot know the size and leave 2^32-1 or something near 2^31.
_UNKNOWN_SIZE = 0x7FFF0000
_MAX_CHUNKS = 64
_LARGEST_SIZE = 0xFFFF0000


class _Data(NamedTuple):
    """Where a ``data`` chunk's samples begin, in bytes, their size there as the header says, and the block's."""

    start: int
    size: int
    block: int
    counts_frames: bool  # a compressed encoding counts blocks, not frames


def promised_wav_frames(file: BinaryIO) -> int | None:
    """Number of frames the ``data`` chunk of a RIFF/WAVE file announces.

    Returns None for other formats, for a size that says "unknown" and for a header that makes no
    sense. The file position afterwards is unspecified.
    """
    data = _find_data(file)
    if data is None or not data.counts_frames or data.size >= _UNKNOWN_SIZE:
        return None
    return data.size // data.block


def unclosed_wav(file: BinaryIO) -> ClosedWav | None:
    """``file`` with the size filled in where a RIFF/WAVE header says 0 bytes of samples although some follow.

    A recorder writes that number when it closes the file; one that crashed did not. Chunks that end exactly where the
    file does are no samples: then the recording is really empty. None where there is nothing to fill in. The file
    position afterwards is unspecified.
    """
    data = _find_data(file)
    if data is None or data.size != 0 or data.block == 0:
        return None
    end = file.seek(0, io.SEEK_END)
    size = min(end - data.start, _LARGEST_SIZE) // data.block * data.block
    if size == 0 or _are_chunks(file, data.start, end):
        return None
    return ClosedWav(file, data.start - 4, struct.pack("<I", size))


class ClosedWav(io.RawIOBase):
    """A readable view of a file in which some bytes are others; closing it closes the file."""

    def __init__(self, file: BinaryIO, at: int, patch: bytes) -> None:
        """``patch`` is what the view has from byte ``at`` on, instead of the file's bytes."""
        self._file = file
        self._at = at
        self._patch = patch
        self._file.seek(0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer`` from the position on; returns the bytes read, 0 at the end."""
        position = self._file.tell()
        view = memoryview(buffer).cast("B")
        data = bytearray(self._file.read(len(view)))
        first = max(position, self._at)
        last = min(position + len(data), self._at + len(self._patch))
        if first < last:
            data[first - position : last - position] = self._patch[first - self._at : last - self._at]
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def _find_data(file: BinaryIO) -> _Data | None:
    """The first ``data`` chunk of a RIFF/WAVE file; None for other formats and headers that make no sense."""
    file.seek(0)
    head = file.read(12)
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return None
    code = block = 0
    for _ in range(_MAX_CHUNKS):
        chunk = file.read(8)
        if len(chunk) < 8:
            return None
        name, size = struct.unpack("<4sI", chunk)
        if name == b"data":
            return _Data(file.tell(), size, block, block > 0 and code in (1, 3, 0xFFFE))
        if name == b"fmt " and size >= 16:
            fields = file.read(16)
            code, _, _, _, block = struct.unpack("<HHIIH", fields[:14]) if len(fields) == 16 else (0, 0, 0, 0, 0)
            size -= 16
        file.seek(size + (size & 1), 1)
    return None


def _are_chunks(file: BinaryIO, start: int, end: int) -> bool:
    """Whether RIFF chunks, with names of printable ASCII, fill the file from ``start`` to ``end``."""
    for _ in range(_MAX_CHUNKS):
        file.seek(start)
        chunk = file.read(8)
        if len(chunk) < 8 or not all(0x20 <= byte < 0x7F for byte in chunk[:4]):
            return False
        size = struct.unpack("<I", chunk[4:])[0]
        start += 8 + size + (size & 1)
        if start in (end, end + 1):  # some programs leave out the last padding byte
            return True
        if start > end:
            return False
    return False
