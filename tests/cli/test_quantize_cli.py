"""``localvqe quantize`` as a user types it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from cli_refusal import refusal
from engine_runs import signals
from make_model import narrow_config, random_gguf, random_state, save_checkpoint
from typer.testing import CliRunner, Result

from localvqe import Enhancer
from localvqe_cli import gguf_file, models
from localvqe_cli.cli import app
from localvqe_cli.signal_path import align_reference
from localvqe_cli.tensors import quantizable_shapes

CONFIG = narrow_config(3, mic_channels=(2, 12, 16, 16, 8, 9), far_channels=(2, 12, 16))


def run(*arguments: str | os.PathLike[str] | float) -> Result:
    return CliRunner().invoke(app, ["quantize", *map(str, arguments)])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model-f32.gguf"
    state = random_gguf(path, CONFIG)
    assert state
    return path


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two short pairs and the table that lists them."""
    folder = tmp_path_factory.mktemp("pairs")
    rows = ["id\tmic\tref"]
    for seed, name in enumerate(("one", "two")):
        mic, ref = signals(1.2, seed=seed)
        soundfile.write(folder / f"{name}_mic.wav", mic, 16000, subtype="FLOAT")
        soundfile.write(folder / f"{name}_ref.wav", ref[: 16000 - seed], 16000, subtype="FLOAT")
        rows.append(f"{name}\t{name}_mic.wav\t{name}_ref.wav")
    (folder / "pairs.tsv").write_text("\n".join(rows) + "\n")
    return folder / "pairs.tsv"


def snr(source: Path, output: Path, pairs: Path) -> list[float]:
    """What the summary claims, measured by other means."""
    found = []
    for name in ("one", "two"):
        mic = soundfile.read(pairs.with_name(f"{name}_mic.wav"), dtype="float32")[0]
        ref = soundfile.read(pairs.with_name(f"{name}_ref.wav"), dtype="float32")[0]
        ref = align_reference(mic, ref, CONFIG)
        a, b = (Enhancer(path).enhance(mic, ref).astype(float) for path in (source, output))
        found.append(float(10 * np.log10(np.sum(a**2) / np.sum((a - b) ** 2))))
    return found


def test_without_recordings_a_built_in_choice_is_used(model: Path) -> None:
    result = run(model, "q8_0")
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    output = model.with_name("model-q8_0.gguf")
    assert str(output) in result.stderr
    assert "not measured" in result.stderr
    file = gguf_file.read(output)
    assert file.config == CONFIG
    assert file.metadata["localvqe.quantization.policy"] == "built-in"
    assert file.metadata["localvqe.quantization.type"] == "Q8_0"
    types = {name: info.type.name for name, info in file.tensors.items()}
    quantizable = quantizable_shapes(CONFIG)
    assert types["dec1.deconv.conv.weight"] == "Q8_0"
    assert {types[name] for name in types if name not in quantizable} == {"F32"}
    before = gguf_file.read(model)
    for name in set(types) - set(quantizable):
        np.testing.assert_array_equal(file.array(name), before.array(name))
    mic, ref = signals(0.5)
    assert np.isfinite(Enhancer(output).enhance(mic, ref)).all()


def test_calibration_is_measured_and_recorded(model: Path, pairs: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.gguf"
    result = run(model, output, "Q4_K", "--calibrate", pairs, "--min-snr", 22, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    measured = snr(model, output, pairs)
    assert list(report["clips"].values()) == pytest.approx(measured, abs=0.05)
    assert report["worst_snr_db"] >= 22
    assert report["met"] is True
    assert report["policy"] == "calibrated"
    assert report["nbytes"] == output.stat().st_size < model.stat().st_size
    types = {t["name"]: t["type"] for t in report["tensors"]}
    assert set(types) == set(quantizable_shapes(CONFIG))
    assert "Q4_K" in types.values()
    file = gguf_file.read(output)
    assert {name: file.tensors[name].type.name for name in types} == types
    facts = {k.removeprefix("localvqe.quantization."): v for k, v in file.metadata.items()}
    assert facts["calibration"] == "pairs.tsv"
    assert facts["calibration_clips"] == 2
    assert facts["calibration_seconds"] == pytest.approx(2.4, abs=0.1)
    assert facts["worst_snr_db"] == pytest.approx(min(measured), abs=0.05)
    assert facts["snr_db"] == pytest.approx(np.median(measured), abs=0.05)
    assert facts["bound_db"] == 22


def test_a_higher_bound_gives_a_larger_file(model: Path, pairs: Path, tmp_path: Path) -> None:
    sizes = []
    for bound in (10, 36):
        result = run(model, tmp_path / f"{bound}.gguf", "Q4_K", "--calibrate", pairs.parent, "--min-snr", bound)
        assert result.exit_code == 0, result.output
        assert min(snr(model, tmp_path / f"{bound}.gguf", pairs)) >= bound - 0.05
        sizes.append((tmp_path / f"{bound}.gguf").stat().st_size)
    assert sizes[0] < sizes[1]


def test_a_bound_out_of_reach_writes_the_best_and_exits_with_1(model: Path, pairs: Path, tmp_path: Path) -> None:
    output = tmp_path / "best.gguf"
    result = run(model, output, "Q8_0", "--calibrate", pairs, "--min-snr", 120, "--json")
    assert result.exit_code == 1
    assert "reaches 120 dB" in result.stderr.splitlines()[-1]
    report = json.loads(result.stdout)
    assert report["met"] is False
    assert 30 < report["worst_snr_db"] < 120
    assert gguf_file.read(output).metadata["localvqe.quantization.worst_snr_db"] == pytest.approx(
        report["worst_snr_db"], abs=0.01
    )
    parameters = {t["name"]: int(np.prod(t["shape"])) for t in report["tensors"]}
    in_f32 = sum(parameters[t["name"]] for t in report["tensors"] if t["type"] == "F32")
    assert in_f32 <= 0.5 * sum(parameters.values())


def test_what_is_to_be_kept_stays_f32(model: Path) -> None:
    result = run(model, "Q8_0", "--keep", "dec1", "--keep", "mic_enc2.conv.weight")
    assert result.exit_code == 0, result.output
    file = gguf_file.read(model.with_name("model-q8_0.gguf"))
    kept = {n for n in quantizable_shapes(CONFIG) if n.startswith("dec1.") or n == "mic_enc2.conv.weight"}
    assert len(kept) == 4
    for name in quantizable_shapes(CONFIG):
        assert (file.tensors[name].type.name == "F32") >= (name in kept)
    assert file.tensors["mic_enc2.resblock.conv.weight"].type.name == "Q8_0"
    assert file.metadata["localvqe.quantization.keep"] == ["dec1", "mic_enc2.conv.weight"]


@pytest.mark.parametrize("version", [1, 2, 3])
def test_bases_that_are_left_out_are_computed(tmp_path: Path, version: int) -> None:
    config = narrow_config(version, mic_channels=(2, 12, 16, 9, 16, 8))
    source, small, whole = tmp_path / "m.gguf", tmp_path / "small.gguf", tmp_path / "whole.gguf"
    random_gguf(source, config)
    assert run(source, whole, "Q8_0", "--keep-bases").exit_code == 0
    result = run(source, small, "Q8_0", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["has_bases"] is False
    assert whole.stat().st_size - small.stat().st_size == pytest.approx(2 * 512 * 512 * 4, abs=500)
    file, before = gguf_file.read(small), gguf_file.read(source)
    for name in ("encoder.conv.weight", "decoder.linear.weight"):
        assert name not in file.tensors
        np.testing.assert_allclose(file.array(name), before.array(name), atol=2e-6)
    mic, ref = signals(0.5)
    np.testing.assert_array_equal(Enhancer(small).enhance(mic, ref), Enhancer(whole).enhance(mic, ref))
    tensors = {name: before.array(name) for name in before.tensors}
    tensors["encoder.conv.weight"] = -tensors["encoder.conv.weight"]
    gguf_file.write(source, config, tensors)
    odd = run(source, "Q8_0", "--force", "--json")
    assert odd.exit_code == 0
    assert "encoder.conv.weight is not the standard basis, so the codec's bases stay" in odd.stderr
    assert json.loads(odd.stdout)["has_bases"] is True
    made = gguf_file.read(json.loads(odd.stdout)["output"])
    np.testing.assert_array_equal(made.array("encoder.conv.weight"), tensors["encoder.conv.weight"])


def test_names_and_licence_are_carried_over(tmp_path: Path) -> None:
    source = tmp_path / "m.gguf"
    random_gguf(source, CONFIG)
    file = gguf_file.read(source)
    tensors = {name: file.array(name) for name in file.tensors}
    further = {"general.name": "mine", "general.license": "apache-2.0", "localvqe.note": ["a", "b"], "x": 7}
    gguf_file.write(source, CONFIG, tensors, further)
    assert run(source, "Q8_0").exit_code == 0
    metadata = gguf_file.read(tmp_path / "m-q8_0.gguf").metadata
    assert {key: metadata[key] for key in further} == further


def test_misuse_is_told_in_a_line(model: Path, pairs: Path, tmp_path: Path) -> None:
    assert "choose Q8_0 or Q4_K" in refusal(run(model, "Q3_K"), 2)
    assert "expected IN.gguf" in refusal(run(model), 2)
    assert "--calibrate" in refusal(run(model, "Q8_0", "--min-snr", 40), 2)
    assert "over 0" in refusal(run(model, "Q8_0", "--min-snr", "nan", "--calibrate", pairs), 2)
    assert "gru" in refusal(run(model, "Q8_0", "--keep", "gru"), 2)
    blocks = {name.split(".")[0] for name in quantizable_shapes(CONFIG)}
    assert "nothing is left" in refusal(run(model, "Q8_0", *(a for b in blocks for a in ("--keep", b))), 2)
    assert "no such" in refusal(run(model, "Q8_0", "--calibrate", tmp_path / "none.tsv"), 2)
    assert "no such model" in refusal(run(tmp_path / "none.gguf", "Q8_0"), 4)
    assert "input itself" in refusal(run(model, model, "Q8_0", "--force"), 2)
    assert sorted(os.listdir(tmp_path)) == [model.name]


def test_a_quantized_file_is_not_quantized_again(model: Path) -> None:
    assert run(model, "Q8_0").exit_code == 0
    quantized = model.with_name("model-q8_0.gguf")
    assert "quantized already (Q8_0)" in refusal(run(quantized, "Q4_K"), 4)
    assert "exists" in refusal(run(model, "Q8_0"), 2)
    assert run(model, "Q8_0", "--force").exit_code == 0


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.zeros(32000, np.float32), "silent"),
        (np.ones(8000, np.float32) * 0.1, "too short"),
        (np.zeros(0, np.float32), "no"),
    ],
)
def test_unsuitable_recordings_are_named(model: Path, tmp_path: Path, samples: np.ndarray, words: str) -> None:
    (tmp_path / "audio").mkdir()
    soundfile.write(tmp_path / "audio" / "a_mic.wav", samples, 16000, subtype="FLOAT")
    soundfile.write(tmp_path / "audio" / "a_ref.wav", signals(1.0)[1], 16000, subtype="FLOAT")
    message = refusal(run(model, "Q8_0", "--calibrate", tmp_path / "audio"), 3)
    assert "a_mic.wav" in message
    assert words in message
    assert not model.with_name("model-q8_0.gguf").exists()


def test_a_microphone_without_its_reference_is_named(model: Path, tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    soundfile.write(tmp_path / "audio" / "a_mic.wav", signals(1.0)[0], 16000)
    assert "a_mic.wav" in refusal(run(model, "Q8_0", "--calibrate", tmp_path / "audio"), 2)


def test_a_weight_that_no_block_holds_is_told(tmp_path: Path) -> None:
    source = tmp_path / "m.gguf"
    random_gguf(source, CONFIG)
    file = gguf_file.read(source)
    tensors = {name: file.array(name) for name in file.tensors}
    tensors["dec3.deconv.conv.weight"][0, 0, 0, 0] = 1e9
    gguf_file.write(source, CONFIG, tensors)
    message = refusal(run(source, "Q8_0"), 4)
    assert "dec3.deconv.conv.weight" in message
    assert not (tmp_path / "m-q8_0.gguf").exists()


def test_a_model_without_a_network_has_nothing_to_quantize(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "nothing in it to quantize" in refusal(run("default", "Q8_0"), 4)
    assert os.listdir(tmp_path) == []


def test_a_name_is_quantized_into_the_working_folder(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, here = tmp_path / "package", tmp_path / "here"
    package.mkdir()
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(models, "DEFAULT_MODEL", model.rename(package / "default-f32.gguf"))
    assert run("default", "Q8_0").exit_code == 0
    assert os.listdir(here) == ["default-q8_0.gguf"]


def test_the_embedded_network_is_made_by_its_script(
    pairs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch")
    from localvqe_cli.weights import make_denoise as script

    monkeypatch.setattr(script, "MEDIAN_SNR_DB", 30.0)
    monkeypatch.setattr(script, "MIN_SNR_DB", 30.0)
    source, target = tmp_path / "denoise.pt", tmp_path / "made.gguf"
    save_checkpoint(source, random_state(CONFIG), CONFIG)
    content = torch.load(source, weights_only=True)
    words = ("name", "version", "description", "summary", "validation_summary")
    torch.save({**content, "training": {**dict.fromkeys(words, "x"), "hours": 2.0}}, source)
    assert script.make_denoise(pairs, target, source=source).met
    made = gguf_file.read(target)
    assert made.metadata["general.name"] == "x"
    assert {info.type.name for info in made.tensors.values()} == {"F32", "Q8_0"}
    shown = CliRunner().invoke(app, ["models", "show", "denoise", "--json"])
    assert json.loads(shown.stdout)["path"] == str(models.resolve("denoise"))
