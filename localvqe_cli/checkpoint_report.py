"""A checkpoint as plain data, in the form that ``gguf_file.describe`` gives a GGUF file. Needs torch."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

from . import checkpoint
from .gguf_file import statistics
from .tensors import TEMPERATURE

__all__ = ["describe"]

# Running statistics and constants, which nobody counts as parameters.
_NOT_TRAINED = (".running_mean", ".running_var", ".num_batches_tracked", TEMPERATURE, "mask.v_real", "mask.v_imag")


def describe(path: str | os.PathLike[str], *, arch: int | None = None, tensors: bool = True) -> dict[str, Any]:
    """Config, tensors and totals of a checkpoint, ready for JSON.

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
    types: dict[str, int] = {}
    for array in arrays.values():
        types[array.dtype.name] = types.get(array.dtype.name, 0) + 1
    report: dict[str, Any] = {
        "path": os.fspath(path),
        "format": "PyTorch checkpoint",
        "bytes": os.path.getsize(path),
        "usable": True,
        "problems": [],
        "notes": list(found.notes),
        "config": asdict(found.config),
        "metadata": {},
        "totals": {
            "tensors": len(arrays),
            "parameters": sum(array.size for name, array in arrays.items() if not name.endswith(_NOT_TRAINED)),
            "tensor_bytes": sum(array.nbytes for array in arrays.values()),
            "types": types,
        },
    }
    if tensors:
        report["tensors"] = [
            {"name": name, "type": a.dtype.name, "shape": list(a.shape), "bytes": a.nbytes, **statistics(a)}
            for name, a in arrays.items()
        ]
    return report
