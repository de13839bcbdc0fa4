"""Is it slower than it was? Compared are multiples of the floor, not milliseconds: they survive a change of machine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UsageError
from .result import BenchRun

__all__ = ["Regression", "compare", "load_baseline"]

Key = tuple[str, int, int, bool]


@dataclass(frozen=True)
class Regression:
    """One run against the same run of the baseline; ``ratio`` above 1 is slower."""

    mode: str
    threads: int
    streams: int
    together: bool
    before: float
    now: float

    @property
    def ratio(self) -> float:
        return self.now / self.before


def load_baseline(path: str) -> dict[Key, float]:
    """(mode, threads, streams, together) -> x_floor of an earlier ``bench --json``.

    Raises:
        UsageError: the file is missing or not such a report.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        runs = {
            (str(r["mode"]), int(r["threads"]), int(r["streams"]), bool(r.get("together"))): float(r["x_floor"])
            for r in content["runs"]
        }
    except OSError as exc:
        raise UsageError(f"{path}: the baseline cannot be read ({exc.strerror or exc})") from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise UsageError(f"{path}: not a report of `localvqe bench --json`") from exc
    if not all(value > 0 for value in runs.values()):
        raise UsageError(f"{path}: the baseline holds no usable x_floor")
    return runs


def compare(runs: Sequence[BenchRun], baseline: Mapping[Key, float]) -> list[Regression]:
    """Every run that the baseline has too, in their order."""
    found = []
    for run in runs:
        way = (run.mode, run.threads, run.streams, run.together)
        before = baseline.get(way)
        if before is not None:
            found.append(Regression(*way, before, run.x_floor))
    return found


def to_dicts(rows: list[Regression]) -> list[dict[str, Any]]:
    """JSON-ready form, with the ratio."""
    return [{**vars(row), "ratio": row.ratio} for row in rows]
