"""What a WAV header promises, read without libsndfile, which quietly believes the file's size instead."""

from __future__ import annotations

import struct
from typing import BinaryIO

__all__ = ["promised_wav_frames"]

# Programs that write WAV into a pipe cannot know the size and leave 2^32-1 or something near 2^31.
_UNKNOWN_SIZE = 0x7FFF0000
_MAX_CHUNKS = 64


def promised_wav_frames(file: BinaryIO) -> int | None:
    """Number of frames the ``data`` chunk of a RIFF/WAVE file announces.

    Returns None for other formats, for a size that says "unknown" and for a header that makes no
    sense. The file position afterwards is unspecified.
    """
    file.seek(0)
    head = file.read(12)
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return None
    block_align = 0
    for _ in range(_MAX_CHUNKS):
        chunk = file.read(8)
        if len(chunk) < 8:
            return None
        name, size = struct.unpack("<4sI", chunk)
        if name == b"data":
            return size // block_align if block_align and size < _UNKNOWN_SIZE else None
        if name == b"fmt " and size >= 16:
            fields = file.read(16)
            # A compressed subtype counts blocks, not frames.
            code, _, _, _, align = struct.unpack("<HHIIH", fields[:14]) if len(fields) == 16 else (0, 0, 0, 0, 0)
            block_align = align if code in (1, 3, 0xFFFE) else 0
            size -= 16
        file.seek(size + (size & 1), 1)
    return None
