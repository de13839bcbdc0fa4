"""Files of tokens: NumPy's ``.npz`` and ``.safetensors``, with what is needed to decode them (docs/reference/codec.md).

Files may be anybody's: what is read is bounded and checked, and nothing in them is ever run.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..atomic import atomic_output
from ..errors import AudioError, MissingExtraError, UsageError
from ..regular_file import open_regular
from ..tensor_check import printable

__all__ = ["SUFFIXES", "TokenFile", "read_tokens", "token_suffix", "write_tokens"]

NPZ, SAFETENSORS = ".npz", ".safetensors"
SUFFIXES = (NPZ, SAFETENSORS)

FORMAT = "localvqe-tokens"
VERSION = 1
#: 90 hours of the published codec; more is no file of tokens.
MAX_BYTES = 256 << 20
_NUMBERS = ("version", "samples", "sample_rate", "samples_per_frame")
_HEADER_BYTES = 1000  # of an array: its shape and type in words


@dataclass(frozen=True)
class TokenFile:
    """Tokens of one clip.

    Attributes:
        tokens: int32 (groups, frames).
        samples: of the clip, at ``sample_rate``.
        sample_rate: of the codec, Hz.
        samples_per_frame: samples that a column stands for.
        levels: of each dimension of a group; their product is the number of tokens.
    """

    tokens: NDArray[np.int32]
    samples: int
    sample_rate: int
    samples_per_frame: int
    levels: tuple[int, ...]

    @property
    def seconds(self) -> float:
        """Length of the clip."""
        return self.samples / self.sample_rate


def token_suffix(path: str) -> str:
    """The kind of file that a name stands for. Raises UsageError for others."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"{path}: tokens are kept in .npz or .safetensors; end the name in one of them")
    return suffix


def write_tokens(path: str, content: TokenFile) -> None:
    """Write a file, whole or not at all; an existing one is replaced.

    Raises:
        UsageError: the name ends in something else, or cannot be written.
        MissingExtraError: a ``.safetensors``, and the package is not installed.
    """
    suffix = token_suffix(path)
    numbers = {name: VERSION if name == "version" else getattr(content, name) for name in _NUMBERS}
    tokens = np.ascontiguousarray(content.tokens, np.int32)
    if suffix == NPZ:
        entries: dict[str, Any] = {name: np.int64(value) for name, value in numbers.items()}
        with atomic_output(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(
                file, format=np.array(FORMAT), tokens=tokens, levels=np.array(content.levels, np.int64), **entries
            )
        return
    save = _safetensors("numpy").save
    metadata = {name: str(value) for name, value in numbers.items()}
    data = save({"tokens": tokens}, {"format": FORMAT, "levels": ",".join(map(str, content.levels)), **metadata})
    with atomic_output(path) as temporary:
        Path(temporary).write_bytes(data)


def read_tokens(path: str) -> TokenFile:
    """Read a file.

    Raises:
        AudioError: it is missing, damaged, or holds something else.
        UsageError: the name ends in something else.
        MissingExtraError: a ``.safetensors``, and the package is not installed.
    """
    suffix = token_suffix(path)
    with open_regular(path, "a file of tokens", AudioError) as (file, size):
        if size > MAX_BYTES:
            raise AudioError(f"{path}: has {size} bytes, more than the limit of {MAX_BYTES >> 20} MiB")
        data = file.read(MAX_BYTES)
    entries = _npz_entries(path, data) if suffix == NPZ else _safetensors_entries(path, data)
    return _checked(path, entries)


def _npz_entries(path: str, data: bytes) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            if sum(info.file_size for info in infos) > MAX_BYTES:
                raise AudioError(f"{path}: unpacks to more than the limit of {MAX_BYTES >> 20} MiB")
            wanted = ("format", "tokens", "levels", *_NUMBERS)
            return {name: _array(archive.read(f"{name}.npy")) for name in wanted if f"{name}.npy" in archive.NameToInfo}
    except AudioError:
        raise
    except Exception as exc:  # a damaged archive makes zipfile and numpy raise almost any kind
        raise AudioError(f"{path}: is not a readable .npz file") from exc


def _array(data: bytes) -> Any:
    """An array from the bytes of a .npy, whose header must not claim more than is there."""
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):
        raise ValueError("a version of the format that these files do not have")
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream, max_header_size=_HEADER_BYTES)
    count = 1
    for length in shape:
        count *= length
    if dtype.hasobject or count * dtype.itemsize != len(data) - stream.tell():
        raise ValueError("a header that contradicts what follows")
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False, max_header_size=_HEADER_BYTES)


def _safetensors_entries(path: str, data: bytes) -> dict[str, Any]:
    package = _safetensors("numpy")
    try:
        header = int.from_bytes(data[:8], "little")
        stated = json.loads(data[8 : 8 + header]).get("__metadata__", {})
        found = {"tokens": package.load(data)["tokens"], "format": np.array(str(stated.get("format")))}
        for name in _NUMBERS:
            if name in stated:
                found[name] = np.int64(int(stated[name]))
        if "levels" in stated:
            found["levels"] = np.array([int(text) for text in str(stated["levels"]).split(",")], np.int64)
        return found
    except Exception as exc:
        raise AudioError(f"{path}: is not a readable .safetensors file of tokens") from exc


def _safetensors(part: str) -> Any:
    try:
        import safetensors.numpy
    except ImportError as exc:
        raise MissingExtraError("a .safetensors file", "codec") from exc
    return getattr(safetensors, part)


def _checked(path: str, entries: dict[str, Any]) -> TokenFile:
    form = entries.get("format")
    if form is None or str(form) != FORMAT:
        raise AudioError(f"{path}: is no file of tokens that localvqe has written")
    for name in (*_NUMBERS, "levels", "tokens"):
        if name not in entries:
            raise AudioError(f"{path}: has no entry {name}")
        if entries[name].dtype.kind not in "iu" or (name in _NUMBERS and entries[name].ndim):
            raise AudioError(f"{path}: its entry {name} is of the wrong kind")
    if int(entries["version"]) != VERSION:
        raise AudioError(f"{path}: has version {int(entries['version'])} of the format, expected {VERSION}")
    tokens, levels = entries["tokens"], entries["levels"]
    if tokens.ndim != 2 or tokens.size == 0 or levels.ndim != 1 or tokens.min() < 0 or tokens.max() >= 1 << 31:
        raise AudioError(f"{path}: its tokens are none, expected (groups, frames) whole numbers")
    numbers = {name: int(entries[name]) for name in _NUMBERS if name != "version"}
    if min(numbers.values()) < 1 or max(numbers.values()) > 1 << 40:
        raise AudioError(f"{path}: {printable(str(numbers))} cannot be right")
    return TokenFile(tokens.astype(np.int32), levels=tuple(int(level) for level in levels), **numbers)
