"""What ``verify`` found, as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from .config import ModelConfig

__all__ = ["BlockResult", "TensorResult", "Verification"]


@dataclass(frozen=True)
class TensorResult:
    """One tensor of the file against the folded checkpoint.

    Attributes:
        name: tensor name.
        shape: PyTorch shape.
        max_abs: largest absolute difference.
        peak: largest absolute value in the checkpoint.
        passed: the difference is within rounding of the peak.
    """

    name: str
    shape: tuple[int, ...]
    max_abs: float
    peak: float
    passed: bool


@dataclass(frozen=True)
class BlockResult:
    """One block's output, engine against reference, over the whole signal.

    Attributes:
        name: tap name, or ``output`` for the stream of samples.
        shape: shape of one frame.
        max_abs: largest absolute difference.
        peak: largest absolute value in the reference.
        snr_db: energy of the reference over energy of the difference; infinite if there is none.
        passed: the difference is finite and at most the tolerance, times the peak where that is above one;
            or the SNR is enough, where the engine runs on integers.
    """

    name: str
    shape: tuple[int, ...]
    max_abs: float
    peak: float
    snr_db: float
    passed: bool


@dataclass(frozen=True)
class Verification:
    """What :func:`verify` found.

    Attributes:
        checkpoint, model: the two files.
        config: the hyperparameters they share.
        tolerance: what the blocks were held to.
        seconds: length of the signal.
        tensors: every tensor, in file order.
        blocks: every block in the order of computation, the output last.
        notes: what had to be assumed about the checkpoint.
    """

    checkpoint: Path
    model: Path
    config: ModelConfig
    tolerance: float
    seconds: float
    tensors: tuple[TensorResult, ...]
    blocks: tuple[BlockResult, ...]
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """No tensor and no block drifts."""
        return all(row.passed for row in self.tensors) and all(row.passed for row in self.blocks)

    @property
    def changed_tensors(self) -> tuple[str, ...]:
        """Names of the tensors that are not the checkpoint's."""
        return tuple(row.name for row in self.tensors if not row.passed)

    @property
    def first_drift(self) -> str | None:
        """The first block that drifts, None if none does."""
        return next((row.name for row in self.blocks if not row.passed), None)

    def to_dict(self) -> dict[str, object]:
        """Everything, ready for JSON."""
        return {
            "checkpoint": str(self.checkpoint),
            "model": str(self.model),
            "passed": self.ok,
            "changed_tensors": list(self.changed_tensors),
            "first_drift": self.first_drift,
            "tolerance": self.tolerance,
            "seconds": self.seconds,
            "notes": list(self.notes),
            "config": asdict(self.config),
            "tensors": [asdict(row) for row in self.tensors],
            "blocks": [asdict(row) for row in self.blocks],
        }
