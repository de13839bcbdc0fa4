"""Is it worse than it was? An earlier ``eval --json`` against this one, metric by metric."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..metrics import FIELDS, field
from .result import Evaluation
from .statistics import summaries

__all__ = ["Fall", "Means", "compare", "load_baseline", "parse_limits"]

#: system -> scenario -> metric -> mean.
Means = dict[str, dict[str, dict[str, float]]]
_MIC = "mic"


@dataclass(frozen=True)
class Fall:
    """A mean that is worse than the baseline's by more than ``allowed``; ``now`` is None where it is missing."""

    system: str
    scenario: str
    metric: str
    before: float
    now: float | None
    allowed: float

    @property
    def drop(self) -> float | None:
        """How much worse, always positive."""
        return None if self.now is None else _worse_by(self.metric, self.before, self.now)

    def __str__(self) -> str:
        what = f"{self.system}, {self.scenario}, {self.metric}"
        if self.now is None:
            return f"{what}: {self.before:.4g} in the baseline, no value now"
        return f"{what}: {self.before:.4g} -> {self.now:.4g}, worse by {self.drop:.3g} (allowed {self.allowed:g})"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form, with the drop."""
        return {**vars(self), "drop": self.drop}


def parse_limits(texts: Sequence[str]) -> dict[str, float]:
    """``["aecmos_echo=0.05"]`` -> ``{"aecmos_echo": 0.05}``.

    Raises:
        UsageError: not of that form, a metric that does not exist or has no better end, or a negative limit.
    """
    judged = [item.key for item in FIELDS if item.better]
    limits: dict[str, float] = {}
    for text in texts:
        key, _, number = text.partition("=")
        try:
            limit = float(number)
        except ValueError:
            raise UsageError(f"--max-drop {text}: expected METRIC=NUMBER, for example aecmos_echo=0.05") from None
        if key not in judged:
            raise UsageError(f"--max-drop {text}: no such metric; choose from {', '.join(judged)}")
        if not 0.0 <= limit < float("inf"):
            raise UsageError(f"--max-drop {text}: the limit must be a number from 0 up")
        limits[key] = limit
    return limits


def load_baseline(path: str) -> Means:
    """The means of an earlier ``eval --json``.

    Raises:
        UsageError: the file is missing or not such a report.
    """
    keys = {item.key for item in FIELDS}
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        return {
            str(system): {
                str(scenario): {key: float(row[key]) for key in keys & row.keys() if row[key] is not None}
                for scenario, row in found["scenarios"].items()
            }
            for system, found in content["systems"].items()
        }
    except OSError as exc:
        raise UsageError(f"{path}: the baseline cannot be read ({exc.strerror or exc})") from exc
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise UsageError(f"{path}: not a report of `localvqe eval --json`") from exc


def compare(evaluation: Evaluation, baseline: Means, limits: Mapping[str, float]) -> list[Fall]:
    """Every mean that fell by more than ``limits`` allow, or that the baseline has and this run has not.

    Systems are matched by name. Where each side has exactly one beside the unprocessed mic, these two are matched
    whatever their names: that is how a new model meets its predecessor. The mic itself is not judged.

    Raises:
        UsageError: no system, or nothing that is limited, is in both.
    """
    judged = 0
    falls = []
    for now_name, old_name in _matches([info.name for info in evaluation.systems], list(baseline)):
        for scenario, row in baseline[old_name].items():
            now = summaries(evaluation, now_name, scenario)
            for key, allowed in limits.items():
                if key not in row:
                    continue
                judged += 1
                mean = now[key].mean if key in now else None
                if mean is None or _worse_by(key, row[key], mean) > allowed:
                    falls.append(Fall(now_name, scenario, key, row[key], mean, allowed))
    if not judged:
        raise UsageError(f"the baseline has none of {', '.join(limits)} for a system of this run")
    return falls


def _matches(now: Sequence[str], old: Sequence[str]) -> list[tuple[str, str]]:
    new_ones, old_ones = ([name for name in names if name != _MIC] for names in (now, old))
    if len(new_ones) == len(old_ones) == 1:
        return [(new_ones[0], old_ones[0])]
    return [(name, name) for name in new_ones if name in old_ones]


def _worse_by(key: str, before: float, now: float) -> float:
    return (before - now) * field(key).better
