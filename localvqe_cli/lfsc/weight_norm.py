"""From a checkpoint's tensors to a model file's: direction and gain become one weight, whichever way they are spelled.

A weight is stored as a direction ``v`` and a gain ``g`` for each index of its first axis: ``w = g v / |v|``, the norm
over the other axes. Of a transposed convolution the first axis is the input's. Needs torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CheckpointError
from ..families import LFSCConfig
from ..families.lfsc_tensors import Convolution, convolutions
from ..tensor_check import names, printable, shape_text
from ..torch_file import float_tensor, stored_tensor

if TYPE_CHECKING:
    import torch

__all__ = ["fold", "plain_weights"]

#: (gain, direction) below a convolution's name: before torch 2 and since.
SPELLINGS = (
    ("weight_g", "weight_v"),
    ("parametrizations.weight.original0", "parametrizations.weight.original1"),
)
PLAIN = "weight"
#: What belongs to the codec; the rest of a checkpoint is what trained it.
PARTS = ("audio_encoder.", "audio_decoder.", "vector_quantizer.")


def fold(gain: NDArray[Any], direction: NDArray[Any]) -> NDArray[np.float64]:
    """The weight of a gain (n, 1, ...) and a direction (n, ...).

    Raises:
        CheckpointError: a direction is all zeros.
    """
    wide = np.asarray(direction, np.float64)
    norm = np.sqrt(np.square(wide).sum(axis=tuple(range(1, wide.ndim)), keepdims=True))
    if not norm.all():
        raise CheckpointError("has a direction of all zeros, which gives no weight")
    weight: NDArray[np.float64] = np.asarray(gain, np.float64) * wide / norm
    return weight


def plain_weights(
    config: LFSCConfig, state: Mapping[str, torch.Tensor]
) -> tuple[dict[str, NDArray[np.float32]], tuple[str, ...]]:
    """(tensors of a model file by name, notes on what was left out).

    Raises:
        CheckpointError: a tensor is missing, unknown, misshapen, of the wrong kind or not finite.
    """
    rest = dict(state)
    weights: dict[str, NDArray[np.float32]] = {}
    for conv in convolutions(config):
        weight = _weight(conv, rest)
        bias = _take(rest, f"{conv.source}.bias", conv.shape[:1])
        weights[f"{conv.name}.weight"] = np.ascontiguousarray(weight)
        weights[f"{conv.name}.bias"] = bias
    _check_quantizer(config, rest)
    unknown = [name for name in rest if name.startswith(PARTS)]
    if unknown:
        raise CheckpointError(f"unknown tensor{'s' if len(unknown) > 1 else ''} {names(unknown)}")
    left = Counter(name.partition(".")[0] for name in rest)
    notes = [f"left out {count} tensors of {printable(part)}" for part, count in sorted(left.items())]
    return weights, tuple(notes)


def _weight(conv: Convolution, rest: dict[str, torch.Tensor]) -> NDArray[np.float32]:
    """The folded weight (out, in, kernel) of a convolution, taken from ``rest``."""
    shape = conv.source_shape
    for gain, direction in SPELLINGS:
        if f"{conv.source}.{direction}" in rest:
            g = _take(rest, f"{conv.source}.{gain}", (shape[0], 1, 1))
            v = _take(rest, f"{conv.source}.{direction}", shape)
            try:
                folded = fold(g, v)
            except CheckpointError as exc:
                raise CheckpointError(f"tensor {conv.source}.{direction} {exc}") from exc
            with np.errstate(over="ignore"):
                weight = folded.astype(np.float32)
            if not np.isfinite(weight).all():
                raise CheckpointError(f"tensor {conv.source}.{direction} with its gain is more than float32 can hold")
            break
    else:
        weight = _take(rest, f"{conv.source}.{PLAIN}", shape)
    return weight.swapaxes(0, 1) if conv.transposed else weight


def _take(rest: dict[str, torch.Tensor], name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    if name not in rest:
        raise CheckpointError(f"missing tensor {name}")
    found = tuple(rest[name].shape)
    if found != shape:
        raise CheckpointError(f"tensor {name} has shape {shape_text(found)}, expected {shape}")
    array: NDArray[np.float32] = float_tensor(rest.pop(name), name).numpy()
    return array


def _check_quantizer(config: LFSCConfig, rest: dict[str, torch.Tensor]) -> None:
    """The quantizer's tensors say again what the configuration says; they may be missing, but not differ."""
    bases = [int(np.prod(config.levels[:i], dtype=np.int64)) for i in range(len(config.levels))]
    for group in range(config.groups):
        for entry, expected in (("num_levels", list(config.levels)), ("dim_base_index", bases)):
            name = f"vector_quantizer.fsqs.{group}.{entry}"
            if name in rest:
                found = stored_tensor(rest.pop(name), name)
                if found.is_floating_point() or found.numel() != len(expected) or found.flatten().tolist() != expected:
                    raise CheckpointError(f"tensor {name} contradicts the configuration, which makes {expected}")
