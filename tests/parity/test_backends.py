"""Where a network runs must not matter: ggml's graphs against the engine's own kernels, and what else the choice says.

Numbers against the reference are in test_engine_reference.py, for both.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from bad_gguf import CASES, write_case
from engine_runs import by_hop, needs_ggml, signals
from golden_vectors import FEW, Vectors
from make_model import narrow_config, random_gguf, random_quantized_gguf
from typer.testing import CliRunner

from localvqe import Enhancer, UsageError
from localvqe_cli import engine
from localvqe_cli.cli import app
from localvqe_cli.config import FrontendConfig, ResidualConfig

ALL_PARTS = narrow_config(3, frontend=FrontendConfig(gain_hidden=5), residual=ResidualConfig())


@pytest.fixture
def model(tmp_path: Path) -> Path:
    random_gguf(tmp_path / "model.gguf", ALL_PARTS, 3)
    return tmp_path / "model.gguf"


def test_our_own_kernels_come_first() -> None:
    first = engine.devices()[0]
    assert (first.backend, first.index) == ("cpu", 0)
    assert engine.kernels() in first.description
    listed = json.loads(CliRunner().invoke(app, ["devices", "--json"]).stdout)
    assert [row["backend"] for row in listed] == [device.backend for device in engine.devices()]
    shown = CliRunner().invoke(app, ["devices"])
    assert all(device.description in shown.stdout for device in engine.devices())


@pytest.mark.parametrize(("place", "why"), [("quantum", "not known"), ("metal", "LOCALVQE_BACKENDS=metal")])
def test_a_backend_that_is_not_there_is_one_line_and_a_usage_error(model: Path, place: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        Enhancer(model, backend=place)
    sf.write(model.parent / "mic.wav", signals()[0], 16000)
    result = CliRunner().invoke(
        app, ["enhance", str(model.parent / "mic.wav"), "--no-ref", "-m", str(model), "--backend", place]
    )
    assert result.exit_code == 2
    assert why in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not list(model.parent.glob("*_enhanced*"))


@pytest.mark.parametrize("place", ["auto", "cpu", pytest.param("ggml", marks=needs_ggml)])
@pytest.mark.parametrize("device", [-1, 99])
def test_a_device_that_is_not_there_is_a_usage_error(model: Path, place: str, device: int) -> None:
    with pytest.raises(UsageError, match="localvqe devices"):
        Enhancer(model, backend=place, device=device)


@needs_ggml
def test_hops_clips_and_new_starts_are_alike(model: Path) -> None:
    graphs = Enhancer(model, backend="ggml")
    mic, ref = signals(1.3)
    want = by_hop(Enhancer(model), mic, ref)
    assert np.abs(by_hop(graphs, mic, ref) - want).max() < 1e-5
    stream = graphs.stream(max_hops=7)  # whole batches, and what is left over hop by hop
    for _ in range(2):
        found, at = [], 0
        for hops in (7, 1, 3, 14, 20, 9):
            found.append(stream.process(mic[at : at + 256 * hops], ref[at : at + 256 * hops]))
            at += 256 * hops
        assert np.abs(np.concatenate(found) - want[:at]).max() < 1e-5
        stream.reset()
        assert all((tap == 0).all() for name, tap in stream.taps().items() if name.startswith(("mic_enc", "dec")))
    assert np.abs(graphs.enhance(mic, ref) - Enhancer(model).enhance(mic, ref)).max() < 1e-5


@needs_ggml
def test_a_model_without_a_network_runs_whatever_the_backend(tmp_path: Path) -> None:
    random_gguf(tmp_path / "model.gguf", narrow_config(3, network=False, frontend=FrontendConfig()), 3)
    mic, ref = signals()
    here, there = (Enhancer(tmp_path / "model.gguf", backend=name).enhance(mic, ref) for name in ("cpu", "ggml"))
    np.testing.assert_array_equal(here, there)


@needs_ggml
@pytest.mark.parametrize("kind", ["Q8_0", "Q4_K"])
def test_quantized_weights_mean_the_same(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALVQE_ARITHMETIC", "f32")
    config = narrow_config(2, mic_channels=(2, 17, 21, 9, 33, 11), far_channels=(2, 15, 13))
    random_quantized_gguf(tmp_path / "q.gguf", config, kind, 5)
    mic, ref = signals()
    here, there = (Enhancer(tmp_path / "q.gguf", backend=name).enhance(mic, ref) for name in ("cpu", "ggml"))
    assert np.abs(here - there).max() < 1e-4
    if kind == "Q8_0":
        random_gguf(tmp_path / "f.gguf", config, 5)
        want = Enhancer(tmp_path / "f.gguf", backend="ggml").enhance(mic, ref)
        assert 10 * np.log10(np.sum(want**2) / np.sum((there - want) ** 2)) > 40


@needs_ggml
@pytest.mark.parametrize("name", sorted(CASES)[::8])  # one reader, which test_c_abi.py gives all of them
def test_bad_models_are_refused_alike(name: str, tmp_path: Path) -> None:
    random_gguf(tmp_path / "narrow.gguf", narrow_config(2), 0)
    path, _ = write_case(name, tmp_path / "narrow.gguf", tmp_path)
    lib = engine._library()
    said = []
    for backend in ("cpu", "ggml"):
        assert engine._load(lib, path, backend, 0) == 0
        said.append(lib.localvqe_creation_error())
    assert said[0] == said[1] != b""


@needs_ggml
@pytest.mark.parametrize("vectors", FEW, indirect=True, scope="module")
def test_verify_finds_no_drift(vectors: Vectors, golden_model: Path, tmp_path: Path) -> None:
    checkpoint = vectors.save_checkpoint(tmp_path / "state.pt")
    sf.write(tmp_path / "mic.wav", signals(0.5)[0], 16000)
    arguments = [str(checkpoint), str(golden_model), "--mic", str(tmp_path / "mic.wav"), "--backend", "ggml"]
    result = CliRunner().invoke(app, ["verify", *arguments])
    assert result.exit_code == 0, result.output


@needs_ggml
def test_bench_says_where_the_network_ran(model: Path) -> None:
    arguments = ["-m", str(model), "--iters", "1", "-t", "1", "--json"]
    found = [CliRunner().invoke(app, ["bench", *arguments, *more]) for more in ([], ["--backend", "ggml"])]
    assert [json.loads(result.stdout)["backend"] for result in found] == ["cpu", "ggml:0"]


@needs_ggml
def test_calibration_stays_on_the_cpu(model: Path) -> None:
    lib = engine._library()
    stream = Enhancer(model, backend="ggml").stream()
    assert lib.localvqe_set_observing(stream._ctx, 1) == -3
    assert b"cpu" in lib.localvqe_last_error(stream._ctx)
