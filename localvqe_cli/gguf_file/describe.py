"""A GGUF file as plain data."""

from __future__ import annotations

import math
from collections import Counter
from contextlib import suppress
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..description import Description, TensorDescription
from ..errors import GGUFError
from .model import GGUFModel, TensorInfo

__all__ = ["describe", "statistics"]

#: Smallest, largest and root-mean-square value; None where not finite.
Statistics: TypeAlias = tuple[float | None, float | None, float | None]

# Bounds the memory that describing a hostile file takes; no published tensor is over 4 MiB.
_MAX_STATISTICS_BYTES = 64 << 20


def describe(model: GGUFModel, *, tensors: bool = True) -> Description:
    """Everything known about a scanned (and preferably validated) file.

    Args:
        model: the file.
        tensors: also list each tensor with the extremes of its values.
    """
    infos = list(model.tensors.values())
    return Description(
        path=model.path,
        format="GGUF",
        nbytes=model.nbytes,
        problems=tuple(model.problems),
        notes=(),
        config=model.stated_config,
        metadata=dict(model.metadata),
        metadata_types=dict(model.metadata_types),
        tensor_count=len(infos),
        parameters=model.parameters,
        tensor_bytes=sum(info.nbytes for info in infos),
        types=dict(Counter(info.type.name for info in infos)),
        tensors=tuple(_describe_tensor(model, info) for info in infos) if tensors else None,
        format_version=model.format_version,
        alignment=model.alignment,
    )


def statistics(values: NDArray[Any]) -> Statistics:
    """Smallest, largest and root-mean-square value of an array with at least one element."""
    with np.errstate(over="ignore", invalid="ignore"):
        wide = values.astype(np.float64)
        rms = float(np.sqrt(np.mean(np.square(wide))))
    return _finite(float(wide.min())), _finite(float(wide.max())), _finite(rms)


def _describe_tensor(model: GGUFModel, info: TensorInfo) -> TensorDescription:
    values: Statistics = (None, None, None)
    if info.nbytes <= _MAX_STATISTICS_BYTES and (info.type.numpy or info.original):
        with suppress(GGUFError):  # the file has changed meanwhile
            values = statistics(model.array(info.name))
    return TensorDescription(
        info.name,
        info.type.name,
        tuple(info.original or info.shape),
        info.nbytes,
        *values,
        stored_shape=tuple(info.shape),
        offset=info.offset,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
