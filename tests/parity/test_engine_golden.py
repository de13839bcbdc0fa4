"""The compiled engine against the golden vectors, in every mode and with every kernel set this CPU can run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from engine_runs import by_clip, by_hop, usable_kernels
from golden_vectors import ALL, FOREIGN, HOP, QUANTIZED, Vectors
from typer.testing import CliRunner

from localvqe import Enhancer
from localvqe_cli.cli import app

TOLERANCE = 1e-4
#: Of a block, relative to its peak: softmax at tau 0.1 sharpens rounding into visible differences of features that
#: reach 17, and more so where few channels share it.
BLOCK_TOLERANCE = {"shared": 5e-5, "small": 1e-4}
#: Full widths with this CPU's own kernels, all else with every set that it can run.
RUNS = [
    (name, kernels)
    for name in ALL
    for kernels in (usable_kernels()[:1] if name.startswith("shared-") else usable_kernels())
]
#: Rounding activations to 16 bits, at the output, in dB.
INTEGER_SNR_DB = 60.0


@pytest.fixture(autouse=True)
def _exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALVQE_ARITHMETIC", "f32")


@pytest.mark.parametrize(("vectors", "kernels"), RUNS, indirect=["vectors"], scope="module")
def test_stream_and_clip_match_the_golden_output(vectors, golden_model, kernels, monkeypatch) -> None:
    monkeypatch.setenv("LOCALVQE_KERNELS", kernels)
    enhancer = Enhancer(golden_model)
    hops = by_hop(enhancer, vectors.mic, vectors.ref)
    assert np.abs(hops - vectors.stream).max() < TOLERANCE
    np.testing.assert_array_equal(by_clip(enhancer, vectors.mic, vectors.ref), hops)


def test_enhance_is_the_centred_output(vectors: Vectors, golden_model: Path) -> None:
    out = Enhancer(golden_model).enhance(vectors.mic, vectors.ref)
    assert np.abs(out - vectors.centred).max() < TOLERANCE


@pytest.mark.parametrize("vectors", FOREIGN, indirect=True, scope="module")
def test_a_foreign_file_runs_as_well_as_ours(vectors: Vectors) -> None:
    out = Enhancer(vectors.foreign).enhance(vectors.mic, vectors.ref)
    assert np.abs(out - vectors.centred).max() < TOLERANCE


def test_the_command_line_writes_the_centred_output(vectors: Vectors, golden_model: Path, tmp_path: Path) -> None:
    for side in ("mic", "ref"):  # they are 16-bit recordings
        samples = np.round(getattr(vectors, side) * 32768).astype(np.int16)
        sf.write(tmp_path / f"{side}.wav", samples, 16000)
    args = ["enhance", "--align", "off", "-m", str(golden_model), "-o", str(tmp_path / "out.wav")]
    result = CliRunner().invoke(app, [*args, str(tmp_path / "mic.wav"), str(tmp_path / "ref.wav")])
    assert result.exit_code == 0, result.output
    got, rate = sf.read(tmp_path / "out.wav", dtype="float32")
    want = vectors.centred
    assert rate == 16000
    # The file holds 16-bit samples, rescaled where the peak was over full scale: allow for the gain and the rounding.
    gain = min(1.0, np.abs(got).max() / np.abs(want).max()) if np.abs(want).max() > 1 else 1.0
    assert np.abs(got - want * gain).max() < TOLERANCE + 1.5 / 32768


@pytest.mark.parametrize(("vectors", "kernels"), RUNS, indirect=["vectors"], scope="module")
def test_taps_match_block_by_block(vectors, golden_model, kernels, monkeypatch) -> None:
    monkeypatch.setenv("LOCALVQE_KERNELS", kernels)
    stream = Enhancer(golden_model).stream()
    frames = []
    for start in range(0, min(vectors.mic.size, 70 * HOP), HOP):
        stream.process(vectors.mic[start : start + HOP], vectors.ref[start : start + HOP])
        frames.append(stream.taps())
    assert set(frames[0]) - {"delay"} == {*vectors.blocks, *vectors.norms}
    tolerance = BLOCK_TOLERANCE[vectors.name.partition("-")[0]]
    for name, norms in vectors.norms.items():
        got = np.array([np.linalg.norm(frame[name]) for frame in frames])
        expected = norms[: len(frames)]
        assert np.abs(got - expected).max() < tolerance * max(1.0, expected.max()), name
    if vectors.delay is not None:
        delay = np.stack([frame["delay"] for frame in frames])
        np.testing.assert_array_equal(delay.argmax(1), vectors.delay[: len(frames)].argmax(1))
    for name, (indices, values) in vectors.blocks.items():
        known = indices < len(frames)
        expected = values[:, known]
        got = np.stack([frames[i][name].reshape(expected[:, 0].shape) for i in indices[known]], axis=1)
        assert np.abs(got - expected).max() < tolerance * max(1.0, np.abs(expected).max()), name


@pytest.mark.parametrize("vectors", [f"small-{name}" for name in QUANTIZED], indirect=True, scope="module")
def test_integers_are_close_to_the_golden_output(vectors, golden_model, monkeypatch) -> None:
    monkeypatch.setenv("LOCALVQE_ARITHMETIC", "int16")
    enhancer = Enhancer(golden_model)
    assert enhancer.stream().integer_layers() > 20
    error = by_hop(enhancer, vectors.mic, vectors.ref) - vectors.stream
    assert 10 * np.log10(np.sum(vectors.stream**2) / np.sum(error**2)) > INTEGER_SNR_DB
    assert error.any()
