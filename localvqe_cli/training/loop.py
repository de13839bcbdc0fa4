"""The training loop: steps, checkpoints, validation, log."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from .. import checkpoint
from ..config import ModelConfig
from ..errors import CheckpointError, LocalVQEError, UsageError
from ..freed_memory import keep_all_freed_memory
from ..reference import LocalVQE
from . import validation
from .dataset import Batch, SceneDataset, batches
from .ema import WeightAverage
from .fused import fuse
from .helpers import Helpers
from .initial import new_model
from .interrupt import StopRequest
from .journal import LOG, VALID_LOG, Journal, draw
from .losses import LossWeights
from .optim import Schedule, make_optimizer, set_rate
from .options import Limits, Recipe
from .precision import choose_precision
from .state import BEST, LAST, TRAINER, open_folder, write_model, write_trainer
from .step import PARTS, batch_loss

__all__ = ["Trainer", "TrainingResult"]

_LOG_COLUMNS = (
    "clips",
    "hours",
    "minutes",
    "rate",
    *PARTS,
    "grad_norm",
    "skipped",
    "audio_per_second",
    "data_share",
)
_LOG_SECONDS = 30.0
#: Steps in a row without a usable gradient after which the run is given up.
_MAX_SKIPPED = 50

Report = Callable[[str], None]


class Scored(Protocol):
    """The part of ``Opinion`` used here."""

    def run(self, config: ModelConfig, state: Mapping[str, Tensor]) -> dict[str, float]: ...


@dataclass(frozen=True)
class TrainingResult:
    """Where a run stands.

    Attributes:
        step: steps done in all, ``clips`` clips and ``hours`` hours of audio.
        best: lowest validation loss so far; None without validation.
        figures: the latest validation.
        audio_per_second: seconds of audio trained on per second of this call, validation left out.
        data_share: share of that time spent waiting for scenes.
        interrupted: the signal that ended it, if one did.
    """

    step: int
    clips: int
    hours: float
    best: float | None
    figures: dict[str, float]
    audio_per_second: float
    data_share: float
    interrupted: int | None


class Trainer:
    """A run in its folder.

    Args:
        folder: where it is kept; made if missing.
        config: the model's geometry; ignored when resuming.
        recipe: ignored when resuming.
        limits: of this call.
        resume: go on from the folder's trainer state.
        init: checkpoint whose weights a new run starts with; a front-end or other lags change none of their shapes.
        rate: a new learning rate for a resumed run.
        opinion: further figures for the validation log, see :class:`..opinion.Opinion`.
        report: told a line now and then.

    Raises:
        UsageError: the folder holds a run already and ``resume`` is not given, or the device is not there.
        CheckpointError: nothing to resume from, or weights of another geometry.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        config: ModelConfig,
        recipe: Recipe,
        limits: Limits,
        *,
        resume: bool = False,
        init: str | os.PathLike[str] | None = None,
        rate: float | None = None,
        weights: LossWeights | None = None,
        opinion: Scored | None = None,
        report: Report = lambda line: None,
    ) -> None:
        self.folder = Path(folder)
        self.limits = limits
        self.weights = weights or LossWeights()
        self._report = report
        self._opinion = opinion
        saved = open_folder(self.folder, resume=resume)
        if saved is not None:
            try:
                config = ModelConfig.from_mapping(saved["model_config"])
                recipe = Recipe.from_mapping(saved["recipe"])
            except (KeyError, TypeError) as exc:
                raise CheckpointError(f"{self.folder / TRAINER}: lacks {exc}") from exc
        if limits.processes > 1 and (recipe.batch % limits.processes or _device(limits.device).type != "cpu"):
            raise UsageError(f"{limits.processes} processes need a CPU and a batch they can share, not {recipe.batch}")
        if limits.processes > 1 and not hasattr(os, "fork"):
            raise UsageError("several processes need a system that copies them, and Windows does not; use --threads")
        if limits.threads > 0:
            torch.set_num_threads(limits.threads)
        keep_all_freed_memory()
        self.device = _device(limits.device)
        self.config = config
        self.model = fuse(new_model(config, recipe.seed)).to(self.device).train()
        if init is not None and saved is None:
            _load_weights(self.model, init)
        precision = choose_precision(recipe.precision, self.model, self.device)
        self.recipe = Recipe(**{**recipe.to_mapping(), "precision": precision})
        self.average = WeightAverage(self.model, recipe.ema)
        self._judged = fuse(LocalVQE(config)).to(self.device).eval()
        self.optimizer = make_optimizer(self.model)
        self.schedule = Schedule(recipe.rate, recipe.warmup)
        self.step = 0
        self.best: float | None = None
        self.figures: dict[str, float] = {}
        self._minutes_before = 0.0
        torch.manual_seed(recipe.seed)
        if saved is not None:
            self._restore(saved)
        self.schedule = self.schedule.changed(self.step, rate=rate, decay_steps=limits.decay_steps)

    @property
    def hours(self) -> float:
        """Hours of audio trained on so far."""
        return self.step * self.recipe.batch * self.recipe.seconds / 3600

    def run(self, data: SceneDataset, held_out: SceneDataset | None) -> TrainingResult:
        """Train until a limit or a signal; the state is saved before this returns.

        Raises:
            LocalVQEError: the loss stays not finite.
        """
        begin = time.monotonic()
        clock = _Clock()
        judge = self._judge(held_out)
        columns = _LOG_COLUMNS
        log = Journal(self.folder / LOG, columns, self.step)
        valid_log = Journal(
            self.folder / VALID_LOG, ("hours", "minutes", *validation.COLUMNS, *validation.OPINION_COLUMNS), self.step
        )
        saved = judged = time.monotonic()
        skipped_in_a_row = 0
        batch_size, processes = self.recipe.batch, self.limits.processes
        helpers = None
        if processes > 1:
            helpers = Helpers(
                self.model,
                data,
                self.weights,
                self.recipe.precision,
                step=self.step,
                batch=batch_size,
                processes=processes,
            )
        source = batches(data, self.step * batch_size, batch_size // processes, self.limits.workers, stride=batch_size)
        with StopRequest() as stop:
            try:
                while not stop and not self.limits.reached(self.step, time.monotonic() - begin, self.schedule):
                    clock.start()
                    batch = next(source)
                    clock.data_ready()
                    good = self._train_step(batch, clock, helpers)
                    clock.finish(self.recipe.batch * self.recipe.seconds)
                    skipped_in_a_row = 0 if good else skipped_in_a_row + 1
                    if skipped_in_a_row >= _MAX_SKIPPED:
                        raise LocalVQEError(
                            f"{self.folder}: {_MAX_SKIPPED} steps without a finite gradient; resume with a lower --rate"
                        )
                    now = time.monotonic()
                    if clock.since_log >= _LOG_SECONDS:
                        self._write_log(log, clock, begin)
                    if judge is not None and now - judged >= 60 * self.limits.valid_minutes:
                        self._validate(judge, valid_log, begin)
                        judged = time.monotonic()
                    if now - saved >= 60 * self.limits.save_minutes:
                        self.save(self._minutes(begin))
                        saved = time.monotonic()
            finally:
                source.close()
                if helpers is not None:
                    helpers.close()
            if clock.steps_since_log:
                self._write_log(log, clock, begin)
            self.save(self._minutes(begin))
            if judge is not None and not stop:
                self._validate(judge, valid_log, begin)
                self.save(self._minutes(begin))
            draw(self.folder)
        return TrainingResult(
            self.step,
            self.step * self.recipe.batch,
            self.hours,
            self.best,
            self.figures,
            clock.audio / max(clock.total, 1e-9),
            clock.waiting / max(clock.total, 1e-9),
            stop.signal,
        )

    def save(self, minutes: float = 0.0) -> None:
        """Write ``trainer.pt`` and ``last.pt``."""
        content: dict[str, Any] = {
            "model_config": self.config.to_mapping(),
            "recipe": self.recipe.to_mapping(),
            "model": self.model.state_dict(),
            "average": self.average.state,
            "average_updates": self.average.updates,
            "optimizer": self.optimizer.state_dict(),
            "schedule": asdict(self.schedule),
            "generator": torch.get_rng_state(),
            "step": self.step,
            "best": self.best,
            "figures": self.figures,
            "minutes": minutes,
        }
        write_trainer(self.folder, content)
        write_model(self.folder / LAST, self.config, self.average.state, self._provenance())

    # -- pieces -------------------------------------------------------------------------------

    def _restore(self, saved: dict[str, Any]) -> None:
        try:
            self.model.load_state_dict(saved["model"])
            self.average.load(saved["average"], saved["average_updates"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.schedule = Schedule(**saved["schedule"])
            torch.set_rng_state(saved["generator"])
            self.step, self.best = saved["step"], saved["best"]
            self.figures = saved["figures"]
            self._minutes_before = saved["minutes"]
        except (KeyError, TypeError, RuntimeError, ValueError) as exc:
            problem = " ".join(str(exc).split())[:200]
            raise CheckpointError(f"{self.folder / TRAINER}: does not fit this version: {problem}") from exc

    def _judge(self, held_out: SceneDataset | None) -> validation.Validation | None:
        if held_out is None or self.limits.valid_clips <= 0:
            return None
        return validation.Validation(held_out, self.limits.valid_clips, self.recipe.batch, self.weights)

    def _minutes(self, begin: float) -> float:
        return self._minutes_before + (time.monotonic() - begin) / 60

    def _train_step(self, batch: Batch, clock: _Clock, helpers: Helpers | None) -> bool:
        if helpers is not None:
            helpers.start()
        self.optimizer.zero_grad(set_to_none=True)
        loss, parts = batch_loss(self.model, batch, self.weights, self.recipe.precision)
        torch.autograd.backward(loss)
        if helpers is not None:
            parts = helpers.gather(parts)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        good = bool(torch.isfinite(norm) & torch.isfinite(parts[0]))
        if good:  # a step that is not is left out, so that it cannot spoil the weights
            set_rate(self.optimizer, self.schedule.at(self.step))
            self.optimizer.step()
            self.average.update(self.model)
        self.step += 1
        clock.add({**dict(zip(PARTS, parts, strict=True)), "grad_norm": norm} if good else {}, good)
        return good

    def _write_log(self, log: Journal, clock: _Clock, begin: float) -> None:
        row = clock.take()
        row |= {
            "step": self.step,
            "clips": self.step * self.recipe.batch,
            "hours": self.hours,
            "minutes": self._minutes(begin),
            "rate": self.schedule.at(self.step),
        }
        log.add(row)
        self._report(
            f"step {self.step}  {self.hours:.2f} h of audio  loss {row.get('loss', math.nan):.4f}  "
            f"{row['audio_per_second']:.1f} s of audio per second  data {100 * row['data_share']:.0f} %"
        )

    def _validate(self, judge: validation.Validation, log: Journal, begin: float) -> None:
        self._judged.load_state_dict(self.average.state)
        self.figures = judge.run(self._judged)
        if self._opinion is not None:
            self.figures |= self._opinion.run(self.config, self.average.state)
        log.add({"step": self.step, "hours": self.hours, "minutes": self._minutes(begin), **self.figures})
        figures = self.figures
        if self.best is None or figures["loss"] < self.best:
            self.best = figures["loss"]
            write_model(self.folder / BEST, self.config, self.average.state, self._provenance())
        draw(self.folder)
        self._report(
            f"step {self.step}  validation {figures['loss']:.4f} (best {self.best:.4f})  "
            f"far end -{figures['erle_farend']:.1f} dB  doubletalk {figures['sisdri_doubletalk']:+.1f} dB  "
            f"near end {figures['sisdri_nearend']:+.1f} dB  level {figures['level_nearend']:+.1f} dB  "
            + (f"AECMOS {figures['aecmos_echo']:.2f}/{figures['aecmos_deg']:.2f}  " if "aecmos_echo" in figures else "")
            + ("" if math.isnan(figures["delay_hit"]) else f"delay found {100 * figures['delay_hit']:.0f} %")
        )

    def _provenance(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "hours": self.hours,
            "recipe": self.recipe.to_mapping(),
            "validation": dict(self.figures),
        }


class _Clock:
    """Where the time goes, and the means of what is logged."""

    def __init__(self) -> None:
        self.total = self.waiting = self.audio = 0.0
        self.since_log = 0.0
        self.steps_since_log = 0
        self._waiting_log = self._audio_log = 0.0
        self._pending: list[dict[str, Tensor]] = []
        self._skipped = 0
        self._begin = 0.0

    def start(self) -> None:
        self._begin = time.monotonic()

    def data_ready(self) -> None:
        spent = time.monotonic() - self._begin
        self.waiting += spent
        self._waiting_log += spent

    def add(self, values: dict[str, Tensor], good: bool) -> None:
        if good:
            self._pending.append({name: value.detach() for name, value in values.items()})
        else:
            self._skipped += 1

    def finish(self, audio: float) -> None:
        spent = time.monotonic() - self._begin
        self.total += spent
        self.since_log += spent
        self.steps_since_log += 1
        self.audio += audio
        self._audio_log += audio

    def take(self) -> dict[str, float]:
        """Means since the last call."""
        row: dict[str, float] = {"skipped": self._skipped}
        if self._pending:
            row |= {name: float(torch.stack([p[name] for p in self._pending]).mean()) for name in self._pending[0]}
        row["audio_per_second"] = self._audio_log / max(self.since_log, 1e-9)
        row["data_share"] = self._waiting_log / max(self.since_log, 1e-9)
        self.since_log = self._waiting_log = self._audio_log = 0.0
        self.steps_since_log = self._skipped = 0
        self._pending.clear()
        return row


def _load_weights(model: LocalVQE, path: str | os.PathLike[str]) -> None:
    try:
        model.load_state_dict(checkpoint.read(path).state)
    except RuntimeError as exc:
        problem = " ".join(str(exc).split())[:200]
        raise CheckpointError(f"{path}: has another geometry than --width and --arch ask for: {problem}") from exc


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as exc:
        raise UsageError(f"unknown device {name!r}; choose cpu or cuda") from exc
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"no such device here: {name}; choose cpu")
    return device
