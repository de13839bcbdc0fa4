"""Training the controller of the adaptive filter's gain (``reference/frontend_gain.py``).

The filter runs over whole scenes, 12 s by default, and gradients pass back through its last three seconds; between
those pieces its state is kept and the gradient cut. The delay search does not depend on the filter, so it runs first.
"""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import checkpoint
from ..config import FrontendConfig, ModelConfig, ResidualConfig
from ..errors import CheckpointError, LocalVQEError
from ..freed_memory import keep_all_freed_memory
from ..geometry import HOP
from ..reference.frontend import DelaySearch
from ..reference.frontend_gain import GainController
from ..reference.kalman import Complex, FilterState, Heard, initial_filter, kalman_step, moved
from ..tensors import FRONTEND_GAIN
from .dataset import SceneDataset
from .ema import WeightAverage
from .gain_loss import residual_loss
from .interrupt import StopRequest
from .journal import LOG, VALID_LOG, Journal
from .optim import Schedule
from .options import GainRecipe, Limits
from .scene import Scene
from .state import BEST, LAST, TRAINER, open_folder, write_model, write_trainer

__all__ = ["GainResult", "GainTrainer", "ScenePiece", "run_filter"]

_MAX_SKIPPED = 20


@dataclass(frozen=True)
class ScenePiece:
    """Scenes as hops, (B, T, 256); by how many hops the search delays the reference at each, and whether the filter
    adapts, (B, T)."""

    mic: Tensor
    echo: Tensor
    far: Complex
    offset: Tensor
    adapts: Tensor

    @property
    def hops(self) -> int:
        return self.mic.shape[1]


@dataclass(frozen=True)
class GainResult:
    """Where a run stands: optimizer steps, hours of audio, the best and the latest held-out loss, the hand rule's."""

    step: int
    hours: float
    best: float | None
    loss: float | None
    by_hand: float | None
    interrupted: int | None


def prepare(scenes: list[Scene], config: FrontendConfig, device: torch.device) -> ScenePiece:
    """What the filter needs of scenes of one length."""
    hops = len(scenes[0].mic) // HOP

    def cut(name: str) -> Tensor:
        rows = np.stack([getattr(scene, name)[: hops * HOP] for scene in scenes])
        return torch.from_numpy(rows).reshape(len(scenes), hops, HOP).to(device)

    mic, ref = cut("mic"), cut("ref")
    near, far = _spectra(mic), _spectra(ref)
    search = DelaySearch(config.lags, mic[:, 0])
    offsets, adapts = [], []
    for t in range(hops):
        search.step(near[:, t], far[:, t], ref[:, t])
        offsets.append(search.offset)
        adapts.append(search.adapts(config.partitions)[:, 0])
    spectra = Complex(far.real.contiguous(), far.imag.contiguous())
    return ScenePiece(mic, cut("echo"), spectra, torch.stack(offsets, 1), torch.stack(adapts, 1))


def _spectra(hops: Tensor) -> Tensor:
    before = torch.cat([torch.zeros_like(hops[:, :1]), hops[:, :-1]], dim=1)
    spectra: Tensor = torch.fft.rfft(torch.cat([before, hops], dim=-1))
    return spectra


def run_filter(
    config: FrontendConfig,
    gain: GainController | None,
    scenes: ScenePiece,
    piece: int,
    step: Callable[..., tuple[FilterState, Heard]] = kalman_step,
) -> Iterator[tuple[slice, Tensor]]:
    """Run the filter over scenes; yields the hops of each piece and the echo estimated in them, (B, hops, 256).

    Gradients reach back to the start of the piece.
    """
    state = initial_filter(config, gain, scenes.mic[:, 0])
    parts = torch.arange(config.partitions, device=scenes.mic.device)
    used = torch.zeros_like(scenes.offset[:, 0])
    adapted = torch.zeros_like(used[:, None], dtype=torch.bool)
    estimates: list[Tensor] = []
    begin = 0
    for t in range(scenes.hops):
        by = scenes.offset[:, t] - used
        if bool(by.any()):
            state, used = moved(config, state, by), scenes.offset[:, t]
        back = t - used[:, None] - parts
        index = back.clamp(min=0)[..., None].expand(-1, -1, scenes.far.re.shape[-1])
        there = (back >= 0)[..., None]
        far = Complex(scenes.far.re.gather(1, index) * there, scenes.far.im.gather(1, index) * there)
        constrained = torch.zeros(config.partitions, 1, device=scenes.mic.device)
        constrained[t % config.partitions] = 1.0
        first, adapts = ~adapted, scenes.adapts[:, t, None]
        adapted = adapted | adapts
        state, heard = step(config, gain, state, far, scenes.mic[:, t].contiguous(), first, adapts, constrained)
        estimates.append(heard.echo)
        if len(estimates) == piece or t == scenes.hops - 1:
            yield slice(begin, t + 1), torch.stack(estimates, dim=1)
            begin, estimates, state = t + 1, [], _detached(state)


def _detached(state: FilterState) -> FilterState:
    gain = None if state.gain is None else type(state.gain)(*(level.detach() for level in state.gain))
    weights = Complex(state.weights.re.detach(), state.weights.im.detach())
    return FilterState(weights, state.variance.detach(), state.noise.detach(), gain)


class GainTrainer:
    """A run in its folder, as ``loop.Trainer`` keeps one: best.pt, last.pt, trainer.pt, log.tsv, valid.tsv.

    Args:
        folder: made if missing.
        recipe: ignored when resuming.
        limits: of this call; of it minutes, steps, save_minutes, valid_minutes, valid_clips, threads, decay_steps and
            device count.
        resume: go on from the folder's trainer state.
        init: checkpoint whose controller a new run starts with.
        rate: a new learning rate for a resumed run.
        report: told a line now and then.

    Raises:
        UsageError: the folder holds a run already and ``resume`` is not given.
        CheckpointError: nothing to resume from, or weights that do not fit.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        recipe: GainRecipe,
        limits: Limits,
        *,
        resume: bool = False,
        init: str | os.PathLike[str] | None = None,
        rate: float | None = None,
        report: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.folder = Path(folder)
        self.limits = limits
        self._report = report
        if limits.threads > 0:
            torch.set_num_threads(limits.threads)
        keep_all_freed_memory()
        saved = open_folder(self.folder, resume=resume)
        if saved is not None and "gain" not in saved:
            raise CheckpointError(f"{self.folder / TRAINER}: is of a run without --gain")
        if saved is not None:
            recipe = GainRecipe.from_mapping(saved["recipe"])
        self.recipe = recipe
        self.config = ModelConfig(
            version=3, network=False, frontend=FrontendConfig(gain_hidden=recipe.hidden), residual=ResidualConfig()
        )
        self.device = torch.device(limits.device)
        torch.manual_seed(recipe.seed)
        self.gain = GainController(recipe.hidden).to(self.device)
        if init is not None and saved is None:
            self._load(init)
        self.average = WeightAverage(self.gain, recipe.ema)
        self.optimizer = torch.optim.Adam(self.gain.parameters(), lr=recipe.rate, betas=(0.9, 0.99))
        self.schedule = Schedule(recipe.rate, recipe.warmup)
        self.step = self.batches = 0
        self.best: float | None = None
        self.loss: float | None = None
        self.by_hand: float | None = None
        if saved is not None:
            self._restore(saved)
        self.schedule = self.schedule.changed(self.step, rate=rate, decay_steps=limits.decay_steps)
        self._hop = kalman_step
        if recipe.compiled and _has_compiler():
            self._hop = torch.compile(kalman_step, dynamic=False)
        elif recipe.compiled:
            report("no C++ compiler found, so torch cannot compile the filter's hop: training takes twice as long")

    @property
    def frontend(self) -> FrontendConfig:
        """The filter that is controlled."""
        assert self.config.frontend is not None
        return self.config.frontend

    @property
    def hours(self) -> float:
        """Hours of audio trained on so far."""
        return self.batches * self.recipe.batch * self.recipe.seconds / 3600

    def run(self, data: SceneDataset, held_out: SceneDataset | None) -> GainResult:
        """Train until a limit or a signal; the state is saved before this returns.

        Raises:
            LocalVQEError: the loss stays not finite.
        """
        log = Journal(self.folder / LOG, ("hours", "rate", "loss", "grad_norm", "audio_per_second"), self.step)
        valid = Journal(self.folder / VALID_LOG, ("hours", "loss", "loss_by_hand"), self.step)
        judged = self._held_out(held_out)
        begin = saved_at = judged_at = time.monotonic()
        losses: list[float] = []
        norms: list[float] = []
        skipped, audio, since = 0, 0.0, begin
        with StopRequest() as stop:
            while not stop and not self.limits.reached(self.step, time.monotonic() - begin, self.schedule):
                for loss, norm in self._batch(data):
                    good = math.isfinite(loss) and math.isfinite(norm)
                    skipped = 0 if good else skipped + 1
                    if skipped >= _MAX_SKIPPED:
                        raise LocalVQEError(f"{self.folder}: no finite gradient any more; resume with a lower --rate")
                    losses.append(loss)
                    norms.append(norm)
                self.batches += 1
                audio += self.recipe.batch * self.recipe.seconds
                now = time.monotonic()
                row = {"step": self.step, "hours": self.hours, "rate": self.schedule.at(self.step)}
                row |= {"loss": float(np.mean(losses)), "grad_norm": float(np.mean(norms))}
                if now - since >= 30.0:
                    log.add({**row, "audio_per_second": audio / (now - since)})
                    self._report(f"step {self.step}  {self.hours:.2f} h of audio  loss {row['loss']:.4f}")
                    losses, norms, audio, since = [], [], 0.0, now
                if now - judged_at >= 60 * self.limits.valid_minutes:
                    self._validate(judged, valid)
                    judged_at = time.monotonic()
                if now - saved_at >= 60 * self.limits.save_minutes:
                    self.save()
                    saved_at = time.monotonic()
            if not stop:
                self._validate(judged, valid)
            self.save()
        return GainResult(self.step, self.hours, self.best, self.loss, self.by_hand, stop.signal)

    def save(self) -> None:
        """Write ``trainer.pt`` and ``last.pt``."""
        write_trainer(
            self.folder,
            {
                "recipe": self.recipe.to_mapping(),
                "gain": self.gain.state_dict(),
                "average": self.average.state,
                "average_updates": self.average.updates,
                "optimizer": self.optimizer.state_dict(),
                "schedule": asdict(self.schedule),
                "step": self.step,
                "batches": self.batches,
                "best": self.best,
                "by_hand": self.by_hand,
            },
        )
        self._write(LAST)

    # -- pieces -------------------------------------------------------------------------------

    def _restore(self, saved: dict[str, Any]) -> None:
        try:
            self.gain.load_state_dict(saved["gain"])
            self.average.load(saved["average"], saved["average_updates"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.schedule = Schedule(**saved["schedule"])
            self.step, self.batches = saved["step"], saved["batches"]
            self.best, self.by_hand = saved["best"], saved["by_hand"]
        except (KeyError, TypeError, RuntimeError, ValueError) as exc:
            problem = " ".join(str(exc).split())[:200]
            raise CheckpointError(f"{self.folder / TRAINER}: does not fit this version: {problem}") from exc

    def _load(self, path: str | os.PathLike[str]) -> None:
        loaded = checkpoint.read(path)
        prefix = f"{FRONTEND_GAIN}."
        state = {name.removeprefix(prefix): t for name, t in loaded.state.items() if name.startswith(prefix)}
        try:
            self.gain.load_state_dict(state)
        except RuntimeError as exc:
            raise CheckpointError(f"{path}: has no controller of {self.recipe.hidden} states") from exc

    def _batch(self, data: SceneDataset) -> Iterator[tuple[float, float]]:
        """Train on the next batch; yields the loss and the gradient norm of each piece."""
        first = self.batches * self.recipe.batch
        scenes = prepare([data.scene(first + i) for i in range(self.recipe.batch)], self.frontend, self.device)
        loudness = scenes.mic.square().mean(dim=(1, 2))
        for hops, estimate in run_filter(self.frontend, self.gain, scenes, self.recipe.piece, self._hop):
            if hops.stop - hops.start < 2:
                continue
            loss = _loss(scenes, hops, estimate, loudness)
            self.optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            norm = torch.nn.utils.clip_grad_norm_(self.gain.parameters(), self.recipe.clip)
            if bool(torch.isfinite(norm)):
                for group in self.optimizer.param_groups:
                    group["lr"] = self.schedule.at(self.step)
                self.optimizer.step()
                self.average.update(self.gain)
            self.step += 1
            yield float(loss.detach()), float(norm)

    def _held_out(self, held_out: SceneDataset | None) -> ScenePiece | None:
        if held_out is None or self.limits.valid_clips <= 0:
            return None
        scenes = [held_out.scene(i) for i in range(self.limits.valid_clips)]
        return prepare(scenes, self.frontend, self.device)

    @torch.no_grad()
    def _validate(self, scenes: ScenePiece | None, log: Journal) -> None:
        if scenes is None:
            return
        loudness = scenes.mic.square().mean(dim=(1, 2))

        def judged(gain: GainController | None) -> float:
            whole = run_filter(self.frontend, gain, scenes, scenes.hops)
            return float(sum(_loss(scenes, hops, estimate, loudness) for hops, estimate in whole))

        if self.by_hand is None:
            self.by_hand = judged(None)
        average = GainController(self.recipe.hidden).to(self.device)
        average.load_state_dict(self.average.state)
        self.loss = judged(average)
        log.add({"step": self.step, "hours": self.hours, "loss": self.loss, "loss_by_hand": self.by_hand})
        if self.best is None or self.loss < self.best:
            self.best = self.loss
            self._write(BEST)
        self._report(f"step {self.step}  validation {self.loss:.4f} (best {self.best:.4f}, by hand {self.by_hand:.4f})")

    def _write(self, name: str) -> None:
        state = {f"{FRONTEND_GAIN}.{key}": value for key, value in self.average.state.items()}
        training = {"step": self.step, "hours": self.hours, "recipe": self.recipe.to_mapping()}
        training |= {"validation": {"loss": self.loss, "loss_by_hand": self.by_hand}}
        write_model(self.folder / name, self.config, state, training)


def _has_compiler() -> bool:
    """Whether there is what torch compiles with on a CPU."""
    return any(shutil.which(name) for name in (os.environ.get("CXX", ""), "g++", "clang++", "cl") if name)


def _loss(scenes: ScenePiece, hops: slice, estimate: Tensor, loudness: Tensor) -> Tensor:
    echo, mic = scenes.echo[:, hops].flatten(1), scenes.mic[:, hops].flatten(1)
    return residual_loss(echo, estimate.flatten(1), mic, loudness)
