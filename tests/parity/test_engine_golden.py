"""The compiled engine against the golden vectors, in every mode and with every kernel set this CPU can run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from engine_runs import by_clip, by_hop, usable_kernels
from typer.testing import CliRunner

from localvqe_cli import Enhancer, export
from localvqe_cli.cli import app

VERSIONS = ("v1", "v1.1", "v1.2")
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def exported(golden: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("exported")
    for version in VERSIONS:
        export.export(golden / version / "state.pt", folder / f"{version}.gguf")
    return {version: folder / f"{version}.gguf" for version in VERSIONS}


@pytest.fixture(scope="module")
def clip(golden: Path) -> tuple[np.ndarray, np.ndarray]:
    return tuple(sf.read(golden / "input" / f"{name}.wav", dtype="float32")[0] for name in ("mic", "ref"))  # type: ignore[return-value]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kernels", usable_kernels())
def test_stream_and_clip_match_the_golden_output(golden, exported, clip, version, kernels, monkeypatch) -> None:
    monkeypatch.setenv("LOCALVQE_KERNELS", kernels)
    enhancer = Enhancer(exported[version])
    want = np.load(golden / version / "out_stream.npy")
    hops = by_hop(enhancer, *clip)
    assert np.abs(hops - want).max() < TOLERANCE
    np.testing.assert_array_equal(by_clip(enhancer, *clip), hops)


@pytest.mark.parametrize("version", VERSIONS)
def test_enhance_is_the_centred_output(golden, exported, clip, version) -> None:
    out = Enhancer(exported[version]).enhance(*clip)
    assert np.abs(out - np.load(golden / version / "out_centred.npy")).max() < TOLERANCE


def test_a_foreign_file_runs_as_well_as_ours(golden, clip) -> None:
    out = Enhancer(golden / "v1" / "model-f32.gguf").enhance(*clip)
    assert np.abs(out - np.load(golden / "v1" / "out_centred.npy")).max() < TOLERANCE


@pytest.mark.parametrize("version", VERSIONS)
def test_the_command_line_writes_the_centred_output(golden, exported, version, tmp_path) -> None:
    out = tmp_path / "out.wav"
    args = ["enhance", "--align", "off", "-m", str(exported[version]), "-o", str(out)]
    result = CliRunner().invoke(app, [*args, str(golden / "input/mic.wav"), str(golden / "input/ref.wav")])
    assert result.exit_code == 0, result.output
    got, rate = sf.read(out, dtype="float32")
    want = np.load(golden / version / "out_centred.npy")
    assert rate == 16000
    # The file holds 16-bit samples, rescaled where the peak was over full scale: allow for the gain and the rounding.
    gain = min(1.0, np.abs(got).max() / np.abs(want).max()) if np.abs(want).max() > 1 else 1.0
    assert np.abs(got - want * gain).max() < TOLERANCE + 1.5 / 32768


@pytest.mark.parametrize("version", VERSIONS)
def test_taps_match_block_by_block(golden, exported, clip, version) -> None:
    stream = Enhancer(exported[version]).stream()
    want = np.load(golden / version / "taps.npz")
    mic, ref = clip
    frames = []
    for i in range(70):
        stream.process(mic[256 * i : 256 * (i + 1)], ref[256 * i : 256 * (i + 1)])
        frames.append(stream.taps())
    got = np.array([np.linalg.norm(f["mic_spectrum"]) for f in frames])
    np.testing.assert_allclose(got, want["mic_enc_l2"][:70], rtol=1e-5, atol=1e-5)
    delay = np.stack([f["delay"] for f in frames])
    np.testing.assert_array_equal(delay.argmax(1), want["delay"][:70].argmax(1))
    for name in frames[0]:
        if f"{name}_f60_70" not in want:
            continue
        expected = want[f"{name}_f60_70"]
        block = np.stack([f[name] for f in frames[60:]], axis=1)
        # Softmax at tau 0.1 sharpens rounding into visible differences of features that reach 17: 3e-5 of the peak.
        assert np.abs(block - expected).max() < 3e-5 * max(1.0, np.abs(expected).max()), name
