"""The table a person reads first: scenarios as sections, systems as rows, means as numbers."""

from __future__ import annotations

from typing import Any

from rich.markup import escape
from rich.table import Table

from ..evaluation.statistics import FEWEST, Difference
from ..metrics import Field, field
from .model import HEADLINE, Report
from .numbers import fixed, interval

__all__ = ["print_report", "problem_lines"]

_HEADINGS = {
    "aecmos_echo": "AECMOS\necho",
    "aecmos_deg": "AECMOS\ndeg",
    "blind_erle_db": "blind\nERLE",
    "erle_db": "\nERLE",
    "dnsmos_ovrl": "DNSMOS\nOVRL",
    "convergence_s": "conver-\ngence",
    "dnsmos_sig": "DNSMOS\nSIG",
    "level_db": "near\nlevel",
    "si_sdr_improvement_db": "SI-SDR\ngain",
}
_COLUMN = 8  # characters of a number with its gap
_NARROWEST = 6  # columns, in several tables where the window has no room for them
_PROBLEMS = 20
#: What the comparison of systems shows; the files have all of it.
_COMPARED = tuple(key for key in HEADLINE if key != "blind_erle_db")


def print_report(report: Report, console: Any) -> None:
    """Print tables to a ``rich`` console."""
    room = _room(report, console.width)
    shown = _shown(report, max(_NARROWEST, room))
    for start in range(0, max(1, len(shown)), room):
        console.print(_means(report, shown[start : start + room], console.width))
    for text in (*report.overall_lines, *report.notes):
        console.print(text, markup=False)
    _print_undefined(report, shown, console)
    _print_differences(report, console)


def _means(report: Report, shown: list[Field], width: int) -> Table:
    """Scenarios as sections, systems as rows, these metrics as columns."""
    table = Table(box=None, pad_edge=False)
    table.add_column("\nsystem", overflow="fold", max_width=_names(report, width))
    table.add_column("\nn", justify="right", no_wrap=True)
    for item in shown:
        table.add_column(_HEADINGS.get(item.key, item.label), justify="right", no_wrap=True)
    for scenario, systems in report.table.items():
        table.add_row(f"[bold]{_escape(scenario)}[/bold]")
        for name, found in systems.items():
            count = report.count(scenario, name)
            if count:
                cells = [fixed(found[item.key].mean if item.key in found else None, item) for item in shown]
                table.add_row(f"  {_escape(name)}", str(count), *cells)
    return table


def _names(report: Report, width: int) -> int:
    """Characters for the names of systems, indented, and of scenarios; longer ones are folded."""
    longest = max([_COLUMN, *(len(info.name) + 2 for info in report.systems), *map(len, report.table)])
    return min(longest, max(width // 2, _COLUMN))


def _room(report: Report, width: int) -> int:
    """Columns of figures that the window has room for, at least one."""
    return max(1, (width - _names(report, width) - 6) // _COLUMN)


def _shown(report: Report, room: int) -> list[Field]:
    """As many columns as that, by what matters."""
    known = {item.key: item for item in report.fields}
    chosen = [key for key in HEADLINE if key in known][:room] or list(known)[:room]
    return [item for item in report.fields if item.key in chosen]


def _print_undefined(report: Report, shown: list[Field], console: Any) -> None:
    for item in shown:
        for name in (info.name for info in report.systems):
            lacking = sum(found[name][item.key].undefined for found in report.table.values() if item.key in found[name])
            if lacking:
                console.print(f"{item.label}, {name}: undefined for {lacking} clips, not averaged", markup=False)


def _print_differences(report: Report, console: Any) -> None:
    """Of the systems against the first of them, or against the mic where there is only one."""
    names = [info.name for info in report.systems]
    against = names[1] if len(names) > 2 else names[0]
    rows = [row for row in report.differences if row.against == against and row.metric in _COMPARED]
    if against != names[0]:
        rows = [row for row in rows if row.system != names[0]]
    told = [row for row in rows if row.significant and _visible(row)]
    if not rows:
        return
    console.print(
        f"\ndifferences to {against} on the same clips, 95 % interval beside zero, {FEWEST} clips or more:",
        markup=False,
    )
    for row in told:
        console.print(f"  {_difference(row)}", markup=False)
    unclear = len(rows) - len(told)
    if unclear:
        console.print(
            f"  {unclear} of {len(rows)} comparisons tell nothing: too few clips, no visible difference, or an "
            "interval that holds zero"
        )


def _visible(row: Difference) -> bool:
    return float(fixed(row.mean, field(row.metric))) != 0.0


def _difference(row: Difference) -> str:
    item = field(row.metric)
    sign = "+" if row.mean > 0 else ""
    return (
        f"{row.scenario}: {row.system} {item.label} {sign}{fixed(row.mean, item)} [{interval(row.ci, item)}], n {row.n}"
    )


def problem_lines(report: Report) -> list[str]:
    """One line for each problem, the first twenty; then how many more there are."""
    lines = [str(problem) for problem in report.problems[:_PROBLEMS]]
    more = len(report.problems) - len(lines)
    return [*lines, f"and {more} more; --json lists all"] if more > 0 else lines


def _escape(text: str) -> str:
    return escape(text)
