"""An ONNX file must compute what the engine and the reference compute, in every form that it can be written in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from engine_runs import signals, with_a_note
from golden_vectors import EXAMPLES, HOP, Vectors
from make_model import V13, narrow_config, random_gguf, random_quantized_gguf
from numpy.typing import NDArray

from localvqe_cli.config import FrontendConfig, ModelConfig, ResidualConfig
from localvqe_cli.engine import Enhancer
from localvqe_cli.errors import LocalVQEError, UsageError
from localvqe_cli.models import DEFAULT_MODEL
from localvqe_cli.onnx_file.format import OPSETS, GraphPart
from localvqe_cli.onnx_file.session import OnnxEnhancer, OnnxStream
from localvqe_cli.onnx_file.writer import export_onnx

for _needed in ("onnx", "onnxruntime", "torch"):
    pytest.importorskip(_needed)

Samples = NDArray[np.float32]

#: Every stage, small, and without a network.
STAGES = narrow_config(3, frontend=FrontendConfig(partitions=3, lags=5, gain_hidden=3), residual=ResidualConfig())
#: A hand rule that is quick to move, in front of a network that has no gain stage.
HAND = narrow_config(2, frontend=FrontendConfig(version=1, partitions=2, lags=12, iterations=1))
BARE = ModelConfig(version=3, network=False, frontend=FrontendConfig(partitions=4, lags=6, iterations=3))
CONFIGS = {"v1": narrow_config(1), "stages": STAGES, "hand": HAND, "bare": BARE, "lags": narrow_config(2, dmax=2)}


def _by_hop(stream: OnnxStream, mic: Samples, ref: Samples) -> Samples:
    return np.concatenate([stream.process(mic[i : i + HOP], ref[i : i + HOP]) for i in range(0, len(mic), HOP)])


@pytest.fixture
def sample_pair() -> tuple[Samples, Samples]:
    mic, ref = (sf.read(EXAMPLES / f"sample_{side}.wav", dtype="float32")[0] for side in ("mic", "ref"))
    return mic, ref


def _written(model: Path | str, folder: Path, **options: object) -> OnnxEnhancer:
    return OnnxEnhancer(export_onnx(model, folder / "model.onnx", force=True, **options).output)  # type: ignore[arg-type]


def test_golden_vectors_come_out_hop_by_hop(vectors: Vectors, golden_model: Path, tmp_path: Path) -> None:
    enhancer = _written(golden_model, tmp_path)
    assert enhancer.config == Enhancer(golden_model).config
    assert np.abs(_by_hop(enhancer.stream(), vectors.mic, vectors.ref) - vectors.stream).max() < 1e-4
    clip = enhancer.enhance(vectors.mic, vectors.ref)
    assert np.abs(clip[: vectors.centred.size] - vectors.centred[: clip.size]).max() < 1e-4


def test_the_widths_of_v1_3_do_as_in_the_engine(tmp_path: Path) -> None:
    random_gguf(tmp_path / "model.gguf", V13, 4)
    mic, ref = (x[: 40 * HOP] for x in signals())
    expected = Enhancer(tmp_path / "model.gguf").enhance(mic, ref)
    assert np.abs(_written(tmp_path / "model.gguf", tmp_path).enhance(mic, ref) - expected).max() < 1e-4


def test_the_default_follows_a_call(sample_pair: tuple[Samples, Samples], tmp_path: Path) -> None:
    """Long enough for the delay search to decide, the filter to settle, and every block of minima to end."""
    expected = Enhancer().enhance(*sample_pair)
    enhancer = _written(DEFAULT_MODEL, tmp_path)
    assert enhancer.name == Enhancer().name
    assert np.abs(enhancer.enhance(*sample_pair) - expected).max() < 1e-4


@pytest.mark.parametrize("name", CONFIGS)
def test_every_configuration_does_as_in_the_engine(name: str, tmp_path: Path) -> None:
    random_gguf(tmp_path / "model.gguf", CONFIGS[name], 2)
    mic, ref = signals()
    expected = Enhancer(tmp_path / "model.gguf").enhance(mic, ref)
    found = _written(tmp_path / "model.gguf", tmp_path).enhance(mic, ref)
    assert np.abs(found - expected).max() < 1e-4


def test_a_note_does_as_in_the_engine(tmp_path: Path) -> None:
    """Which the learned gain is trusted less and less with."""
    random_gguf(tmp_path / "model.gguf", STAGES, 2)
    mic, ref = with_a_note(*signals(3.0), start=8000)
    expected = Enhancer(tmp_path / "model.gguf").enhance(mic, ref)
    assert np.abs(_written(tmp_path / "model.gguf", tmp_path).enhance(mic, ref) - expected).max() < 1e-4


def test_all_forms_are_one_graph(tmp_path: Path) -> None:
    model = tmp_path / "model.gguf"
    random_gguf(model, STAGES, 5)
    mic, ref = signals()
    plain = _written(model, tmp_path)
    expected = plain.enhance(mic, ref)
    for form in ({"packed": True}, {"opset": 18}, {"opset": OPSETS[1], "packed": True}):
        assert np.abs(_written(model, tmp_path, **form).enhance(mic, ref) - expected).max() < 1e-6, form
    half = _written(model, tmp_path, half=True)
    difference = half.enhance(mic, ref) - expected
    assert np.abs(difference).max() > 0
    assert 10 * np.log10(np.sum(expected**2) / np.sum(difference**2)) > 50
    assert list(_written(model, tmp_path, packed=True).file.states) == ["state"]


def test_zero_states_start_anew(tmp_path: Path) -> None:
    random_gguf(tmp_path / "model.gguf", STAGES, 6)
    mic, ref = signals()
    enhancer = _written(tmp_path / "model.gguf", tmp_path)
    stream = enhancer.stream()
    first = stream.process(mic, ref)
    assert not np.array_equal(stream.process(mic, ref), first)
    stream.reset()
    assert np.array_equal(stream.process(mic, ref), first)
    assert np.array_equal(enhancer.stream().process(mic, ref), first)


def test_a_quantized_file_is_unpacked(tmp_path: Path) -> None:
    random_quantized_gguf(tmp_path / "model.gguf", narrow_config(2), "Q8_0", 3)
    mic, ref = signals()
    summary = export_onnx(tmp_path / "model.gguf", tmp_path / "model.onnx")
    assert "unpacked" in summary.notes[0]
    expected = Enhancer(tmp_path / "model.gguf").enhance(mic, ref)
    difference = OnnxEnhancer(summary.output).enhance(mic, ref) - expected
    assert 10 * np.log10(np.sum(expected**2) / np.sum(difference**2)) > 40  # the engine multiplies in integers


def test_the_part_behind_the_filter_takes_what_the_filter_gives(tmp_path: Path) -> None:
    import onnxruntime

    random_gguf(tmp_path / "model.gguf", STAGES, 7)
    mic, ref = (x[: 30 * HOP] for x in signals())
    path = export_onnx(tmp_path / "model.gguf", tmp_path / "part.onnx", part=GraphPart.network).output
    session = onnxruntime.InferenceSession(path)
    names = [value.name for value in session.get_outputs()]
    states = {v.name: np.zeros(v.shape, np.float32) for v in session.get_inputs() if v.name not in ("mic", "ref")}
    stream = Enhancer(tmp_path / "model.gguf").stream()
    for start in range(0, len(mic), HOP):
        expected = stream.process(mic[start : start + HOP], ref[start : start + HOP])
        taps = stream.taps()
        hops = {"mic": taps["frontend_error"].reshape(1, HOP), "ref": taps["frontend_echo"].reshape(1, HOP)}
        results = dict(zip(names, session.run(names, {**hops, **states}), strict=True))
        states = {name: results[f"{name}.next"] for name in states}
        assert np.abs(results["out"][0] - expected).max() < 1e-4
    with pytest.raises(LocalVQEError, match="export the whole step"):
        OnnxEnhancer(path)
    with pytest.raises(UsageError, match="nothing but its adaptive filter"):
        export_onnx(DEFAULT_MODEL, tmp_path / "x.onnx", part=GraphPart.network)


def test_a_wild_sample_does_not_stay(tmp_path: Path) -> None:
    mic, ref = (x.copy() for x in signals())
    mic[300], ref[400] = np.nan, np.nan
    random_gguf(tmp_path / "model.gguf", STAGES, 8)
    assert np.isfinite(_written(tmp_path / "model.gguf", tmp_path).enhance(mic, ref)).all()
