"""Means that say how far they can be trusted, and differences between systems on the same clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from .result import Evaluation
from .scenario import CHALLENGE, LONG

__all__ = [
    "FEWEST",
    "Difference",
    "Summary",
    "aecmos_mean",
    "bootstrap_interval",
    "differences",
    "summaries",
    "summarise",
]

_RESAMPLES = 2000
_LEVEL = 95.0
_SEED = 20220510
#: Clips below which no difference is called significant: an interval of two to four values says next to nothing.
FEWEST = 5
_AT_ONCE = 1 << 21  # drawn clips held at a time, 16 MB


@dataclass(frozen=True)
class Summary:
    """Of one metric over clips.

    Attributes:
        n: clips with a value.
        mean, median: of those; None where there is none.
        ci: 95 % interval of the mean, None below two clips.
        undefined: clips without a value.
    """

    n: int
    mean: float | None
    median: float | None
    ci: tuple[float, float] | None
    undefined: int = 0


@dataclass(frozen=True)
class Difference:
    """``system`` minus ``against`` in one metric, clip by clip over the ``n`` that both have.

    ``ci``: 95 % interval of ``mean``, None below two clips. Where it excludes zero, and there are five clips or more,
    the difference is no accident of which clips were chosen.
    """

    scenario: str
    metric: str
    system: str
    against: str
    n: int
    mean: float
    ci: tuple[float, float] | None

    @property
    def significant(self) -> bool:
        return self.n >= FEWEST and self.ci is not None and (self.ci[0] > 0.0 or self.ci[1] < 0.0)


def bootstrap_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """95 % percentile-bootstrap interval of the mean: 2000 resamples of the clips, always the same ones.

    None below two values, where nothing can be said about the spread.
    """
    sample = np.asarray(values, np.float64)
    if sample.size < 2:
        return None
    generator = np.random.default_rng(_SEED)
    means = np.empty(_RESAMPLES)
    step = max(1, _AT_ONCE // sample.size)
    for start in range(0, _RESAMPLES, step):
        count = min(step, _RESAMPLES - start)
        means[start : start + count] = sample[generator.integers(0, sample.size, (count, sample.size))].mean(axis=1)
    low, high = np.percentile(means, [(100.0 - _LEVEL) / 2, (100.0 + _LEVEL) / 2])
    return float(low), float(high)


def summarise(values: Sequence[float], undefined: int = 0) -> Summary:
    """The summary of ``values``."""
    if not values:
        return Summary(0, None, None, None, undefined)
    return Summary(len(values), float(np.mean(values)), float(np.median(values)), bootstrap_interval(values), undefined)


def summaries(evaluation: Evaluation, system: str, scenario: str) -> dict[str, Summary]:
    """Every asked-for metric that at least one of the scenario's clips could have."""
    clips = [c.systems[system] for c in evaluation.clips if c.scenario == scenario and system in c.systems]
    out = {}
    for key in evaluation.fields:
        values = [clip.values[key] for clip in clips if key in clip.values]
        undefined = sum(key in clip.undefined for clip in clips)
        if values or undefined:
            out[key] = summarise(values, undefined)
    return out


def differences(evaluation: Evaluation) -> list[Difference]:
    """Every later system against every earlier one, per scenario and metric."""
    out = []
    for scenario in evaluation.scenarios:
        clips = [clip for clip in evaluation.clips if clip.scenario == scenario]
        for against, system in combinations([info.name for info in evaluation.systems], 2):
            both = [(c.systems[system], c.systems[against]) for c in clips if {system, against} <= c.systems.keys()]
            for key in evaluation.fields:
                gaps = [a.values[key] - b.values[key] for a, b in both if key in a.values and key in b.values]
                if gaps:
                    ci = bootstrap_interval(gaps)
                    out.append(Difference(scenario, key, system, against, len(gaps), float(np.mean(gaps)), ci))
    return out


def aecmos_mean(evaluation: Evaluation, system: str, *, long: bool = False) -> float | None:
    """One number for a system: the mean of echo and degradation, averaged over the challenge's scenarios present.

    Every scenario counts the same, however many clips it has; long, synthetic and unknown ones do not count.

    Args:
        long: of the long scenarios instead, ``long-doubletalk`` and the like.
    """
    counted = {LONG + name if long else name for name in CHALLENGE}
    means = []
    for scenario in evaluation.scenarios:
        found = summaries(evaluation, system, scenario) if scenario in counted else {}
        pair = [found[key].mean for key in ("aecmos_echo", "aecmos_deg") if key in found]
        values = [value for value in pair if value is not None]
        if len(values) == 2:
            means.append(float(np.mean(values)))
    return float(np.mean(means)) if means else None
