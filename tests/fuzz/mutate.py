"""Damage done to valid files. The same (seed, index) always gives the same bytes."""

from __future__ import annotations

import copy
import io
import pickle
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from gguf_document import ARR, BLOCKS, BOOL, CODES, F32, STR, U8, U32, Document, Key, Raw, Tensor

from localvqe_cli.config import FRONTEND_PREFIX, NETWORK_KEY, RESIDUAL_PREFIX, FrontendConfig, ResidualConfig

INTERESTING = (0, 1, 2, 3, 7, 31, 32, 33, 255, 256, 511, 512, 513, 4096, 65535, 1 << 20, (1 << 31) - 1, 1 << 31)
INTERESTING += ((1 << 32) - 1, 1 << 32, 1 << 40, 1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 4, (1 << 64) - 1)
VALUES = (float("nan"), float("inf"), -float("inf"), 3e38, -3e38, 1e30, 1e-45, 0.0, -0.0, 1.0)
CHARACTERS = ("", "a", "x" * 63, "x" * 64, "x" * 300, "\x1b[2J", "\n", "é" * 40, "\u202e", "general.architecture")

Random = random.Random


def source(seed: int, index: int) -> Random:
    """The randomness of one case."""
    return random.Random(f"{seed}:{index}")


def number(rng: Random) -> int:
    """A count, length, offset or dimension that might lead somewhere it should not."""
    if rng.random() < 0.7:
        return rng.choice(INTERESTING)
    return rng.getrandbits(rng.choice((4, 8, 12, 32, 64)))


def damage_bytes(rng: Random, content: bytes, head: int | None = None) -> bytes:
    """Bytes replaced, inserted, removed, repeated; bits flipped; the end cut off. Mostly within ``head``."""
    out = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
        if not out:
            break
        end = len(out) if head is None or rng.random() < 0.2 else max(1, min(head, len(out)))
        at = rng.randrange(end)
        kind = rng.randrange(8)
        if kind <= 1:
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            out[at] = rng.getrandbits(8)
        elif kind == 3:
            out[at : at + 4] = struct.pack("<I", number(rng) & 0xFFFFFFFF)
        elif kind == 4:
            out[at : at + 8] = struct.pack("<Q", number(rng))
        elif kind == 5:
            del out[at : at + rng.choice((1, 4, 8, 64))]
        elif kind == 6:
            out[at:at] = out[at : at + rng.choice((1, 4, 8, 64))]
        elif rng.random() < 0.5:
            del out[at:]
    return bytes(out)


# -- GGUF, by its structure -------------------------------------------------------------------


def damage_gguf(rng: Random, valid: Document) -> bytes:
    """A model file with one to three lies in its structure, and sometimes loose bytes on top."""
    if rng.random() < 0.25:
        return damage_bytes(rng, valid.dump(), len(valid.head()))
    document = copy.copy(valid)  # tensor data is shared, and replaced rather than changed
    document.keys = [copy.copy(key) for key in valid.keys]
    document.tensors = [copy.copy(tensor) for tensor in valid.tensors]
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        # A front-end whose gain is not learned has no weights.
        rng.choice(_LIES if document.tensors else _LIES_ABOUT_KEYS)(rng, document)
    content = document.dump()
    return damage_bytes(rng, content, len(document.head())) if rng.random() < 0.1 else content


def _header(rng: Random, d: Document) -> None:
    field = rng.choice(("tensor_count", "key_count", "version", "order", "alignment", "magic"))
    if field == "order":
        d.order = ">"
    elif field == "magic":
        d.magic = rng.randbytes(4)
    elif field == "alignment":
        d.alignment = rng.choice((1, 8, 64, 4096))
    else:
        setattr(d, field, number(rng) & (0xFFFFFFFF if field == "version" else (1 << 64) - 1))


def _scalar(rng: Random, kind: int) -> Raw:
    size = struct.calcsize("<" + CODES[kind])
    if CODES[kind] in "fd":
        return Raw(struct.pack("<" + CODES[kind], rng.choice(VALUES)))
    return Raw((number(rng) & ((1 << 8 * size) - 1)).to_bytes(size, "little"))


def _key_value(rng: Random, d: Document) -> None:
    key = rng.choice(d.keys)
    if key.type in CODES:
        key.value = _scalar(rng, key.type)
    elif key.type == STR:
        key.value = rng.choice(
            (*CHARACTERS, Raw(struct.pack("<Q", number(rng)) + b"abc"), "y" * rng.choice((5000, 1 << 20)))
        )


def _key_type(rng: Random, d: Document) -> None:
    key = rng.choice(d.keys)
    key.type = rng.choice((*CODES, STR, ARR, 13, number(rng) & 0xFFFFFFFF))
    if key.type in CODES:
        key.value = _scalar(rng, key.type)
    elif key.type == STR:
        key.value = rng.choice(CHARACTERS)
    elif key.type == ARR:
        element = rng.choice((*CODES, STR, ARR, 77))
        key.value = Raw(struct.pack("<IQ", element, number(rng)) + bytes(rng.choice((0, 8, 64))))
    else:
        key.value = Raw(bytes(8))


def _key_list(rng: Random, d: Document) -> None:
    key = rng.choice(d.keys)
    kind = rng.randrange(5)
    if kind == 0:
        d.keys.remove(key)
    elif kind == 1:
        d.keys.append(copy.copy(key))
    elif kind == 2:
        key.name = rng.choice((*CHARACTERS, Raw(struct.pack("<Q", number(rng)) + b"abc")))
    elif kind == 3:
        rng.shuffle(d.keys)
    else:
        _part(rng, d)


def _part(rng: Random, d: Document) -> None:
    """A front-end, a residual echo stage or a network that is half there, or said to be there."""
    prefix = rng.choice((FRONTEND_PREFIX, RESIDUAL_PREFIX))
    mine = [key for key in d.keys if isinstance(key.name, str) and key.name.startswith(prefix)]
    kind = rng.randrange(4)
    if kind == 0 and mine:
        d.keys = [key for key in d.keys if key not in mine]
    elif kind == 1 and mine:
        d.keys.remove(rng.choice(mine))
    elif kind == 2:
        d.keys = [key for key in d.keys if key.name != NETWORK_KEY]
        d.keys.append(Key(NETWORK_KEY, BOOL, rng.getrandbits(1)))
    else:
        name, type_, _ = rng.choice((*FrontendConfig().gguf_fields(), *ResidualConfig().gguf_fields()))
        d.keys = [key for key in d.keys if key.name != name]
        d.keys.append(
            Key(name, F32, rng.choice(VALUES)) if type_ == "f32" else Key(name, U32, number(rng) & 0xFFFFFFFF)
        )


def _many(rng: Random, d: Document) -> None:
    """Thousands of keys or tensors, or one long array."""
    count = rng.choice((100, 4000, 5000))
    if rng.random() < 0.3:
        d.tensors += [Tensor(f"t{i}", [1], b"") for i in range(count)]
    elif rng.random() < 0.5:
        d.keys += [Key(f"k{i}", U8, 1) for i in range(count)]
    else:
        d.keys.append(Key("localvqe.note", ARR, (STR, ["z" * rng.choice((0, 9))] * count)))


def _shape(rng: Random, d: Document) -> None:
    tensor = rng.choice(d.tensors)
    ne = list(tensor.ne)
    kind = rng.randrange(6)
    if kind == 0 and ne:
        ne[rng.randrange(len(ne))] = number(rng)
    elif kind == 1:
        rng.shuffle(ne)
    elif kind == 2 and ne:
        ne[rng.randrange(len(ne))] += rng.choice((-1, 1, 32))
    elif kind == 3:
        ne = ne[:-1]
    elif kind == 4:
        ne = [*ne, rng.choice((1, 2))][: rng.choice((4, 5))]
    else:
        tensor.dims = number(rng) & 0xFFFFFFFF
    tensor.ne = [n & ((1 << 64) - 1) for n in ne]


def _kind(rng: Random, d: Document) -> None:
    rng.choice(d.tensors).type = rng.choice((*BLOCKS, *range(45), number(rng) & 0xFFFFFFFF))


def _place(rng: Random, d: Document) -> None:
    tensor, other = rng.choice(d.tensors), rng.choice(d.tensors)
    tensor.offset = rng.choice((number(rng), 0, 32 * rng.randrange(1 << 16), other.offset or 0))


def _tensor_list(rng: Random, d: Document) -> None:
    tensor = rng.choice(d.tensors)
    kind = rng.randrange(4)
    if kind == 0 and len(d.tensors) > 1:
        d.tensors.remove(tensor)
    elif kind == 1:
        d.tensors.append(copy.copy(tensor))
    elif kind == 2:
        tensor.name = rng.choice((*CHARACTERS, Raw(struct.pack("<Q", number(rng)) + b"abc")))
    else:
        rng.shuffle(d.tensors)


def _numbers(rng: Random, d: Document) -> None:
    """Weights: values that are no numbers, huge or tiny ones (legal), quantized blocks with odd scales."""
    tensor = rng.choice(d.tensors)
    data = bytearray(tensor.data)
    if not data:
        return
    for _ in range(rng.choice((1, 4, 64))):
        at = 4 * rng.randrange(max(1, len(data) // 4))
        value = struct.pack("<f", rng.choice(VALUES)) if rng.random() < 0.6 else rng.randbytes(4)
        data[at : at + 4] = value
    tensor.data = bytes(data[: len(tensor.data)])


def _size(rng: Random, d: Document) -> None:
    tensor = rng.choice(d.tensors)
    tensor.data = tensor.data[: rng.randrange(len(tensor.data) + 1)] if rng.random() < 0.6 else tensor.data + bytes(64)


_Lies = tuple[Callable[[Random, Document], None], ...]
_LIES_ABOUT_KEYS: _Lies = (_header, _key_value, _key_value, _key_value, _key_type, _key_list, _part, _many)
_LIES: _Lies = (*_LIES_ABOUT_KEYS, _shape, _shape, _kind, _place, _tensor_list, _numbers, _numbers, _size)

# -- checkpoints ------------------------------------------------------------------------------


def damage_checkpoint(rng: Random, valid: bytes) -> bytes:
    """A checkpoint damaged as bytes, as an archive, or in the program that its pickle is."""
    if not zipfile.is_zipfile(io.BytesIO(valid)) or rng.random() < 0.3:
        return damage_bytes(rng, valid, rng.choice((256, 4096, None)))
    with zipfile.ZipFile(io.BytesIO(valid)) as archive:
        entries = [(info.filename, archive.read(info)) for info in archive.infolist()]
    kind = rng.randrange(6)
    at = rng.randrange(len(entries))
    program = next(i for i, (name, _) in enumerate(entries) if name.endswith("data.pkl"))
    if kind <= 1:
        entries[program] = (entries[program][0], damage_bytes(rng, entries[program][1]))
    elif kind == 2:
        del entries[at]
    elif kind == 3:
        entries[at] = (rng.choice(("", "../../x", "/etc/x", "a" * 3000, entries[at][0] + "2")), entries[at][1])
    elif kind == 4:
        entries[at] = (entries[at][0], entries[at][1][: rng.randrange(len(entries[at][1]) + 1)])
    else:
        entries[program] = (entries[program][0], pickle.dumps(hostile_object(rng), rng.choice((2, 2, 2, 4))))
    out = io.BytesIO()
    with zipfile.ZipFile(
        out, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    ) as archive:
        for name, content in entries:
            archive.writestr(name or "x", content)
    return out.getvalue()


def damage_archive(rng: Random, valid: bytes) -> bytes:
    """A ``.nemo`` damaged as bytes, in its list of members, in its configuration or in its weights."""
    if valid[:2] == b"\x1f\x8b" or rng.random() < 0.25:
        return damage_bytes(rng, valid, rng.choice((512, 2048, None)))
    with tarfile.open(fileobj=io.BytesIO(valid)) as tar:
        members = [(info, tar.extractfile(info).read()) for info in tar]  # type: ignore[union-attr]
    at = rng.randrange(len(members))
    info, content = members[at]
    kind = rng.randrange(8)
    if kind <= 2:
        members[0] = (members[0][0], damage_text(rng, members[0][1]))
    elif kind <= 4:
        members[1] = (members[1][0], damage_checkpoint(rng, members[1][1]))
    elif kind == 5:
        info.name = rng.choice(("../../x", "/etc/x", "x" * 300, "./" + info.name, info.name.upper()))
    elif kind == 6:
        info.type = rng.choice((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.XHDTYPE, b"S", b"L", b"?"))
        info.linkname = rng.choice(("/etc/passwd", "model_weights.ckpt", "x" * 300))
    else:
        members.insert(rng.randrange(3), (copy.copy(info), content))
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=rng.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT))) as tar:
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return damage_bytes(rng, out.getvalue(), 512) if rng.random() < 0.1 else out.getvalue()


class _Call:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self._made = (function, arguments)

    def __reduce__(self) -> Any:
        return self._made


def hostile_object(rng: Random) -> Any:
    """An object whose pickle runs something, reserves memory, or nests deeply."""
    import os
    from collections import OrderedDict

    import torch

    nested: Any = []
    for _ in range(rng.choice((50, 400))):
        nested = [nested]
    call = rng.choice(
        (
            _Call(os.system, "touch executed"),
            _Call(eval, "open('executed', 'w')"),
            _Call(os.mkdir, "executed"),
            _Call(bytearray, 1 << rng.choice((20, 34, 44, 62))),
            _Call(torch.Tensor, 1 << rng.choice((20, 36, 44))),
            _Call(OrderedDict, nested),
            nested,
        )
    )
    return {"model_state_dict": {"encoder.conv.weight": call}} if rng.random() < 0.5 else call


# -- tables -----------------------------------------------------------------------------------


# -- ONNX, by its structure -------------------------------------------------------------------

#: Operators that a graph of ours has, and some that none has.
OPERATORS = ("Add", "Concat", "Expand", "Gather", "MatMul", "Reshape", "Slice", "TopK", "Loop", "Sqrt", "NonZero", "")


def damage_onnx(rng: Random, valid: bytes) -> bytes:
    """An ONNX file with one to three lies in its structure, and sometimes loose bytes on top."""
    import onnx

    model = onnx.ModelProto()
    model.ParseFromString(valid)
    kinds = (_onnx_key, _onnx_node, _onnx_attribute, _onnx_edge, _onnx_tensor, _onnx_signal, _onnx_whole)
    for kind in rng.choices(kinds, k=rng.choice((1, 1, 2, 3))):
        with suppress(IndexError):  # what it would damage is gone already
            kind(rng, model)
    content: bytes = model.SerializeToString()
    return damage_bytes(rng, content, 4096) if rng.random() < 0.15 else content


def _onnx_key(rng: Random, model: Any) -> None:
    row = rng.choice(model.metadata_props)
    kind = rng.randrange(4)
    if kind == 0:
        model.metadata_props.remove(row)
    else:
        row.value = rng.choice((str(number(rng)), rng.choice(CHARACTERS), str(rng.choice(VALUES))))


def _onnx_node(rng: Random, model: Any) -> None:
    node = rng.choice(model.graph.node)
    kind = rng.randrange(4)
    if kind == 0:
        model.graph.node.remove(node)
    elif kind == 1:
        node.op_type = rng.choice(OPERATORS)
    elif kind == 2:
        node.domain = rng.choice(("com.microsoft", "ai.onnx.ml", "x"))
    else:
        model.graph.node.append(rng.choice(model.graph.node))


def _onnx_attribute(rng: Random, model: Any) -> None:
    attribute = rng.choice([a for node in model.graph.node for a in node.attribute])
    wild = max(-(1 << 63), min(number(rng), (1 << 63) - 1)) * rng.choice((1, -1))
    if attribute.ints:
        attribute.ints[rng.randrange(len(attribute.ints))] = wild
    elif attribute.HasField("f"):
        attribute.f = rng.choice(VALUES)
    else:
        attribute.i = wild


def _onnx_edge(rng: Random, model: Any) -> None:
    node = rng.choice([node for node in model.graph.node if node.input])
    other = rng.choice([name for n in model.graph.node for name in n.output] + [""])
    node.input[rng.randrange(len(node.input))] = other


def _onnx_tensor(rng: Random, model: Any) -> None:
    tensor = rng.choice(model.graph.initializer)
    kind = rng.randrange(4)
    if kind == 0 and tensor.dims:
        tensor.dims[rng.randrange(len(tensor.dims))] = min(number(rng), (1 << 63) - 1)
    elif kind == 1:
        tensor.data_location = 1
        tensor.external_data.add(key="location", value="/etc/passwd")
    elif kind == 2:
        tensor.data_type = rng.choice((0, 1, 2, 7, 10, 99))
    else:
        tensor.raw_data = damage_bytes(rng, tensor.raw_data)


def _onnx_signal(rng: Random, model: Any) -> None:
    value = rng.choice([*model.graph.input, *model.graph.output])
    kind = rng.randrange(3)
    if kind == 0:
        value.name = rng.choice((*CHARACTERS, "mic", "out", "state"))
    elif kind == 1:
        dims = value.type.tensor_type.shape.dim
        dims[rng.randrange(len(dims))].dim_value = min(number(rng), (1 << 63) - 1)
    else:
        value.type.tensor_type.elem_type = rng.choice((0, 1, 7, 10, 11))


def _onnx_whole(rng: Random, model: Any) -> None:
    kind = rng.randrange(4)
    if kind == 0:
        model.opset_import[0].version = rng.choice((0, 1, 7, 16, 18, 40))
    elif kind == 1:
        model.opset_import.add(domain="com.microsoft", version=1)
    elif kind == 2:
        model.ir_version = rng.choice((0, 1, 3, 99))
    else:
        model.graph.ClearField(rng.choice(("input", "output", "initializer", "node", "name")))


def damage_text(rng: Random, valid: bytes) -> bytes:
    """A manifest with cells that name other places, and loose bytes."""
    lines = valid.split(b"\n")
    for _ in range(rng.choice((0, 1, 2))):
        row = rng.randrange(len(lines))
        cells = lines[row].split(b"\t")
        cells[rng.randrange(len(cells))] = rng.choice(
            (
                b"",
                b"..",
                b"../x",
                b"/etc/passwd",
                b"a\0b",
                b'"',
                b"-",
                b"x" * 200_000,
                b"\xff\xfe",
                b"con",
                b"a/b",
                b"\x1b[2J",
            )
        )
        lines[row] = b"\t".join(cells)
    text = b"\n".join(lines)
    return damage_bytes(rng, text) if rng.random() < 0.6 else text
