"""Reading a GGUF file that anybody may have made.

Nothing in the file is trusted: every count, length, offset and type is checked against a bound and
against the file's size before it is used, nothing larger than the file is ever allocated, and the
work is bounded by the limits below. Only little-endian files of format version 2 and 3 are read (the
two differ in nothing a reader sees).
"""

from __future__ import annotations

import contextlib
import math
import os
import struct
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import GGUFError
from ..regular_file import open_regular
from ..tensor_check import printable
from .model import GGUFModel, TensorInfo
from .types import TENSOR_TYPES, VALUE_TYPES, TensorType, ValueType

__all__ = ["scan"]

MAGIC = b"GGUF"
FORMAT_VERSIONS = (2, 3)
ALIGNMENT_KEY = "general.alignment"

# Limits. A published model has 24 keys and at most 135 tensors, and its head is under 10 kB.
MAX_FILE_BYTES = 1 << 30
MAX_HEAD_BYTES = 4 << 20
MAX_KEYS = 4096
MAX_TENSORS = 4096
MAX_KEY_BYTES = 256
MAX_TENSOR_NAME_BYTES = 63  # ggml keeps names in 64 bytes with their terminating zero
MAX_DIMS = 4
MAX_ALIGNMENT = 1 << 16

_HEADER_BYTES = 24


class _DamageError(Exception):
    """Damage that ends the reading."""


def scan(path: str | os.PathLike[str]) -> GGUFModel:
    """Read everything a GGUF file says about itself, without judging the model in it.

    Damage does not raise: reading stops there, the line about it is ``problems[0]``, and what was
    read before it is kept, so that ``inspect`` can show it.

    Raises:
        GGUFError: the file does not exist, is not a regular file, or cannot be opened.
    """
    model = GGUFModel(Path(path))
    with open_regular(path, "a GGUF file", GGUFError) as (file, model.nbytes):
        head = file.read(MAX_HEAD_BYTES)
    try:
        _parse(model, _Cursor(head, model.nbytes))
    except _DamageError as fault:
        model.problems.append(str(fault))
    return model


@cache
def _form(code: str) -> struct.Struct:
    return struct.Struct("<" + code)


class _Cursor:
    """Little-endian reads over the head of a file, none of which can leave it."""

    def __init__(self, head: bytes, file_size: int) -> None:
        self._head = head
        self._length = len(head)
        self._complete = file_size <= len(head)
        self.position = 0

    def take(self, count: int, what: str) -> bytes:
        start = self._pass(count, what)
        return self._head[start : self.position]

    def _pass(self, count: int, what: str) -> int:
        """Move past ``count`` bytes; where they begin."""
        start, end = self.position, self.position + count
        if end > self._length:
            if self._complete:
                raise _DamageError(f"is truncated, or its lengths are wrong: {what} ends outside the file")
            raise _DamageError(
                f"{what} lies beyond the first {MAX_HEAD_BYTES >> 20} MiB, where keys and tensor list must end"
            )
        self.position = end
        return start

    def number(self, code: str, what: str) -> Any:
        form = _form(code)
        return form.unpack_from(self._head, self._pass(form.size, what))[0]

    def name(self, what: str, limit: int) -> str:
        name = self.text(what, limit)
        if not name:
            raise _DamageError(f"{what} is empty")
        return name

    def text(self, what: str, limit: int = MAX_HEAD_BYTES) -> str:
        length = self.number("Q", what)
        if length > limit:
            raise _DamageError(f"{what} claims {length} bytes, more than the limit of {limit}")
        try:
            return self.take(length, what).decode("utf-8")
        except UnicodeDecodeError:
            raise _DamageError(f"{what} is not valid UTF-8") from None


def _parse(model: GGUFModel, cursor: _Cursor) -> None:
    tensor_count, key_count = _read_header(model, cursor)
    for index in range(key_count):
        _read_key(model, cursor, index)
    _read_alignment(model)
    pending = [_read_tensor_info(cursor, index) for index in range(tensor_count)]
    start = -(-cursor.position // model.alignment) * model.alignment
    for name, kind, ne, offset in pending:
        _place_tensor(model, name, kind, ne, start, offset)
    _check_overlaps(model)


def _read_header(model: GGUFModel, cursor: _Cursor) -> tuple[int, int]:
    """Tensor and key counts, after magic and version."""
    if model.nbytes == 0:
        raise _DamageError("is empty")
    if model.nbytes > MAX_FILE_BYTES:
        raise _DamageError(f"has {model.nbytes} bytes, more than the limit of {MAX_FILE_BYTES >> 20} MiB")
    magic = cursor.take(min(4, model.nbytes), "magic")
    if magic != MAGIC:
        raise _DamageError(f"is not a GGUF file{_resembles(magic)}")
    if model.nbytes < _HEADER_BYTES:
        raise _DamageError("is truncated: it ends inside the header")
    version = cursor.number("I", "format version")
    if version not in FORMAT_VERSIONS:
        if int.from_bytes(version.to_bytes(4, "little"), "big") in FORMAT_VERSIONS:
            raise _DamageError("is a big-endian GGUF file, which is not supported; convert it to little-endian")
        raise _DamageError(f"has GGUF format version {version}, expected 2 or 3")
    model.format_version = version
    tensor_count = cursor.number("Q", "tensor count")
    key_count = cursor.number("Q", "key count")
    if tensor_count > MAX_TENSORS:
        raise _DamageError(f"claims {tensor_count} tensors, more than the limit of {MAX_TENSORS}")
    if key_count > MAX_KEYS:
        raise _DamageError(f"claims {key_count} keys, more than the limit of {MAX_KEYS}")
    return tensor_count, key_count


def _resembles(magic: bytes) -> str:
    if magic[:2] == b"PK":
        return " but looks like a PyTorch checkpoint; convert it with `localvqe export`"
    if magic == b"vers":
        return " but looks like a Git LFS pointer; fetch the real file with `git lfs pull`"
    return ""


def _read_key(model: GGUFModel, cursor: _Cursor, index: int) -> None:
    key = cursor.name(f"name of key {index}", MAX_KEY_BYTES)
    shown = printable(key)
    if key in model.metadata:
        raise _DamageError(f"key {shown} appears twice")
    kind = _value_type(cursor, f"type of key {shown}")
    type_name, value = kind.name, _read_value(cursor, kind, f"key {shown}")
    if kind.name == "arr":
        element, value = value
        type_name = f"arr[{element}]"
    model.metadata[key] = value
    model.metadata_types[key] = type_name


def _value_type(cursor: _Cursor, what: str) -> ValueType:
    kind_id = cursor.number("I", what)
    kind = VALUE_TYPES.get(kind_id)
    if kind is None:
        raise _DamageError(f"{what} is {kind_id}, which GGUF does not define")
    return kind


def _read_value(cursor: _Cursor, kind: ValueType, what: str) -> Any:
    if kind.name == "str":
        return cursor.text(what)
    if kind.name == "arr":
        return _read_array(cursor, what)
    value = cursor.number(kind.code, what)
    if kind.name == "bool":
        if value > 1:
            raise _DamageError(f"{what} is a bool with the value {value}")
        return bool(value)
    return _shortest(value) if kind.name == "f32" else value


def _shortest(value: float) -> float:
    """The shortest decimal that names this float32: 0.3, not 0.30000001192092896, so that a config read
    back equals the config written."""
    for digits in range(6, 9):
        candidate = float(f"{value:.{digits}g}")
        with contextlib.suppress(OverflowError):  # rounded up past the largest float32
            if struct.unpack("<f", struct.pack("<f", candidate))[0] == value:
                return candidate
    return value


def _read_array(cursor: _Cursor, what: str) -> tuple[str, list[Any]]:
    """(element type, elements). The size of the head bounds the number of elements."""
    element = _value_type(cursor, f"element type of {what}")
    count = cursor.number("Q", what)
    if element.name == "arr":
        raise _DamageError(f"{what} is an array of arrays, which is not supported")
    if element.name == "str":
        if count > MAX_HEAD_BYTES // 8:
            raise _DamageError(f"{what} claims {count} strings, more than fit into the file")
        return element.name, [cursor.text(what) for _ in range(count)]
    if count > MAX_HEAD_BYTES:
        raise _DamageError(f"{what} claims {count} elements, more than fit into the file")
    size = struct.calcsize("<" + element.code)
    values = list(struct.unpack(f"<{count}{element.code}", cursor.take(count * size, what)))
    if element.name == "bool":
        if any(v > 1 for v in values):
            raise _DamageError(f"{what} holds a bool that is neither 0 nor 1")
        values = [bool(v) for v in values]
    return element.name, values


def _read_alignment(model: GGUFModel) -> None:
    if ALIGNMENT_KEY not in model.metadata:
        return
    if model.metadata_types[ALIGNMENT_KEY] != "u32":
        raise _DamageError(f"key {ALIGNMENT_KEY} has type {model.metadata_types[ALIGNMENT_KEY]}, expected u32")
    alignment = model.metadata[ALIGNMENT_KEY]
    if not 1 <= alignment <= MAX_ALIGNMENT or alignment & (alignment - 1):
        raise _DamageError(f"key {ALIGNMENT_KEY} is {alignment}, expected a power of two up to {MAX_ALIGNMENT}")
    model.alignment = alignment


def _read_tensor_info(cursor: _Cursor, index: int) -> tuple[str, TensorType, tuple[int, ...], int]:
    """(name, type, ne, offset in the data section) as stated, sizes not yet checked."""
    name = cursor.name(f"name of tensor {index}", MAX_TENSOR_NAME_BYTES)
    what = f"tensor {printable(name)}"
    dims = cursor.number("I", what)
    if dims > MAX_DIMS:
        raise _DamageError(f"{what} claims {dims} dimensions, expected at most {MAX_DIMS}")
    ne = tuple(struct.unpack(f"<{dims}Q", cursor.take(8 * dims, what)))
    type_id = cursor.number("I", what)
    kind = TENSOR_TYPES.get(type_id)
    if kind is None:
        raise _DamageError(f"{what} has the type number {type_id}, which is not known here")
    return name, kind, ne, cursor.number("Q", what)


def _place_tensor(model: GGUFModel, name: str, kind: TensorType, ne: tuple[int, ...], start: int, offset: int) -> None:
    """Check one tensor's size and place, and add it; ``start`` is where the data section begins."""
    what = f"tensor {printable(name)}"
    if name in model.tensors:
        raise _DamageError(f"{what} appears twice")
    if 0 in ne:
        raise _DamageError(f"{what} has a dimension of zero")
    row = ne[0] if ne else 1
    if row % kind.block:
        raise _DamageError(f"{what} has rows of {row} elements, but {kind.name} needs a multiple of {kind.block}")
    nbytes = math.prod(ne) // kind.block * kind.nbytes
    if offset % model.alignment:
        raise _DamageError(
            f"{what} starts at offset {offset}, which is not a multiple of the alignment {model.alignment}"
        )
    if start + offset + nbytes > model.nbytes:
        raise _DamageError(f"is truncated, or its lengths are wrong: {what} ends outside the file")
    model.tensors[name] = TensorInfo(name, kind, tuple(reversed(ne)), start + offset, nbytes)


def _check_overlaps(model: GGUFModel) -> None:
    end, previous = 0, ""
    for info in sorted(model.tensors.values(), key=lambda info: info.offset):
        if info.offset < end:
            raise _DamageError(f"tensors {printable(previous)} and {printable(info.name)} overlap")
        end, previous = info.offset + info.nbytes, info.name
