"""Tables for a README, a pull request or a model card."""

from __future__ import annotations

from collections.abc import Sequence

from ..metrics import field
from .model import HEADLINE, Report
from .numbers import MISSING, fixed, interval

__all__ = ["to_markdown"]


def to_markdown(report: Report) -> str:
    """Means per scenario and system, the differences that can be told, and what went wrong."""
    parts = ["## Scores", "", *_scores(report), "", *_overall(report)]
    for text in report.notes:
        parts += [_text(f"{text}."), ""]
    told = [row for row in report.differences if row.significant and row.metric in HEADLINE]
    if told:
        parts += ["## Differences on the same clips", "", "95 % bootstrap interval beside zero.", ""]
        rows = []
        for row in told:
            item = field(row.metric)
            sign = "+" if row.mean > 0 else ""
            delta = f"{sign}{fixed(row.mean, item)}"
            rows.append(
                [row.scenario, item.label, f"{row.system} - {row.against}", str(row.n), delta, interval(row.ci, item)]
            )
        parts += _table(["scenario", "metric", "systems", "n", "difference", "interval"], rows, text_columns=3)
        parts.append("")
    if report.falls:
        parts += ["## Below the baseline", "", *[f"- {_text(str(fall))}" for fall in report.falls], ""]
    if report.problems:
        parts += ["## Errors", "", *[f"- {_text(str(problem))}" for problem in report.problems], ""]
    return "\n".join(parts)


def _scores(report: Report) -> list[str]:
    rows = []
    for scenario, systems in report.table.items():
        for name, found in systems.items():
            count = report.count(scenario, name)
            if not count:
                continue
            cells = []
            for item in report.fields:
                summary = found.get(item.key)
                cell = fixed(summary.mean if summary else None, item)
                # A mean over fewer clips than the row says is marked, never padded.
                cells.append(f"{cell} (n {summary.n})" if summary and 0 < summary.n < count else cell)
            rows.append([scenario, name, str(count), *cells])
    return _table(["scenario", "system", "n", *[item.label for item in report.fields]], rows, text_columns=2)


def _overall(report: Report) -> list[str]:
    return [text for line in report.overall_lines for text in (_text(f"{line}."), "")]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, text_columns: int) -> list[str]:
    rule = ["---" if index < text_columns else "---:" for index in range(len(head))]
    lines = [head, rule, *[[_text(cell) for cell in row] for row in rows]]
    return ["| " + " | ".join(cell or MISSING for cell in line) + " |" for line in lines]


def _text(cell: str) -> str:
    return cell.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
