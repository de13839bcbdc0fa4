"""Opening what torch has saved and anybody may have made: tensors and plain values only, never code, in bounded memory.

Needs torch, which is imported when a file is read.
"""

from __future__ import annotations

import os
import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from .errors import CheckpointError, MissingExtraError
from .regular_file import open_regular
from .tensor_check import printable

if TYPE_CHECKING:
    import torch

__all__ = ["float_tensor", "regular_file", "stored_tensor", "unpacked_size", "unpickle"]


def regular_file(path: str | os.PathLike[str], expected: str) -> tuple[int, bytes]:
    """Size and first four bytes of a file that is there, can be read and is not empty; ``expected`` is for messages.

    Raises:
        CheckpointError: it is not such a file.
    """
    with open_regular(path, expected, CheckpointError) as (file, size):
        magic = file.read(4)
    if not magic:
        raise CheckpointError(f"{path}: is empty")
    return size, magic


def unpacked_size(source: str | os.PathLike[str] | BinaryIO, name: str) -> int:
    """Bytes that a zip archive unpacks to, since a small one can hold a large compressed entry; 0 where it is none.

    Raises:
        CheckpointError: the archive is damaged. ``name`` is what messages call it.
    """
    try:
        if not zipfile.is_zipfile(source):
            return 0
        with zipfile.ZipFile(source) as archive:
            return sum(entry.file_size for entry in archive.infolist())
    except OSError as exc:
        raise CheckpointError(f"{name}: cannot be read: {exc.strerror or exc}") from exc
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as exc:
        raise CheckpointError(f"{name}: is a damaged archive, not a PyTorch checkpoint") from exc


def unpickle(source: str | os.PathLike[str] | BinaryIO, name: str, *, limit: int, extra: str = "torch") -> Any:
    """What ``torch.save`` has put into ``source``, on the CPU.

    Args:
        source: a path, or a file open for reading.
        name: what messages call it.
        limit: bytes by which the process may grow meanwhile, where the system can be told so.
        extra: what to install where torch is missing.

    Raises:
        CheckpointError: it is damaged, or holds more than tensors and plain values.
        MissingExtraError: torch is not installed.
    """
    try:
        import torch
    except ImportError as exc:
        raise MissingExtraError("reading a PyTorch checkpoint", extra) from exc
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with _bounded_memory(limit):
                return torch.load(source, map_location="cpu", weights_only=True)
    except Exception as exc:  # a damaged file makes torch raise almost any kind
        raise CheckpointError(f"{name}: {_explain(exc)}") from exc


def stored_tensor(tensor: torch.Tensor, name: str) -> torch.Tensor:
    """A contiguous copy on the CPU of an ordinary tensor all of whose values are stored.

    Raises:
        CheckpointError: it is something else. ``name`` is what messages call it.
    """
    import torch

    if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_complex() or tensor.is_quantized:
        raise CheckpointError(f"tensor {name} is not a plain array of numbers")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        # A stride of zero makes a large tensor of one stored number, which would have to be written out below.
        raise CheckpointError(f"tensor {name} claims more values than are stored")
    return tensor.detach().contiguous()


def float_tensor(tensor: torch.Tensor, name: str) -> torch.Tensor:
    """:func:`stored_tensor` as float32, every value finite. Raises CheckpointError."""
    import torch

    plain = stored_tensor(tensor, name).to(torch.float32)
    if not torch.isfinite(plain).all():
        raise CheckpointError(f"tensor {name} holds NaN or infinite values")
    return plain


@contextmanager
def _bounded_memory(room: int) -> Iterator[None]:
    """Let loading reserve so much more memory and no more, where the system can be told so.

    A pickle of a hundred bytes may ask for a bytearray of any size, and torch grants it.
    """
    try:
        import resource

        with open("/proc/self/statm", "rb") as stream:
            used = int(stream.read().split()[0]) * resource.getpagesize()
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        limit = used + room
        if soft != resource.RLIM_INFINITY:
            limit = min(limit, soft)
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    except (ImportError, OSError, ValueError):
        yield
        return
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _explain(exc: Exception) -> str:
    # "GLOBAL posix.system" is how torch names what it refused to import.
    found = re.search(r"\bGLOBAL ([\w.]+)", str(exc)) if isinstance(exc, pickle.UnpicklingError) else None
    if found:
        return (
            f"holds more than tensors and plain values ({printable(found[1])}), and code in a checkpoint is never run; "
            "save it again with torch.save({'model_state_dict': model.state_dict()}, path)"
        )
    return "is not a PyTorch checkpoint, or is damaged"
