"""The standard analysis and synthesis bases of each version (report, 2.1): the one place that computes them."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from .config import ModelConfig
from .geometry import FRAME
from .tensors import DECODER_BASIS, ENCODER_BASIS

__all__ = ["dct_basis", "standard_bases", "stft_basis"]


def stft_basis(size: int = FRAME) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Analysis and synthesis matrices of versions 2 and 3, both (size, size), float32.

    Row 2k-2 of the first is w[n] cos(2 pi k n / size), row 2k-1 is -w[n] sin(2 pi k n / size), k = 1..size/2, with the
    sqrt-Hann window w (report, equation 1). k = size/2 is the Nyquist bin, whose sine part is zero; only DC is dropped.
    The second is the transpose times 2 / size: its rows are output samples.
    """
    n = np.arange(size)
    window = np.sqrt(0.5 - 0.5 * np.cos(2.0 * np.pi * (n + 0.5) / size))
    # Reduced before the cosine, which loses digits at large arguments.
    angle = 2.0 * np.pi * (np.arange(1, size // 2 + 1)[:, None] * n % size) / size
    analysis = np.empty((size, size))
    analysis[0::2] = window * np.cos(angle)
    analysis[1::2] = -window * np.sin(angle)
    return analysis.astype(np.float32), np.ascontiguousarray(analysis.T * (2.0 / size)).astype(np.float32)


def dct_basis(size: int = FRAME) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Analysis and synthesis matrices of version 1: the orthonormal DCT-II and its transpose, (size, size), float32."""
    n = np.arange(size)
    analysis = np.sqrt(2.0 / size) * np.cos(np.pi / (2 * size) * (n[:, None] * (2 * n + 1) % (4 * size)))
    analysis[0] /= np.sqrt(2.0)
    return analysis.astype(np.float32), np.ascontiguousarray(analysis.T).astype(np.float32)


@cache
def _bases(version: int, size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return dct_basis(size) if version == 1 else stft_basis(size)


def standard_bases(config: ModelConfig) -> dict[str, NDArray[np.float32]]:
    """Name -> float32 array in PyTorch shape: (n_fft, 1, n_fft) for the analysis, (n_fft, n_fft) for the synthesis.

    The caller's own, to change as a model's weights are.
    """
    analysis, synthesis = _bases(config.version, config.n_fft)
    return {ENCODER_BASIS: analysis[:, None, :].copy(), DECODER_BASIS: synthesis.copy()}
