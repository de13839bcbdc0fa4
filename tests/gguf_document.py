"""A GGUF file as an editable document, for tests that need files no honest writer makes.

Written against the format description, not against the package's reader, and without any check: a
document can state wrong counts, lengths, types and offsets.
"""

from __future__ import annotations

import math
import os
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CODES = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}
U8, U32, I32, F32, BOOL, STR, ARR, U64 = 0, 4, 5, 6, 7, 8, 9, 10

TYPE_F32, TYPE_F16, TYPE_Q8_0, TYPE_Q4_K = 0, 1, 8, 12
#: type -> (elements of a block, its bytes)
BLOCKS = {0: (1, 4), 1: (1, 2), 8: (32, 34), 12: (256, 144), 13: (256, 176), 14: (256, 210)}


@dataclass
class Raw:
    """Bytes that stand in a file as they are."""

    data: bytes


@dataclass
class Key:
    name: str | Raw
    type: int
    value: Any


@dataclass
class Tensor:
    name: str | Raw
    ne: list[int]
    data: bytes
    type: int = TYPE_F32
    offset: int | None = None  # what the file says; None: where the data is
    dims: int | None = None  # None: len(ne)


@dataclass
class Document:
    keys: list[Key] = field(default_factory=list)
    tensors: list[Tensor] = field(default_factory=list)
    magic: bytes = b"GGUF"
    version: int = 3
    alignment: int = 32
    tensor_count: int | None = None
    key_count: int | None = None
    order: str = "<"

    def key(self, name: str) -> Key:
        return next(k for k in self.keys if k.name == name)

    def tensor(self, name: str) -> Tensor:
        return next(t for t in self.tensors if t.name == name)

    def set(self, name: str, value: Any, kind: int | None = None) -> None:
        key = self.key(name)
        key.value = value
        key.type = key.type if kind is None else kind

    def remove_key(self, name: str) -> None:
        self.keys.remove(self.key(name))

    def remove_tensor(self, name: str) -> None:
        self.tensors.remove(self.tensor(name))

    # -- writing ------------------------------------------------------------------------------

    def head(self) -> bytes:
        """Everything before the tensor data, unpadded."""
        tensor_count = len(self.tensors) if self.tensor_count is None else self.tensor_count
        key_count = len(self.keys) if self.key_count is None else self.key_count
        out = [self.magic, self._pack("IQQ", self.version, tensor_count, key_count)]
        for key in self.keys:
            out += [self._text(key.name), self._pack("I", key.type), self._value(key.type, key.value)]
        offset = 0
        for tensor in self.tensors:
            stated = offset if tensor.offset is None else tensor.offset
            dims = len(tensor.ne) if tensor.dims is None else tensor.dims
            out += [self._text(tensor.name), self._pack("I", dims), self._pack(f"{len(tensor.ne)}Q", *tensor.ne)]
            out.append(self._pack("IQ", tensor.type, stated))
            offset += self._padded(len(tensor.data))
        return b"".join(out)

    def data(self) -> bytes:
        """The tensors' data in order, each padded; stated offsets do not move it."""
        return b"".join(t.data.ljust(self._padded(len(t.data)), b"\0") for t in self.tensors)

    def dump(self) -> bytes:
        head = self.head()
        return head.ljust(self._padded(len(head)), b"\0") + self.data()

    def _padded(self, size: int) -> int:
        return -(-size // self.alignment) * self.alignment

    def _pack(self, codes: str, *values: Any) -> bytes:
        return struct.pack(self.order + codes, *values)

    def _text(self, text: str | Raw) -> bytes:
        if isinstance(text, Raw):
            return text.data
        raw = text.encode()
        return self._pack("Q", len(raw)) + raw

    def _value(self, kind: int, value: Any) -> bytes:
        if isinstance(value, Raw):
            return value.data
        if kind == STR:
            return self._text(value)
        if kind == ARR:
            element, items = value
            return self._pack("IQ", element, len(items)) + b"".join(self._value(element, item) for item in items)
        return self._pack(CODES[kind], value)


def parse(path: str | os.PathLike[str]) -> Document:
    """Document of a valid little-endian file."""
    raw = Path(path).read_bytes()
    at = 4

    def number(code: str) -> Any:
        nonlocal at
        (value,) = struct.unpack_from("<" + code, raw, at)
        at += struct.calcsize("<" + code)
        return value

    def text() -> str:
        nonlocal at
        length = number("Q")
        at += length
        return raw[at - length : at].decode()

    def value(kind: int) -> Any:
        if kind == STR:
            return text()
        if kind == ARR:
            element, count = number("I"), number("Q")
            return element, [value(element) for _ in range(count)]
        return number(CODES[kind])

    document = Document(magic=raw[:4], version=number("I"))
    tensor_count, key_count = number("Q"), number("Q")
    for _ in range(key_count):
        name, kind = text(), number("I")
        document.keys.append(Key(name, kind, value(kind)))
    places = []
    for _ in range(tensor_count):
        name, dims = text(), number("I")
        ne = [number("Q") for _ in range(dims)]
        kind, offset = number("I"), number("Q")
        document.tensors.append(Tensor(name, ne, b"", kind))
        places.append(offset)
    start = -(-at // document.alignment) * document.alignment
    for tensor, offset in zip(document.tensors, places, strict=True):
        elements, size = BLOCKS[tensor.type]
        size = size * math.prod(tensor.ne) // elements
        tensor.data = raw[start + offset : start + offset + size]
    return document
