"""Writing a GGUF file of any family."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..atomic import atomic_output
from ..config import BASES_KEY, STANDARD_BASES, ModelConfig
from ..errors import GGUFError, UsageError
from ..families import SHAPE_PREFIXES, Config, family_of
from ..tensor_check import printable, shape_problems
from ..tensors import DECODER_BASIS, ENCODER_BASIS, matrix_shape
from .packed import QUANTIZED_TYPES, PackedTensor, has_finite_scales
from .reader import ALIGNMENT_KEY, MAX_KEY_BYTES
from .validate import ARCHITECTURE_KEY

__all__ = ["MetadataValue", "write"]

MetadataValue = str | int | float | bool | list[str]

_KEY = re.compile(r"[a-z0-9_][a-z0-9_.-]*")


def write(
    path: str | os.PathLike[str],
    config: Config,
    tensors: Mapping[str, NDArray[Any] | PackedTensor],
    metadata: Mapping[str, MetadataValue] | None = None,
) -> None:
    """Write a model file, whole or not at all; an existing file is replaced.

    Keys and tensors stand in the order of docs/reference/gguf-format.md, which is also the order of the
    published files, whatever the order of ``tensors``.

    Args:
        path: the file.
        config: hyperparameters.
        tensors: float32 arrays in PyTorch shape, exactly those of the family's ``shapes(config)``; those of its
            ``quantizable(config)`` may be packed, and then a key says what shape they have, or float16 where the family
            allows that. Both of LocalVQE's bases may be left out where they are ``bases.standard_bases``; a key says
            so.
        metadata: further keys, written after the contract's, in the order given. An int is stored
            as u32 where it fits and else as i64, a float as f32.

    Raises:
        GGUFError: a tensor is missing, unknown, misshapen, of another type, not finite or must not be packed.
        UsageError: a metadata key is malformed or belongs to the contract, or the path cannot be written.
    """
    _check_tensors(path, config, tensors)
    rows = _check_metadata(config, metadata or {})
    with atomic_output(path) as temporary:
        _write(temporary, config, tensors, rows)


def _check_tensors(
    path: str | os.PathLike[str], config: Config, tensors: Mapping[str, NDArray[Any] | PackedTensor]
) -> None:
    family = family_of(config)
    expected, quantizable = family.shapes(config), family.quantizable(config)
    if isinstance(config, ModelConfig) and not _has_bases(tensors):
        expected = {name: shape for name, shape in expected.items() if name not in (ENCODER_BASIS, DECODER_BASIS)}
    problems = shape_problems({name: tuple(array.shape) for name, array in tensors.items()}, expected)
    if not problems:
        arrays = {name: a for name, a in tensors.items() if not isinstance(a, PackedTensor)}
        halves = set(quantizable) if "F16" in family.types else set()
        problems += [
            f"tensor {name} is {a.dtype}, expected float32"
            for name, a in arrays.items()
            if a.dtype != np.float32 and not (a.dtype == np.float16 and name in halves)
        ]
        problems += [
            f"tensor {name} holds NaN or infinite values" for name, a in arrays.items() if not np.isfinite(a).all()
        ]
        for name, packed in tensors.items():
            if not isinstance(packed, PackedTensor):
                continue
            if name not in quantizable or packed.type.name not in family.types or not _is_well_packed(packed):
                problems.append(f"tensor {name} cannot be stored as {packed.type.name}")
    if problems:
        raise GGUFError(f"not writing {path}: {problems[0]}")


def _has_bases(tensors: Mapping[str, Any]) -> bool:
    return ENCODER_BASIS in tensors or DECODER_BASIS in tensors


def _is_well_packed(packed: PackedTensor) -> bool:
    if packed.type.name not in QUANTIZED_TYPES:
        return False
    rows, columns = matrix_shape(packed.shape, packed.type.block)
    size = (rows, columns // packed.type.block * packed.type.nbytes)
    return packed.blocks.shape == size and has_finite_scales(packed.blocks, packed.type)


def _check_metadata(config: Config, metadata: Mapping[str, MetadataValue]) -> list[tuple[str, str, MetadataValue]]:
    """(key, type, value) of every further key."""
    taken = {ARCHITECTURE_KEY, ALIGNMENT_KEY, *(key for key, _, _ in config.gguf_fields())}
    rows = []
    for key, value in metadata.items():
        if not _KEY.fullmatch(key) or len(key) > MAX_KEY_BYTES:
            raise UsageError(f"metadata key {printable(key)!r} is malformed; use lower-case words joined by dots")
        if key in taken or key == BASES_KEY or key.startswith(SHAPE_PREFIXES):
            raise UsageError(f"metadata key {key} is set by the model itself and cannot be given")
        if value in ("", []):
            raise UsageError(f"metadata key {key} has no value")
        rows.append((key, _value_type(key, value), value))
    return rows


def _value_type(key: str, value: MetadataValue) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        if 0 <= value < 1 << 32:
            return "u32"
        if -(1 << 63) <= value < 1 << 63:
            return "i64"
        raise UsageError(f"metadata key {key}: the number does not fit into 64 bits")
    if isinstance(value, float):
        return "f32"
    return "str" if isinstance(value, str) else "arr"


def _write(
    path: os.PathLike[str],
    config: Config,
    tensors: Mapping[str, NDArray[Any] | PackedTensor],
    further: list[tuple[str, str, MetadataValue]],
) -> None:
    import gguf

    family = family_of(config)
    writer = gguf.GGUFWriter(os.fspath(path), family.architecture)
    add: dict[str, Callable[[str, Any], None]] = {
        "u32": writer.add_uint32,
        "i64": writer.add_int64,
        "f32": writer.add_float32,
        "bool": writer.add_bool,
        "str": writer.add_string,
        "arr": writer.add_array,
        "arr[u32]": partial(_add_numbers, writer),
    }
    try:
        for key, kind, value in [*config.gguf_fields(), *further]:
            add[kind](key, value)
        if isinstance(config, ModelConfig) and config.network and not _has_bases(tensors):
            writer.add_string(BASES_KEY, STANDARD_BASES)
        for name, tensor in ((name, tensors[name]) for name in family.shapes(config) if name in tensors):
            if isinstance(tensor, PackedTensor):
                _add_numbers(writer, family.shape_prefix + name, tensor.shape)
                blocks = np.ascontiguousarray(tensor.blocks)
                writer.add_tensor(name, blocks, raw_dtype=gguf.GGMLQuantizationType(tensor.type.id))
            else:
                writer.add_tensor(name, np.ascontiguousarray(tensor))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def _add_numbers(writer: Any, key: str, values: Sequence[int]) -> None:
    import gguf

    # Not add_array, which would choose i32 for these numbers.
    numbers = [np.uint32(value) for value in values]
    writer.add_key_value(key, numbers, gguf.GGUFValueType.ARRAY, sub_type=gguf.GGUFValueType.UINT32)
