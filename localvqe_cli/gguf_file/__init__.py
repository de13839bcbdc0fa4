"""GGUF model files: write, read, validate, describe. The format is docs/reference/gguf-format.md.

::

    model = gguf_file.read("model.gguf")        # validated, or GGUFError
    model.config, model.metadata["general.name"], model.array("bottleneck.D")

``scan`` reads without judging and ``check`` judges without raising, for ``localvqe inspect``.
"""

from __future__ import annotations

from .describe import describe, statistics
from .model import GGUFModel, TensorInfo
from .packed import QUANTIZED_TYPES, PackedTensor, from_matrix, to_matrix, unpack
from .reader import scan
from .types import TENSOR_TYPES, TensorType
from .validate import check, read, validate
from .writer import MetadataValue, write

__all__ = [
    "QUANTIZED_TYPES",
    "TENSOR_TYPES",
    "GGUFModel",
    "MetadataValue",
    "PackedTensor",
    "TensorInfo",
    "TensorType",
    "check",
    "describe",
    "from_matrix",
    "read",
    "scan",
    "statistics",
    "to_matrix",
    "unpack",
    "validate",
    "write",
]
