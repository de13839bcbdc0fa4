"""``localvqe train``: make a model from recordings of speech and noise."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import MissingExtraError, UsageError
from ..training.options import GainRecipe, Limits, Recipe
from ..training.presets import ARCH, DMAX, DMAX_BEHIND_FRONTEND, WIDTH, WIDTHS, preset
from .common import JsonOption, OutputOption, QuietOption, configure_console, emit_json, note, say
from .completion import complete_width
from .progress import StageProgress

if TYPE_CHECKING:  # they need torch
    from ..training.gain_loop import GainResult
    from ..training.loop import TrainingResult

__all__ = ["train"]

_WIDTHS = f"{', '.join(list(WIDTHS)[:-1])} or {list(WIDTHS)[-1]}"


def _default(name: str) -> str:
    """What stands for an option that both kinds of training have, each with its own."""
    return f"[default: {getattr(Recipe, name):g}; with --gain {getattr(GainRecipe, name):g}]"


def train(
    data: Annotated[
        str, typer.Option("--data", metavar="DIR", help="Folder with manifest.tsv, or such a file: what to train on.")
    ],
    output: OutputOption = None,
    cache: Annotated[
        str | None,
        typer.Option(
            "--cache", metavar="DIR", help="Where decoded recordings and rooms are kept. [default: OUT/cache]"
        ),
    ] = None,
    minutes: Annotated[float | None, typer.Option("--minutes", min=0.0, help="Stop after this many minutes.")] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", min=0, help="Stop at this step, counted from the start.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the output folder: its model, recipe and state.")
    ] = False,
    init: Annotated[
        str | None,
        typer.Option("--init", metavar="CKPT", help="Start a new run from these weights, of the same width and arch."),
    ] = None,
    gain: Annotated[
        bool,
        typer.Option(
            "--gain",
            help="Train the controller of the adaptive filter's gain instead; of the model, only --hidden counts.",
        ),
    ] = False,
    hidden: Annotated[
        int, typer.Option("--hidden", min=1, max=64, help="States per bin of that controller.")
    ] = GainRecipe.hidden,
    width: Annotated[str, typer.Option("--width", help=f"Size: {_WIDTHS}.", autocompletion=complete_width)] = WIDTH,
    arch: Annotated[int, typer.Option("--arch", metavar="N", help="Architecture version, 1, 2 or 3.")] = ARCH,
    frontend: Annotated[
        bool,
        typer.Option("--frontend", help="With an adaptive filter before the network."),
    ] = False,
    dmax: Annotated[
        int | None,
        typer.Option(
            "--dmax",
            metavar="N",
            help="Lags of the attention, frames of 16 ms. "
            f"[default: {DMAX}, behind an adaptive filter {DMAX_BEHIND_FRONTEND}]",
        ),
    ] = None,
    batch: Annotated[int | None, typer.Option("--batch", min=1, help=f"Clips per step. {_default('batch')}")] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=1.0, help=f"Length of a clip. {_default('seconds')}")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option("--rate", help=f"Learning rate on the plateau; also of a resumed run. {_default('rate')}"),
    ] = None,
    decay_steps: Annotated[
        int | None,
        typer.Option("--decay-steps", min=1, help="Bring the learning rate down over this many steps, then stop."),
    ] = None,
    ema: Annotated[
        float | None, typer.Option("--ema", help=f"Decay of the averaged weights. {_default('ema')}")
    ] = None,
    easy_clips: Annotated[
        int, typer.Option("--easy-clips", min=0, help="Clips over which scenes become as hard as they will be.")
    ] = Recipe.easy_clips,
    rooms: Annotated[int, typer.Option("--rooms", min=1, help="Simulated rooms.")] = Recipe.rooms,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the first weights and of the scenes.")] = Recipe.seed,
    precision: Annotated[
        str, typer.Option("--precision", help="f32, bf16 or auto, the faster of both on this machine.")
    ] = Recipe.precision,
    device: Annotated[str | None, typer.Option("--device", help="cpu or cuda. [default: cuda if there is one]")] = None,
    threads: Annotated[
        int, typer.Option("--threads", "-t", min=0, help="CPU threads; 0 is torch's choice.")
    ] = Limits.threads,
    processes: Annotated[
        int, typer.Option("--processes", min=1, help="Processes that share each batch, on a CPU; better than threads.")
    ] = Limits.processes,
    workers: Annotated[int, typer.Option("--workers", min=0, help="Processes that make clips.")] = Limits.workers,
    save_minutes: Annotated[
        float, typer.Option("--save-minutes", min=0.0, help="Between checkpoints.")
    ] = Limits.save_minutes,
    valid_minutes: Annotated[
        float, typer.Option("--valid-minutes", min=0.0, help="Between validations.")
    ] = Limits.valid_minutes,
    valid_clips: Annotated[
        int, typer.Option("--valid-clips", min=0, help="Held-out clips; 0 for none.")
    ] = Limits.valid_clips,
    evaluate: Annotated[
        str | None,
        typer.Option("--eval", metavar="PAIRS", help="Log the AECMOS of these recordings at each validation."),
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train a model and keep it in a folder: best.pt and last.pt for export, trainer.pt to go on, log.tsv, curves.png.

    Interrupted by Ctrl-C or a polite kill, the run saves its state first; --resume goes on as if nothing had happened.
    """
    configure_console(quiet=quiet)
    if minutes is None and steps is None and decay_steps is None:
        raise UsageError("say how far to train: --minutes N, --steps N or --decay-steps N")
    try:
        import scipy  # noqa: F401
        import torch
    except ImportError as exc:
        raise MissingExtraError("localvqe train", "train") from exc
    from ..training.dataset import make_datasets
    from ..training.loop import Trainer

    folder = Path(output or ("runs/gain" if gain else f"runs/{width}"))
    given = {"batch": batch, "seconds": seconds, "rate": rate, "ema": ema}
    stated: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    stated |= {"seed": seed, "rooms": rooms}
    limits = Limits(
        minutes=minutes,
        steps=steps,
        save_minutes=save_minutes,
        valid_minutes=valid_minutes,
        valid_clips=valid_clips,
        processes=processes,
        workers=workers,
        threads=threads,
        decay_steps=decay_steps,
        device=device or ("cuda" if torch.cuda.is_available() else "cpu"),
    )
    if gain:
        unused = {
            "--processes": processes != Limits.processes,
            "--precision": precision != Recipe.precision,
            "--eval": evaluate is not None,
        }
        if wrong := [name for name, used in unused.items() if used]:
            raise UsageError(f"{', '.join(wrong)} cannot go with --gain")
        _train_gain(
            folder, data, cache or folder / "cache", {**stated, "hidden": hidden}, limits, resume, init, rate, as_json
        )
        return
    recipe = Recipe(**stated, easy_clips=easy_clips, precision=precision)
    opinion = None
    if evaluate is not None:
        from ..training.opinion import Opinion

        opinion = Opinion(evaluate)
    config = preset(width, arch=arch, dmax=dmax, frontend=frontend)
    trainer = Trainer(folder, config, recipe, limits, resume=resume, init=init, rate=rate, opinion=opinion, report=say)
    parameters = trainer.model.parameter_count()
    say(
        f"{'resuming' if resume else 'training'} {folder}: {parameters:,} parameters, step {trainer.step}, "
        f"{trainer.device}, {trainer.recipe.precision}"
    )
    with StageProgress() as progress:
        training, held_out = make_datasets(data, cache or folder / "cache", trainer.recipe, progress)
    result = trainer.run(training, held_out)
    say(
        f"stopped at step {result.step} after {result.hours:.2f} h of audio, {result.audio_per_second:.1f} s of audio "
        f"per second, {100 * result.data_share:.0f} % of the time waiting for clips"
    )
    if not (folder / "curves.png").exists():
        note("no plot: it needs matplotlib, pip install 'localvqe[train]'")
    _conclude(folder, result, as_json)


def _train_gain(
    folder: Path,
    data: str,
    cache: str | Path,
    stated: dict[str, Any],
    limits: Limits,
    resume: bool,
    init: str | None,
    rate: float | None,
    as_json: bool,
) -> None:
    from ..training.dataset import make_datasets
    from ..training.gain_loop import GainTrainer

    trainer = GainTrainer(folder, GainRecipe(**stated), limits, resume=resume, init=init, rate=rate, report=say)
    say(f"{'resuming' if resume else 'training'} {folder}: a controller of {trainer.recipe.hidden} states")
    with StageProgress() as progress:
        scenes = make_datasets(data, cache, trainer.recipe, progress)
    result = trainer.run(*scenes)
    say(f"stopped at step {result.step} after {result.hours:.2f} h of audio")
    _conclude(folder, result, as_json)


def _conclude(folder: Path, result: TrainingResult | GainResult, as_json: bool) -> None:
    if as_json:
        emit_json({"folder": str(folder), **vars(result)})
    if result.interrupted is not None:
        sys.exit(128 + result.interrupted)
