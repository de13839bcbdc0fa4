"""What a program gets from the functions behind the verbs; that verbs do the same is tested with the verbs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from eval_data import write_set
from make_model import narrow_config, random_state, save_checkpoint

import localvqe

CONFIG = narrow_config(2)
RNG = np.random.default_rng(8)


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Mic and reference of a second at 16 kHz."""
    monkeypatch.chdir(tmp_path)
    for name in ("mic", "ref"):
        sf.write(f"{name}.wav", 0.1 * RNG.standard_normal(16000), 16000, subtype="FLOAT")
    return Path("mic.wav"), Path("ref.wav")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A checkpoint and its model file."""
    folder = tmp_path_factory.mktemp("made")
    save_checkpoint(folder / "ckpt.pt", random_state(CONFIG, seed=3), CONFIG)
    summary = localvqe.export(folder / "ckpt.pt", name="narrow", license="CC0", meta={"general.version": "2"})
    assert isinstance(summary, localvqe.ExportSummary)
    return folder / "ckpt.pt", summary.output


def samples(path: str | Path) -> np.ndarray:
    return sf.read(path, dtype="float32")[0]


def test_a_file_is_enhanced_as_its_samples_are(pair: tuple[Path, Path]) -> None:
    mic, ref = pair
    result = localvqe.enhance_file(mic, ref, output="clean.wav", align="off")
    assert (result.output, result.error, result.rate, result.seconds) == ("clean.wav", None, 16000, 1.0)
    assert type(result) is localvqe.FileResult
    np.testing.assert_allclose(samples("clean.wav"), localvqe.enhance(samples(mic), samples(ref)), atol=1e-6)
    assert json.loads(json.dumps(result.to_dict()))["output"] == "clean.wav"


def test_outputs_are_named_and_protected_as_on_the_command_line(pair: tuple[Path, Path]) -> None:
    mic, ref = pair
    Path("out").mkdir()
    assert localvqe.enhance_file(mic, ref).output == "mic_enhanced.wav"
    assert localvqe.enhance_file(mic, ref, output="out").output == "out/mic_enhanced.wav"
    with pytest.raises(localvqe.UsageError, match=r"mic_enhanced\.wav"):
        localvqe.enhance_file(mic, ref)
    localvqe.enhance_file(mic, ref, force=True)


def test_channels_strength_and_progress(pair: tuple[Path, Path]) -> None:
    both = np.stack([samples(path) for path in pair], axis=1)
    sf.write("both.wav", both, 16000, subtype="FLOAT")
    seen: list[tuple[float, float | None]] = []
    localvqe.enhance_file(
        "both.wav", mic_channel=1, ref_channel=2, align="off", output="two.wav", progress=lambda *at: seen.append(at)
    )
    localvqe.enhance_file(*pair, align="off", output="one.wav")
    np.testing.assert_array_equal(samples("two.wav"), samples("one.wav"))
    assert seen[-1] == (1.0, 1.0)
    localvqe.enhance_file(*pair, output="dry.wav", strength=0.0)
    np.testing.assert_array_equal(samples("dry.wav"), samples(pair[0]))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"strength": 1.5}, "strength is 1.5, expected a number from 0 to 1"),
        ({"strength": float("nan")}, "strength is nan"),
        ({"align": "often"}, "align is often: give auto, off, or milliseconds"),
        ({"align": 1e9}, "align is 1000000000.0"),
        ({"clip_mode": "wrap"}, "clip_mode is 'wrap', expected rescale or clamp"),
        ({"mic_channel": 0}, "mic_channel is 0, expected 1 or more"),
        ({"mic_channel": 2, "ref_channel": 2, "ref": None}, "channel 2 cannot be both the mic and its reference"),
        ({"output": "none/"}, "the folder none/ does not exist"),
        ({"threads": 33}, "threads is 33, expected 0 to 32"),
        ({"model": localvqe.Enhancer(), "noise_gate": -60.0}, "give them to the Enhancer"),
    ],
)
def test_unusable_options_are_refused(pair: tuple[Path, Path], options: dict[str, object], text: str) -> None:
    with pytest.raises(localvqe.UsageError, match=text):
        localvqe.enhance_file(**({"mic": pair[0], "ref": pair[1]} | options))  # type: ignore[arg-type]
    assert sorted(path.name for path in Path().iterdir()) == ["mic.wav", "ref.wav"]


def test_many_files_and_one_that_fails(pair: tuple[Path, Path]) -> None:
    sf.write("short.wav", np.zeros(10), 16000)
    results = localvqe.enhance_files([pair, ("short.wav", None)], output="out")
    assert [(r.id, r.error is None) for r in results] == [("mic", True), ("short", False)]
    assert "too short" in str(results[1].error)
    assert {path.name for path in Path("out").iterdir()} == {"mic_enhanced.wav", "results.tsv", "results.jsonl"}

    Path("pairs.tsv").write_text("id\tmic\tref\nx\tmic.wav\tref.wav\n")
    assert [r.output for r in localvqe.enhance_files("pairs.tsv", output="table")] == ["table/x_enhanced.wav"]
    np.testing.assert_array_equal(samples("table/x_enhanced.wav"), samples("out/mic_enhanced.wav"))

    Path("calls").mkdir()
    for role, path in zip(("mic", "lpb"), pair, strict=True):
        Path("calls", f"a_{role}.wav").write_bytes(path.read_bytes())
    (result,) = localvqe.enhance_files(Path("calls"), no_ref=True)
    assert (result.ref, result.output) == (None, "calls/a_mic_enhanced.wav")

    with pytest.raises(localvqe.UsageError, match="would both be written to"):
        localvqe.enhance_files([pair, pair], output="twice")
    with pytest.raises(localvqe.UsageError, match="no pairs to enhance"):
        localvqe.enhance_files([])


def test_an_exported_model_is_described(made: tuple[Path, Path]) -> None:
    checkpoint, model = made
    assert model == checkpoint.with_name("ckpt-f32.gguf")
    found = localvqe.inspect(model)
    assert isinstance(found, localvqe.Description)
    assert found.usable
    assert found.config == CONFIG
    assert (found.metadata["general.name"], found.metadata["general.license"]) == ("narrow", "CC0")
    assert found.metadata["general.version"] == "2"
    assert found.tensors is not None
    assert sum(np.prod(tensor.shape, dtype=int) for tensor in found.tensors) == found.parameters
    assert localvqe.inspect(model, tensors=False).tensors is None
    deep = localvqe.inspect(model, deep=True).deep
    assert deep is not None
    assert 0.0 < (deep.largest_pole or 0.0) < 1.0
    assert localvqe.inspect(checkpoint).format == "PyTorch checkpoint"
    assert localvqe.inspect().config == localvqe.Enhancer().config
    with pytest.raises(localvqe.UsageError, match=r"general\.name is given twice"):
        localvqe.export(checkpoint, model.with_name("x.gguf"), name="a", meta={"general.name": "b"})


def test_a_damaged_model_is_described_as_far_as_it_goes(made: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "cut.gguf").write_bytes(made[1].read_bytes()[:-1000])
    found = localvqe.inspect(tmp_path / "cut.gguf")
    assert not found.usable
    assert found.problems
    assert found.metadata["general.name"] == "narrow"


def test_a_quantized_model_is_that_checkpoint(made: tuple[Path, Path]) -> None:
    checkpoint, model = made
    summary = localvqe.quantize(model, keep_bases=True)
    assert (summary.type, summary.output) == ("Q8_0", model.with_name("ckpt-q8_0.gguf"))
    assert summary.nbytes < summary.f32_bytes
    for path in (model, summary.output):
        result = localvqe.verify(checkpoint, path, seconds=0.2)
        assert result.ok, result.first_drift
    other = model.with_name("other.pt")
    save_checkpoint(other, random_state(CONFIG, seed=4), CONFIG)
    assert not localvqe.verify(other, model, seconds=0.2).ok


def test_a_model_is_verified_on_recordings_and_on_arrays(made: tuple[Path, Path], pair: tuple[Path, Path]) -> None:
    mic, ref = (samples(path)[:4000] for path in pair)
    sf.write("a.wav", mic, 16000, subtype="FLOAT")
    sf.write("b.wav", ref[:3000], 16000, subtype="FLOAT")
    padded = np.pad(ref[:3000], (0, 1000))
    files, arrays = localvqe.verify(*made, mic="a.wav", ref=Path("b.wav")), localvqe.verify(*made, mic=mic, ref=padded)
    assert files.seconds == arrays.seconds == 0.25
    assert files.blocks == arrays.blocks
    with pytest.raises(localvqe.AudioError, match="the same shape"):
        localvqe.verify(*made, mic=mic, ref=ref[:3000])


def test_models_and_outputs_are_evaluated(tmp_path: Path) -> None:
    pairs = write_set(tmp_path / "set", {"a": "doubletalk", "b": "farend-singletalk"}, seconds=1.0)
    outputs = tmp_path / "outputs"
    localvqe.enhance_files(pairs, output=outputs)
    steps: list[tuple[float, float | None]] = []
    found = localvqe.evaluate(
        pairs,
        models={"ours": "default"},
        enhanced=[outputs],
        metrics=["erle"],
        cache=False,
        progress=lambda *at: steps.append(at),
    )
    assert isinstance(found, localvqe.Evaluation)
    assert [system.name for system in found.systems] == ["mic", "ours", "outputs"]
    assert found.problems == []
    assert found.scenarios == ["doubletalk", "farend-singletalk"]
    scores = {name: found.summaries(name, "farend-singletalk")["erle_db"] for name in ("mic", "ours", "outputs")}
    assert isinstance(scores["ours"], localvqe.Summary)
    assert scores["ours"].mean == pytest.approx(scores["outputs"].mean, abs=0.1)
    assert steps[-1] == (2, 2)
    with pytest.raises(localvqe.UsageError, match="nothing to score"):
        localvqe.evaluate()
    with pytest.raises(localvqe.UsageError, match="no such metric"):
        localvqe.evaluate(pairs, metrics=["loudness"])
    with pytest.raises(localvqe.UsageError, match="jobs is 0"):
        localvqe.evaluate(pairs, jobs=0)
