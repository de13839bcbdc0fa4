"""Tables for a README, a pull request or a model card."""

from __future__ import annotations

from collections.abc import Sequence

from ..evaluation.statistics import FEWEST, Difference
from ..metrics import Field, field
from .model import HEADLINE, Report
from .numbers import MISSING, fixed, interval

__all__ = ["to_markdown"]

_TOLD = f"95 % bootstrap interval in brackets; bold where it leaves out zero and {FEWEST} clips or more are behind it."


def to_markdown(report: Report) -> str:
    """Means with intervals per scenario and system, differences to the mic, differences that can be told, errors."""
    headline = [item for item in report.fields if item.key in HEADLINE]
    others = [item for item in report.fields if item.key not in HEADLINE]
    parts = ["## Scores", "", "Mean of the clips, 95 % bootstrap interval in brackets.", ""]
    parts += [*_scores(report, headline, with_interval=True), "", *_overall(report)]
    for text in report.notes:
        parts += [_text(f"{text}."), ""]
    first, *rest = (info.name for info in report.systems)
    rows = _differences_to(report, first, headline)
    if rows:
        parts += [f"## Differences to {_text(first)} on the same clips", "", _TOLD, "", *rows, ""]
    told = [row for row in report.differences if row.against in rest and row.significant and row.metric in HEADLINE]
    if told:
        parts += ["## Differences between systems that can be told", ""]
        lines = [
            [
                row.scenario,
                field(row.metric).label,
                f"{row.system} - {row.against}",
                str(row.n),
                _signed(row, field(row.metric)),
                interval(row.ci, field(row.metric)),
            ]
            for row in told
        ]
        parts += [*_table(["scenario", "metric", "systems", "n", "difference", "interval"], lines, text_columns=3), ""]
    if others:
        parts += ["## Other scores", "", *_scores(report, others, with_interval=False), ""]
    if report.falls:
        parts += ["## Below the baseline", "", *[f"- {_text(str(fall))}" for fall in report.falls], ""]
    if report.problems:
        parts += ["## Errors", "", *[f"- {_text(str(problem))}" for problem in report.problems], ""]
    return "\n".join(parts)


def _scores(report: Report, fields: Sequence[Field], *, with_interval: bool) -> list[str]:
    rows = []
    for scenario, systems in report.table.items():
        for name, found in systems.items():
            count = report.count(scenario, name)
            if not count:
                continue
            cells = []
            for item in fields:
                summary = found.get(item.key)
                notes = []
                if with_interval and summary and summary.ci is not None:
                    notes.append(interval(summary.ci, item))
                if summary and 0 < summary.n < count:
                    # A mean over fewer clips than the row says is marked, never padded.
                    notes.append(f"n {summary.n}")
                cell = fixed(summary.mean if summary else None, item)
                cells.append(f"{cell} ({', '.join(notes)})" if notes else cell)
            rows.append([scenario, name, str(count), *cells])
    return _table(["scenario", "system", "n", *[item.label for item in fields]], rows, text_columns=2)


def _differences_to(report: Report, system: str, fields: Sequence[Field]) -> list[str]:
    """The table, empty where no other system has a clip."""
    found = report.differences_to(system)
    shown = [item for item in fields if any(item.key in row for row in found.values())]
    rows = [
        [scenario, name, str(max(row.n for row in columns.values())), *[_difference(columns, item) for item in shown]]
        for (scenario, name), columns in found.items()
    ]
    head = ["scenario", "system", "n", *[item.label for item in shown]]
    return _table(head, rows, text_columns=2) if rows and shown else []


def _difference(columns: dict[str, Difference], item: Field) -> str:
    row = columns.get(item.key)
    if row is None:
        return MISSING
    text = _signed(row, item)
    if row.significant and float(fixed(row.mean, item)) != 0.0:
        text = f"**{text}**"
    return f"{text} ({interval(row.ci, item)})" if row.ci is not None else text


def _signed(row: Difference, item: Field) -> str:
    text = fixed(row.mean, item)
    return f"+{text}" if float(text) > 0.0 else text


def _overall(report: Report) -> list[str]:
    return [text for line in report.overall_lines for text in (_text(f"{line}."), "")]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, text_columns: int) -> list[str]:
    rule = ["---" if index < text_columns else "---:" for index in range(len(head))]
    lines = [head, rule, *[[_text(cell) for cell in row] for row in rows]]
    return ["| " + " | ".join(cell or MISSING for cell in line) + " |" for line in lines]


def _text(cell: str) -> str:
    return cell.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
