"""Power-law compression of a spectrum before the first learned layer (report, 2.2)."""

from __future__ import annotations

from torch import Tensor

__all__ = ["EPS", "power_law"]

EPS = 1e-12


def power_law(spectrum: Tensor, c: float) -> Tensor:
    """Compress magnitudes to |z|^c and keep directions (report, equation 2).

    Args:
        spectrum: (B, F, T, 2), the two coefficients of each bin last.
        c: exponent, 0 < c <= 1.

    Returns:
        (B, 2, T, F), the encoder's layout.
    """
    power = spectrum.square().sum(dim=-1, keepdim=True) + EPS
    compressed = spectrum / (power.pow((1.0 - c) / 2.0) + EPS)
    return compressed.permute(0, 3, 2, 1)
