"""What is compared: the unprocessed mic, models, and outputs that others computed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from ..engine import is_cpu, kernels, library_path
from ..errors import UsageError
from ..models import resolve
from ..open_model import open_model
from .cache import file_sha256
from .inputs import ENHANCED, Clip
from .result import SystemInfo

__all__ = ["MIC", "Named", "engine_identity", "model_system", "output_systems", "taken_apart"]

#: Name of the unprocessed microphone, which is always among the systems.
MIC = "mic"
_DEFAULT = "default"

#: A system's name, None for that of its file or folder, and where it is.
Named: TypeAlias = tuple[str | None, str]


def taken_apart(text: str) -> Named:
    """``NAME=PATH`` taken apart; the name is None where there is none. A path that exists as written wins."""
    name, equals, path = text.partition("=")
    if not equals or os.path.exists(text) or os.sep in name:
        return None, text
    if not name or not path:
        raise UsageError(f"{text}: expected NAME=PATH")
    return name, path


def model_system(
    name: str | None, model: str | None, backend: str = "auto", device: int = 0, precision: str = "auto"
) -> SystemInfo:
    """The system that runs ``model``, None for the embedded one; loads it, so that a bad one fails at once.

    ``backend``, ``device`` and ``precision`` are those of ``Enhancer``.

    Raises:
        ModelError: no such model, or it cannot be used.
        EngineError: the engine cannot be loaded.
        UsageError: there is no such backend, device or precision.
    """
    path = resolve(model)
    enhancer = open_model(path, backend=backend, device=device, precision=precision)
    if name is None:
        # A file is called by its stem, a registry name by itself, so that reports of two releases can be compared.
        name = _DEFAULT if model is None else Path(model).name.removesuffix(".gguf")
    return SystemInfo(name, "model", str(path), enhancer.name, file_sha256(str(path)))


def output_systems(clips: Sequence[Clip], folders: dict[str, str]) -> list[SystemInfo]:
    """The systems whose outputs ``clips`` carry: ``folders`` by name, and those of the manifest itself."""
    found = dict.fromkeys(name for clip in clips for name in clip.outputs)
    return [SystemInfo(name, "files", folders.get(name, f"column or folder {ENHANCED!r}")) for name in found]


@lru_cache(maxsize=1)
def engine_identity(backend: str = "auto", device: int = 0, precision: str = "auto") -> str:
    """Changes whenever the engine may compute something else: part of the name of every score of a model."""
    place = "" if is_cpu(backend) else f" {backend}:{device}"
    if precision == "auto":
        precision = os.environ.get("LOCALVQE_ARITHMETIC") or "auto"
    numbers = "" if precision == "auto" else f" {precision}"
    return f"{kernels()} {file_sha256(str(library_path()))}{place}{numbers}"
