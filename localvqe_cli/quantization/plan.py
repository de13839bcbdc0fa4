"""Which tensor gets which type."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..gguf_file import QUANTIZED_TYPES
from .formats import F32, choices, stored_bytes
from .measure import snr_db

__all__ = ["Candidate", "Outcome", "built_in_plan", "search"]

Noise = NDArray[np.float64]
Plan = dict[str, str]

#: target -> start of a name -> type. From the calibrated plans of three models (docs/reference/quantization.md): the
#: stages next to input and output, which have most bins and least weights, need finer types; deep ones hardly matter.
BUILT_IN = {
    "Q4_K": {
        "mic_enc1.": "Q6_K",
        "mic_enc2.": "Q6_K",
        "far_enc1.": "Q6_K",
        "far_enc2.": "Q6_K",
        "mic_enc3.conv.": "Q5_K",
        "dec1.": "Q6_K",
    }
}
#: The part of all weights that may be raised back to F32; with more, a file would be quantized in name only.
MAX_F32_SHARE = 0.5
_MAX_ROUNDS = 12
#: Extra dB that the first round asks of the prediction; doubled with each round.
_MARGIN = 0.1


@dataclass(frozen=True)
class Candidate:
    """A tensor that may be quantized.

    Attributes:
        shape: PyTorch shape.
        noise: type -> noise over signal power that this tensor alone puts into the output of each clip, (clips,).
            Types in the order of ``choices``; F32 is zero.
    """

    shape: tuple[int, ...]
    noise: Mapping[str, Noise]


@dataclass
class Outcome:
    """What a search found.

    Attributes:
        plan: name -> type.
        snr: measured dB of each clip, (clips,).
        met: every clip reaches the bound.
        steps: what was raised, in order: (name, from, to).
    """

    plan: Plan
    snr: Noise
    met: bool
    steps: list[tuple[str, str, str]] = field(default_factory=list)


def built_in_plan(shapes: Mapping[str, tuple[int, ...]], target: str) -> Plan:
    """Types without calibration: ``target``, but finer where it hurt every model of docs/reference/quantization.md."""
    finest_first = [F32, *QUANTIZED_TYPES]
    plan = {}
    for name, shape in shapes.items():
        wanted = next((kind for prefix, kind in BUILT_IN.get(target, {}).items() if name.startswith(prefix)), target)
        # The smallest that is no coarser than wanted.
        ladder = choices(shape, target)
        plan[name] = next(kind for kind in ladder if finest_first.index(kind) <= finest_first.index(wanted))
    return plan


def search(
    candidates: Mapping[str, Candidate],
    target: str,
    bound: float,
    measured: Callable[[Plan], Noise],
) -> Outcome:
    """Start with the coarsest types and raise tensors until every clip's SNR reaches ``bound`` dB.

    Errors of different tensors hardly correlate, so their noise adds up: that predicts a plan, and ``measured`` (noise
    over signal power of each clip with the whole plan in place) corrects the prediction. Each step takes the tensor
    that lowers the noise of the clips below the bound most for each byte it costs.

    If the bound cannot be met without raising more than half of the weights to F32, the best plan found is returned.
    """
    plan: Plan = {name: next(iter(c.noise)) for name, c in candidates.items()}
    best: Outcome | None = None
    steps: list[tuple[str, str, str]] = []
    limit = 10 ** (-bound / 10)
    margin = _MARGIN
    for _ in range(_MAX_ROUNDS):
        actual = measured(plan)
        outcome = Outcome(dict(plan), snr_db(actual), bool((actual <= limit).all()), list(steps))
        if outcome.met:
            return outcome
        if best is None or outcome.snr.min() > best.snr.min():
            best = outcome
        correction = actual / np.maximum(_predicted(candidates, plan), 1e-30)
        raised = False
        while (correction * _predicted(candidates, plan)).max() > limit * 10 ** (-margin / 10):
            step = _best_step(candidates, plan, correction, limit * 10 ** (-margin / 10))
            if step is None:
                break
            name, kind = step
            steps.append((name, plan[name], kind))
            plan[name] = kind
            raised = True
        if not raised:
            break
        margin *= 2
    assert best is not None
    return best


def _predicted(candidates: Mapping[str, Candidate], plan: Plan) -> Noise:
    total: Noise = np.sum([candidates[name].noise[kind] for name, kind in plan.items()], axis=0)
    return total


def _best_step(
    candidates: Mapping[str, Candidate], plan: Plan, correction: Noise, limit: float
) -> tuple[str, str] | None:
    """The tensor and type that lower the noise above ``limit`` most for each byte; None if nothing is left to raise."""
    noisy = correction * _predicted(candidates, plan)
    weights = np.where(noisy > limit, correction / limit, 0.0)
    total = sum(math.prod(c.shape) for c in candidates.values())
    in_f32 = sum(math.prod(candidates[name].shape) for name, kind in plan.items() if kind == F32)
    best, best_gain = None, 0.0
    for name, current in plan.items():
        candidate = candidates[name]
        kinds = list(candidate.noise)
        for kind in kinds[kinds.index(current) + 1 :]:
            if kind == F32 and in_f32 + math.prod(candidate.shape) > MAX_F32_SHARE * total:
                continue
            cost = stored_bytes(candidate.shape, kind) - stored_bytes(candidate.shape, current)
            gain = float(weights @ (candidate.noise[current] - candidate.noise[kind])) / cost
            if gain > best_gain:
                best, best_gain = (name, kind), gain
    return best
