"""The AlignBlock against loops over lags, and what it is for: finding a delay."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from make_model import narrow_config
from reference_models import noise
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from localvqe_cli.config import ModelConfig
from localvqe_cli.reference import History, LocalVQE
from localvqe_cli.reference.align import AlignBlock, band_mix, band_similarity


def _align_loop(block: AlignBlock, mic: Tensor, ref: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Report equations 4 to 7 with d counted as the report does, for one clip: mic, ref (C, T, F)."""

    def project(x: Tensor, conv: torch.nn.Conv2d) -> np.ndarray:
        weight = conv.weight.detach().double().numpy()[:, :, 0, 0]
        bias = conv.bias.detach().double().numpy()
        return np.einsum("hc,ctf->htf", weight, x.double().numpy()) + bias[:, None, None]

    query, key = project(mic, block.pconv_mic), project(ref, block.pconv_ref)
    hidden, frames, bins = query.shape
    lags = block.dmax
    similarity = np.zeros((hidden, frames, lags))
    for h, t, d in np.ndindex(hidden, frames, lags):
        if t - d >= 0:
            similarity[h, t, d] = np.dot(query[h, t], key[h, t - d]) / np.sqrt(bins)

    weight = block.conv[1].weight.detach().double().numpy()[0]
    bias = float(block.conv[1].bias.detach())
    delay = np.zeros((frames, lags))
    for t in range(frames):
        logits = np.full(lags, bias)
        for d in range(lags):
            for i, j in np.ndindex(5, 3):
                # Oldest first: a kernel column further right means a smaller d.
                past, lag = t + i - 4, d - (j - 1)
                if past >= 0 and 0 <= lag < lags:
                    logits[d] += np.dot(weight[:, i, j], similarity[:, past, lag])
        logits /= float(block.temperature)
        exp = np.exp(logits - logits.max())
        delay[t] = exp / exp.sum()

    x = ref.double().numpy()
    aligned = np.zeros_like(x)
    for t, d in np.ndindex(frames, lags):
        if t - d >= 0:
            aligned[:, t] += delay[t, d] * x[:, t - d]
    return aligned, delay[:, ::-1]


@pytest.mark.parametrize("frames", [1, 2, 5, 13])
@pytest.mark.parametrize("lags", [2, 5, 20])
def test_align_block(frames: int, lags: int) -> None:
    torch.manual_seed(0)
    block = AlignBlock(narrow_config(2, dmax=lags), temperature=0.3)
    mic, ref = noise(1, 4, frames, 8, seed=1, level=1.0), noise(1, 3, frames, 8, seed=2, level=1.0)
    aligned, delay = block(mic, ref)
    expected_aligned, expected_delay = _align_loop(block, mic[0], ref[0])
    np.testing.assert_allclose(delay[0].detach().numpy(), expected_delay, atol=1e-5)
    np.testing.assert_allclose(aligned[0].detach().numpy(), expected_aligned, atol=1e-5)


def test_banded_products_have_the_gradients_of_loops() -> None:
    query, key = noise(2, 7, 3, seed=1).double(), noise(2, 10, 3, seed=2).double()
    weights, value = noise(2, 7, 4, seed=3).double(), noise(2, 10, 3, seed=4).double()

    def similarity_loop(q: Tensor, k: Tensor) -> Tensor:
        return torch.stack([(q * k[:, i : i + 7]).sum(-1) for i in range(4)], dim=-1)

    def mix_loop(w: Tensor, v: Tensor) -> Tensor:
        return torch.stack([w[..., i : i + 1] * v[:, i : i + 7] for i in range(4)]).sum(0)

    for fast, loop, inputs in (
        (lambda q, k: band_similarity(q, k, 4), similarity_loop, (query, key)),
        (band_mix, mix_loop, (weights, value)),
    ):
        results = []
        for function in (fast, loop):
            leaves = [x.clone().requires_grad_() for x in inputs]
            out = function(*leaves)
            out.square().sum().backward()
            results.append((out.detach(), *(leaf.grad for leaf in leaves)))
        torch.testing.assert_close(results[0], results[1])


class _LargestTensor(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = func(*args, **(kwargs or {}))
        for item in out if isinstance(out, tuple | list) else (out,):
            if isinstance(item, Tensor):
                self.numel = max(self.numel, item.numel())
        return out


def test_training_never_holds_a_tensor_over_frames_lags_channels_and_bins() -> None:
    config = ModelConfig(version=3, dmax=64)
    block = AlignBlock(config)
    frames, bins = 128, 64
    mic, ref = (noise(1, 40, frames, bins, seed=s).requires_grad_() for s in (1, 2))
    with _LargestTensor() as largest:
        block(mic, ref)[0].sum().backward()
    assert 0 < largest.numel < frames * config.dmax * 40 * bins / 20


def test_attention_follows_a_delay_of_20_frames() -> None:
    """Report 5.2, with the whole front end: the far end arrives 320 ms later in the microphone."""
    torch.manual_seed(0)
    model = LocalVQE(ModelConfig(version=2)).eval()
    for stage in (1, 2):  # the same feature on both sides
        source = model.get_submodule(f"far_enc{stage}").state_dict()
        model.get_submodule(f"mic_enc{stage}").load_state_dict(source)
    with torch.no_grad():
        model.align.pconv_mic.load_state_dict(model.align.pconv_ref.state_dict())
        smooth = model.align.conv[1]
        smooth.weight.zero_()
        smooth.weight[:, :, -1, 1] = 1.0  # the current frame and the lag itself
    ref = noise(1, 32000)
    mic = torch.nn.functional.pad(ref, (20 * 256, 0))[:, :32000]
    taps: dict[str, Tensor] = {}
    with torch.no_grad():
        model(mic, ref, taps)
    back = 31 - taps["delay"][0].argmax(dim=-1)
    after_onset = back[30:]
    assert ((after_onset - 20).abs() <= 1).float().mean() > 0.95


def test_folding_the_temperature_changes_nothing_but_where_it_is_kept() -> None:
    torch.manual_seed(0)
    block = AlignBlock(narrow_config(3), temperature=0.1)
    mic, ref = noise(1, 4, 6, 8, seed=1), noise(1, 3, 6, 8, seed=2)
    before = block(mic, ref)[1]
    weight = block.conv[1].weight.detach().clone()
    block.fold_temperature()
    assert float(block.temperature) == 1.0
    torch.testing.assert_close(block.conv[1].weight, weight * 10, rtol=1e-6, atol=0)
    torch.testing.assert_close(block(mic, ref)[1], before, atol=1e-5, rtol=0)
    once = {name: value.clone() for name, value in block.state_dict().items()}
    block.fold_temperature()
    assert all(torch.equal(once[name], value) for name, value in block.state_dict().items())


def test_attention_is_single_precision_under_autocast() -> None:
    torch.manual_seed(0)
    block = AlignBlock(narrow_config(3), temperature=0.01)
    similarity = noise(1, 3, 6, 4, level=20.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = block.attention(similarity)
    torch.testing.assert_close(mixed, block.attention(similarity), atol=1e-6, rtol=0)


def test_frame_by_frame_equals_the_clip() -> None:
    torch.manual_seed(0)
    block = AlignBlock(narrow_config(2, dmax=6))
    mic, ref = noise(1, 4, 15, 8, seed=1), noise(1, 3, 15, 8, seed=2)
    aligned, delay = block(mic, ref)
    history = History()
    pieces = [
        block(m, r, history)
        for m, r in zip(mic.split([1, 1, 4, 9], dim=2), ref.split([1, 1, 4, 9], dim=2), strict=True)
    ]
    torch.testing.assert_close(torch.cat([p[0] for p in pieces], dim=2), aligned, atol=1e-6, rtol=0)
    torch.testing.assert_close(torch.cat([p[1] for p in pieces], dim=1), delay, atol=1e-5, rtol=0)
