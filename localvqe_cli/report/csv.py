"""One row per clip and system, for spreadsheets and data frames."""

from __future__ import annotations

import csv
import io

from .model import Report

__all__ = ["to_csv"]


def to_csv(report: Report) -> str:
    """Columns id, scenario, system, seconds, every metric by its JSON name, errors; empty where there is no value."""
    keys = [item.key for item in report.fields]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "scenario", "system", "seconds", *keys, "errors"])
    for clip in report.evaluation.clips:
        for system, scores in clip.systems.items():
            values = [repr(scores.values[key]) if key in scores.values else "" for key in keys]
            errors = "; ".join(str(p) for p in clip.problems if p.system in (system, None))
            writer.writerow([clip.id, clip.scenario, system, f"{clip.seconds:.3f}", *values, errors])
        if not clip.systems:
            errors = "; ".join(map(str, clip.problems))
            writer.writerow([clip.id, clip.scenario, "", "", *[""] * len(keys), errors])
    return text.getvalue()
