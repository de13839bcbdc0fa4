"""Every error this package raises on purpose, and the exit code the command line gives it.

::

    LocalVQEError            1  the work failed, or a check did not hold
    ├── UsageError           2  the request itself makes no sense
    ├── AudioError           3  audio that cannot be read or used
    ├── ModelError           4  a model or checkpoint that cannot be used
    │   ├── CheckpointError     ... a PyTorch checkpoint
    │   └── GGUFError           ... a GGUF file
    ├── MissingExtraError    5  an optional dependency is not installed
    ├── EngineError          5  the native library is missing or refused to work
    └── RemoteError          6  a storage or a cluster that cannot be reached, or refuses

A message is one line: what is wrong, which file, and what to do about it.
"""

from __future__ import annotations

__all__ = [
    "AudioError",
    "CheckpointError",
    "EngineError",
    "GGUFError",
    "LocalVQEError",
    "MissingExtraError",
    "ModelError",
    "RemoteError",
    "UsageError",
]


class LocalVQEError(Exception):
    """Base of every deliberate error; ``exit_code`` is what the command line returns."""

    exit_code = 1


class UsageError(LocalVQEError):
    """Arguments that contradict each other or name something that cannot be written."""

    exit_code = 2


class AudioError(LocalVQEError):
    """Audio that is unreadable, empty or unsuitable."""

    exit_code = 3


class ModelError(LocalVQEError):
    """A model whose contents break the contract of docs/reference/gguf-format.md."""

    exit_code = 4


class CheckpointError(ModelError):
    """A PyTorch checkpoint that cannot be read or does not hold a LocalVQE model."""


class GGUFError(ModelError):
    """A GGUF file that is damaged or does not hold a LocalVQE model."""


class MissingExtraError(LocalVQEError):
    """A verb needs an extra that is not installed."""

    exit_code = 5

    def __init__(self, what: str, extra: str, *, package: str | None = None) -> None:
        """``package`` is what ``extra`` leaves for the user to choose."""
        needs = f"needs an extra: pip install 'localvqe[{extra}]'"
        super().__init__(f"{what} {needs if package is None else f'needs {package}: pip install {package}'}")


class EngineError(LocalVQEError):
    """The native library is missing, too old, or reported a failure."""

    exit_code = 5


class RemoteError(LocalVQEError):
    """A remote storage or a cluster cannot be reached, or refuses."""

    exit_code = 6
