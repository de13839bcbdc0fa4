"""What ``localvqe bench`` says of a speech codec."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from ..benchmark import Regression
from ..benchmark.codec import CodecReport
from .bench_text import print_baseline, print_doubts, print_machine
from .progress import times
from .tables import print_table

__all__ = ["print_codec"]


def print_codec(report: CodecReport, rows: list[Regression], max_ratio: float) -> None:
    """The report as a person reads it."""
    console = Console(highlight=False, markup=False)
    machine, model = report.machine, report.model
    print_machine(console, machine)
    console.print(
        f"{model.name}: speech codec, {model.parameters:,} parameters, {model.type}, "
        f"{model.encode_mmac:.1f} and {model.decode_mmac:.1f} M multiply-adds per frame"
    )
    console.print(f"ms per frame of {model.frame_ms:.2f} ms, in clips of {report.seconds:.2f} s, by threads (T):")
    table = Table(box=None, pad_edge=False)
    table.add_column("mode", no_wrap=True)
    for title in ("T", "p50", "max", "x floor", "x real time"):
        table.add_column(title, justify="right", no_wrap=True)
    for run in report.runs:
        table.add_row(
            f"{run.mode} *" if run.busy else run.mode,
            str(run.threads),
            f"{run.p50_ms:.3f}",
            f"{run.max_ms:.3f}",
            f"{run.x_floor:.2f}",
            times(1.0 / run.realtime_factor),
        )
    print_table(console, table)
    print_doubts(console, report.runs, machine.threads)
    console.print(
        f"load {report.load_ms:.1f} ms; memory {report.peak_rss_mb:.0f} MB in all, {report.engine_rss_mb:.1f} MB "
        "for the model and its runs"
    )
    print_baseline(console, rows, max_ratio)
