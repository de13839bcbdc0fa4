"""The compiled engine and the PyTorch reference side by side, on geometries that no golden vector has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from engine_runs import BACKENDS, by_clip, by_hop, signals, usable_kernels, with_a_note
from make_model import V13, narrow_config, random_gguf, random_state

from localvqe import Enhancer
from localvqe_cli import export, gguf_file
from localvqe_cli.config import FrontendConfig, ModelConfig, ResidualConfig
from localvqe_cli.geometry import MODEL_RATE

torch = pytest.importorskip("torch")

from localvqe_cli.reference import LocalVQE, StreamingLocalVQE  # noqa: E402

GEOMETRIES = {
    "narrow": {},
    "many lags": {"dmax": 130, "align_hidden": 9},
    "two lags": {"dmax": 2, "align_hidden": 1},
    "vector multiples": {
        "mic_channels": (2, 16, 32, 48, 16, 32),
        "far_channels": (2, 16, 16),
        "align_hidden": 16,
        "bottleneck_hidden": 48,
    },
    "one channel": {"mic_channels": (2, 1, 1, 1, 1, 1), "far_channels": (2, 1, 1), "bottleneck_hidden": 1},
    "other kernel": {"kernel_size_h": 2, "kernel_size_w": 3},
    "pointwise kernel": {"kernel_size_h": 1, "kernel_size_w": 1},
    "large kernel": {"kernel_size_h": 8, "kernel_size_w": 8},
    "front-end": {"frontend": FrontendConfig()},
}
#: Before whatever network.
FRONTENDS = {
    "short front-end": {
        "frontend": FrontendConfig(partitions=1, lags=2, iterations=1, transition=1.0, noise_smoothing=0.0)
    },
    "long front-end": {
        "frontend": FrontendConfig(partitions=23, lags=128, iterations=4, process_floor=1.0, noise_weight=1.0)
    },
    "old front-end": {"frontend": FrontendConfig.from_values({"version": 1})},
    "learned gain": {"frontend": FrontendConfig(gain_hidden=5)},
}
#: Front-ends without a network.
ALONE = {
    "filter": {"frontend": FrontendConfig()},
    "filter and gain": {"frontend": FrontendConfig(gain_hidden=16), "residual": ResidualConfig()},
    "no fill": {"frontend": FrontendConfig(), "residual": ResidualConfig(overestimate=100.0, noise_fill=0.0)},
}


def _reference(config: ModelConfig, state: dict[str, np.ndarray]) -> LocalVQE:
    return LocalVQE.from_state(config, {k: torch.from_numpy(np.array(v)) for k, v in state.items()}).eval()


def _pair(config: ModelConfig, folder: Path, seed: int = 0) -> tuple[Path, LocalVQE]:
    """A model file, and the reference with its weights."""
    state = random_gguf(folder / "model.gguf", config, seed)
    return folder / "model.gguf", _reference(config, state)


@pytest.fixture
def each_kernel_set(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Iterator[tuple[str, Enhancer]]]:
    """Every set that this machine can run, its name and a model file with it; the reference is slow, and so asked once
    for all of them."""

    def enhancers(path: Path) -> Iterator[tuple[str, Enhancer]]:
        for kernels in usable_kernels():
            monkeypatch.setenv("LOCALVQE_KERNELS", kernels)
            yield kernels, Enhancer(path)

    return enhancers


def _centred(model: LocalVQE, mic: np.ndarray, ref: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model(torch.from_numpy(mic)[None], torch.from_numpy(ref)[None])[0].numpy()


@pytest.mark.parametrize(
    ("version", "geometry"),
    [
        *((version, name) for version in (1, 2, 3) for name in GEOMETRIES),
        *((1 + number % 3, name) for number, name in enumerate(FRONTENDS)),
        *((version, "gain") for version in (2, 3)),
    ],
)
def test_any_geometry_agrees_with_the_reference(version, geometry, tmp_path) -> None:
    parts = {**GEOMETRIES, **FRONTENDS, "gain": ALONE["filter and gain"]}[geometry]
    path, model = _pair(narrow_config(version, **parts), tmp_path, seed=version)
    mic, ref = signals()
    want = _centred(model, mic, ref)
    assert np.abs(want).max() > 0.01
    for backend in BACKENDS:
        engine = Enhancer(path, backend=backend)
        hops = by_hop(engine, mic, ref)
        clip = by_clip(engine, mic, ref)
        if backend == "cpu":
            np.testing.assert_array_equal(clip, hops)
        assert max(np.abs(out[256:] - want[:-256]).max() for out in (hops, clip)) < 1e-4, backend


@pytest.mark.parametrize("parts", ALONE)
def test_a_front_end_alone_agrees_with_the_reference(parts, each_kernel_set, tmp_path) -> None:
    path, model = _pair(narrow_config(3, network=False, **ALONE[parts]), tmp_path)
    mic, ref = signals(1.5)
    if parts == "filter and gain":  # longer than the background is remembered; and the learned gain is tried by a note
        mic, ref = with_a_note(*signals(8.0), start=5 * MODEL_RATE)
    mic[:2000] = ref[:2000] = 0.0
    want = _centred(model, mic, ref)
    assert np.abs(want).max() > 0.01
    streaming, first = StreamingLocalVQE(model), slice(256 * 40)
    for hop in zip(mic[first].reshape(-1, 256), ref[first].reshape(-1, 256), strict=True):
        streaming.process_hop(*map(torch.from_numpy, hop))
    for kernels, engine in each_kernel_set(path):
        hops = by_hop(engine, mic, ref)
        np.testing.assert_array_equal(by_clip(engine, mic, ref), hops)
        assert np.abs(hops[256:] - want[:-256]).max() < 1e-4, kernels
        stream = engine.stream()
        stream.process(mic[first], ref[first])
        got = stream.taps()
        assert set(got) == set(streaming.taps())
        for name, value in streaming.taps().items():
            assert np.abs(got[name] - value.numpy()).max() < 1e-4, (kernels, name)


def test_v13_widths_agree_with_the_reference(each_kernel_set, tmp_path) -> None:
    path, model = _pair(V13, tmp_path)
    mic, ref = signals(1.2)  # more hops than one graph takes
    want = _centred(model, mic, ref)
    for kernels, engine in each_kernel_set(path):
        assert np.abs(engine.enhance(mic, ref) - want).max() < 1e-4, kernels
    if "ggml" in BACKENDS:
        assert np.abs(Enhancer(path, backend="ggml").enhance(mic, ref) - want).max() < 1e-4


@pytest.mark.parametrize("version", [1, 2, 3])
def test_odd_widths_agree_with_every_kernel_set(version, each_kernel_set, tmp_path) -> None:
    widths = {"mic_channels": (2, 17, 21, 9, 33, 5), "far_channels": (2, 7, 19), "bottleneck_hidden": 37}
    path, model = _pair(narrow_config(version, **widths), tmp_path)
    mic, ref = signals()
    want = _centred(model, mic, ref)
    for kernels, engine in each_kernel_set(path):
        assert np.abs(engine.enhance(mic, ref) - want).max() < 1e-4, kernels


def test_the_front_end_follows_a_jumping_delay_like_the_reference(each_kernel_set, tmp_path) -> None:
    path, model = _pair(narrow_config(3, frontend=FrontendConfig()), tmp_path)
    pieces = [signals(3.0, seed=1, delay=700), signals(3.0, seed=1, delay=5000), signals(2.0, seed=2, delay=100)]
    mic, ref = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    mic[-16000:] *= np.float32(1e-3)  # the loudspeaker is switched off, and the filter starts anew
    want = _centred(model, mic, ref)
    for kernels, engine in each_kernel_set(path):
        assert np.abs(engine.enhance(mic, ref) - want).max() < 1e-4, kernels
        stream = engine.stream()
        stream.process(mic[: 16000 * 6], ref[: 16000 * 6])
        assert abs(stream.delay_ms()[0] - 5000 / 16) < 48


@pytest.mark.parametrize("frontend", [None, FrontendConfig()])
@pytest.mark.parametrize("version", [1, 2, 3])
def test_taps_agree_hop_by_hop(version, frontend, tmp_path) -> None:
    path, model = _pair(narrow_config(version, frontend=frontend), tmp_path)
    streaming = StreamingLocalVQE(model)
    mic, ref = signals(0.5)
    for hop in zip(mic.reshape(-1, 256), ref.reshape(-1, 256), strict=True):
        streaming.process_hop(*map(torch.from_numpy, hop))
    want = streaming.taps()
    for backend in BACKENDS:
        stream = Enhancer(path, backend=backend).stream()
        for hop in zip(mic.reshape(-1, 256), ref.reshape(-1, 256), strict=True):
            stream.process(*hop)
        got = stream.taps()
        assert set(got) == set(want)
        for name, value in got.items():
            expected = want[name].numpy()
            assert value.shape == expected.shape, (backend, name)
            assert np.abs(value - expected).max() < 1e-4 * max(1.0, np.abs(expected).max()), (backend, name)


@pytest.mark.parametrize("basis", ["standard", "rounded", "other"])
@pytest.mark.parametrize("version", [1, 2])
def test_standard_bases_by_transform_and_others_as_they_are(version, basis, tmp_path) -> None:
    config = narrow_config(version)
    state = random_state(config, 5)
    rng = np.random.default_rng(0)
    # Up to 2e-6 a basis counts as standard; beyond, the engine must compute with what the file holds.
    error = {"standard": 0.0, "rounded": 1e-6, "other": 1e-3}[basis]
    for name in ("encoder.conv.weight", "decoder.linear.weight"):
        noise = rng.uniform(-error, error, state[name].shape) * (1.0 if name.startswith("enc") else 2.0 / 512)
        state[name] = (state[name] + noise).astype(np.float32)
    gguf_file.write(tmp_path / "model.gguf", config, export.fold(config, state))
    mic, ref = signals()
    out = Enhancer(tmp_path / "model.gguf").enhance(mic, ref)
    assert np.abs(out - _centred(_reference(config, state), mic, ref)).max() < 1e-4
