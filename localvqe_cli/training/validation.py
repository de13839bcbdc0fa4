"""How good the model is on voices it has never trained on: the same clips every time."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import torch
from torch import Tensor

from ..geometry import FRAME, HOP, MODEL_RATE
from ..reference import LocalVQE, Taps
from .dataset import SceneDataset
from .losses import LossWeights, enhancement_loss
from .scene import SCENARIOS

__all__ = ["COLUMNS", "OPINION_COLUMNS", "Validation", "level_error", "si_sdr"]

_EPS = 1e-10
#: Seconds at the start of a clip that do not count: the echo has to be heard before it can be removed.
_SETTLE = 0.5
#: What :meth:`Validation.run` reports, in order.
COLUMNS = (
    "loss",
    "compressed",
    "natural",
    "sdr",
    "silence",
    "erle_farend",
    "erle_farend_p25",
    "gain_noise",
    "sisdr_mic_doubletalk",
    "sisdri_doubletalk",
    "sisdr_mic_nearend",
    "sisdri_nearend",
    "level_doubletalk",
    "level_nearend",
    "delay_hit",
)

#: Of ``opinion.Opinion``, named here because that module needs more than training does: AECMOS, means over the
#: scenarios of the means over their clips, 1 to 5.
OPINION_COLUMNS = ("aecmos_echo", "aecmos_deg")


@dataclass(frozen=True)
class _Clip:
    mic: Tensor
    ref: Tensor
    target: Tensor
    scenario: str
    delay: Tensor


def si_sdr(estimate: Tensor, target: Tensor) -> Tensor:
    """Scale-invariant signal-to-distortion ratio in dB of each row of (B, N)."""
    scale = (estimate * target).sum(-1, keepdim=True) / (target.square().sum(-1, keepdim=True) + _EPS)
    wanted = scale * target
    return _db(wanted.square().sum(-1)) - _db((estimate - wanted).square().sum(-1))


def level_error(estimate: Tensor, target: Tensor) -> Tensor:
    """Energy of the output over that of the target in dB, where the target is active; (B, N) -> (B,)."""
    out, wanted = (x.unfold(-1, FRAME, HOP).square().mean(-1) for x in (estimate, target))
    active = wanted > 1e-2 * wanted.amax(-1, keepdim=True)
    return _db((out * active).sum(-1)) - _db((wanted * active).sum(-1))


class Validation:
    """A fixed set of held-out clips.

    Args:
        dataset: made from the valid split.
        clips: how many.
        batch: clips at once.
    """

    def __init__(self, dataset: SceneDataset, clips: int, batch: int, weights: LossWeights) -> None:
        self._weights = weights
        self._batches: list[list[_Clip]] = [[]]
        for index in range(clips):
            scene = dataset.scene(index)
            if len(self._batches[-1]) == batch:
                self._batches.append([])
            signals = (scene.mic, scene.ref, scene.target, scene.delay)
            mic, ref, target, delay = (torch.from_numpy(x.copy()) for x in signals)
            self._batches[-1].append(_Clip(mic, ref, target, scene.scenario, delay))

    @torch.no_grad()
    def run(self, model: LocalVQE) -> dict[str, float]:
        """Every figure of COLUMNS; those without a clip are nan. The model is in evaluation mode afterwards.

        ``erle_*`` and ``gain_noise``: dB by which the output is below the microphone, mean and lower quartile over
        clips. ``sisdri``: improvement in SI-SDR, dB. ``level``: output over target in active speech, median, dB.
        ``delay_hit``: share of far-end frames whose strongest lag is within one frame of the true one; nan behind a
        front-end, whose search has it.
        """
        model.eval()
        device = next(model.parameters()).device
        found: dict[str, list[Tensor]] = defaultdict(list)
        for clips in self._batches:
            mic, ref, target = (
                torch.stack([getattr(c, name) for c in clips]).to(device) for name in ("mic", "ref", "target")
            )
            taps: Taps = {}
            out = model(mic, ref, taps)
            for row in range(len(clips)):
                one = slice(row, row + 1)
                loss, parts = enhancement_loss(out[one], target[one], mic[one], self._weights)
                for name, value in {"loss": loss, **parts}.items():
                    found[name].append(value)
                delay = taps["delay"][row] if model.frontend is None else None
                self._score(found, clips[row], mic[row], target[row], out[row], delay)
        return {name: _summary(name, found) for name in COLUMNS}

    def _score(
        self,
        found: dict[str, list[Tensor]],
        clip: _Clip,
        mic: Tensor,
        target: Tensor,
        out: Tensor,
        delay: Tensor | None,
    ) -> None:
        start = int(_SETTLE * MODEL_RATE)
        mic, target, out = mic[None, start:], target[None, start:], out[None, start:]
        assert clip.scenario in SCENARIOS
        if clip.scenario in ("doubletalk", "nearend") and target.square().mean() > 1e-4 * mic.square().mean():
            before = si_sdr(mic, target)[0]
            found[f"sisdr_mic_{clip.scenario}"].append(before)
            found[f"sisdri_{clip.scenario}"].append(si_sdr(out, target)[0] - before)
            found[f"level_{clip.scenario}"].append(level_error(out, target)[0])
        elif clip.scenario in ("farend", "noise"):
            drop = (_db(mic.square().mean()) - _db(out.square().mean())).clamp(max=80.0)
            found["erle_farend" if clip.scenario == "farend" else "gain_noise"].append(drop)
        if clip.scenario == "farend" and delay is not None:
            true = clip.delay[: len(delay)].to(delay.device) / HOP
            known = (true >= 0) & (true <= delay.shape[1] - 1)
            if known.any():
                lag = delay.shape[1] - 1 - delay.argmax(dim=1)
                found["delay_hit"].append(((lag - true).abs() <= 1.5)[known].float().mean())


def _db(power: Tensor) -> Tensor:
    return 10 * torch.log10(power + _EPS)


def _summary(name: str, found: dict[str, list[Tensor]]) -> float:
    base = name.removesuffix("_p25")
    if not found[base]:
        return float("nan")
    values = torch.stack(found[base])
    if name.endswith("_p25"):
        return float(values.quantile(0.25))
    return float(values.median() if name.startswith("level") else values.mean())
