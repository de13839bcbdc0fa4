"""Writing a LocalVQE GGUF file."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..atomic import atomic_output
from ..config import ARCHITECTURE, ModelConfig
from ..errors import GGUFError, UsageError
from ..tensor_check import printable, shape_problems
from ..tensors import gguf_shapes
from .reader import ALIGNMENT_KEY, MAX_KEY_BYTES
from .validate import ARCHITECTURE_KEY

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MetadataValue", "write"]

MetadataValue = str | int | float | bool | list[str]

_KEY = re.compile(r"[a-z0-9_][a-z0-9_.-]*")


def write(
    path: str | os.PathLike[str],
    config: ModelConfig,
    tensors: Mapping[str, NDArray[Any]],
    metadata: Mapping[str, MetadataValue] | None = None,
) -> None:
    """Write an F32 model file, whole or not at all; an existing file is replaced.

    Keys and tensors stand in the order of docs/gguf-format.md, which is also the order of the
    published files, whatever the order of ``tensors``.

    Args:
        path: the file.
        config: hyperparameters.
        tensors: float32 arrays in PyTorch shape, exactly those of ``tensors.gguf_shapes(config)``.
        metadata: further keys, written after the contract's, in the order given. An int is stored
            as u32 where it fits and else as i64, a float as f32.

    Raises:
        GGUFError: a tensor is missing, unknown, misshapen, not float32 or not finite.
        UsageError: a metadata key is malformed or belongs to the contract, or the path cannot be written.
    """
    _check_tensors(path, config, tensors)
    rows = _check_metadata(config, metadata or {})
    with atomic_output(path) as temporary:
        _write(temporary, config, tensors, rows)


def _check_tensors(path: str | os.PathLike[str], config: ModelConfig, tensors: Mapping[str, NDArray[Any]]) -> None:
    import numpy as np

    expected = gguf_shapes(config)
    problems = shape_problems({name: tuple(array.shape) for name, array in tensors.items()}, expected)
    if not problems:
        problems += [
            f"tensor {name} is {a.dtype}, expected float32" for name, a in tensors.items() if a.dtype != np.float32
        ]
        problems += [
            f"tensor {name} holds NaN or infinite values" for name, a in tensors.items() if not np.isfinite(a).all()
        ]
    if problems:
        raise GGUFError(f"not writing {path}: {problems[0]}")


def _check_metadata(config: ModelConfig, metadata: Mapping[str, MetadataValue]) -> list[tuple[str, str, MetadataValue]]:
    """(key, type, value) of every further key."""
    taken = {ARCHITECTURE_KEY, ALIGNMENT_KEY, *(key for key, _, _ in config.gguf_fields())}
    rows = []
    for key, value in metadata.items():
        if not _KEY.fullmatch(key) or len(key) > MAX_KEY_BYTES:
            raise UsageError(f"metadata key {printable(key)!r} is malformed; use lower-case words joined by dots")
        if key in taken:
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
    config: ModelConfig,
    tensors: Mapping[str, NDArray[Any]],
    further: list[tuple[str, str, MetadataValue]],
) -> None:
    import gguf
    import numpy as np

    writer = gguf.GGUFWriter(os.fspath(path), ARCHITECTURE)
    add: dict[str, Callable[[str, Any], None]] = {
        "u32": writer.add_uint32,
        "i64": writer.add_int64,
        "f32": writer.add_float32,
        "bool": writer.add_bool,
        "str": writer.add_string,
        "arr": writer.add_array,
    }
    try:
        for key, kind, value in [*config.gguf_fields(), *further]:
            add[kind](key, value)
        for name in gguf_shapes(config):
            writer.add_tensor(name, np.ascontiguousarray(tensors[name]))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()
