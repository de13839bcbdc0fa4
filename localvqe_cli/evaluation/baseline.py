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

#: system -> scenario -> metric -> mean, and under ``METRIC_n`` the clips behind it.
Means = dict[str, dict[str, dict[str, float]]]
_MIC = "mic"


@dataclass(frozen=True)
class Fall:
    """A mean that is worse than the baseline's by more than ``allowed``, or that cannot be held against it.

    Attributes:
        scenario, metric: None where all of the system's or the scenario's are gone.
        before, now: the means; ``now`` is None where it is missing.
        clips_before, clips_now: behind the means, where some of the clips are gone.
    """

    system: str
    scenario: str | None = None
    metric: str | None = None
    before: float | None = None
    now: float | None = None
    allowed: float | None = None
    clips_before: int | None = None
    clips_now: int | None = None

    @property
    def drop(self) -> float | None:
        """How much worse, always positive; None where there is nothing to compare."""
        if self.metric is None or self.before is None or self.now is None or self.clips_now is not None:
            return None
        return _worse_by(self.metric, self.before, self.now)

    def __str__(self) -> str:
        what = ", ".join(part for part in (self.system, self.scenario, self.metric) if part)
        if self.metric is None:
            return f"{what}: in the baseline, not in this run (--allow-missing lets it pass)"
        if self.now is None:
            return f"{what}: {self.before:.4g} in the baseline, no value now (--allow-missing lets it pass)"
        if self.clips_now is not None:
            return (
                f"{what}: of {self.clips_before} clips in the baseline, of {self.clips_now} now "
                "(--allow-missing lets it pass)"
            )
        return f"{what}: {self.before:.4g} -> {self.now:.4g}, worse by {self.drop:.3g} (allowed {self.allowed:g})"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form, with the drop."""
        return {**vars(self), "drop": self.drop}


def parse_limits(texts: Sequence[str]) -> dict[str, float]:
    """``["aecmos_echo=0.05"]`` -> ``{"aecmos_echo": 0.05}``.

    Raises:
        UsageError: not of that form, a metric that does not exist or has no better end, or a negative limit.
    """
    judged = [item.key for item in FIELDS if item.judged]
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
    keys = {name for item in FIELDS for name in (item.key, f"{item.key}_n")}
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


def compare(
    evaluation: Evaluation, baseline: Means, limits: Mapping[str, float], *, allow_missing: bool = False
) -> list[Fall]:
    """Every mean that fell by more than ``limits`` allow, and what the baseline has and this run has not.

    Systems are matched by name. Where each side has exactly one beside the unprocessed mic, these two are matched
    whatever their names: that is how a new model meets its predecessor. The mic itself is not judged.

    Args:
        allow_missing: let systems, scenarios, values and clips be missing, and judge what is there.

    Raises:
        UsageError: no system, or nothing that is limited, is in both.
    """
    judged = 0
    falls: list[Fall] = []
    missing: list[Fall] = []
    matches = _matches([info.name for info in evaluation.systems], list(baseline))
    for now_name, old_name in matches:
        for scenario, row in baseline[old_name].items():
            now = summaries(evaluation, now_name, scenario)
            if not now:
                missing.append(Fall(now_name, scenario))
                continue
            for key, allowed in limits.items():
                if key not in row:
                    continue
                judged += 1
                mean, clips = (now[key].mean, now[key].n) if key in now else (None, 0)
                before = int(row.get(f"{key}_n", clips))
                if mean is None:
                    missing.append(Fall(now_name, scenario, key, row[key], None, allowed))
                elif _worse_by(key, row[key], mean) > allowed:
                    falls.append(Fall(now_name, scenario, key, row[key], mean, allowed))
                elif clips < before:
                    # The clips that have gone may be those that would have fallen.
                    missing.append(Fall(now_name, scenario, key, row[key], mean, allowed, before, clips))
    if not judged and (not missing or allow_missing):
        raise UsageError(f"the baseline has none of {', '.join(limits)} for a system of this run")
    matched = {old_name for _, old_name in matches}
    missing += [Fall(name) for name in baseline if name != _MIC and name not in matched]
    return falls if allow_missing else falls + missing


def _matches(now: Sequence[str], old: Sequence[str]) -> list[tuple[str, str]]:
    new_ones, old_ones = ([name for name in names if name != _MIC] for names in (now, old))
    if len(new_ones) == len(old_ones) == 1:
        return [(new_ones[0], old_ones[0])]
    return [(name, name) for name in new_ones if name in old_ones]


def _worse_by(key: str, before: float, now: float) -> float:
    return field(key).merit(before) - field(key).merit(now)
