"""What a weight can be stored as, and what that does to it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..engine import dequantize_rows, quantize_rows
from ..gguf_file import QUANTIZED_TYPES, PackedTensor, from_matrix, to_matrix
from ..tensors import matrix_shape

__all__ = ["F32", "TYPES", "choices", "pack", "stored_bytes", "unpacked", "weight_error"]

Weight = NDArray[np.float32]

#: What can be asked for; the ladder of each, up to F32, is what a tensor can be raised to.
TYPES = ("Q8_0", "Q4_K")
F32 = "F32"


def stored_bytes(shape: tuple[int, ...], kind: str) -> int:
    """Bytes of a weight of PyTorch ``shape``, padding included."""
    if kind == F32:
        return 4 * math.prod(shape)
    block = QUANTIZED_TYPES[kind]
    rows, columns = matrix_shape(shape, block.block)
    return rows * columns // block.block * block.nbytes


def choices(shape: tuple[int, ...], target: str) -> list[str]:
    """Types for a weight, from ``target`` up to F32, each larger than the one before.

    A coarse format with blocks of 256 can take more room than a finer one with blocks of 32, where a row is short;
    such types are left out.
    """
    kept = [F32]
    for kind in QUANTIZED_TYPES:  # finest first
        if stored_bytes(shape, kind) < stored_bytes(shape, kept[-1]):
            kept.append(kind)
        if kind == target:
            break
    return kept[::-1]


def pack(weight: Weight, kind: str, importance: Weight | None = None) -> PackedTensor:
    """A weight in a block format.

    Args:
        weight: PyTorch shape (O, I, kh, kw) or (O, I).
        importance: of the shape without its first axis: mean squares of what each column is multiplied with.

    Raises:
        EngineError: a weight is too large for half-precision scales.
    """
    block = QUANTIZED_TYPES[kind]
    columns = None if importance is None else to_matrix(importance[None], block.block)[0]
    return PackedTensor(block, weight.shape, quantize_rows(block.id, to_matrix(weight, block.block), columns))


def unpacked(packed: PackedTensor) -> Weight:
    """The weight that the engine computes with."""
    _, columns = matrix_shape(packed.shape, packed.type.block)
    return from_matrix(dequantize_rows(packed.type.id, packed.blocks, columns), packed.shape)


def weight_error(weight: Weight, packed: PackedTensor, importance: Weight | None = None) -> float:
    """Sum of squared rounding errors, each times its column's importance."""
    squares = np.square(unpacked(packed).astype(np.float64) - weight)
    return float((squares if importance is None else squares * importance).sum())
