"""Which arithmetic a training step runs fastest in on this machine."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager

import torch

from ..errors import UsageError
from ..geometry import MODEL_RATE
from ..reference import LocalVQE

__all__ = ["PRECISIONS", "autocast", "choose_precision"]

PRECISIONS = ("auto", "f32", "bf16")


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """bf16 autocast, or nothing for f32. The model keeps its sensitive parts in single precision either way."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def choose_precision(wanted: str, model: LocalVQE, device: torch.device) -> str:
    """``wanted``, or the faster of both if that is auto.

    Raises:
        UsageError: no such precision.
    """
    if wanted not in PRECISIONS:
        raise UsageError(f"unknown precision {wanted!r}; choose {', '.join(PRECISIONS)}")
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "f32"
    return min(("f32", "bf16"), key=lambda precision: _seconds(precision, model, device))


def _seconds(precision: str, model: LocalVQE, device: torch.device) -> float:
    """Time of one forward and backward pass over a second of audio, the best of two."""
    signal = torch.linspace(-0.1, 0.1, MODEL_RATE, device=device)[None]
    best = float("inf")
    for _ in range(2):
        start = time.perf_counter()
        with autocast(device, precision):
            out = model(signal, signal)
        torch.autograd.backward(out.float().square().mean())
        best = min(best, time.perf_counter() - start)
    model.zero_grad(set_to_none=True)
    return best
