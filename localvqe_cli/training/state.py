"""What a run keeps on disk.

In the run's folder: ``best.pt`` and ``last.pt``, averaged weights that ``localvqe export`` reads; ``trainer.pt``, all
that is needed to go on exactly. Each is replaced whole.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..atomic import atomic_output
from ..config import ModelConfig
from ..errors import CheckpointError, UsageError

__all__ = ["BEST", "LAST", "TRAINER", "open_folder", "read_trainer", "write_model", "write_trainer"]

BEST, LAST, TRAINER = "best.pt", "last.pt", "trainer.pt"
_FORMAT = 1


def write_model(
    path: str | os.PathLike[str], config: ModelConfig, state: Mapping[str, Tensor], training: Mapping[str, Any]
) -> None:
    """A checkpoint in the form that ``localvqe_cli.checkpoint`` reads; ``training`` is kept beside the weights."""
    content = {
        "model_state_dict": {name: value.detach().cpu() for name, value in state.items()},
        "model_config": config.to_mapping(),
        "training": dict(training),
    }
    with atomic_output(path) as target:
        torch.save(content, target)


def open_folder(folder: Path, *, resume: bool) -> dict[str, Any] | None:
    """The trainer state to resume from, or None and a folder for a new run.

    Raises:
        UsageError: it holds a run already, or cannot be made; CheckpointError: there is nothing to resume from.
    """
    if resume:
        return read_trainer(folder)
    if (folder / TRAINER).exists():
        raise UsageError(f"{folder} holds a run already; use --resume, or name another folder with -o")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise UsageError(f"cannot make the folder {folder}: {exc.strerror or exc}") from exc
    return None


def write_trainer(folder: Path, content: Mapping[str, Any]) -> None:
    """Replace the folder's trainer state."""
    with atomic_output(folder / TRAINER) as target:
        torch.save({"format": _FORMAT, **content}, target)


def read_trainer(folder: Path) -> dict[str, Any]:
    """The trainer state of a run; tensors on the CPU.

    Raises:
        CheckpointError: there is none, or it cannot be read.
    """
    path = folder / TRAINER
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as exc:
        raise CheckpointError(f"{folder}: has no {TRAINER} to resume from") from exc
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as exc:
        raise CheckpointError(f"{path}: is no trainer state: {str(exc).splitlines()[0] if str(exc) else exc}") from exc
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise CheckpointError(f"{path}: is no trainer state of this version")
    return content
