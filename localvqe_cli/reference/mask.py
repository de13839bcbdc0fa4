"""Complex convolving mask in real arithmetic (report, 2.6)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .history import History, causal_pad
from .precision import at_least_float32, full_precision

__all__ = ["IDENTITY_TAP", "TAPS", "ConvolvingMask"]

TAPS = 9
#: Kernel index of the current frame and bin: row 2 (time t), column 1 (bin f).
IDENTITY_TAP = 7


class ConvolvingMask(nn.Module):
    """Applies a 3x3 complex kernel per bin: mask (B, 27, T, F), spectrum (B, F, T, 2) -> spectrum (B, F, T, 2).

    Mask channel 9 r + k is basis index r of kernel tap k. ``v_real`` and ``v_imag`` are the cube roots of unity; a
    checkpoint carries them as constants.
    """

    v_real: Tensor
    v_imag: Tensor

    def __init__(self) -> None:
        super().__init__()
        root = math.sqrt(3.0) / 2.0
        self.register_buffer("v_real", torch.tensor([1.0, -0.5, -0.5]))
        self.register_buffer("v_imag", torch.tensor([0.0, root, -root]))

    def forward(self, mask: Tensor, spectrum: Tensor, history: History | None = None) -> Tensor:
        with full_precision(mask):
            batch, _, frames, bins = mask.shape
            parts = at_least_float32(mask).view(batch, 3, TAPS, frames, bins)
            kernel_re = torch.einsum("r,brktf->bktf", self.v_real, parts)
            kernel_im = torch.einsum("r,brktf->bktf", self.v_imag, parts)
            padded = causal_pad(spectrum.permute(0, 3, 2, 1), 2, history, self, width=(1, 1))
            real, imag = padded.unbind(1)
            out_re = torch.zeros_like(kernel_re[:, 0])
            out_im = torch.zeros_like(out_re)
            for tap in range(TAPS):
                m, n = divmod(tap, 3)
                x_re = real[:, m : m + frames, n : n + bins]
                x_im = imag[:, m : m + frames, n : n + bins]
                out_re = out_re + kernel_re[:, tap] * x_re - kernel_im[:, tap] * x_im
                out_im = out_im + kernel_re[:, tap] * x_im + kernel_im[:, tap] * x_re
            return torch.stack([out_re, out_im], dim=-1).transpose(1, 2)
