"""A GGUF file as plain data: what ``localvqe inspect`` prints and ``--json`` writes."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..errors import GGUFError
from .model import GGUFModel, TensorInfo

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["describe", "statistics"]

# Bounds the memory that describing a hostile file takes; no published tensor is over 4 MiB.
_MAX_STATISTICS_BYTES = 64 << 20


def describe(model: GGUFModel, *, tensors: bool = True) -> dict[str, Any]:
    """Everything known about a scanned (and preferably validated) file, ready for JSON.

    Args:
        model: the file.
        tensors: also list each tensor with the extremes of its values.

    Returns:
        ``path, format, format_version, alignment, bytes, usable, problems, config, metadata, totals``
        and, if asked, ``tensors``; numbers that are not finite appear as None.
    """
    infos = list(model.tensors.values())
    by_type: dict[str, int] = {}
    for info in infos:
        by_type[info.type.name] = by_type.get(info.type.name, 0) + 1
    report: dict[str, Any] = {
        "path": str(model.path),
        "format": "GGUF",
        "format_version": model.format_version,
        "alignment": model.alignment,
        "bytes": model.nbytes,
        "usable": not model.problems,
        "problems": list(model.problems),
        "config": None if model.stated_config is None else asdict(model.stated_config),
        "metadata": {
            key: {"type": model.metadata_types[key], "value": _plain(value)} for key, value in model.metadata.items()
        },
        "totals": {
            "tensors": len(infos),
            "parameters": model.parameters,
            "tensor_bytes": sum(info.nbytes for info in infos),
            "types": by_type,
        },
    }
    if tensors:
        report["tensors"] = [_describe_tensor(model, info) for info in infos]
    return report


def statistics(values: NDArray[Any]) -> dict[str, float | None]:
    """Smallest, largest and root-mean-square value of an array with at least one element."""
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):
        wide = values.astype(np.float64)
        rms = float(np.sqrt(np.mean(np.square(wide))))
    return {"min": _finite(float(wide.min())), "max": _finite(float(wide.max())), "rms": _finite(rms)}


def _describe_tensor(model: GGUFModel, info: TensorInfo) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": info.name,
        "type": info.type.name,
        "shape": list(info.original or info.shape),
        "stored_shape": list(info.shape),
        "bytes": info.nbytes,
        "offset": info.offset,
    }
    unknown: dict[str, float | None] = {"min": None, "max": None, "rms": None}
    if info.nbytes > _MAX_STATISTICS_BYTES or not (info.type.numpy or info.original):
        return row | unknown
    try:
        return row | statistics(model.array(info.name))
    except GGUFError:  # the file has changed meanwhile
        return row | unknown


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return _finite(value) if isinstance(value, float) else value
