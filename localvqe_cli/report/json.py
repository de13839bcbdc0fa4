"""The machine's form: plain numbers, intervals beside them."""

from __future__ import annotations

from typing import Any

from ..evaluation.result import ClipOutcome
from ..evaluation.statistics import Difference, Summary
from .model import Report

__all__ = ["to_document"]


def to_document(report: Report) -> dict[str, Any]:
    """JSON-ready form; docs/reference/eval.md describes the keys."""
    document: dict[str, Any] = {
        "systems": {info.name: _system(report, info.name) for info in report.systems},
        "differences": [_difference(item) for item in report.differences],
        "notes": report.notes,
        "errors": [problem.to_dict() for problem in report.problems],
    }
    if report.falls is not None:
        document["baseline"] = {"file": report.baseline, "falls": [fall.to_dict() for fall in report.falls]}
    return document


def _system(report: Report, name: str) -> dict[str, Any]:
    info = next(item for item in report.systems if item.name == name)
    clips = [clip for clip in report.evaluation.clips if name in clip.systems]
    return {
        "kind": info.kind,
        "source": info.source,
        "model": info.model,
        "sha256": info.sha256,
        "aecmos_mean": report.overall[name],
        "aecmos_mean_long": report.overall_long[name],
        "scenarios": {
            scenario: {
                "n": report.count(scenario, name),
                **{k: v for key, summary in report.table[scenario][name].items() for k, v in _row(key, summary)},
            }
            for scenario in report.table
            if report.count(scenario, name)
        },
        "clips": [_clip(clip, name) for clip in clips],
    }


def _row(key: str, summary: Summary) -> list[tuple[str, Any]]:
    return [
        (key, summary.mean),
        (f"{key}_ci", list(summary.ci) if summary.ci else None),
        (f"{key}_median", summary.median),
        (f"{key}_n", summary.n),
        (f"{key}_undefined", summary.undefined),
    ]


def _clip(clip: ClipOutcome, name: str) -> dict[str, Any]:
    scores = clip.systems[name]
    return {
        "id": clip.id,
        "scenario": clip.scenario,
        "seconds": clip.seconds,
        **scores.values,
        "undefined": scores.undefined,
        "errors": [str(p) for p in clip.problems if p.system in (name, None)],
    }


def _difference(item: Difference) -> dict[str, Any]:
    out = {**vars(item), "ci": list(item.ci) if item.ci else None}
    return {**out, "significant": item.significant}
