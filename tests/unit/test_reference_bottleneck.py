"""The S4D bottleneck against the recurrence written out, and its bounds."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from make_model import narrow_config
from reference_models import noise
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from localvqe_cli.config import ModelConfig
from localvqe_cli.reference import History
from localvqe_cli.reference.bottleneck import CHUNK, S4D


def _parameters(block: S4D) -> dict[str, np.ndarray]:
    return {name: value.detach().double().numpy() for name, value in block.state_dict().items()}


def _s4d_loop(block: S4D, x: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Report equations 8 to 12 for one clip x (C, T, F'): the output and every state (T, H)."""
    p = _parameters(block)
    rate = np.maximum(np.log1p(np.exp(p["A_log_rate"])), 0.01)
    a = np.exp(-rate) * np.exp(1j * p["A_theta"])
    b, c = p["B_real"] + 1j * p["B_imag"], p["C_real"] + 1j * p["C_imag"]
    channels, frames, bins = x.shape
    h = np.zeros(len(a), dtype=complex)
    out, states = np.empty((channels, frames, bins)), []
    for t in range(frames):
        u = x[:, t].double().numpy().reshape(-1)
        v = p["input_proj.weight"] @ u + p["input_proj.bias"]
        h = a * h + b * v
        states.append(h)
        o = p["output_proj.weight"] @ (c * h).real + p["output_proj.bias"] + p["D"] * u
        out[:, t] = o.reshape(channels, bins)
    return out, np.array(states)


@pytest.fixture
def block() -> S4D:
    torch.manual_seed(0)
    module = S4D(narrow_config(2))
    with torch.no_grad():
        module.A_log_rate[0] = -20.0  # slower than the bound allows
        module.D.normal_()
    return module


@pytest.mark.parametrize("frames", [1, 7, CHUNK, CHUNK + 1, 3 * CHUNK + 5])
def test_recurrence(block: S4D, frames: int) -> None:
    x = noise(2, 7, frames, 8, level=1.0)
    out = block(x).detach().numpy()
    for i in range(2):
        np.testing.assert_allclose(out[i], _s4d_loop(block, x[i])[0], atol=2e-5)


def test_recurrence_has_the_gradients_of_a_loop(block: S4D) -> None:
    block = block.double()
    x = noise(1, 7, CHUNK + 9, 8, level=1.0).double()

    def loop(x: Tensor) -> Tensor:
        rate = torch.nn.functional.softplus(block.A_log_rate).clamp(min=0.01)
        a = torch.polar(torch.exp(-rate), block.A_theta)
        b, c = torch.complex(block.B_real, block.B_imag), torch.complex(block.C_real, block.C_imag)
        u = x.transpose(1, 2).flatten(2)
        h = torch.zeros(1, len(a), dtype=a.dtype)
        out = []
        for t in range(u.shape[1]):
            h = a * h + b * block.input_proj(u[:, t])
            out.append(block.output_proj((c * h).real) + block.D * u[:, t])
        return torch.stack(out, dim=1).unflatten(2, x.shape[1::2]).transpose(1, 2)

    gradients = []
    for function in (block, loop):
        block.zero_grad()
        function(x).square().sum().backward()
        gradients.append([p.grad.clone() for p in block.parameters()])
    torch.testing.assert_close(gradients[0], gradients[1])


def test_pieces_of_any_length_equal_the_clip(block: S4D) -> None:
    x = noise(1, 7, 150, 8, level=1.0)
    history = History()
    pieces = [block(piece, history) for piece in x.split([1, 1, CHUNK, 70, 14], dim=2)]
    torch.testing.assert_close(torch.cat(pieces, dim=2), block(x), atol=2e-5, rtol=0)


def test_no_future_frame_is_seen(block: S4D) -> None:
    x = noise(1, 7, 100, 8)
    changed = x.clone()
    changed[:, :, 90:] = 1e6
    assert torch.equal(block(x)[:, :, :90], block(changed)[:, :, :90])


def test_the_number_of_operations_does_not_grow_with_every_frame(block: S4D) -> None:
    class Count(TorchDispatchMode):
        calls = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            self.calls += 1
            return func(*args, **(kwargs or {}))

    counts = []
    for frames in (4 * CHUNK, 16 * CHUNK):
        x = noise(1, 7, frames, 8)
        with Count() as count:
            block(x).sum().backward()
        counts.append(count.calls)
    assert counts[1] - counts[0] < 12 * CHUNK / 2


def test_under_autocast_the_recurrence_stays_in_single_precision() -> None:
    torch.manual_seed(0)
    block = S4D(ModelConfig(version=2, mic_channels=(2, 4, 4, 4, 4, 4), bottleneck_hidden=32))
    with torch.no_grad():  # projections that reduced precision does not touch, and the slowest decay
        for projection in (block.input_proj, block.output_proj):
            projection.weight.copy_(torch.eye(32))
            projection.bias.zero_()
        block.A_log_rate.fill_(-20.0)
        block.A_theta.zero_()
        block.D.zero_()
    x = torch.full((1, 4, 400, 8), 0.25)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = block(x)
    torch.testing.assert_close(mixed.float(), block(x), rtol=0.02, atol=1e-3)


def test_at_initialisation_an_impulse_leaves_states_within_the_largest_input_gain() -> None:
    """Report 5.2. One frame drives every state by at most one; no later state exceeds ||b||."""
    torch.manual_seed(0)
    block = S4D(ModelConfig(version=2))
    x = torch.zeros(1, 40, 300, 8)
    x[:, :, 0] = noise(40, 8, level=1.0)
    with torch.no_grad():
        block.input_proj.bias.zero_()
        v = block.input_proj(x[0, :, 0].flatten()).abs().max()
    _, states = _s4d_loop(block, x[0] / v)
    gain = torch.complex(block.B_real, block.B_imag).detach().abs().max()
    assert np.abs(states).max() <= float(gain) * (1 + 1e-6)


def test_initialisation_is_the_reports() -> None:
    torch.manual_seed(0)
    block = S4D(ModelConfig(version=2, bottleneck_hidden=4000), gain_std=0.05)
    assert -6 <= block.A_log_rate.min() < -5.9
    assert 1.9 < block.A_log_rate.max() <= 2
    torch.testing.assert_close(block.A_theta, torch.linspace(0, math.pi, 4000))
    for name in ("B_real", "B_imag", "C_real", "C_imag"):
        assert float(getattr(block, name).detach().std()) == pytest.approx(0.05, rel=0.1)
    assert torch.equal(block.D, torch.ones(320))
