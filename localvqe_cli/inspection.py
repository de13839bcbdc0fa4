"""What is in a model file or checkpoint, and what is wrong with it."""

from __future__ import annotations

import os
from dataclasses import replace

from . import checkpoint, checkpoint_report, gguf_file, model_health, models
from .description import Description
from .errors import UsageError

__all__ = ["inspect"]


def inspect(
    model: str | os.PathLike[str] | None = None, *, tensors: bool = True, arch: int | None = None, deep: bool = False
) -> Description:
    """Describe a model file or checkpoint; one that is damaged is described as far as it can be read.

    Args:
        model: path of a GGUF file or checkpoint, a name from the registry, or None for the embedded default.
        tensors: list every tensor, with the extremes of its values.
        arch: architecture version of a checkpoint that does not say.
        deep: also examine the weights of a model file: poles of the bottleneck, gain of each layer.

    Raises:
        ModelError: there is no such file; or a checkpoint cannot be used.
        GGUFError: the file cannot be opened.
        MissingExtraError: a checkpoint, and torch is not installed.
        UsageError: ``deep`` with a checkpoint.
    """
    path = models.resolve(model)
    if checkpoint.resembles_checkpoint(path):
        if deep:
            raise UsageError(f"{path}: --deep examines model files; export the checkpoint first")
        return checkpoint_report.describe(path, arch=arch, tensors=tensors)
    scanned = gguf_file.scan(path)
    gguf_file.check(scanned)
    found = gguf_file.describe(scanned, tensors=tensors)
    return replace(found, deep=model_health.examine(scanned)) if deep and found.usable else found
