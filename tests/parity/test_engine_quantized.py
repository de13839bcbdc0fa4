"""Quantized models: the engine against the reference with the file's own weights, in both arithmetics."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from engine_runs import by_clip, by_hop, signals, usable_kernels
from make_model import narrow_config, random_gguf, random_quantized_gguf

from localvqe import Enhancer
from localvqe_cli import export, gguf_file
from localvqe_cli.config import ModelConfig
from localvqe_cli.errors import ModelError, UsageError

torch = pytest.importorskip("torch")

from localvqe_cli.reference import LocalVQE  # noqa: E402

#: Rounding weights and activations to integers once more, at the output, in dB: some 64 after all layers.
INTEGER_SNR_DB = 60.0

GEOMETRIES = {
    "narrow": {},
    "sixteens": {"mic_channels": (2, 12, 16, 16, 16, 16), "far_channels": (2, 12, 16)},
    "odd": {"mic_channels": (2, 17, 21, 9, 33, 11), "far_channels": (2, 15, 13), "kernel_size_w": 3},
    "pointwise": {"mic_channels": (2, 9, 12, 8, 20, 10), "kernel_size_h": 1, "kernel_size_w": 1},
    "large": {"mic_channels": (2, 12, 10, 8, 9, 8), "kernel_size_h": 8, "kernel_size_w": 8},
}


def snr(want: np.ndarray, found: np.ndarray) -> float:
    return float(10 * np.log10(np.sum(want.astype(float) ** 2) / np.sum((found.astype(float) - want) ** 2)))


def reference(config: ModelConfig, state: dict[str, np.ndarray], path: Path) -> LocalVQE:
    """The model of a state dict with the weights that a quantized file holds."""
    file = gguf_file.read(path)
    quantized = {name: file.array(name) for name, info in file.tensors.items() if info.original}
    changed = export.with_folded_weights(config, state, quantized)
    return LocalVQE.from_state(config, {k: torch.from_numpy(v) for k, v in changed.items()}).double()


def stream_form(model: LocalVQE, mic: np.ndarray, ref: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        centred = model(torch.from_numpy(mic).double()[None], torch.from_numpy(ref).double()[None])[0].numpy()
    return np.concatenate([np.zeros(256), centred])[: mic.size]


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_K"])
@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_the_engine_computes_the_model_of_the_stored_weights(geometry, version, kind, tmp_path, monkeypatch) -> None:
    config = narrow_config(version, **GEOMETRIES[geometry])
    state = random_quantized_gguf(tmp_path / "m.gguf", config, kind, seed=version)
    mic, ref = signals(0.5)
    want = stream_form(reference(config, state, tmp_path / "m.gguf"), mic, ref)
    monkeypatch.setenv("LOCALVQE_ARITHMETIC", "f32")
    exact = by_hop(Enhancer(tmp_path / "m.gguf"), mic, ref)
    assert np.abs(exact[256:] - want[256:]).max() < 1e-4
    monkeypatch.setenv("LOCALVQE_ARITHMETIC", "int16")
    integer = by_hop(Enhancer(tmp_path / "m.gguf"), mic, ref)
    assert snr(want[256:], integer[256:]) > INTEGER_SNR_DB
    layers = Enhancer(tmp_path / "m.gguf").stream().integer_layers()
    assert (layers > 0) == (geometry != "narrow")
    assert (integer != exact).any() == (layers > 0)


@pytest.fixture(scope="module", params=[1, 3])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.gguf"
    random_quantized_gguf(path, ModelConfig(version=request.param), "Q8_0", seed=request.param)
    return path


def test_bits_depend_neither_on_threads_nor_on_calls(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALVQE_OVERSUBSCRIBE", "1")
    monkeypatch.setenv("LOCALVQE_ARITHMETIC", "int16")
    mic, ref = signals(0.3)
    want = by_hop(Enhancer(model), mic, ref)
    for threads in (1, 2, 3):
        enhancer = Enhancer(model, threads=threads)
        np.testing.assert_array_equal(by_clip(enhancer, mic, ref), want)
        np.testing.assert_array_equal(by_hop(enhancer, mic, ref), want)
    stream = enhancer.stream()
    first = stream.process(mic, ref)
    stream.reset()
    np.testing.assert_array_equal(stream.process(mic, ref), first)


def test_every_kernel_set_runs_integers(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mic, ref = signals(0.3)
    monkeypatch.setenv("LOCALVQE_ARITHMETIC", "f32")
    want = by_hop(Enhancer(model), mic, ref)
    monkeypatch.setenv("LOCALVQE_ARITHMETIC", "int16")
    for name in usable_kernels():
        monkeypatch.setenv("LOCALVQE_KERNELS", name)
        enhancer = Enhancer(model)
        # All convolutions but the two first, which read two channels.
        assert enhancer.stream().integer_layers() == 2 * 7 + 3 * 5 - 2
        assert snr(want, by_hop(enhancer, mic, ref)) > INTEGER_SNR_DB, name


def test_loud_quiet_and_broken_input_leave_no_trace(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALVQE_ARITHMETIC", "int16")
    mic, ref = signals(0.2)
    stream = Enhancer(model).stream()
    for level in (0.0, 1e-30, 1e6, np.inf, np.nan):
        assert np.isfinite(stream.process(mic * np.float32(level), ref * np.float32(level))).all()
    stream.reset()
    np.testing.assert_array_equal(stream.process(mic, ref), Enhancer(model).stream().process(mic, ref))


def test_an_unknown_arithmetic_is_refused(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALVQE_ARITHMETIC", "int4")
    with pytest.raises(ModelError, match="choose auto, f32 or int16"):
        Enhancer(model)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_model_in_f32_can_run_as_integers(version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALVQE_OVERSUBSCRIBE", "1")
    random_gguf(tmp_path / "m.gguf", ModelConfig(version=version), seed=version)
    mic, ref = signals(0.3)
    exact = Enhancer(tmp_path / "m.gguf", precision="f32")
    want = by_hop(exact, mic, ref)
    np.testing.assert_array_equal(by_hop(Enhancer(tmp_path / "m.gguf"), mic, ref), want)
    enhancer = pickle.loads(pickle.dumps(Enhancer(tmp_path / "m.gguf", threads=2, precision="int16")))
    assert (exact.stream().integer_layers(), enhancer.stream().integer_layers()) == (0, 2 * 7 + 3 * 5 - 2)
    found = by_hop(enhancer, mic, ref)
    assert snr(want, found) > INTEGER_SNR_DB
    np.testing.assert_array_equal(by_clip(enhancer, mic, ref), found)


def test_what_is_asked_for_counts_more_than_the_environment(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for environment in ("f32", "int16"):
        monkeypatch.setenv("LOCALVQE_ARITHMETIC", environment)
        assert Enhancer(model, precision="f32").stream().integer_layers() == 0
        assert Enhancer(model, precision="int16").stream().integer_layers() > 20
        assert (Enhancer(model).stream().integer_layers() > 0) == (environment == "int16")


@pytest.mark.parametrize(("precision", "backend"), [("int8", "cpu"), ("int16", "ggml")])
def test_a_precision_that_is_not_there_is_refused(model: Path, precision: str, backend: str) -> None:
    with pytest.raises(UsageError, match=f"precision .?{precision}"):
        Enhancer(model, precision=precision, backend=backend)
