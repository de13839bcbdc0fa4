"""The whole reference model: names, counts, causality, the pass-through start, gradients, streaming."""

from __future__ import annotations

import pytest
import torch
from make_model import V13, narrow_config
from reference_models import noise, random_model
from torch import Tensor

from localvqe_cli import tensors
from localvqe_cli.config import ModelConfig
from localvqe_cli.errors import CheckpointError, UsageError
from localvqe_cli.reference import LocalVQE, StreamingLocalVQE

VERSIONS = (1, 2, 3)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("changes", [{}, {"dmax": 40, "kernel_size_h": 3, "kernel_size_w": 5}])
def test_state_dict_is_the_table_in_order(version: int, changes: dict[str, int]) -> None:
    config = narrow_config(version, **changes)
    shapes = {name: tuple(value.shape) for name, value in LocalVQE(config).state_dict().items()}
    assert list(shapes.items()) == list(tensors.state_dict_shapes(config).items())


@pytest.mark.parametrize(
    ("config", "count"),
    [
        (ModelConfig(version=1), 1_290_453),
        (ModelConfig(version=2), 1_290_845),
        (ModelConfig(version=3, dmax=64), 1_290_845),
        (V13, 4_814_655),
    ],
)
def test_parameter_counts_are_the_published_ones(config: ModelConfig, count: int) -> None:
    assert LocalVQE(config).parameter_count() == count


@pytest.mark.parametrize("version", VERSIONS)
def test_both_bases_are_frozen_and_only_they(version: int) -> None:
    frozen = [name for name, p in LocalVQE(narrow_config(version)).named_parameters() if not p.requires_grad]
    assert frozen == [tensors.ENCODER_BASIS, tensors.DECODER_BASIS]


def _other_states_are_refused(state: dict[str, Tensor], expected: str) -> None:
    with pytest.raises(CheckpointError, match=expected) as caught:
        LocalVQE.from_state(narrow_config(2), state)
    assert "\n" not in str(caught.value)


def test_a_state_dict_must_fit_exactly() -> None:
    good = random_model(narrow_config(2)).state_dict()
    _other_states_are_refused({k: v for k, v in good.items() if k != "align.temperature"}, "align.temperature")
    _other_states_are_refused({**good, "surprise": torch.zeros(1)}, "surprise")
    _other_states_are_refused({**good, "bottleneck.D": torch.zeros(3)}, "bottleneck.D")


@pytest.mark.parametrize(("version", "least_snr"), [(1, 100.0), (2, 35.0), (3, 35.0)])
def test_a_fresh_model_passes_the_microphone_through(version: int, least_snr: float) -> None:
    torch.manual_seed(1)
    model = LocalVQE(narrow_config(version)).eval()
    # The band of speech: the STFT codec drops the constant part and half of the Nyquist bin.
    bins = torch.fft.rfft(noise(1, 16000, seed=1))
    bins[:, :120], bins[:, 7000:] = 0, 0
    mic = torch.fft.irfft(bins)
    with torch.no_grad():
        out = model(mic, noise(1, 16000, seed=2))
    inner = slice(512, -512)
    error = (out - mic)[:, inner].square().mean()
    assert 10 * torch.log10(mic[:, inner].square().mean() / error) > least_snr


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("samples", [1, 256, 300, 2048])
def test_output_is_as_long_as_the_input_whatever_the_length(version: int, samples: int) -> None:
    model = random_model(narrow_config(version))
    mic, ref = noise(2, samples, seed=1), noise(2, samples, seed=2)
    whole = -samples % 256
    with torch.no_grad():
        out = model(mic, ref)
        padded = model(*(torch.nn.functional.pad(x, (0, whole)) for x in (mic, ref)))
    assert out.shape == mic.shape
    assert torch.equal(out, padded[:, :samples])


@pytest.mark.parametrize("version", VERSIONS)
def test_clips_of_a_batch_do_not_meet(version: int) -> None:
    model = random_model(narrow_config(version))
    mic, ref = noise(3, 2560, seed=1), noise(3, 2560, seed=2)
    with torch.no_grad():
        together = model(mic, ref)
        alone = torch.cat([model(mic[i : i + 1], ref[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, atol=2e-5, rtol=0)


@pytest.mark.parametrize("version", VERSIONS)
def test_output_depends_on_at_most_one_hop_of_future(version: int) -> None:
    model = random_model(narrow_config(version))
    mic, ref = noise(1, 5120, seed=1), noise(1, 5120, seed=2)
    later_mic, later_ref = mic.clone(), ref.clone()
    later_mic[:, 2560:] = noise(1, 2560, seed=3)
    later_ref[:, 2560:] = noise(1, 2560, seed=4)
    with torch.no_grad():
        difference = (model(mic, ref) - model(later_mic, later_ref)).abs()[0]
    assert difference[: 2560 - 256].max() < 1e-6
    assert difference[2560 - 256 : 2560].max() > 1e-6


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("autocast", [False, True])
def test_every_trainable_parameter_receives_a_gradient(version: int, autocast: bool) -> None:
    model = random_model(narrow_config(version)).train()
    mic, ref, clean = (noise(2, 8192, seed=s) for s in (1, 2, 3))
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        out = model(mic, ref)
    assert out.dtype == torch.float32
    (out - clean).square().mean().backward()
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            assert parameter.grad is None
            continue
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        # The same constant added to every lag does not change a softmax.
        if name != "align.conv.1.bias":
            assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("version", VERSIONS)
def test_autocast_stays_close_to_single_precision(version: int) -> None:
    model = random_model(narrow_config(version))
    mic, ref = noise(1, 8192, seed=1), noise(1, 8192, seed=2)
    with torch.no_grad():
        exact = model(mic, ref)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            mixed = model(mic, ref)
    assert (mixed - exact).square().mean() < 1e-3 * exact.square().mean()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_stream_is_the_clip_one_hop_later(version: int) -> None:
    model = random_model(narrow_config(version, dmax=9))
    mic, ref = noise(1, 40 * 256, seed=1), noise(1, 40 * 256, seed=2)
    taps: dict[str, Tensor] = {}
    with torch.no_grad():
        clip = model(mic, ref, taps)
    stream = StreamingLocalVQE(model)
    hops = []
    for t, (m, r) in enumerate(zip(mic[0].split(256), ref[0].split(256), strict=True)):
        hops.append(stream.process_hop(m, r))
        for name, tap in stream.taps().items():
            whole = taps[name][0, t] if name == "delay" else taps[name][0, :, t]
            torch.testing.assert_close(tap, whole, atol=1e-4, rtol=1e-4, msg=lambda text, n=name: f"{n}: {text}")
    flushed = stream.process_hop(torch.zeros(256), torch.zeros(256))
    torch.testing.assert_close(torch.cat([*hops[1:], flushed])[None], clip, atol=2e-5, rtol=0)


def test_two_streams_share_a_model_without_meeting_and_can_start_again() -> None:
    model = random_model(narrow_config(3))
    mic, ref = noise(12, 256, seed=1), noise(12, 256, seed=2)
    alone = StreamingLocalVQE(model)
    expected = [alone.process_hop(m, r) for m, r in zip(mic, ref, strict=True)]
    first, second = StreamingLocalVQE(model), StreamingLocalVQE(model)
    for t in range(12):
        assert torch.equal(first.process_hop(mic[t], ref[t]), expected[t])
        second.process_hop(ref[t], mic[t])
    first.reset()
    assert first.taps() == {}
    assert torch.equal(first.process_hop(mic[0], ref[0]), expected[0])


def test_a_hop_has_256_samples() -> None:
    stream = StreamingLocalVQE(random_model(narrow_config(2)))
    with pytest.raises(UsageError, match="256"):
        stream.process_hop(torch.zeros(255), torch.zeros(255))


@pytest.mark.parametrize("shapes", [((1, 100), (1, 101)), ((100,), (100,)), ((1, 0), (1, 0))])
def test_unequal_or_empty_clips_are_refused(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(UsageError, match=r"\(B, N\)"):
        LocalVQE(narrow_config(2))(torch.zeros(shapes[0]), torch.zeros(shapes[1]))
