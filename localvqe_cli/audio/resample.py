"""Sample-rate conversion of a mono stream."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["MODEL_RATE", "FloatArray", "Resampler"]

FloatArray = npt.NDArray[np.float32]

#: Every LocalVQE model works at this rate, in Hz (report, section 2).
MODEL_RATE = 16000


class Resampler:
    """Converts blocks of a mono float32 signal from one rate to another, without delay.

    ``n`` samples in give ``round(n * out_rate / in_rate)`` out over the stream's life, sample 0 at
    time 0 on both sides. The result does not depend on how the input is cut into blocks. Equal
    rates pass through untouched.
    """

    def __init__(self, in_rate: int, out_rate: int) -> None:
        self._stream: Any = None
        if in_rate != out_rate:
            import soxr

            self._stream = soxr.ResampleStream(in_rate, out_rate, 1, dtype="float32", quality="HQ")

    def push(self, block: FloatArray) -> FloatArray:
        """Feed ``block`` (n,); returns the samples that became ready."""
        if self._stream is None:
            return block
        return np.asarray(self._stream.resample_chunk(block), dtype=np.float32)

    def finish(self) -> FloatArray:
        """The samples still inside; the stream ends here."""
        if self._stream is None:
            return np.zeros(0, np.float32)
        return np.asarray(self._stream.resample_chunk(np.zeros(0, np.float32), last=True), dtype=np.float32)
