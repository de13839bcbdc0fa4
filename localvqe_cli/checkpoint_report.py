"""A checkpoint as plain data, in the form that ``gguf_file.describe`` gives a GGUF file. Needs torch."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from . import checkpoint
from .description import Description, TensorDescription
from .gguf_file import statistics
from .tensors import TEMPERATURE

__all__ = ["describe"]

# Running statistics and constants, which nobody counts as parameters.
_NOT_TRAINED = (".running_mean", ".running_var", ".num_batches_tracked", TEMPERATURE, "mask.v_real", "mask.v_imag")


def describe(path: str | os.PathLike[str], *, arch: int | None = None, tensors: bool = True) -> Description:
    """Config, tensors and totals of a checkpoint.

    Args:
        path: the checkpoint.
        arch: architecture version, where the checkpoint does not say.
        tensors: also list each tensor with the extremes of its values.

    Raises:
        CheckpointError, UsageError, MissingExtraError: as :func:`checkpoint.read`; a checkpoint that
            cannot be used is not described in part.
    """
    found = checkpoint.read(path, arch=arch)
    arrays = {name: tensor.numpy() for name, tensor in found.state.items()}
    return Description(
        path=Path(path),
        format="PyTorch checkpoint",
        nbytes=os.path.getsize(path),
        problems=(),
        notes=tuple(found.notes),
        config=found.config,
        metadata={},
        metadata_types={},
        tensor_count=len(arrays),
        parameters=sum(array.size for name, array in arrays.items() if not name.endswith(_NOT_TRAINED)),
        tensor_bytes=sum(array.nbytes for array in arrays.values()),
        types=dict(Counter(array.dtype.name for array in arrays.values())),
        tensors=tuple(
            TensorDescription(name, array.dtype.name, array.shape, array.nbytes, *statistics(array))
            for name, array in arrays.items()
        )
        if tensors
        else None,
    )
