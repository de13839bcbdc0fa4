"""What defines a run, and what only says how far to take it. Needs no torch: the command line has its defaults here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from ..errors import UsageError

if TYPE_CHECKING:
    from typing_extensions import Self

    from .optim import Schedule

__all__ = ["GainRecipe", "Limits", "Recipe"]


class _Kept:
    """A dataclass that goes into the trainer state as plain values."""

    def to_mapping(self) -> dict[str, Any]:
        """Plain values, for the trainer state."""
        return asdict(self)  # type: ignore[call-overload,no-any-return]

    @classmethod
    def from_mapping(cls, raw: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_mapping`; what is unknown is left out."""
        return cls(**{f.name: raw[f.name] for f in fields(cls) if f.name in raw})  # type: ignore[arg-type]


def _require(recipe: Recipe | GainRecipe, *positive: str) -> None:
    """What holds of every recipe: these are above zero, and the average is one."""
    for name in positive:
        if not getattr(recipe, name) > 0:
            raise UsageError(f"{name} is {getattr(recipe, name)}, expected more than 0")
    if not 0.0 <= recipe.ema < 1.0:
        raise UsageError(f"ema is {recipe.ema}, expected 0 <= ema < 1")


@dataclass(frozen=True)
class Recipe(_Kept):
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
        _require(self, "batch", "seconds", "rate", "clip", "rooms")
        if self.seconds < 1.0:
            raise UsageError(f"clips of {self.seconds} s are too short; give at least 1")


@dataclass(frozen=True)
class GainRecipe(_Kept):
    """What the weights of the filter's controller depend on, as a :class:`Recipe` says it of a model's.

    Attributes:
        seed: of the first weights and the scenes.
        batch, seconds: scenes per batch, and their length.
        piece: hops that gradients pass back through; a step of the optimizer each.
        rate, warmup: learning rate on the plateau, and steps to reach it.
        ema: decay of the averaged weights.
        clip: largest gradient norm.
        rooms: simulated rooms.
        hidden: states of the controller per bin.
        compiled: let torch compile the filter's hop, about twice as fast after a minute; needs a C++ compiler.
    """

    seed: int = 1
    batch: int = 16
    seconds: float = 12.0
    piece: int = 188
    rate: float = 2e-3
    warmup: int = 20
    ema: float = 0.99
    clip: float = 1.0
    rooms: int = 2000
    hidden: int = 16
    compiled: bool = True

    def __post_init__(self) -> None:
        _require(self, "batch", "seconds", "piece", "rate", "clip", "rooms", "hidden")
        if self.seconds < 2.0:
            raise UsageError(f"scenes of {self.seconds} s are too short for a filter; give at least 2")


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
