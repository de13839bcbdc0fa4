"""One evaluation with its statistics worked out: what every rendering is made from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ..evaluation.baseline import Fall
from ..evaluation.result import Evaluation, Problem, SystemInfo
from ..evaluation.statistics import Difference, Summary, aecmos_mean, differences, summaries
from ..metrics import FIELDS, Field

__all__ = ["HEADLINE", "Report"]

#: What the tables of scores and differences show, in the order in which it matters.
HEADLINE = (
    "aecmos_echo",
    "aecmos_deg",
    "blind_erle_db",
    "level_db",
    "dnsmos_sig",
    "dnsmos_ovrl",
    "erle_db",
    "convergence_s",
    "si_sdr_improvement_db",
)

# Median delay of an output beyond which comparing it with the target sample by sample is void.
_LATE_MS = 1.0


@dataclass
class Report:
    """See the module.

    Attributes:
        falls: rows that fell more than allowed below a baseline; None where none was given.
    """

    evaluation: Evaluation
    falls: list[Fall] | None = None
    baseline: str | None = None

    @cached_property
    def table(self) -> dict[str, dict[str, dict[str, Summary]]]:
        """scenario -> system -> metric -> summary."""
        return {
            scenario: {info.name: summaries(self.evaluation, info.name, scenario) for info in self.systems}
            for scenario in self.evaluation.scenarios
        }

    @cached_property
    def differences(self) -> list[Difference]:
        """Of every pair of systems."""
        return differences(self.evaluation)

    def differences_to(self, system: str) -> dict[tuple[str, str], dict[str, Difference]]:
        """Of the other systems to this one: (scenario, system) -> metric -> difference."""
        rows: dict[tuple[str, str], dict[str, Difference]] = {}
        for row in self.differences:
            if row.against == system:
                rows.setdefault((row.scenario, row.system), {})[row.metric] = row
        return rows

    @cached_property
    def overall(self) -> dict[str, float | None]:
        """system -> mean AECMOS over scenarios."""
        return {info.name: aecmos_mean(self.evaluation, info.name) for info in self.systems}

    @cached_property
    def overall_long(self) -> dict[str, float | None]:
        """The same over long scenarios."""
        return {info.name: aecmos_mean(self.evaluation, info.name, long=True) for info in self.systems}

    @property
    def overall_lines(self) -> list[str]:
        """What is known of both, as sentences without their stop."""
        lines = []
        for what, found in (("the challenge's", self.overall), ("the long", self.overall_long)):
            known = [f"{name} {value:.2f}" for name, value in found.items() if value is not None]
            if known:
                lines.append(f"Mean of AECMOS echo and deg over {what} scenarios: {', '.join(known)}")
        return lines

    @property
    def systems(self) -> list[SystemInfo]:
        return self.evaluation.systems

    @property
    def problems(self) -> list[Problem]:
        return self.evaluation.problems

    @property
    def notes(self) -> list[str]:
        """What a reader must know before trusting a number."""
        notes = list(self.evaluation.notes)
        for info in self.systems:
            scores = [clip.systems[info.name] for clip in self.evaluation.clips if info.name in clip.systems]
            delays = sorted(found.values["delay_ms"] for found in scores if "delay_ms" in found.values)
            late = delays[len(delays) // 2] if delays else 0.0
            if abs(late) >= _LATE_MS:
                notes.append(
                    f"{info.name} is {abs(late):.1f} ms {'late' if late > 0 else 'early'}: SI-SDR, which compares "
                    "samples, means nothing for it, and the other scores move a little"
                )
        return notes

    def count(self, scenario: str, system: str) -> int:
        """Clips of the scenario that the system was scored on."""
        return sum(clip.scenario == scenario and system in clip.systems for clip in self.evaluation.clips)

    @cached_property
    def fields(self) -> list[Field]:
        """Metrics that have a value somewhere, in report order."""
        seen = {key for systems in self.table.values() for found in systems.values() for key in found}
        return [item for item in FIELDS if item.key in seen]
