"""What defines a run, and what only says how far to take it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..errors import UsageError
from .optim import Schedule

__all__ = ["Limits", "Recipe"]


@dataclass(frozen=True)
class Recipe:
    """What the weights after a given step depend on. Kept in the trainer state: a resumed run goes on with it.

    Attributes:
        seed: of the initial weights and of the scenes.
        batch: clips per step, of ``seconds`` each.
        rate, warmup: learning rate on the plateau and steps to reach it.
        ema: decay of the averaged weights.
        clip: largest gradient norm.
        easy_clips: clips over which scenes become as hard as they will be.
        rooms: simulated rooms.
        precision: f32 or bf16; auto is settled when the run starts.
    """

    seed: int = 1
    batch: int = 8
    seconds: float = 4.0
    rate: float = 1.5e-3
    warmup: int = 150
    ema: float = 0.998
    clip: float = 1.0
    easy_clips: int = 8000
    rooms: int = 2000
    precision: str = "auto"

    def __post_init__(self) -> None:
        positive = ("batch", "seconds", "rate", "clip", "rooms")
        for name in positive:
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} is {getattr(self, name)}, expected more than 0")
        if not 0.0 <= self.ema < 1.0:
            raise UsageError(f"ema is {self.ema}, expected 0 <= ema < 1")
        if self.seconds < 1.0:
            raise UsageError(f"clips of {self.seconds} s are too short; give at least 1")

    def to_mapping(self) -> dict[str, Any]:
        """Plain values, for the trainer state."""
        return asdict(self)

    @classmethod
    def from_mapping(cls, raw: Mapping[str, Any]) -> Recipe:
        """Inverse of :meth:`to_mapping`; what is unknown is left out."""
        return cls(**{f.name: raw[f.name] for f in fields(cls) if f.name in raw})


@dataclass(frozen=True)
class Limits:
    """How far to go, how often to look, on what.

    Attributes:
        minutes, steps: stop after this much more time, or at this step of the run; None is no limit.
        save_minutes, valid_minutes: between checkpoints, between validations.
        valid_clips: held-out clips.
        processes: each computes its share of a batch; only on a CPU. Their number changes the rounding, and for
            version 1 the batch statistics.
        workers: processes that make scenes; 0 makes them in the main process.
        threads: of the computation; 0 leaves torch's choice.
        decay_steps: bring the learning rate down over this many steps from now on, and stop there.
        device: cpu or cuda.
    """

    minutes: float | None = None
    steps: int | None = None
    save_minutes: float = 5.0
    valid_minutes: float = 15.0
    valid_clips: int = 96
    processes: int = 1
    workers: int = 1
    threads: int = 0
    decay_steps: int | None = None
    device: str = "cpu"

    def reached(self, step: int, seconds: float, schedule: Schedule) -> bool:
        """Whether a call that has run for ``seconds`` and stands at ``step`` has come as far as it should."""
        if self.minutes is not None and seconds >= 60 * self.minutes:
            return True
        if schedule.decay_start is not None and step >= schedule.decay_start + schedule.decay_steps:
            return True
        return self.steps is not None and step >= self.steps
