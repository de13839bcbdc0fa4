"""Remove echo, noise and reverberation from voice calls on an ordinary CPU.

>>> import localvqe_cli as localvqe
>>> clean = localvqe.Enhancer().enhance(mic, ref)  # mono float32 at 16 kHz  # doctest: +SKIP

Everything public is listed in ``__all__``; heavy modules load on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .config import ModelConfig
from .errors import (
    AudioError,
    CheckpointError,
    EngineError,
    GGUFError,
    LocalVQEError,
    MissingExtraError,
    ModelError,
    UsageError,
)

if TYPE_CHECKING:
    from .engine import Enhancer, Stream, get_include, get_library_dir

    __version__: str

__all__ = [
    "AudioError",
    "CheckpointError",
    "EngineError",
    "Enhancer",
    "GGUFError",
    "LocalVQEError",
    "MissingExtraError",
    "ModelConfig",
    "ModelError",
    "Stream",
    "UsageError",
    "__version__",
    "enhance",
    "get_include",
    "get_library_dir",
    "load_model",
]

_LAZY = ("Enhancer", "Stream", "get_include", "get_library_dir")


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(".engine", __name__), name)
    if name == "__version__":
        return _version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _version() -> str:
    # Reading the installed metadata costs as much as everything else here, so it waits until asked for.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("localvqe")
    except PackageNotFoundError:  # running from a source tree that was never installed
        return "0+unknown"


def load_model(model: Any = None, *, threads: int = 1, noise_gate: float | None = None) -> Enhancer:
    """Load a GGUF file, a registry name or (None) the embedded default; see :class:`Enhancer`."""
    from .engine import Enhancer

    return Enhancer(model, threads=threads, noise_gate=noise_gate)


def enhance(mic: Any, ref: Any = None, *, model: Any = None, threads: int = 1) -> Any:
    """Enhance one clip with one call: (n,) float32 at 16 kHz in and out; see :meth:`Enhancer.enhance`."""
    return load_model(model, threads=threads).enhance(mic, ref)
