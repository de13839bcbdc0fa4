"""Scores of one system's output for one clip. Each module is a metric: formula, units and source are in it.

``GROUPS`` lists what is computed together, ``FIELDS`` the numbers that come out, in the order of the reports.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from .signals import ClipSignals, Failure, Score, TalkType, Undefined

__all__ = [
    "DEFAULT_GROUPS",
    "FIELDS",
    "GROUPS",
    "ClipSignals",
    "Failure",
    "Field",
    "Group",
    "Score",
    "TalkType",
    "Undefined",
    "field",
]


@dataclass(frozen=True)
class Field:
    """One number of a report.

    Attributes:
        key: name in JSON, CSV and ``--max-drop``.
        label: heading for people.
        decimals: as many as mean something.
        better: 1 if higher is better, -1 if lower is, 0 if neither.
        group: the group that computes it.
        ideal: the best value, where neither higher nor lower is better but nearer.
    """

    key: str
    label: str
    decimals: int
    better: int
    group: str
    ideal: float | None = None

    @property
    def judged(self) -> bool:
        """Two values can be said to be one better than the other."""
        return self.better != 0 or self.ideal is not None

    def merit(self, value: float) -> float:
        """Grows as ``value`` gets better."""
        return self.better * value if self.ideal is None else -abs(value - self.ideal)


@dataclass(frozen=True)
class Group:
    """What is computed by one call.

    Attributes:
        name: as in ``--metrics``, and the module's name.
        packages: distributions whose versions are part of the result's identity.
        extra: the extra that brings them.
        optional: left out silently where its package is missing, unless asked for by name.
        needs_target: computed only where the clean speech is known.
    """

    name: str
    packages: tuple[str, ...] = ()
    extra: str = ""
    optional: bool = False
    needs_target: bool = False

    @property
    def installed(self) -> bool:
        return all(find_spec(package) is not None for package in self.packages)

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(item.key for item in FIELDS if item.group == self.name)

    @property
    def version(self) -> str:
        """Changes whenever the numbers may change: part of the cache's key."""
        return _version(self.name, self.packages)

    def compute(self, signals: ClipSignals) -> dict[str, Score]:
        """A score for each of ``fields``.

        Raises:
            MissingExtraError: a package is not installed.
        """
        scores: dict[str, Score] = importlib.import_module(f".{self.name}", __name__).compute(signals)
        return scores


GROUPS: dict[str, Group] = {
    group.name: group
    for group in (
        Group("aecmos", ("speechmos", "onnxruntime"), "eval"),
        Group("erle"),
        Group("convergence"),
        Group("dnsmos", ("speechmos", "onnxruntime"), "eval"),
        Group("level", needs_target=True),
        Group("sisdr", needs_target=True),
        Group("pesq", ("pesq",), "pesq", optional=True, needs_target=True),
        Group("stoi", ("pystoi",), "pesq", optional=True, needs_target=True),
        Group("delay"),
        Group("clipping"),
    )
}
DEFAULT_GROUPS = tuple(GROUPS)

FIELDS: tuple[Field, ...] = (
    Field("aecmos_echo", "AECMOS echo", 2, 1, "aecmos"),
    Field("aecmos_deg", "AECMOS deg", 2, 1, "aecmos"),
    Field("blind_erle_db", "blind ERLE (dB)", 1, 1, "erle"),
    Field("erle_db", "ERLE (dB)", 1, 1, "erle"),
    Field("convergence_s", "convergence (s)", 2, -1, "convergence"),
    Field("dnsmos_sig", "DNSMOS SIG", 2, 1, "dnsmos"),
    Field("dnsmos_bak", "DNSMOS BAK", 2, 1, "dnsmos"),
    Field("dnsmos_ovrl", "DNSMOS OVRL", 2, 1, "dnsmos"),
    Field("level_db", "near-end level (dB)", 1, 0, "level", ideal=0.0),
    Field("si_sdr_db", "SI-SDR (dB)", 1, 1, "sisdr"),
    Field("si_sdr_improvement_db", "SI-SDR gain (dB)", 1, 1, "sisdr"),
    Field("pesq", "PESQ", 2, 1, "pesq"),
    Field("stoi", "STOI", 3, 1, "stoi"),
    Field("delay_ms", "delay (ms)", 1, 0, "delay"),
    Field("clipped", "clipped samples", 0, -1, "clipping"),
    Field("realtime_factor", "realtime factor", 3, -1, "speed"),
)


def field(key: str) -> Field:
    """The field of that key; KeyError if there is none."""
    for item in FIELDS:
        if item.key == key:
            return item
    raise KeyError(key)


@cache
def _version(name: str, packages: tuple[str, ...]) -> str:
    parts = [str(importlib.import_module(f".{name}", __name__).VERSION)]
    for package in packages:
        try:
            parts.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            parts.append(f"{package} absent")
    return ", ".join(parts)
