"""``localvqe eval``: how good systems are, scenario by scenario."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperCommand

from ..atomic import atomic_output, check_output
from ..errors import UsageError
from ..evaluation import Clip, ClipOutcome, Settings, prepare, score
from ..evaluation import baseline as earlier
from ..evaluation.scoring import signals_of
from ..evaluation.systems import taken_apart
from ..report import Report
from ..report.csv import to_csv
from ..report.html import chosen_clips, to_html
from ..report.json import to_document
from ..report.markdown import to_markdown
from ..report.terminal import print_report, problem_lines
from ..worker_pool import share_imports, usable_cpus
from .common import (
    BackendOption,
    DeviceOption,
    ForceOption,
    JobsOption,
    JsonOption,
    PrecisionOption,
    QuietOption,
    VerboseOption,
    configure_console,
    detail,
    emit_json,
    fail,
    is_own_process,
    say,
)
from .completion import complete_limit, complete_list, complete_system
from .patterns import refuse_patterns
from .progress import ProgressBar

__all__ = ["EvalCommand", "evaluate"]

_STDOUT = "-"
#: Options that may stand without a value, and what they mean then.
_DEFAULT_FILES = {"--html": "eval.html", "--csv": "eval.csv", "--markdown": "eval.md"}


class EvalCommand(TyperCommand):
    """Lets the options of ``_DEFAULT_FILES`` stand alone: last, or before another option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        given: list[str] = []
        for index, arg in enumerate(args):
            given.append(arg)
            follower = args[index + 1] if index + 1 < len(args) else "--"
            if arg in _DEFAULT_FILES and follower.startswith("-") and follower != _STDOUT:
                given.append(_DEFAULT_FILES[arg])
        return super().parse_args(ctx, given)


def evaluate(
    source: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE...", help="TSV or CSV with id, scenario, mic, ref; or a folder of *_mic, *_lpb."
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="[NAME=]MODEL",
            help="Model to run and score; repeat for several.",
            autocompletion=complete_system,
        ),
    ] = None,
    enhanced: Annotated[
        list[str] | None,
        typer.Option("--enhanced", metavar="[NAME=]DIR", help="Folder of outputs to score; repeat for several."),
    ] = None,
    mic: Annotated[str | None, typer.Option("--mic", metavar="DIR", help="Folder of mics, instead of SOURCE.")] = None,
    ref: Annotated[str | None, typer.Option("--ref", metavar="DIR", help="Folder of references.")] = None,
    target: Annotated[str | None, typer.Option("--target", metavar="DIR", help="Folder of clean speech.")] = None,
    scenario: Annotated[
        str | None, typer.Option("--scenario", metavar="NAME", help="Of the clips that name none.")
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            "--metrics",
            metavar="LIST",
            help="aecmos, erle, convergence, dnsmos, level, sisdr, pesq, stoi, delay, clipping. [all installed]",
            autocompletion=complete_list,
        ),
    ] = None,
    align: Annotated[
        bool, typer.Option("--align/--no-align", help="Let models have references shifted as enhance does.")
    ] = True,
    csv: Annotated[str | None, typer.Option("--csv", metavar="[FILE]", help="Per-clip rows as CSV. [eval.csv]")] = None,
    markdown: Annotated[
        str | None, typer.Option("--markdown", metavar="[FILE]", help="Tables as Markdown. [eval.md]")
    ] = None,
    html: Annotated[
        str | None, typer.Option("--html", metavar="[FILE]", help="A page with tables, plots and sound. [eval.html]")
    ] = None,
    audio: Annotated[int, typer.Option("--audio", min=0, max=1000, metavar="N", help="Clips to hear in it.")] = 20,
    baseline: Annotated[
        str | None, typer.Option("--baseline", metavar="FILE", help="An earlier --json; exit 1 if a mean fell.")
    ] = None,
    max_drop: Annotated[
        list[str] | None,
        typer.Option(
            "--max-drop",
            metavar="METRIC=X",
            help="How far it may fall, for example aecmos_echo=0.05.",
            autocompletion=complete_limit,
        ),
    ] = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Let what the baseline has be missing from this run.")
    ] = False,
    jobs: JobsOption = None,
    cache: Annotated[
        bool, typer.Option("--cache/--no-cache", help="Keep scores, and use those kept, found by content.")
    ] = True,
    backend: BackendOption = "auto",
    device: DeviceOption = 0,
    precision: PrecisionOption = "auto",
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Score models and outputs, scenario by scenario.

    Runs each MODEL on the clips (the embedded one if nothing is named), takes the outputs in each DIR as they are, and
    puts both beside the unprocessed mic. A clip that cannot be scored is named, the rest goes on, the exit code is 1.
    """
    configure_console(quiet=quiet, verbose=verbose)
    limits = earlier.parse_limits(max_drop or [])
    if (baseline is None) != (not limits):
        raise UsageError("--baseline and --max-drop belong together, for example --max-drop aecmos_echo=0.05")
    if allow_missing and baseline is None:
        raise UsageError("--allow-missing goes with --baseline")
    refuse_patterns([*(source or []), mic, ref, target, baseline])
    refuse_patterns((text.rpartition("=")[2] for text in enhanced or []), advice="name the folder of the outputs")
    means = earlier.load_baseline(baseline) if baseline is not None else {}
    setup = prepare(
        source or [],
        mic=mic,
        ref=ref,
        target=target,
        scenario=scenario,
        models=[taken_apart(text) for text in model or []],
        enhanced=[taken_apart(text) for text in enhanced or []],
        metrics=None if metrics is None else metrics.split(","),
        align=align,
        cache=cache,
        backend=backend,
        device=device,
        precision=precision,
    )
    clips, settings = setup.clips, setup.settings
    lists = [*(source or []), *([baseline] if baseline is not None else [])]
    files = _outputs({"csv": csv, "markdown": markdown, "html": html}, clips, lists, as_json=as_json, force=force)
    for system in setup.systems:
        if system.kind == "model":
            say(f"model: {system.name} ({system.model})")
    if is_own_process():
        share_imports(["localvqe_cli.cli", "localvqe_cli.evaluation.scoring"])
    with ProgressBar("scoring") as progress:
        evaluation = score(
            clips, setup.systems, settings, notes=setup.notes, jobs=jobs or usable_cpus(), progress=progress
        )
    detail(f"{sum(clip.cached for clip in evaluation.clips)} of {len(evaluation.clips)} clips were in the cache")

    falls = None if baseline is None else earlier.compare(evaluation, means, limits, allow_missing=allow_missing)
    report = Report(evaluation, falls, baseline)
    _render(report, files, clips, settings, audio=audio, as_json=as_json)
    _conclude(report)


def _outputs(
    chosen: dict[str, str | None], clips: list[Clip], others: list[str], *, as_json: bool, force: bool
) -> dict[str, str]:
    """The files to write, by kind: all of them writable, none of them an input (``others`` beside the clips')."""
    files = {kind: path for kind, path in chosen.items() if path is not None}
    on_stdout = [kind for kind, path in files.items() if path == _STDOUT]
    if len(on_stdout) + as_json > 1:
        raise UsageError("stdout takes one report only; give the others a file")
    paths = [path for clip in clips for path in (clip.mic, clip.ref, clip.target, *clip.outputs.values()) if path]
    inputs = {os.path.realpath(path) for path in [*paths, *others]}
    for path in files.values():
        if path == _STDOUT:
            continue
        check_output(path, force=force)
        if os.path.realpath(path) in inputs:
            raise UsageError(f"cannot write {path}: it is an input; choose another name")
        if list(files.values()).count(path) > 1:
            raise UsageError(f"{path} cannot hold two reports; choose another name")
    return files


def _render(
    report: Report, files: dict[str, str], clips: list[Clip], settings: Settings, *, audio: int, as_json: bool
) -> None:
    """Write the files asked for, and one report to stdout."""
    made = {"csv": lambda: to_csv(report), "markdown": lambda: to_markdown(report)}
    for kind, path in files.items():
        _write(path, _page(report, clips, settings, audio) if kind == "html" else made[kind]())
    if as_json:
        emit_json(to_document(report))
    elif _STDOUT not in files.values():
        print_report(report, Console(highlight=False))


def _page(report: Report, clips: list[Clip], settings: Settings, count: int) -> str:
    by_id = {clip.id: clip for clip in clips}
    chosen = chosen_clips(report, count)
    with ProgressBar("writing the page") as progress:
        loaded = 0

        def load(outcome: ClipOutcome) -> Any:
            nonlocal loaded
            loaded += 1
            progress(loaded, len(chosen))
            return signals_of(by_id[outcome.id], report.systems, settings)

        return to_html(report, chosen, load, title="LocalVQE evaluation")


def _write(path: str, text: str) -> None:
    if path == _STDOUT:
        sys.stdout.write(text)
        return
    with atomic_output(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    say(f"{path}: written")


def _conclude(report: Report) -> None:
    """Say what went wrong or fell; exit code 1 if anything did."""
    for line in problem_lines(report):
        fail(line)
    for fall in report.falls or []:
        fail(f"fell below the baseline: {fall}")
    if report.problems or report.falls:
        raise typer.Exit(1)
