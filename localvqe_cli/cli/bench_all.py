"""``localvqe bench --all``: every model in one table and one plot."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from ..atomic import atomic_output, check_output
from ..benchmark import BenchOptions
from ..benchmark.result import threads_in_words
from ..benchmark.survey import Row, survey
from ..errors import MissingExtraError, UsageError
from .bench_text import mode_name
from .common import detail, emit_json, is_quiet, say
from .tables import print_table

__all__ = ["survey_all"]

_FORMATS = (".png", ".svg")


def survey_all(options: BenchOptions, plot: str | None, *, as_json: bool) -> None:
    """Measure, print, and draw."""
    if plot is not None:
        if Path(plot).suffix not in _FORMATS:
            raise UsageError(f"{plot}: a plot is a PNG or an SVG; name it .png or .svg")
        check_output(plot, force=True)
        try:
            import matplotlib  # noqa: F401
        except ImportError as exc:
            raise MissingExtraError("a plot", "train") from exc
    rows = []
    for row in survey(options, progress=lambda what: detail(f"running: {what}")):
        say(f"{row.name}: done")
        rows.append(row)
    if plot is not None:
        _draw(rows, Path(plot))
        say(f"wrote {plot}")
    if as_json:
        emit_json([{"name": row.name, **row.report.to_dict()} for row in rows])
    elif not is_quiet():
        _print(rows)


def _print(rows: list[Row]) -> None:
    console = Console(highlight=False, markup=False)
    machine = rows[0].report.machine
    console.print(f"{machine.cpu}, {machine.threads} threads; kernels {machine.isa}; ms per hop")
    table = Table(box=None, pad_edge=False)
    for title in ("model", "mode"):
        table.add_column(title, no_wrap=True)
    for title in ("T", "live", "p50", "p99", "x floor"):
        table.add_column(title, justify="right", no_wrap=True)
    busy = False
    for row in rows:
        for run in row.report.runs:
            busy |= run.busy
            live = "" if run.real_time_streams is None else f"{run.real_time_streams} of {run.streams}"
            figures = (f"{run.p50_ms:.3f}", f"{run.p99_ms:.3f}", f"{run.x_floor:.2f}")
            table.add_row(row.name, mode_name(run), str(run.threads), live, *figures)
    print_table(console, table)
    if busy:
        console.print("* the machine was busy, so these say little")


def _draw(rows: list[Row], path: Path) -> None:
    """Multiples of the floor, a bar per way of running a model."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    ways = list(dict.fromkeys((run.mode, run.threads) for row in rows for run in row.report.runs if run.streams == 1))
    figure = Figure(figsize=(10, 0.6 + 0.55 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    height = 0.8 / len(ways)
    for at, (mode, threads) in enumerate(ways):
        places, values = [], []
        for line, row in enumerate(rows):
            for run in row.report.runs:
                if (run.mode, run.threads, run.streams) == (mode, threads, 1):
                    places.append(line + (at - (len(ways) - 1) / 2) * height)
                    values.append(run.x_floor)
        bars = axes.barh(places, values, height, label=f"{mode}, {threads_in_words(threads)}")
        axes.bar_label(bars, fmt="%.2f", padding=2, fontsize=7)
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_xlabel("time over that of the multiply-adds alone on one core (x floor)")
    axes.set_title(rows[0].report.machine.cpu, fontsize=9)
    axes.legend(fontsize=8)
    with atomic_output(path) as temporary:
        figure.savefig(temporary, format=path.suffix.removeprefix("."))
