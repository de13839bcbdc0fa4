"""Encoder and decoder blocks against loops written from the report's equations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from reference_models import noise
from torch import nn

from localvqe_cli.reference import History
from localvqe_cli.reference.conv_block import CausalConv2d, EncoderBlock
from localvqe_cli.reference.decoder_block import DecoderBlock, shuffle_frequency
from localvqe_cli.reference.norm import CausalGroupNorm

Array = NDArray[np.float64]


def _conv_loop(x: Array, conv: nn.Conv2d, stride: int) -> Array:
    """Time-causal convolution, one output at a time: x (I, T, F)."""
    weight = conv.weight.detach().double().numpy()
    bias = conv.bias.detach().double().numpy()
    out_channels, _, height, width = weight.shape
    _, frames, bins = x.shape
    padded = np.pad(x, ((0, 0), (height - 1, 0), ((width - 1) // 2, width - 1 - (width - 1) // 2)))
    out = np.zeros((out_channels, frames, -(-bins // stride)))
    for o, t, f in np.ndindex(*out.shape):
        patch = padded[:, t : t + height, f * stride : f * stride + width]
        out[o, t, f] = np.sum(weight[o] * patch) + bias[o]
    return out


def _norm_loop(x: Array, norm: CausalGroupNorm) -> Array:
    gamma, beta = norm.weight.detach().double().numpy(), norm.bias.detach().double().numpy()
    out = np.empty_like(x)
    for t in range(x.shape[1]):
        frame = x[:, t]
        out[:, t] = (frame - frame.mean()) / np.sqrt(frame.var() + 1e-5)
    return gamma[:, None, None] * out + beta[:, None, None]


def _batch_norm_loop(x: Array, bn: nn.BatchNorm2d) -> Array:
    mean, var, gamma, beta = (
        v.detach().double().numpy()[:, None, None] for v in (bn.running_mean, bn.running_var, bn.weight, bn.bias)
    )
    return (x - mean) / np.sqrt(var + 1e-5) * gamma + beta


def _activation_loop(x: Array, version: int) -> Array:
    if version == 1:
        return np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1)
    return np.clip(x, 0, 6) if version == 2 else x / (1 + np.exp(-x))


def _unit_loop(x: Array, unit: nn.Module, version: int, stride: int) -> Array:
    if version == 1:
        return _activation_loop(_batch_norm_loop(_conv_loop(x, unit.conv, stride), unit.bn), version)
    return _activation_loop(_conv_loop(_norm_loop(x, unit.norm), unit.conv, stride), version)


def _randomise(module: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(7)
    for name, tensor in module.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        draw = torch.randn(tensor.shape, generator=generator) * 0.5
        tensor.copy_(draw.abs() + 0.5 if name.endswith("running_var") else draw)
    return module.eval()


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("kernel", [(4, 4), (3, 3), (1, 2)])
def test_encoder_block(version: int, kernel: tuple[int, int]) -> None:
    block = _randomise(EncoderBlock(version, 3, 5, kernel))
    x = noise(1, 3, 6, 8, level=3.0)
    y = _unit_loop(x[0].double().numpy(), block, version, 2)
    expected = _unit_loop(y, block.resblock, version, 1) + y
    np.testing.assert_allclose(block(x).detach()[0].numpy(), expected, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("last", [False, True])
def test_decoder_block(version: int, last: bool) -> None:
    block = _randomise(DecoderBlock(version, 4, 3, (4, 4), last=last))
    x, encoded = noise(1, 4, 5, 6, seed=1, level=2.0), noise(1, 4, 5, 6, seed=2, level=2.0)
    skip = encoded[0].double().numpy()
    if version > 1:
        skip = _norm_loop(skip, block.skip_norm)
    y = x[0].double().numpy() + _conv_loop(skip, block.skip_conv, 1)
    y = _unit_loop(y, block.resblock, version, 1) + y
    if version > 1:
        y = _norm_loop(y, block.deconv.norm)
    doubled = _conv_loop(y, block.deconv.conv, 1)
    expected = np.concatenate([doubled[:3], doubled[3:]], axis=2)  # the lower half of the band, then the upper
    if not last:
        if version == 1:
            expected = _batch_norm_loop(expected, block.bn)
        expected = _activation_loop(expected, version)
    np.testing.assert_allclose(block(x, encoded).detach()[0].numpy(), expected, atol=5e-5, rtol=1e-5)


def test_sub_pixel_step_concatenates() -> None:
    x = torch.arange(8.0).reshape(1, 4, 1, 2)  # channels (0 1) (2 3) (4 5) (6 7)
    assert shuffle_frequency(x).tolist() == [[[[0.0, 1.0, 4.0, 5.0]], [[2.0, 3.0, 6.0, 7.0]]]]


def test_norm_of_a_frame_ignores_all_others() -> None:
    norm = CausalGroupNorm(4)
    x = noise(2, 4, 5, 6)
    changed = x.clone()
    changed[:, :, 3] += 10.0
    same = [0, 1, 2, 4]
    assert torch.equal(norm(x)[:, :, same], norm(changed)[:, :, same])


def test_norm_keeps_single_precision_statistics_under_autocast() -> None:
    norm = CausalGroupNorm(8)
    x = noise(1, 8, 4, 64) + 100.0  # a large mean: in bfloat16 the variance would be rounding noise
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = norm(x)
    torch.testing.assert_close(out, norm(x), atol=1e-4, rtol=0)


def test_a_convolution_fed_frame_by_frame_sees_its_past() -> None:
    conv = CausalConv2d(3, 2, (4, 4), stride=2)
    x = noise(1, 3, 9, 8)
    history = History()
    pieces = [conv(piece, history) for piece in x.split([1, 1, 5, 2], dim=2)]
    torch.testing.assert_close(torch.cat(pieces, dim=2), conv(x), atol=1e-6, rtol=0)
    history.reset()
    torch.testing.assert_close(conv(x[:, :, :1], history), conv(x[:, :, :1]), atol=1e-6, rtol=0)
