"""The reference's norm and mask with gradients written out: the same functions in half the passes over memory.

On a CPU those two, built of many small operations, take a third of a training step. Parameter names do not change.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ..reference import LocalVQE
from ..reference.history import History, causal_pad
from ..reference.mask import TAPS, ConvolvingMask
from ..reference.norm import EPS, CausalGroupNorm
from ..reference.precision import at_least_float32, full_precision

__all__ = ["fuse"]

_ROOT = math.sqrt(3.0) / 2.0


def fuse(model: LocalVQE) -> LocalVQE:
    """Exchange the norms and the mask of ``model``, in place; its parameters stay the same objects."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is CausalGroupNorm:
                setattr(parent, name, _FusedNorm(child))
            elif type(child) is ConvolvingMask:
                setattr(parent, name, _FusedMask().to(child.v_real.device))
    return model


class _FusedNorm(nn.Module):
    def __init__(self, norm: CausalGroupNorm) -> None:
        super().__init__()
        self.weight, self.bias = norm.weight, norm.bias

    def forward(self, x: Tensor) -> Tensor:
        with full_precision(x):
            y: Tensor = _NormFunction.apply(  # type: ignore[no-untyped-call]
                at_least_float32(x), self.weight, self.bias
            )
            return y.to(x.dtype)


class _NormFunction(torch.autograd.Function):
    """With rows of F values, everything but three passes works on (B, C, T) sums."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        count = x.shape[1] * x.shape[3]
        mean = x.sum(dim=3).sum(dim=1, keepdim=True) / count
        power = torch.linalg.vector_norm(x, dim=3).square().sum(dim=1, keepdim=True) / count
        rate = torch.rsqrt((power - mean.square()).clamp(min=0.0) + EPS)
        ctx.save_for_backward(x, weight, mean, rate)
        scale = rate * weight[:, None]
        return torch.addcmul((bias[:, None] - mean * scale)[..., None], x, scale[..., None])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, weight, mean, rate = ctx.saved_tensors
        (grad,) = grads
        count = x.shape[1] * x.shape[3]
        direct = grad.sum(dim=3)
        along = rate * ((grad * x).sum(dim=3) - mean * direct)  # sum of grad times the normalised input
        column = weight[:, None]
        level = (column * direct).sum(dim=1, keepdim=True) / count
        slope = (column * along).sum(dim=1, keepdim=True) / count * rate.square()
        back = torch.addcmul((slope * mean - rate * level)[..., None], x, -slope[..., None])
        back.addcmul_(grad, (column * rate)[..., None])
        return back, along.sum(dim=(0, 2)), direct.sum(dim=(0, 2))


class _FusedMask(ConvolvingMask):
    def forward(self, mask: Tensor, spectrum: Tensor, history: History | None = None) -> Tensor:
        with full_precision(mask):
            padded = causal_pad(spectrum.permute(0, 3, 2, 1), 2, history, self, width=(1, 1)).contiguous()
            out: Tensor = _MaskFunction.apply(at_least_float32(mask), padded)  # type: ignore[no-untyped-call]
            return out


class _MaskFunction(torch.autograd.Function):
    """Mask (B, 27, T, F), padded spectrum (B, 2, T + 2, F + 2) -> (B, F, T, 2). No gradient for the spectrum."""

    @staticmethod
    def forward(ctx: Any, mask: Tensor, padded: Tensor) -> Tensor:
        ctx.save_for_backward(padded)
        batch, _, frames, bins = mask.shape
        parts = mask.view(batch, 3, TAPS, frames, bins)
        out = mask.new_zeros(2, batch, frames, bins)
        for tap in range(TAPS):
            first, second, third = parts[:, :, tap].unbind(1)
            kernel_re = first - 0.5 * (second + third)
            kernel_im = (second - third).mul_(_ROOT)
            real, imag = _window(padded, tap, frames, bins)
            out[0].addcmul_(kernel_re, real).addcmul_(kernel_im, imag, value=-1.0)
            out[1].addcmul_(kernel_re, imag).addcmul_(kernel_im, real)
        return out.permute(1, 3, 2, 0)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (padded,) = ctx.saved_tensors
        real_grad, imag_grad = grads[0].permute(3, 0, 2, 1).contiguous()
        batch, frames, bins = real_grad.shape
        back = real_grad.new_empty(batch, 3, TAPS, frames, bins)
        for tap in range(TAPS):
            real, imag = _window(padded, tap, frames, bins)
            kernel_re = (real_grad * real).addcmul_(imag_grad, imag)
            kernel_im = (imag_grad * real).addcmul_(real_grad, imag, value=-1.0).mul_(_ROOT)
            back[:, 0, tap] = kernel_re
            kernel_re.mul_(-0.5)
            torch.add(kernel_re, kernel_im, out=back[:, 1, tap])
            torch.sub(kernel_re, kernel_im, out=back[:, 2, tap])
        return back.view(batch, 3 * TAPS, frames, bins), None


def _window(padded: Tensor, tap: int, frames: int, bins: int) -> tuple[Tensor, Tensor]:
    m, n = divmod(tap, 3)
    real, imag = padded[:, :, m : m + frames, n : n + bins].unbind(1)
    return real, imag
