"""The choice of types: greedy, bounded, and honest about what it reached."""

from __future__ import annotations

import numpy as np
import pytest
from make_model import narrow_config

from localvqe_cli.quantization.formats import choices
from localvqe_cli.quantization.plan import MAX_F32_SHARE, Candidate, built_in_plan, search
from localvqe_cli.tensors import quantizable_shapes

SHAPE = (40, 40, 4, 4)
#: Noise power by type, relative to the coarsest.
STEPS = {"Q4_K": 1.0, "Q5_K": 0.25, "Q6_K": 0.07, "Q8_0": 0.004, "F32": 0.0}


def candidate(db: float, shape: tuple[int, ...] = SHAPE, target: str = "Q4_K") -> Candidate:
    """A tensor that alone leaves ``db`` dB in its coarsest type."""
    kinds = choices(shape, target)
    return Candidate(shape, {k: np.full(2, 10 ** (-db / 10)) * STEPS[k] / STEPS[kinds[0]] for k in kinds})


def measured(candidates: dict[str, Candidate], factor: float = 1.0):
    return lambda plan: factor * np.sum([candidates[n].noise[k] for n, k in plan.items()], axis=0)


def test_a_bound_that_holds_already_raises_nothing() -> None:
    candidates = {"a": candidate(30), "b": candidate(40)}
    found = search(candidates, "Q4_K", 25, measured(candidates))
    assert found.met
    assert set(found.plan.values()) == {"Q4_K"}
    assert found.steps == []


def test_the_tensor_that_hurts_is_raised_first_and_no_further_than_needed() -> None:
    candidates = {"quiet": candidate(50), "loud": candidate(20), "middling": candidate(32)}
    found = search(candidates, "Q4_K", 24.5, measured(candidates))
    assert found.met
    assert found.snr.min() >= 24.5
    assert found.plan == {"quiet": "Q4_K", "loud": "Q5_K", "middling": "Q4_K"}


def test_of_two_that_hurt_alike_the_smaller_is_raised() -> None:
    candidates = {"large": candidate(25, (80, 80, 4, 4)), "small": candidate(25, (16, 16, 4, 4))}
    found = search(candidates, "Q4_K", 24, measured(candidates))
    assert found.met
    assert found.plan["large"] == "Q4_K"
    assert found.plan["small"] != "Q4_K"


def test_a_prediction_that_was_too_kind_is_corrected() -> None:
    candidates = {name: candidate(35) for name in "abcdef"}
    found = search(candidates, "Q4_K", 30, measured(candidates, factor=4.0))
    assert found.met
    assert found.snr.min() >= 30


@pytest.mark.parametrize("target", ["Q8_0", "Q4_K"])
def test_a_bound_out_of_reach_gives_the_best_and_leaves_half_quantized(target: str) -> None:
    candidates = {name: candidate(30, target=target) for name in "abcd"}
    found = search(candidates, target, 150, measured(candidates))
    assert not found.met
    in_f32 = [kind for kind in found.plan.values() if kind == "F32"]
    assert len(in_f32) == MAX_F32_SHARE * 4
    assert all(kind == "Q8_0" for kind in found.plan.values() if kind != "F32")


def test_the_worst_clip_counts() -> None:
    kinds = choices(SHAPE, "Q4_K")
    first = Candidate(SHAPE, {k: np.array([1e-2, 1e-9]) * STEPS[k] for k in kinds})
    second = Candidate(SHAPE, {k: np.array([1e-9, 2e-3]) * STEPS[k] for k in kinds})
    candidates = {"first": first, "second": second}
    found = search(candidates, "Q4_K", 25, measured(candidates))
    assert found.plan == {"first": "Q5_K", "second": "Q4_K"}


@pytest.mark.parametrize("version", [1, 3])
def test_the_built_in_choice_is_no_coarser_than_asked(version: int) -> None:
    shapes = quantizable_shapes(narrow_config(version, mic_channels=(2, 32, 40, 40, 40, 40), far_channels=(2, 32, 40)))
    assert set(built_in_plan(shapes, "Q8_0").values()) <= {"Q8_0", "F32"}
    plan = built_in_plan(shapes, "Q4_K")
    assert list(plan) == list(shapes)
    assert plan["mic_enc5.conv.weight"] == "Q4_K"
    assert plan["dec1.deconv.conv.weight"] == "Q6_K"  # next to the output, and sensitive on every model measured
    assert all(plan[name] in choices(shape, "Q4_K") for name, shape in shapes.items())
