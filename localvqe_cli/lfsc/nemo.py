"""Opening a ``.nemo`` archive that anybody may have made: a tar file with a YAML configuration and torch weights.

Nothing is ever unpacked into the file system: members are looked up by name and read in place.
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from ..errors import CheckpointError, LocalVQEError, MissingExtraError, ModelError
from ..families import LFSCConfig
from ..file_window import FileWindow
from ..tensor_check import printable
from ..torch_file import regular_file, unpacked_size, unpickle
from .nemo_config import read_config
from .weight_norm import plain_weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["NemoCodec", "read"]

SUFFIX = ".nemo"

CONFIG_MEMBER = "model_config.yaml"
WEIGHTS_MEMBER = "model_weights.ckpt"

# Limits. The codec's weights are 451 MB; what its training left in the same file may be more than as much again.
MAX_BYTES = 4 << 30
MAX_MEMBERS = 4096
MAX_HEADER_BYTES = 1 << 20
#: Real configurations have 2 to 5 kB, and PyYAML needs a second for each 100 kB.
MAX_CONFIG_BYTES = 64 << 10
#: Weights hardly get smaller by compression, so what unpacks to more than this many times its size is none.
MAX_EXPANSION = 20
_SPARE_BYTES = 1 << 30


@dataclass(frozen=True)
class NemoCodec:
    """The codec in an archive.

    Attributes:
        config: its hyperparameters.
        weights: name in a model file -> float32 array, exactly those of ``families.lfsc_tensors.lfsc_shapes``.
        notes: what was left out, a line each.
    """

    config: LFSCConfig
    weights: dict[str, NDArray[np.float32]]
    notes: tuple[str, ...] = ()


def read(path: str | os.PathLike[str]) -> NemoCodec:
    """Read an archive and check everything that is taken from it.

    Raises:
        CheckpointError: it is missing, damaged or over a limit, holds another network, would run code, or its tensors
            are missing, unknown, misshapen or not finite.
        MissingExtraError: torch or PyYAML is not installed.
    """
    size, _ = regular_file(path, "a .nemo archive")
    _check_size(str(path), size)
    try:
        with open(path, "rb") as file, _uncompressed(file, size) as archive:
            members = _members(archive)
            config = read_config(_yaml(members[CONFIG_MEMBER].read()))
            weights, notes = plain_weights(config, _state(members[WEIGHTS_MEMBER], str(path)))
            return NemoCodec(config, weights, notes)
    except CheckpointError as exc:
        text = str(exc)
        raise CheckpointError(text if text.startswith(f"{path}: ") else f"{path}: {text}") from exc
    except ModelError as exc:
        raise CheckpointError(f"{path}: {exc}") from exc
    except OSError as exc:
        raise CheckpointError(f"{path}: cannot be read: {exc.strerror or exc}") from exc


def _check_size(name: str, size: int) -> None:
    if size > MAX_BYTES:
        raise CheckpointError(f"{name}: has {size} bytes, more than the limit of {MAX_BYTES >> 20} MiB")


# -- the archive ------------------------------------------------------------------------------


class _HeaderReads:
    """What tarfile reads through while it lists an archive: a header may claim to go on for gigabytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        if size > MAX_HEADER_BYTES:
            raise CheckpointError(f"has a header of {size} bytes, more than the limit of {MAX_HEADER_BYTES}")
        return self._file.read(size)

    def seek(self, position: int) -> int:
        return self._file.seek(position)

    def tell(self) -> int:
        return self._file.tell()


@contextmanager
def _uncompressed(file: BinaryIO, size: int) -> Iterator[BinaryIO]:
    """The archive itself; very old ones are compressed as a whole, and then a temporary file has it."""
    magic = file.read(2)
    file.seek(0)
    if magic != b"\x1f\x8b":
        yield file
        return
    limit = min(MAX_BYTES, MAX_EXPANSION * size + MAX_HEADER_BYTES)
    with tempfile.TemporaryFile() as spool:
        try:
            with gzip.open(file, "rb") as packed:
                while block := packed.read(1 << 20):
                    if spool.tell() + len(block) > limit:
                        raise CheckpointError(f"unpacks to more than {limit} bytes, which no weights do")
                    spool.write(block)
        except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
            raise CheckpointError("is damaged, cannot be unpacked") from exc
        except OSError as exc:
            raise LocalVQEError(f"temporary file: {exc.strerror or exc}; set TMPDIR") from exc
        yield spool


def _members(archive: BinaryIO) -> dict[str, FileWindow]:
    """The two members that matter, by name."""
    end = archive.seek(0, io.SEEK_END)
    archive.seek(0)
    found: dict[str, FileWindow] = {}
    try:
        with tarfile.open(fileobj=cast(Any, _HeaderReads(archive)), mode="r:") as tar:
            for number, member in enumerate(tar):
                if number >= MAX_MEMBERS:
                    raise CheckpointError(f"holds more than {MAX_MEMBERS} members")
                name = member.name.removeprefix("./")
                if name not in (CONFIG_MEMBER, WEIGHTS_MEMBER):
                    continue
                if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
                    raise CheckpointError(f"its {name} is a link or another special entry, expected a file")
                if name in found:
                    raise CheckpointError(f"holds {name} twice")
                if member.size < 0 or member.offset_data + member.size > end:
                    raise CheckpointError(f"is truncated: {name} ends outside the file")
                found[name] = FileWindow(archive, member.offset_data, member.size)
    except CheckpointError:
        raise
    except Exception as exc:  # tarfile raises many kinds over damaged headers
        raise CheckpointError("is not a .nemo archive, or is damaged") from exc
    for name in (CONFIG_MEMBER, WEIGHTS_MEMBER):
        if name not in found:
            raise CheckpointError(f"holds no {name}, so it is no .nemo archive of a model")
    if found[CONFIG_MEMBER].size > MAX_CONFIG_BYTES:
        raise CheckpointError(f"its {CONFIG_MEMBER} has over {MAX_CONFIG_BYTES >> 10} KiB")
    return found


# -- its two members --------------------------------------------------------------------------


def _yaml(text: bytes) -> Any:
    """A YAML document of plain values. Aliases are refused: with merge keys they can grow without bound."""
    try:
        import yaml
    except ImportError as exc:
        raise MissingExtraError("reading a .nemo archive", "codec") from exc
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise CheckpointError(f"its {CONFIG_MEMBER} has aliases, which are not supported")
        return yaml.safe_load(text)
    except CheckpointError:
        raise
    except Exception as exc:  # a damaged document makes yaml raise almost any kind, RecursionError among them
        where = getattr(exc, "problem_mark", None)
        line = "" if where is None else f" in line {where.line + 1}"
        raise CheckpointError(f"its {CONFIG_MEMBER} is not readable as YAML{line}") from exc


def _state(window: FileWindow, name: str) -> dict[str, Any]:
    file = cast(BinaryIO, io.BufferedReader(window))
    _check_size(f"{name}: {WEIGHTS_MEMBER}", unpacked_size(file, f"{name}: {WEIGHTS_MEMBER}"))
    file.seek(0)
    content = unpickle(file, f"{name}: {WEIGHTS_MEMBER}", limit=2 * window.size + _SPARE_BYTES, extra="codec")
    import torch  # there, since it has just been used

    if not isinstance(content, dict):
        raise CheckpointError(f"its {WEIGHTS_MEMBER} holds a {type(content).__name__}, expected a state dict")
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            raise CheckpointError(f"entry {printable(str(key))} of its {WEIGHTS_MEMBER} is not a tensor")
    return content
