"""The standard analysis and synthesis bases of each version (report, 2.1), for files that leave them out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .config import ModelConfig
from .tensors import DECODER_BASIS, ENCODER_BASIS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["standard_bases"]


def standard_bases(config: ModelConfig) -> dict[str, NDArray[np.float32]]:
    """Name -> float32 array in PyTorch shape: the orthonormal DCT-II in version 1, else the STFT with its window."""
    import numpy as np

    size = config.n_fft
    time = np.arange(size)
    if config.version == 1:
        analysis = np.sqrt(2.0 / size) * np.cos(np.pi * (time + 0.5) * time[:, None] / size)
        analysis[0] /= np.sqrt(2.0)
        synthesis = analysis
    else:
        window = np.sqrt(0.5 - 0.5 * np.cos(2.0 * np.pi * (time + 0.5) / size))
        # Reduced before the cosine, which loses digits at large arguments.
        phase = 2.0 * np.pi * (np.arange(1, size // 2 + 1)[:, None] * time % size) / size
        analysis = np.empty((size, size))
        analysis[0::2] = window * np.cos(phase)
        analysis[1::2] = -window * np.sin(phase)
        synthesis = analysis * (2.0 / size)
    return {
        ENCODER_BASIS: analysis[:, None, :].astype(np.float32),
        DECODER_BASIS: np.ascontiguousarray(synthesis.T).astype(np.float32),
    }
