"""From a ``.nemo`` archive to a model file."""

from __future__ import annotations

import os
from collections.abc import Mapping

import gguf
import numpy as np
from numpy.typing import NDArray

from ..errors import CheckpointError, UsageError
from ..families import LFSCConfig
from ..families.lfsc_tensors import lfsc_quantizable_shapes
from ..gguf_file import QUANTIZED_TYPES, MetadataValue, PackedTensor, to_matrix, write
from .nemo import SUFFIX, read

__all__ = ["LICENSE", "TYPES", "export_nemo", "is_nemo", "stored_as"]

#: What the weights of a model file can be stored as.
TYPES = ("F32", "F16", "Q8_0")
#: NVIDIA's, of the published codec.
LICENSE = "NSCLv1"
LICENSE_KEY = "general.license"
_NOTE = (
    f"{LICENSE_KEY} is {LICENSE}, NVIDIA's licence of this codec: its weights are for non-commercial use only. "
    "For your own say --license"
)


def is_nemo(path: str | os.PathLike[str]) -> bool:
    """Does the name end as that of an archive?"""
    return os.fspath(path).lower().endswith(SUFFIX)


def export_nemo(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    kind: str,
    metadata: Mapping[str, MetadataValue],
) -> tuple[LFSCConfig, int, tuple[str, ...]]:
    """Write the model file of an archive; an existing one is replaced.

    Args:
        source: the archive.
        target: the model file.
        kind: one of :data:`TYPES`.
        metadata: further keys; without a licence among them, NVIDIA's is taken.

    Returns:
        hyperparameters, number of parameters, notes.

    Raises:
        CheckpointError: the archive cannot be used, or a weight does not fit into ``kind``.
        UsageError: there is no such kind.
    """
    if kind not in TYPES:
        raise UsageError(f"weights cannot be stored as {kind}; choose one of {', '.join(TYPES)}")
    found = read(source)
    notes = found.notes
    if LICENSE_KEY not in metadata:
        metadata = {**metadata, LICENSE_KEY: LICENSE}
        notes = (*notes, _NOTE)
    parameters = sum(array.size for array in found.weights.values())
    tensors: dict[str, NDArray[np.float32] | NDArray[np.float16] | PackedTensor] = dict(found.weights)
    for name in lfsc_quantizable_shapes(found.config):
        try:
            tensors[name] = stored_as(found.weights[name], kind)
        except ValueError as exc:
            raise CheckpointError(f"{source}: tensor {name} {exc}") from exc
    write(target, found.config, tensors, metadata)
    return found.config, parameters, notes


def stored_as(weight: NDArray[np.float32], kind: str) -> NDArray[np.float32] | NDArray[np.float16] | PackedTensor:
    """A weight (out, in, kernel) in one of :data:`TYPES`. Raises ValueError where it has values that do not fit."""
    if kind == "F32":
        return weight
    with np.errstate(over="ignore"):
        if kind == "F16":
            half = weight.astype(np.float16)
            if not np.isfinite(half).all():
                raise ValueError("has weights that half precision cannot hold")
            return half
        block = QUANTIZED_TYPES[kind]
        rows = gguf.quants.quantize(to_matrix(weight, block.block), gguf.GGMLQuantizationType(block.id))
    if np.abs(weight).max() > 127 * float(np.finfo(np.float16).max):
        raise ValueError("has weights that half-precision scales cannot hold")
    return PackedTensor(block, weight.shape, rows)
