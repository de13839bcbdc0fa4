"""Keeping sensitive arithmetic out of reduced precision.

The codec, the attention logits, the norms' statistics, the S4D recurrence and the mask run in single precision even
under autocast (report, 2.5). A model converted with ``.double()`` stays in double precision throughout.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["at_least_float32", "full_precision"]


def at_least_float32(x: Tensor) -> Tensor:
    """``x`` in float32, or in float64 if it already is."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def full_precision(x: Tensor) -> torch.autocast:
    """Context in which autocast does nothing on the device of ``x``."""
    return torch.autocast(device_type=x.device.type, enabled=False)
