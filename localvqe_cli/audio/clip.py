"""Keep the output inside full scale: turn the whole file down, or clamp single samples."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from enum import Enum
from typing import IO

import numpy as np

from ..errors import LocalVQEError
from .resample import FloatArray
from .writer import AudioOutput

__all__ = ["ClipMode", "ClipReport", "PeakGuard"]

_MEMORY_BYTES = 16 << 20  # shorter clips never touch the disk
_COPY_SAMPLES = 1 << 16


class ClipMode(str, Enum):
    """What happens to samples beyond full scale."""

    RESCALE = "rescale"
    CLAMP = "clamp"


@dataclass(frozen=True)
class ClipReport:
    """Peak and number of samples beyond full scale (1.0) as the model gave them, and the gain applied.

    A sample of exactly 1.0 is not counted: integer encodings hold it one step lower.
    """

    peak: float
    clipped: int
    gain: float


class PeakGuard:
    """Stands between the model and an :class:`AudioOutput`.

    ``rescale`` must know the peak before the first sample can be written, so the signal waits as
    float32 in an unnamed temporary file (in memory while it is short). ``clamp`` writes at once.
    """

    def __init__(self, output: AudioOutput, mode: ClipMode) -> None:
        self._output = output
        self._spool: IO[bytes] | None = None
        if mode is ClipMode.RESCALE:
            self._spool = tempfile.SpooledTemporaryFile(max_size=_MEMORY_BYTES)  # noqa: SIM115 - closed in __exit__
        self._peak = 0.0
        self._clipped = 0

    def __enter__(self) -> PeakGuard:
        return self

    def __exit__(self, *_: object) -> None:
        if self._spool is not None:
            self._spool.close()

    def write(self, block: FloatArray) -> None:
        """Append ``block`` (n,).

        Raises:
            LocalVQEError: no room for the temporary file, or the output refused.
        """
        if len(block) == 0:
            return
        size = np.abs(block)
        self._peak = max(self._peak, float(size.max()))
        self._clipped += int(np.count_nonzero(size > 1.0))
        if self._spool is None:
            self._output.write(np.clip(block, -1.0, 1.0))
        else:
            try:
                self._spool.write(np.ascontiguousarray(block, np.float32).data)
            except OSError as exc:
                reason = exc.strerror or exc
                raise LocalVQEError(f"temporary file: {reason}; set TMPDIR or use --clip-mode clamp") from exc

    def finish(self) -> ClipReport:
        """Write what is still waiting."""
        gain = 1.0
        if self._spool is not None:
            gain = self._output.ceiling / self._peak if self._peak > 1.0 else 1.0
            self._spool.seek(0)
            while data := self._spool.read(4 * _COPY_SAMPLES):
                block = np.frombuffer(data, np.float32)
                self._output.write(block if gain == 1.0 else block * np.float32(gain))
        return ClipReport(self._peak, self._clipped, gain)
