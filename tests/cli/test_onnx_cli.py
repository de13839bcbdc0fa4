"""ONNX files through the command line: written, verified, timed, scored, run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from cli_refusal import refusal
from make_model import narrow_config, random_gguf, random_state, save_checkpoint
from typer.testing import CliRunner, Result

from localvqe_cli.cli import app

for _needed in ("onnx", "onnxruntime", "torch"):
    pytest.importorskip(_needed)

CONFIG = narrow_config(2)


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "ckpt.pt", random_state(CONFIG, seed=1), CONFIG)
    return tmp_path / "ckpt.pt"


@pytest.fixture
def model(checkpoint: Path) -> Path:
    result = _run("export", checkpoint, "--format", "onnx", "--name", "mine", "--quiet")
    assert result.exit_code == 0, result.output
    return checkpoint.with_suffix(".onnx")


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    rng = np.random.default_rng(0)
    for side in ("mic", "ref"):
        sf.write(tmp_path / f"{side}.wav", 0.1 * rng.standard_normal(16000), 16000)
    return tmp_path / "mic.wav", tmp_path / "ref.wav"


def test_export_says_what_it_wrote(checkpoint: Path) -> None:
    result = _run("export", checkpoint, "--format", "onnx", "--states", "packed", "--opset", "19", "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["output"] == str(checkpoint.with_suffix(".onnx"))
    assert facts["bytes"] == Path(facts["output"]).stat().st_size
    assert facts["states"]["mask.spectrum"] == [1, 2, 2, 256]
    assert "nodes" in result.stderr
    assert "exists" in refusal(_run("export", checkpoint, "--format", "onnx"), 2)


def test_verify_compares_the_output(checkpoint: Path, model: Path) -> None:
    result = _run("verify", checkpoint, model)
    assert result.exit_code == 0, result.output
    assert "verified: onnxruntime computes" in result.stdout
    assert "tensors" not in result.stdout
    other = checkpoint.with_name("other.pt")
    save_checkpoint(other, random_state(CONFIG, seed=2), CONFIG)
    drifted = _run("verify", other, model)
    assert drifted.exit_code == 1
    assert "NOT verified: the first block that drifts is output" in drifted.stdout


def test_half_precision_is_verified_by_its_snr(checkpoint: Path) -> None:
    assert _run("export", checkpoint, "--format", "onnx", "--fp16").exit_code == 0
    result = _run("verify", checkpoint, checkpoint.with_suffix(".onnx"))
    assert result.exit_code == 0, result.output
    assert "50 dB are enough" in result.stderr


def test_8_bit_convolutions_are_calibrated_and_measured(
    checkpoint: Path, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    table = tmp_path / "pairs.tsv"
    table.write_text("id\tmic\tref\na\tmic.wav\tref.wav\n")
    result = _run("export", checkpoint, "--format", "onnx", "--int8", table, "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert 15 < facts["snr_db"]["a"] < 60
    assert "SNR against floats on 1 clips" in result.stderr
    small = checkpoint.with_suffix(".onnx")
    cleaned = _run("enhance", *pair, "-m", small, "-o", tmp_path / "out.wav", "--quiet")
    assert cleaned.exit_code == 0, cleaned.output
    assert _run("verify", checkpoint, small).exit_code == 1  # it is not the checkpoint's model any more
    both = ("--int8", table, "--fp16", "--force")
    assert "not both" in refusal(_run("export", checkpoint, "--format", "onnx", *both), 2)
    assert "no network" in refusal(_run("export", "default", "--format", "onnx", "--int8", table), 2)
    assert "no such table" in refusal(_run("export", checkpoint, "--format", "onnx", "--int8", "x", "--force"), 2)


def test_bench_takes_the_time(model: Path) -> None:
    result = _run("bench", "-m", model, "--mode", "stream", "-t", "1", "--iters", "1", "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["backend"] == "onnxruntime"
    assert facts["model"]["type"] == "F32"
    assert facts["model"]["name"] == "mine"
    assert facts["runs"][0]["p50_ms"] > 0
    assert "profile the GGUF file" in refusal(_run("bench", "-m", model, "--profile"), 2)


def test_enhance_does_as_with_the_gguf_file(checkpoint: Path, model: Path, pair: tuple[Path, Path]) -> None:
    random_gguf(checkpoint.with_suffix(".gguf"), CONFIG, 1)
    for file in (model, checkpoint.with_suffix(".gguf")):
        done = _run("enhance", *pair, "-m", file, "-o", file.with_suffix(f"{file.suffix}.wav"), "--quiet")
        assert done.exit_code == 0, done.output
    ours, theirs = (sf.read(checkpoint.with_suffix(f".{kind}.wav"))[0] for kind in ("gguf", "onnx"))
    assert np.abs(ours - theirs).max() < 1e-4


@pytest.mark.parametrize(
    ("options", "why"),
    [(("--noise-gate", "-60"), "noise gate"), (("--backend", "ggml"), "onnxruntime runs it on the CPU")],
)
def test_what_is_the_engines_is_refused(
    options: tuple[str, ...], why: str, model: Path, pair: tuple[Path, Path]
) -> None:
    assert why in refusal(_run("enhance", *pair, "-m", model, *options), 2)


def test_a_foreign_file_is_one_line(model: Path, checkpoint: Path, pair: tuple[Path, Path]) -> None:
    model.write_bytes(model.read_bytes()[:5000])
    refusal(_run("verify", checkpoint, model), 4)
    refusal(_run("bench", "-m", model), 4)
    refusal(_run("enhance", *pair, "-m", model), 4)
    (pair[0].parent / "pairs.tsv").write_text("id\tmic\tref\tscenario\na\tmic.wav\tref.wav\tdt\n")
    refusal(_run("eval", pair[0].parent / "pairs.tsv", "-m", model), 4)


@pytest.mark.parametrize(
    "options",
    [("--part", "step"), ("--states", "packed"), ("--opset", "17"), ("--fp16",), ("--int8", "x")],
    ids=" ".join,
)
def test_options_of_onnx_need_the_format(options: tuple[str, ...], checkpoint: Path) -> None:
    assert "--format onnx" in refusal(_run("export", checkpoint, *options), 2)


def test_an_opset_that_no_graph_is_written_in_is_refused(checkpoint: Path) -> None:
    assert "17 to 23" in refusal(_run("export", checkpoint, "--format", "onnx", "--opset", "16"), 2)
    assert not checkpoint.with_suffix(".onnx").exists()
