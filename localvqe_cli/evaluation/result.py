"""What an evaluation found, as data. Every report renders this, and its JSON form has these names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .statistics import Summary

__all__ = ["ClipOutcome", "ClipScores", "Evaluation", "Problem", "SystemInfo"]


@dataclass(frozen=True)
class Problem:
    """Something that went wrong and was left out or has a reservation; the rest went on.

    Attributes:
        message: one sentence.
        id, system, metric: what it concerns; None for all.
    """

    message: str
    id: str | None = None
    system: str | None = None
    metric: str | None = None

    def __str__(self) -> str:
        where = ", ".join(part for part in (self.id, self.system, self.metric) if part)
        return f"{where}: {self.message}" if where else self.message

    def to_dict(self) -> dict[str, object]:
        """JSON-ready form."""
        return {"id": self.id, "system": self.system, "metric": self.metric, "message": self.message}


@dataclass
class ClipScores:
    """One system on one clip.

    Attributes:
        values: field -> number.
        undefined: field -> why it has none, nothing being wrong.
    """

    values: dict[str, float] = field(default_factory=dict)
    undefined: dict[str, str] = field(default_factory=dict)


@dataclass
class ClipOutcome:
    """One clip: every system's scores, and what went wrong. ``cached``: nothing had to be computed."""

    id: str
    scenario: str
    seconds: float = 0.0
    systems: dict[str, ClipScores] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    cached: bool = False


@dataclass(frozen=True)
class SystemInfo:
    """What stands behind a system's name.

    Attributes:
        kind: ``unprocessed``, ``model`` or ``files``.
        source: the model's file, or the folder or column the outputs came from.
        model: the model's own name.
        sha256: of the model's file.
    """

    name: str
    kind: str
    source: str | None = None
    model: str | None = None
    sha256: str | None = None


@dataclass
class Evaluation:
    """Everything one run of ``eval`` found.

    Attributes:
        systems: in the order asked for, the unprocessed mic first.
        clips: by scenario, then in the order of the input.
        fields: keys of the metrics that were asked for, in report order.
        problems: of the run and of its clips.
        notes: what a reader should know and is no problem.
    """

    systems: list[SystemInfo]
    clips: list[ClipOutcome]
    fields: list[str]
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def scenarios(self) -> list[str]:
        """In the order of ``clips``."""
        return list(dict.fromkeys(clip.scenario for clip in self.clips))

    def summaries(self, system: str, scenario: str) -> dict[str, Summary]:
        """metric -> its mean, median and spread over the scenario's clips; without metrics that no clip could have."""
        from .statistics import summaries  # which works on this class

        return summaries(self, system, scenario)
