"""``localvqe bench``: how long a hop takes, and how many times the machine's arithmetic floor that is."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ..benchmark import BenchOptions, BenchReport, Regression, compare, run_bench
from ..benchmark.baseline import load_baseline, to_dicts
from ..benchmark.codec import CODEC_ITERS, CodecReport, run_codec_bench
from ..benchmark.result import threads_in_words
from ..config import MAX_THREADS
from ..errors import LocalVQEError, UsageError
from ..families import LFSCConfig
from ..gguf_file import read
from ..models import resolve
from ..open_model import is_onnx
from ..signal_path import read_at_model_rate
from ..worker_pool import usable_cpus
from .bench_all import survey_all
from .bench_codec import print_codec
from .bench_text import mode_name, print_baseline, print_doubts, print_machine
from .common import (
    BackendOption,
    DeviceOption,
    JsonOption,
    ModelOption,
    PrecisionOption,
    QuietOption,
    VerboseOption,
    configure_console,
    detail,
    emit_json,
    say,
)
from .tables import print_table

__all__ = ["bench"]


_ITERS = 10  # but for a codec


class Mode(str, Enum):
    """``--mode``."""

    stream = "stream"
    clip = "clip"
    both = "both"


def bench(
    model: ModelOption = None,
    threads: Annotated[
        list[int] | None,
        typer.Option("--threads", "-t", min=1, max=MAX_THREADS, metavar="N", help="Workers; repeat to try several."),
    ] = None,
    mode: Annotated[Mode, typer.Option("--mode", help="A hop per call, the whole clip per call, or both.")] = Mode.both,
    streams: Annotated[
        int, typer.Option("--streams", min=1, max=1024, metavar="N", help="Also N live streams in real time.")
    ] = 1,
    iters: Annotated[
        int | None,
        typer.Option("--iters", min=1, max=100_000, metavar="N", help="Passes over the input: 10, of a codec 3."),
    ] = None,
    pair: Annotated[
        tuple[str, str] | None, typer.Option("--input", metavar="MIC REF", help="Recordings; default: built-in noise.")
    ] = None,
    backend: BackendOption = "auto",
    device: DeviceOption = 0,
    precision: PrecisionOption = "auto",
    profile: Annotated[bool, typer.Option("--profile", help="Time per block as well.")] = False,
    every: Annotated[
        bool, typer.Option("--all", help="All models side by side, published shapes included; some minutes.")
    ] = False,
    plot: Annotated[
        str | None, typer.Option("--plot", metavar="FILE", help="With --all: draw x floor by model, as PNG or SVG.")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option("--baseline", metavar="FILE", help="An earlier --json; exit 1 if slower.")
    ] = None,
    max_ratio: Annotated[
        float, typer.Option("--max-ratio", min=0.01, metavar="R", help="How much slower than the baseline is too slow.")
    ] = 1.10,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Measure the engine on this machine.

    Times are per hop of 16 ms. "x floor" divides the median by the time the model's multiply-adds would take at
    the measured peak of one core: it can be compared between machines, and --baseline does. Of a speech codec,
    encoding and decoding are measured, per frame of 46 ms.
    """
    configure_console(quiet=quiet, verbose=verbose)
    if plot is not None and not every:
        raise UsageError("--plot draws what --all measures; add --all")
    if every and (model is not None or profile or baseline is not None or streams != 1):
        raise UsageError(
            "--all measures every model in its own way; leave --model, --streams, --profile, --baseline out"
        )
    earlier = load_baseline(baseline) if baseline is not None else {}
    options = BenchOptions(
        threads=tuple(dict.fromkeys(threads)) if threads else _default_threads(),
        modes=("stream", "clip") if mode is Mode.both else (mode.value,),
        streams=streams,
        iters=iters or _ITERS,
        profile=profile,
        backend=backend,
        device=device,
        precision=precision,
    )
    if every:
        survey_all(options, plot, as_json=as_json)
        return
    report: BenchReport | CodecReport
    if model is not None and _is_codec(model):
        place = (backend, device, precision)
        if mode is not Mode.both or streams != 1 or pair is not None or profile or place != ("auto", 0, "auto"):
            raise UsageError(
                f"{model}: is a speech codec; leave --mode, --streams, --input, --profile, --backend, --device, "
                "--precision out"
            )
        report = run_codec_bench(resolve(model), options.threads, iters or CODEC_ITERS, progress=_announce)
    else:
        report = run_bench(model, options, _signals(pair), progress=_announce)
    rows = compare(report.runs, earlier)
    if baseline is not None and not rows:
        raise UsageError(f"{baseline}: none of its runs (mode, threads, streams) was measured now")
    if as_json:
        extra: dict[str, Any] = {"baseline": to_dicts(rows), "max_ratio": max_ratio} if baseline is not None else {}
        emit_json({**report.to_dict(), **extra})
    elif not quiet:
        if isinstance(report, CodecReport):
            print_codec(report, rows, max_ratio)
        else:
            _print(report, rows, max_ratio)
    slower = [row for row in rows if row.ratio > max_ratio]
    for row in slower:
        say(
            f"slower than the baseline: {row.mode}, {row.threads} threads, {row.streams} streams"
            f"{' together' if row.together else ''}: "
            f"{row.now:.2f} x floor, was {row.before:.2f} (ratio {row.ratio:.2f}, allowed {max_ratio:.2f})"
        )
    if slower:
        raise typer.Exit(1)


def _announce(what: str) -> None:
    detail(f"running: {what}")


def _is_codec(model: str) -> bool:
    if is_onnx(model):
        return False
    try:
        return isinstance(read(resolve(model)).stated_config, LFSCConfig)
    except LocalVQEError:
        return False  # whoever opens it says why


def _default_threads() -> tuple[int, ...]:
    return tuple(n for n in (1, 2, 4) if n <= usable_cpus())


def _signals(pair: tuple[str, str] | None) -> Any:
    if pair is None:
        return None
    mic, ref = (read_at_model_rate(path) for path in pair)
    length = min(mic.size, ref.size)
    return mic[:length], ref[:length]


def _print(report: BenchReport, rows: list[Regression], max_ratio: float) -> None:
    console = Console(highlight=False, markup=False)
    machine, model = report.machine, report.model
    print_machine(console, machine)
    console.print(
        f"{model.name}: version {model.version}, {model.parameters:,} parameters, {model.type}, "
        f"{model.mmac_per_hop:.1f} M multiply-adds per hop"
    )
    if model.type != "F32" or report.integer_layers:
        console.print(f"{report.integer_layers} convolutions as integer products, the rest in F32")
    if report.backend == "onnxruntime":
        console.print("run by onnxruntime, through Python")
    elif report.backend != "cpu":
        console.print(f"the network runs on backend {report.backend}; its threads are those of the host")
    table = Table(box=None, pad_edge=False)
    console.print("ms per hop, by threads (T) and live streams (N):")
    table.add_column("mode", no_wrap=True)
    for title in ("T", "N", "p50", "p95", "p99", "max", "x floor", "of 16 ms"):
        table.add_column(title, justify="right", no_wrap=True)
    for run in report.runs:
        table.add_row(
            mode_name(run),
            str(run.threads),
            str(run.streams),
            *(f"{value:.3f}" for value in (run.p50_ms, run.p95_ms, run.p99_ms, run.max_ms)),
            f"{run.x_floor:.2f}",
            f"{100 * run.budget_share:.1f} %",
        )
    print_table(console, table)
    print_doubts(console, report.runs, machine.threads)
    for run in report.runs:
        if run.real_time_streams is not None:
            console.print(
                f"{run.real_time_streams} of {run.streams} live streams {'together' if run.together else 'one by one'} "
                f"on {threads_in_words(run.threads)} held real time (99 % of hops within 16 ms)"
            )
    console.print(
        f"load {report.load_ms:.1f} ms; memory {report.peak_rss_mb:.0f} MB in all, {report.engine_rss_mb:.1f} MB "
        f"for the model and a stream, {report.rss_per_stream_mb:.2f} MB per further stream"
    )
    if report.profile_us:
        _print_profile(console, report.profile_us)
    slow = max((run for run in report.runs if run.mode == "stream"), key=lambda run: run.max_ms, default=None)
    if slow is not None:
        hops = ", ".join(f"{hop.ms:.2f} ms at {hop.hop}" for hop in slow.slowest[:10])
        detail(f"slowest hops, {slow.threads} threads: {hops}")
    print_baseline(console, rows, max_ratio)


def _print_profile(console: Any, blocks: dict[str, float]) -> None:
    total = sum(blocks.values())
    table = Table(box=None, pad_edge=False)
    table.add_column("block")
    table.add_column("us/hop", justify="right")
    table.add_column("share", justify="right")
    for name, us in blocks.items():
        table.add_row(name, f"{us:.1f}", f"{100 * us / total:.1f} %")
    table.add_row("all", f"{total:.1f}", "")
    print_table(console, table)
