"""``localvqe codec`` as a user types it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from cli_refusal import refusal
from make_codec import NARROW, random_codec, random_nemo
from typer.testing import CliRunner, Result

from localvqe_cli.cli import app
from localvqe_cli.lfsc.tokens import read_tokens

for _needed in ("torch", "yaml", "safetensors"):
    pytest.importorskip(_needed)


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_codec(tmp_path_factory.mktemp("codec") / "codec.gguf")


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """Two channels at 48 kHz."""
    rng = np.random.default_rng(0)
    sf.write(tmp_path / "a.wav", 0.1 * rng.standard_normal((4801, 2)), 48000, "PCM_24")
    return tmp_path / "a.wav"


@pytest.mark.parametrize("name", ["a.npz", "b.safetensors"])
def test_sound_to_tokens_and_back(tmp_path: Path, model: Path, sound: Path, name: str) -> None:
    result = _run("codec", "encode", sound, "-m", model, "-o", tmp_path / name, "--json")
    assert result.exit_code == 0, result.output
    (facts,) = json.loads(result.stdout)["files"]
    assert facts["seconds"] == pytest.approx(4801 / 48000)
    assert "2 channels were mixed to one" in result.stderr
    tokens = read_tokens(str(tmp_path / name))
    assert tokens.samples == facts["samples"] == round(4801 * 22050 / 48000)
    assert tokens.tokens.shape == (NARROW.groups, facts["frames"]) == (2, -(-tokens.samples // 8))

    result = _run("codec", "decode", tmp_path / name, "-m", model, "-o", tmp_path / "out.flac")
    assert result.exit_code == 0, result.output
    decoded, rate = sf.read(tmp_path / "out.flac")
    assert rate == 22050
    assert decoded.shape == (tokens.samples,)
    assert np.abs(decoded).max() > 0.01


def test_defaults_are_beside_the_input(tmp_path: Path, model: Path, sound: Path) -> None:
    for verb, source, target in (
        ("encode", sound, "a.npz"),
        ("roundtrip", sound, "a_codec.wav"),
    ):
        result = _run("codec", verb, source, "-m", model)
        assert result.exit_code == 0, result.output
        assert (tmp_path / target).is_file()
    sound.unlink()
    assert _run("codec", "decode", tmp_path / "a.npz", "-m", model, "-q").exit_code == 0
    assert sf.info(tmp_path / "a.wav").samplerate == 22050
    assert "exists; use --force" in refusal(_run("codec", "decode", tmp_path / "a.npz", "-m", model, "-q"), 2)


def test_a_round_trip_keeps_rate_length_and_encoding(tmp_path: Path, model: Path, sound: Path) -> None:
    assert _run("codec", "roundtrip", sound, "-m", model, "-o", tmp_path / "r.wav").exit_code == 0
    before, after = sf.info(sound), sf.info(tmp_path / "r.wav")
    assert (after.samplerate, after.frames, after.subtype) == (before.samplerate, before.frames, before.subtype)
    assert after.channels == 1


def test_many_files_go_on_after_one_that_fails(tmp_path: Path, model: Path, sound: Path) -> None:
    (tmp_path / "b.wav").write_bytes(b"nothing")
    (tmp_path / "out").mkdir()
    result = _run("codec", "encode", tmp_path, "-m", model, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "b.wav" in result.stderr
    assert os.listdir(tmp_path / "out") == ["a.npz"]
    result = _run("codec", "decode", tmp_path / "out", "-m", model)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out" / "a.wav").is_file()
    assert "name a directory" in refusal(
        _run("codec", "encode", sound, sound, "-m", model, "-o", tmp_path / "x.npz"), 2
    )
    assert "both be written" in refusal(_run("codec", "encode", sound, sound, "-m", model, "-o", tmp_path / "out"), 2)


def test_scores_per_file_and_in_the_mean(tmp_path: Path, model: Path, sound: Path) -> None:
    sf.write(tmp_path / "silent.wav", np.zeros(4000), 22050)
    result = _run("codec", "eval", tmp_path, "-m", model, "--json", "-q")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    first, silent = report["files"]
    assert silent["si_sdr_db"] is None
    assert report["mean"]["si_sdr_db"] == pytest.approx(first["si_sdr_db"])
    both = (first["mel_distance"] + silent["mel_distance"]) / 2
    assert report["mean"]["mel_distance"] == pytest.approx(both)
    table = _run("codec", "eval", tmp_path, "-m", model, "-q").stdout
    assert f"{first['stft_distance']:.3f}" in table
    assert "mean" in table


def test_sound_from_a_pipe(tmp_path: Path, model: Path, sound: Path) -> None:
    content = sound.read_bytes()
    target = tmp_path / "p.npz"
    result = CliRunner().invoke(app, ["codec", "encode", "-", "-m", str(model), "-o", str(target)], input=content)
    assert result.exit_code == 0, result.output
    assert _run("codec", "encode", sound, "-m", model, "-o", tmp_path / "f.npz").exit_code == 0
    assert np.array_equal(read_tokens(str(target)).tokens, read_tokens(str(tmp_path / "f.npz")).tokens)
    result = CliRunner().invoke(app, ["codec", "encode", "-", "-m", str(model)], input=content)
    assert "stdin has no name" in refusal(result, 2)


def test_what_is_refused(tmp_path: Path, model: Path, sound: Path) -> None:
    other = random_codec(tmp_path / "other.gguf", seed=3)
    assert _run("codec", "encode", sound, "-m", model).exit_code == 0
    np.savez(tmp_path / "x.npz", tokens=np.zeros((2, 9), int))
    for arguments, code, word in (
        (("encode", tmp_path / "missing.wav", "-m", model), 3, "no such file"),
        (("encode", sound, "-m", model, "-o", "-"), 2, "stdout"),
        (("encode", sound, "-m", model, "-o", tmp_path / "t.txt"), 2, ".npz or .safetensors"),
        (("encode", sound, "-m", tmp_path / "missing.gguf"), 4, "no such file"),
        (("encode", sound, "-m", sound), 4, "not a GGUF file"),
        (("encode", sound, "-m", tmp_path / "a.nemo"), 4, "localvqe export"),
        (("encode", tmp_path / "*.flac", "-m", model), 2, "no such file"),
        (("decode", sound, "-m", model), 2, ".npz or .safetensors"),
        (("decode", tmp_path / "x.npz", "-m", model), 3, "no file of tokens"),
        (("roundtrip", sound, "-m", model, "-o", sound), 2, "the input itself"),
    ):
        result = _run("codec", *arguments, "-q")
        assert word in refusal(result, code)
    assert other.is_file()


def test_tokens_of_another_codec_are_refused(tmp_path: Path, model: Path) -> None:
    np.savez(
        tmp_path / "x.npz",
        format=np.array("localvqe-tokens"),
        version=1,
        tokens=np.zeros((2, 9), int),
        samples=70,
        sample_rate=16000,
        samples_per_frame=8,
        levels=np.array([5, 4]),
    )
    result = _run("codec", "decode", tmp_path / "x.npz", "-m", model, "-q")
    assert "tokens of another codec, sampling rate 16000" in refusal(result, 3)
    assert not (tmp_path / "x.wav").exists()


def test_export_and_inspect(tmp_path: Path) -> None:
    source = random_nemo(tmp_path / "a.nemo")
    result = _run("export", source, "--type", "q8_0", "--json")
    assert result.exit_code == 0, result.output
    assert "non-commercial" in result.stderr
    facts = json.loads(result.stdout)
    assert facts["config"]["levels"] == [5, 4]
    result = _run("inspect", tmp_path / "a-q8_0.gguf")
    assert result.exit_code == 0, result.output
    assert "speech codec, 22050 Hz" in result.stdout
    assert "lfsc.decoder.rates" in result.stdout
    assert "lfsc.shape." not in result.stdout
    assert "'lfsc', not 'localvqe'" in refusal(
        _run("enhance", tmp_path / "a.wav", "--no-ref", "-m", tmp_path / "a-q8_0.gguf", "-q"), 4
    )
    assert "--fp16" in refusal(_run("export", source, "--type", "F16", "--format", "onnx"), 2)
