"""Quantized tensors: ggml's block formats, and the matrix form of weights in them (docs/reference/gguf-format.md)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..tensors import matrix_shape
from .types import TENSOR_TYPES, TensorType

__all__ = ["QUANTIZED_TYPES", "PackedTensor", "from_matrix", "has_finite_scales", "to_matrix", "unpack"]

#: Block formats that a model may use, by name, coarsest last; ``localvqe quantize`` mixes them.
QUANTIZED_TYPES: dict[str, TensorType] = {
    t.name: t for t in sorted(TENSOR_TYPES.values(), key=lambda t: -t.nbytes / t.block) if t.id in (8, 12, 13, 14)
}
# Where the half-precision scales lie in a block.
_SCALE_OFFSETS = {"Q8_0": (0,), "Q6_K": (208,), "Q5_K": (0, 2), "Q4_K": (0, 2)}


@dataclass(frozen=True)
class PackedTensor:
    """A weight in a block format, ready to be written.

    Attributes:
        type: one of :data:`QUANTIZED_TYPES`.
        shape: PyTorch shape of the weight.
        blocks: uint8, (rows, bytes of a padded row); see :func:`to_matrix` for the order.
    """

    type: TensorType
    shape: tuple[int, ...]
    blocks: NDArray[np.uint8]


def to_matrix(weight: NDArray[Any], block: int) -> NDArray[np.float32]:
    """(O, I, kh, kw) or (O, I) -> float32 (O, columns): a row holds, for each kernel row and column, the input
    channels, then zeros up to a multiple of ``block``."""
    rows, columns = matrix_shape(weight.shape, block)
    # Input channels last: the order in which an engine with channel-last frames meets them.
    flat = np.moveaxis(weight, 1, -1).reshape(rows, -1)
    matrix = np.zeros((rows, columns), np.float32)
    matrix[:, : flat.shape[1]] = flat
    return matrix


def from_matrix(matrix: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The inverse of :func:`to_matrix`; the padding is dropped."""
    used = matrix[:, : math.prod(shape[1:])]
    return np.ascontiguousarray(np.moveaxis(used.reshape(shape[0], *shape[2:], shape[1]), -1, 1), np.float32)


def unpack(blocks: NDArray[np.uint8], kind: TensorType, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Weights of PyTorch ``shape`` out of the blocks (O, bytes) of :class:`PackedTensor`."""
    from gguf import GGMLQuantizationType
    from gguf.quants import dequantize

    return from_matrix(dequantize(blocks, GGMLQuantizationType(kind.id)), shape)


def has_finite_scales(blocks: NDArray[np.uint8], kind: TensorType) -> bool:
    """False if a block's scale is NaN or infinite, and so its weights."""
    by_block = blocks.reshape(-1, kind.nbytes)
    return all(
        bool(np.isfinite(by_block[:, offset : offset + 2].copy().view("<f2")).all())
        for offset in _SCALE_OFFSETS[kind.name]
    )
