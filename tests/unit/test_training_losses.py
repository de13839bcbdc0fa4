"""Losses, fused operators, averages and the learning rate."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from localvqe_cli.reference import LocalVQE
from localvqe_cli.training.ema import WeightAverage
from localvqe_cli.training.fused import fuse
from localvqe_cli.training.initial import new_model
from localvqe_cli.training.losses import LossWeights, delay_loss, enhancement_loss
from localvqe_cli.training.optim import Schedule, make_optimizer, set_rate
from localvqe_cli.training.presets import WIDTHS, preset
from localvqe_cli.training.validation import level_error, si_sdr


def noise(seed: int, samples: int = 8000, batch: int = 1) -> Tensor:
    return 0.1 * torch.randn(batch, samples, generator=torch.Generator().manual_seed(seed))


def speech(seed: int = 0) -> Tensor:
    """Bursts of a chord with pauses."""
    time = torch.arange(8000) / 16000
    gate = (torch.sin(2 * math.pi * 4 * time) > 0).float()
    return (0.1 * gate * sum(torch.sin(2 * math.pi * f * time + seed) for f in (200.0, 450.0, 1100.0)))[None]


def total(estimate: Tensor, target: Tensor, mic: Tensor) -> float:
    return float(enhancement_loss(estimate, target, mic)[0])


def test_nothing_beats_the_target() -> None:
    target = speech()
    mic = target + noise(1)
    best = total(target, target, mic)
    for worse in (mic, torch.zeros_like(mic), 0.5 * target, 2.0 * target, target.roll(8, -1), -target):
        assert total(worse, target, mic) > best + 0.05


def test_loss_does_not_depend_on_the_level() -> None:
    target, other = speech(), noise(1)
    mic = target + other
    loud = total(target + 0.3 * other, target, mic)
    for gain in (0.03, 3.0):
        assert total(gain * (target + 0.3 * other), gain * target, gain * mic) == pytest.approx(loud, rel=2e-3)


def test_losing_speech_costs_more_than_leaving_as_much_noise() -> None:
    target = speech()
    mic = target + 0.01 * noise(1)
    _, soft = enhancement_loss(0.5 * target, target, mic)
    _, loud = enhancement_loss(1.734 * target, target, mic)  # as far away in magnitude to the power 0.3
    assert soft["compressed"] > 1.05 * loud["compressed"]


def test_silence_is_rewarded_where_nobody_speaks_and_only_there() -> None:
    mic, nothing = noise(1), torch.zeros(1, 8000)
    steps = [float(enhancement_loss(g * mic, nothing, mic)[1]["silence"]) for g in (1.0, 0.1, 0.01, 1e-4)]
    assert steps[0] == pytest.approx(5.0, abs=1e-3)
    assert steps[1] == pytest.approx(3.0, abs=1e-2)
    assert steps[2] < 1.2
    assert steps[3] == pytest.approx(0.0, abs=0.05)
    assert float(enhancement_loss(mic, mic, mic)[1]["silence"]) == 0.0


def test_level_is_in_the_loss() -> None:
    """An error of 6 dB costs plainly more than the power 0.3 alone would charge."""
    target = speech()
    mic = target + 0.1 * noise(1)
    gains = [1.0, 0.9, 0.7, 0.5, 0.25]
    costs = [total(g * target, target, mic) for g in gains]
    assert costs == sorted(costs)
    assert costs[3] - costs[0] > 0.3


@pytest.mark.parametrize("what", ["all", "mic", "target", "estimate"])
def test_digital_silence_has_a_finite_gradient(what: str) -> None:
    parts = {name: noise(i) for i, name in enumerate(("estimate", "target", "mic"))}
    for name in parts:
        if what in ("all", name):
            parts[name] = torch.zeros(1, 8000)
    parts["estimate"].requires_grad_(True)
    loss, _ = enhancement_loss(**parts)
    loss.backward()
    assert torch.isfinite(loss)
    assert parts["estimate"].grad is not None
    assert torch.isfinite(parts["estimate"].grad).all()


def test_delay_loss_reads_lags_oldest_first() -> None:
    attention = torch.full((1, 3, 8), 1e-6)
    attention[0, 0, 8 - 1 - 2] = 1.0  # two frames back
    attention[0, 1, 8 - 1 - 5] = 1.0
    attention[0, 2, 0] = 1.0
    right = torch.tensor([[2 * 256 + 30, 4 * 256 + 200, -1]])
    assert float(delay_loss(attention, right)) == pytest.approx(0.0, abs=1e-3)
    wrong = torch.tensor([[3 * 256, 6 * 256, 99 * 256]])
    assert float(delay_loss(attention, wrong)) > 8.0
    assert float(delay_loss(attention, torch.full((1, 3), -1))) == 0.0


def test_one_clip_does_not_drown_another() -> None:
    """A batch's loss is close to the mean of its clips', however different their levels."""
    targets = torch.cat([speech(0), 0.01 * speech(1)])
    mics = targets + torch.cat([noise(1), 0.01 * noise(2)])
    weights = LossWeights(sdr=0.0, silence=0.0)
    both = enhancement_loss(mics, targets, mics, weights)[0]
    each = [enhancement_loss(mics[i : i + 1], targets[i : i + 1], mics[i : i + 1], weights)[0] for i in range(2)]
    assert float(both) == pytest.approx(float(sum(each)) / 2, rel=1e-4)


def test_validation_measures() -> None:
    target = speech()
    error = noise(3)
    error = error - (error * target).sum() / target.square().sum() * target
    error = error * (target.norm() / error.norm()) * 0.1
    assert float(si_sdr(0.3 * (target + error), target)) == pytest.approx(20.0, abs=0.01)
    assert float(level_error(0.5 * target, target)) == pytest.approx(-6.02, abs=0.01)


# -- fused operators --------------------------------------------------------------------------


@pytest.mark.parametrize("arch", [1, 2, 3])
def test_fused_model_is_the_reference(arch: int) -> None:
    torch.manual_seed(arch)
    plain = LocalVQE(preset("micro", arch=arch, dmax=8)).double()
    with torch.no_grad():
        for p in plain.parameters():
            if p.requires_grad:
                p.add_(0.1 * torch.randn_like(p))
    fused = LocalVQE(plain.config).double()
    fused.load_state_dict(plain.state_dict())
    fuse(fused)
    assert list(fused.state_dict()) == list(plain.state_dict())
    mic, ref, weight = (noise(i, 4000, 2).double() for i in range(3))
    outputs = []
    for model in (plain, fused):
        out = model(mic, ref)
        (out * weight).sum().backward()
        outputs.append(out.detach())
    assert torch.allclose(outputs[0], outputs[1], atol=1e-6)
    ours = dict(fused.named_parameters())
    for name, parameter in plain.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None
            assert ours[name].grad is not None
            error = (ours[name].grad - parameter.grad).abs().max()
            assert error <= 1e-6 * parameter.grad.abs().max() + 1e-12, name


# -- optimizer --------------------------------------------------------------------------------


def test_schedule() -> None:
    schedule = Schedule(1e-3, warmup=10)
    assert schedule.at(0) == pytest.approx(1e-4)
    assert schedule.at(9) == schedule.at(100_000) == 1e-3
    falling = Schedule(1e-3, 10, decay_start=100, decay_steps=50)
    rates = [falling.at(step) for step in range(100, 160)]
    assert falling.at(99) == 1e-3
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(1e-5)


def test_every_trainable_parameter_is_optimized_once_and_the_bases_never() -> None:
    model = new_model(preset("micro"), 1)
    optimizer = make_optimizer(model)
    held = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert len(held) == len(set(held))
    assert set(held) == {id(p) for p in model.parameters() if p.requires_grad}
    assert id(model.encoder.conv.weight) not in held
    set_rate(optimizer, 0.5)
    assert {group["lr"] for group in optimizer.param_groups} == {0.5, 0.1}


def test_average_follows_the_weights() -> None:
    model = torch.nn.Linear(2, 1)
    average = WeightAverage(model, 0.9)
    with torch.no_grad():
        model.weight.fill_(1.0)
    for _ in range(300):
        average.update(model)
    assert torch.allclose(average.state["weight"], torch.ones(1, 2), atol=1e-3)
    copy = WeightAverage(model, 0.9)
    copy.load(average.state, average.updates)
    assert copy.updates == 300
    assert copy.state["weight"] is not average.state["weight"]


@pytest.mark.parametrize("width", list(WIDTHS))
def test_a_new_model_passes_the_microphone(width: str) -> None:
    mic = speech()
    with torch.no_grad():
        out = new_model(preset(width), 1)(mic, noise(2))
    assert float(si_sdr(out[:, 512:-512], mic[:, 512:-512])) > 25.0


def test_a_new_model_already_looks_for_the_delay() -> None:
    """With the correlated start the attention finds white noise in its own delayed copy."""
    model = new_model(preset("tiny"), 1)
    ref = noise(1, 32000)
    lag = 9
    mic = torch.nn.functional.pad(ref, (lag * 256, 0))[:, :32000]
    taps: dict[str, Tensor] = {}
    with torch.no_grad():
        model(mic, ref, taps)
    found = taps["delay"].shape[2] - 1 - taps["delay"][0, 40:].argmax(dim=1)
    assert ((found - lag).abs() <= 1).float().mean() > 0.9
