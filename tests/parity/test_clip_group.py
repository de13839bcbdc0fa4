"""Clips that go through the engine together come out as they would alone."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from engine_runs import needs_ggml, signals
from eval_data import write_set
from make_model import narrow_config, random_gguf, random_state
from typer.testing import CliRunner

from localvqe import Enhancer, UsageError
from localvqe_cli import engine, export, gguf_file
from localvqe_cli.audio.resample import FloatArray
from localvqe_cli.cli import app
from localvqe_cli.clip_group import ClipGroup, GroupModel
from localvqe_cli.config import FrontendConfig, ResidualConfig
from localvqe_cli.errors import LocalVQEError
from localvqe_cli.evaluation import evaluate

Clip = tuple[FloatArray, FloatArray]
SECONDS = (0.7, 0.25, 1.1, 0.35, 0.6)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    config = narrow_config(3, frontend=FrontendConfig(gain_hidden=5), residual=ResidualConfig())
    random_gguf(tmp_path / "model.gguf", config, 3)
    return tmp_path / "model.gguf"


def clips() -> list[Clip]:
    made = [signals(seconds, seed) for seed, seconds in enumerate(SECONDS)]
    return [(mic[: -17 * i or None], ref[: -17 * i or None]) for i, (mic, ref) in enumerate(made)]  # partial hops too


def enhance(model: GroupModel, clip: Clip) -> FloatArray:
    stream = model.stream()
    parts = [stream.process(*(x[at : at + 5000] for x in clip)) for at in range(0, len(clip[0]), 5000)]
    return np.concatenate([*parts, stream.flush()])[256:]


@needs_ggml
@pytest.mark.parametrize("streams", [1, 2, 5])
def test_together_as_alone(model: Path, streams: int) -> None:
    want = [Enhancer(model).enhance(*clip) for clip in clips()]
    with ClipGroup(Enhancer(model, backend="ggml", threads=2), streams) as group:
        found = list(group.map(enhance, clips()))
    for there, here in zip(found, want, strict=True):
        assert there.shape == here.shape
        assert np.abs(there - here).max() < 1e-5


@needs_ggml
def test_one_that_fails_holds_nobody_up(model: Path) -> None:
    def work(using: GroupModel, clip: Clip) -> FloatArray | str:
        try:
            if len(clip[0]) == len(clips()[1][0]):
                using.stream().process(clip[0][:300], clip[1][:300])
                raise LocalVQEError("the disk is full")
            return enhance(using, clip)
        except LocalVQEError as exc:
            return str(exc)

    with ClipGroup(Enhancer(model, backend="ggml"), 2) as group:
        found = list(group.map(work, clips()))
    assert found[1] == "the disk is full"
    for there, clip in zip(found[2:], clips()[2:], strict=True):
        assert np.abs(there - Enhancer(model).enhance(*clip)).max() < 1e-5


@needs_ggml
def test_what_nobody_expects_ends_the_whole(model: Path) -> None:
    def work(using: GroupModel, clip: Clip) -> FloatArray:
        if len(clip[0]) == len(clips()[0][0]):
            raise ZeroDivisionError
        return enhance(using, clip)

    before = threading.active_count()
    with ClipGroup(Enhancer(model, backend="ggml"), 2) as group, pytest.raises(ZeroDivisionError):
        list(group.map(work, clips()))
    assert threading.active_count() == before


@needs_ggml
def test_weights_that_run_away_stop_each_clip(tmp_path: Path) -> None:
    config = narrow_config(3)
    tensors = export.fold(config, random_state(config))
    tensors["bottleneck.a_real"] = np.full_like(tensors["bottleneck.a_real"], 1e20)
    gguf_file.write(tmp_path / "wild.gguf", config, tensors)

    def work(using: GroupModel, clip: Clip) -> str:
        with pytest.raises(LocalVQEError, match="run away") as stopped:
            enhance(using, clip)
        return str(stopped.value)

    with ClipGroup(Enhancer(tmp_path / "wild.gguf", backend="ggml"), 2) as group:
        assert len(list(group.map(work, clips()[:3]))) == 3


@needs_ggml
def test_the_noise_gate_is_that_of_the_enhancer(model: Path) -> None:
    clip = clips()[0]
    level = float(20 * np.log10(np.std(Enhancer(model).enhance(*clip))))
    with ClipGroup(Enhancer(model, backend="ggml", noise_gate=level), 1) as group:
        (found,) = group.map(enhance, [clip])
    want = Enhancer(model, noise_gate=level).enhance(*clip)
    assert ((found == 0) == (want == 0)).all()
    assert 0 < np.count_nonzero(found) < found.size


@needs_ggml
def test_a_list_of_files_goes_together(model: Path, tmp_path: Path) -> None:
    pairs = write_set(tmp_path / "set", seconds=1.0)
    bad = tmp_path / "set" / "c_mic.wav"
    bad.write_bytes(bad.read_bytes()[:200])
    common = ["enhance", "--pairs", str(pairs), "-m", str(model), "--json"]
    made = {}
    for backend in ("cpu", "ggml"):
        result = CliRunner().invoke(app, [*common, "--backend", backend, "-o", str(tmp_path / backend)])
        assert result.exit_code == 1, result.stderr
        assert "4 of 5 files enhanced" in result.stderr
        assert "c_mic.wav" in result.stderr
        made[backend] = json.loads(result.stdout)["files"]
    assert [row["id"] for row in made["ggml"]] == list("abcde")
    assert [bool(row["error"]) for row in made["ggml"]] == [row["id"] == "c" for row in made["cpu"]]
    for name in "abde":
        here, there = (sf.read(tmp_path / backend / f"{name}_enhanced.wav")[0] for backend in ("cpu", "ggml"))
        assert np.abs(here - there).max() < 1e-4


@needs_ggml
def test_eval_scores_what_the_backend_made(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALVQE_CACHE", str(tmp_path / "cache"))
    pairs = write_set(tmp_path / "set", seconds=0.8)
    found = [
        evaluate(pairs, models={"m": model}, metrics=["erle", "sisdr"], backend=backend).clips
        for backend in ("cpu", "ggml")
    ]
    for here, there in zip(*found, strict=True):
        assert not there.cached
        values = here.systems["m"].values
        assert values
        for key in values.keys() - {"realtime_factor"}:
            assert there.systems["m"].values[key] == pytest.approx(values[key], abs=0.01)


def test_a_place_that_eval_does_not_know(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["eval", str(write_set(tmp_path / "set")), "--backend", "quantum"])
    assert result.exit_code == 2
    assert "quantum" in result.stderr


def test_alone_where_that_is_as_fast(model: Path, tmp_path: Path) -> None:
    assert Enhancer(model).group_streams == 1
    random_gguf(tmp_path / "filter.gguf", narrow_config(3, network=False, frontend=FrontendConfig()), 3)
    lib = engine._library()
    for path, why in ((model, b"on its own"), (tmp_path / "filter.gguf", b"without a network")):
        handle = engine._load(lib, path, "cpu", 0)
        assert lib.localvqe_model_group_streams(handle, 8) == 1
        assert lib.localvqe_group_new(handle, 1, 2, 8) == 0
        assert why in lib.localvqe_creation_error()
        lib.localvqe_model_free(handle)


@needs_ggml
def test_as_many_as_there_is_room_for(model: Path) -> None:
    enhancer = Enhancer(model, backend="ggml")
    assert 2 <= enhancer.group_streams <= 32
    enhancer.close()
    with pytest.raises(UsageError, match="closed"):
        ClipGroup(enhancer)
