"""What a GGUF file says, in Python terms."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bases import standard_bases
from ..config import BASES_KEY, ModelConfig
from ..errors import GGUFError
from ..families import Config, LFSCConfig, family_of
from ..tensor_check import printable
from .packed import unpack
from .types import TensorType

__all__ = ["DEFAULT_ALIGNMENT", "GGUFModel", "TensorInfo"]

DEFAULT_ALIGNMENT = 32


@dataclass(frozen=True)
class TensorInfo:
    """Where one tensor lies and how to read it.

    Attributes:
        name: tensor name.
        type: storage type.
        shape: PyTorch shape, slowest axis first; the file lists the same numbers reversed. Of a quantized tensor, the
            shape of its padded matrix.
        offset: absolute byte offset in the file, checked to lie inside it.
        nbytes: stored size in bytes.
        original: PyTorch shape of the weight in a quantized tensor, once :func:`check` has found it in
            order; else None.
    """

    name: str
    type: TensorType
    shape: tuple[int, ...]
    offset: int
    nbytes: int
    original: tuple[int, ...] | None = None

    @property
    def elements(self) -> int:
        """Number of stored elements, 1 for a scalar; padding counts."""
        return math.prod(self.shape)

    @property
    def parameters(self) -> int:
        """Number of weights, without padding."""
        return self.elements if self.original is None else math.prod(self.original)


@dataclass
class GGUFModel:
    """What a GGUF file says.

    Attributes:
        path: the file, as the caller named it.
        nbytes: size of the file.
        format_version: GGUF format version (2 or 3), 0 if the file ends before it.
        alignment: alignment of tensor data in bytes.
        metadata: key -> value, in file order; arrays are lists.
        metadata_types: key -> type name: u8 .. u64, i8 .. i64, f32, f64, bool, str, arr[...].
        tensors: name -> TensorInfo, in file order.
        stated_config: the hyperparameters, once :func:`check` has found all of them in order; else None.
        problems: what is wrong with the file, one line each; empty for a usable model.
    """

    path: Path
    nbytes: int = 0
    format_version: int = 0
    alignment: int = DEFAULT_ALIGNMENT
    metadata: dict[str, Any] = field(default_factory=dict)
    metadata_types: dict[str, str] = field(default_factory=dict)
    tensors: dict[str, TensorInfo] = field(default_factory=dict)
    stated_config: Config | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def config(self) -> ModelConfig:
        """The hyperparameters of a validated LocalVQE model. Raises GGUFError if there are none."""
        if isinstance(self.stated_config, ModelConfig):
            return self.stated_config
        raise GGUFError(self._other_family("a LocalVQE model"))

    @property
    def codec_config(self) -> LFSCConfig:
        """The hyperparameters of a validated speech codec. Raises GGUFError if there are none."""
        if isinstance(self.stated_config, LFSCConfig):
            return self.stated_config
        raise GGUFError(self._other_family("a speech codec"))

    @property
    def parameters(self) -> int:
        """Number of the model's parameters, the frozen codec included even where the file leaves it out."""
        stored = sum(info.parameters for info in self.tensors.values())
        config = self.stated_config
        if BASES_KEY not in self.metadata or not isinstance(config, ModelConfig) or not config.network:
            return stored
        return stored + 2 * config.n_fft**2

    def array(self, name: str) -> NDArray[Any]:
        """Elements of a tensor in PyTorch shape, read from the file now and unpacked if it is quantized. The codec's
        bases are computed where the file leaves them out.

        Raises:
            KeyError: there is no such tensor.
            GGUFError: its storage type is none that a model may have, or the file has changed meanwhile.
        """
        left_out = name not in self.tensors and BASES_KEY in self.metadata
        if left_out and isinstance(self.stated_config, ModelConfig):
            return standard_bases(self.stated_config)[name]
        info = self.tensors[name]
        if info.original is not None:
            return unpack(self.blocks(name), info.type, info.original)
        if not info.type.numpy:
            raise GGUFError(f"{self.path}: tensor {printable(name)} is {info.type.name}, which has no plain elements")
        return self._read(name, np.dtype(info.type.numpy), info.elements).reshape(info.shape)

    def blocks(self, name: str) -> NDArray[Any]:
        """Bytes of a tensor of :data:`QUANTIZED_TYPES`, uint8 (rows, bytes of a row), as they are in the file now.

        Raises:
            KeyError: there is no such tensor.
            GGUFError: the file has changed meanwhile.
        """
        info = self.tensors[name]
        row_bytes = (info.shape[-1] if info.shape else 1) // info.type.block * info.type.nbytes
        return self._read(name, np.dtype(np.uint8), info.nbytes).reshape(-1, row_bytes)

    def _other_family(self, wanted: str) -> str:
        if self.stated_config is None:
            return f"{self.path}: has not been found to hold {wanted}"
        return f"{self.path}: holds a {family_of(self.stated_config).what}, expected {wanted}"

    def _read(self, name: str, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
        try:
            # Not a memory map: a file truncated by someone else would kill the process with SIGBUS.
            flat = np.fromfile(self.path, dtype=dtype, count=count, offset=self.tensors[name].offset)
        except OSError as exc:
            raise GGUFError(f"{self.path}: cannot be read: {exc.strerror or exc}") from exc
        if flat.size != count:
            raise GGUFError(f"{self.path}: is truncated, tensor {printable(name)} ends outside the file")
        return flat
