"""A reference from another device, whose clock differs: the echo goes as it does where the clocks agree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import soxr
from fake_model import FakeModel
from typer.testing import CliRunner

from localvqe_cli.audio import Job
from localvqe_cli.cli import app
from localvqe_cli.enhance_files import EnhanceOptions, enhance_job
from localvqe_cli.signal_path import align_reference

EXAMPLES = Path(__file__).parents[2] / "examples"
RATE = 16000
TIMES = 10  # 65 s of the sample pair, more than one search looks at
PPM = -1000
LATE = 3.0


def sample(name: str) -> np.ndarray:
    return sf.read(EXAMPLES / name, dtype="float32")[0]


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sample pair over and over, and its reference from a slow clock that started late."""
    folder = tmp_path_factory.mktemp("call")
    mic, ref = (np.tile(sample(f"sample_{role}.wav"), TIMES) for role in ("mic", "ref"))
    other = soxr.resample(np.tile(ref, 2), 1e6, 1e6 * (1 + 1e-6 * PPM), quality="VHQ")[int(LATE * RATE) :][: len(mic)]
    for role, signal in (("mic", mic), ("ref", ref), ("other", other)):
        sf.write(folder / f"{role}.wav", signal, RATE, subtype="FLOAT")
    return folder


def enhanced(call: Path, ref: str, *options: str, stdin: str | None = None) -> tuple[float, dict[str, Any]]:
    """How many dB the far end alone is down from 20 s on, and the file's entry of the JSON."""
    out = call / "out.wav"
    arguments = ["enhance", str(call / "mic.wav"), ref, "-o", str(out), "--force", "--json", *options]
    content = None if stdin is None else (call / stdin).read_bytes()
    result = CliRunner().invoke(app, arguments, input=content)
    assert result.exit_code == 0, result.output
    near = np.convolve(sample("sample_target.flac") ** 2, np.ones(1600) / 1600, "same")
    far = np.convolve(sample("sample_ref.wav") ** 2, np.ones(1600) / 1600, "same")
    alone = np.tile((near < 1e-7) & (far > 1e-4), TIMES)
    alone[: 20 * RATE] = False
    energies = [float(np.sum(sf.read(path)[0][alone] ** 2)) for path in (call / "mic.wav", out)]
    return 10 * np.log10(energies[0] / energies[1]), json.loads(result.stdout)["files"][0]


def test_the_echo_goes_as_with_one_clock(call: Path) -> None:
    wanted, plain = enhanced(call, str(call / "ref.wav"))
    assert plain["drift_ppm"] == pytest.approx(0.0, abs=0.1)
    assert plain["notes"] == []
    for ref, stdin in ((str(call / "other.wav"), None), ("-", "other.wav")):
        down, found = enhanced(call, ref, stdin=stdin)
        assert down == pytest.approx(wanted, abs=1.5)
        assert found["drift_ppm"] == pytest.approx(PPM, abs=1.0)
        assert found["delay_ms"] == pytest.approx(1000 * LATE + 60, abs=2.0)
        assert found["shift_ms"] == pytest.approx(48 - 1000 * LATE - 60, abs=2.0)
        assert "the reference's clock is 1000 ppm slow: resampled" in found["notes"]
        assert any(
            note.startswith("the echo comes 3060 ms after the reference, out of the model's sight: reference advanced")
            for note in found["notes"]
        )
    left, found = enhanced(call, str(call / "other.wav"), "--align", "off")
    assert left < wanted - 6.0
    assert (found["drift_ppm"], found["notes"]) == (None, [])


def test_the_model_gets_from_a_file_what_it_gets_from_an_array(call: Path) -> None:
    model = FakeModel(lambda mic, far: far)
    files = [str(call / name) for name in ("mic.wav", "other.wav", "seen.wav")]
    wanted = align_reference(*(sf.read(path, dtype="float32")[0] for path in files[:2]), model.config)
    enhance_job(model, Job("x", *files), EnhanceOptions(block_frames=4096))
    np.testing.assert_array_equal(sf.read(files[2], dtype="float32")[0], wanted)
