"""Which runtime a model file is for: GGUF for the engine, ONNX for onnxruntime."""

from __future__ import annotations

import os

from .engine import Enhancer, is_cpu
from .errors import UsageError
from .onnx_file.format import SUFFIX
from .onnx_file.session import OnnxEnhancer

__all__ = ["is_onnx", "open_model"]


def is_onnx(model: str | os.PathLike[str] | None) -> bool:
    """Does the name end as that of an ONNX file?"""
    return model is not None and os.fspath(model).endswith(SUFFIX)


def open_model(
    model: str | os.PathLike[str] | None,
    *,
    threads: int = 1,
    noise_gate: float | None = None,
    backend: str = "auto",
    device: int = 0,
    precision: str = "auto",
) -> Enhancer:
    """An ``Enhancer`` for a model file of either kind, with the arguments and errors of its constructor.

    Raises:
        UsageError: a noise gate, backend, device or precision for an ONNX file; they are the engine's.
        MissingExtraError: an ONNX file, and the packages for it are not installed.
    """
    if not is_onnx(model):
        return Enhancer(
            model, threads=threads, noise_gate=noise_gate, backend=backend, device=device, precision=precision
        )
    assert model is not None
    if noise_gate is not None:
        raise UsageError(f"{os.fspath(model)}: the noise gate is the engine's; use the GGUF file for it")
    if not is_cpu(backend) or device != 0:
        raise UsageError(f"{os.fspath(model)}: onnxruntime runs it on the CPU; --backend is for GGUF files")
    if precision != "auto":
        raise UsageError(
            f"{os.fspath(model)}: onnxruntime computes in the numbers of the file; --precision is for GGUF"
        )
    return OnnxEnhancer(model, threads=threads)
