"""Weights that run away are named by ``inspect --deep`` and stopped by ``enhance``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from fake_model import FakeModel
from make_model import narrow_config, random_state
from typer.testing import CliRunner

from localvqe_cli import export, gguf_file, model_health
from localvqe_cli.audio import Job
from localvqe_cli.cli import app
from localvqe_cli.description import Health
from localvqe_cli.enhance_files import EnhanceOptions, enhance_job
from localvqe_cli.errors import LocalVQEError


def _model(path: Path, **factors: float) -> Path:
    """A model some of whose tensors (``__`` for dots) are multiplied."""
    config = narrow_config(3)
    tensors = export.fold(config, random_state(config))
    for name, factor in factors.items():
        tensors[name.replace("__", ".")] = tensors[name.replace("__", ".")] * np.float32(factor)
    gguf_file.write(path, config, tensors)
    return path


def _examine(path: Path) -> Health:
    return model_health.examine(gguf_file.read(path))


def test_a_sound_model(tmp_path: Path) -> None:
    report = _examine(_model(tmp_path / "a.gguf"))
    assert report.warnings == []
    assert report.unstable_poles == 0
    assert 0.0 < report.largest_pole < 1.0
    assert "mic_enc1.conv" in report.gains


def test_the_peak_gain_is_what_the_loudest_input_can_become(tmp_path: Path) -> None:
    path = _model(tmp_path / "a.gguf")
    weight = gguf_file.read(path).array("dec3.skip_conv.weight")[:, :, 0, 0]
    worst = max(np.abs(row @ np.sign(row)) for row in weight)
    assert _examine(path).gains["dec3.skip_conv"] == pytest.approx(worst, rel=1e-6)


def test_poles_outside_the_circle(tmp_path: Path) -> None:
    path = _model(tmp_path / "a.gguf", bottleneck__a_real=3.0, bottleneck__a_imag=3.0)
    report = _examine(path)
    assert report.unstable_poles > 0
    assert report.bottleneck_gain is None
    done = CliRunner().invoke(app, ["inspect", "--deep", "--json", "--no-tensors", str(path)])
    assert done.exit_code == 1
    assert "unit circle" in done.stderr
    assert json.loads(done.stdout)["deep"]["unstable_poles"] == report.unstable_poles


def test_a_layer_that_drowns_the_others(tmp_path: Path) -> None:
    (warning,) = _examine(_model(tmp_path / "a.gguf", dec2__resblock__conv__weight=1e6)).warnings
    assert "dec2.resblock.conv" in warning


def _enhance(folder: Path, gain: float, mic: np.ndarray) -> None:
    sf.write(folder / "mic.wav", mic, 16000, subtype="FLOAT")
    model = FakeModel(lambda m, r: gain * m)
    enhance_job(model, Job("x", str(folder / "mic.wav"), None, str(folder / "out.wav")), EnhanceOptions())


def test_an_output_that_runs_away_is_stopped(tmp_path: Path) -> None:
    mic = 0.1 * np.random.default_rng(0).standard_normal(48000)
    with pytest.raises(LocalVQEError, match=r"mic\.wav: stopped at 1\.0 s.*30 times as loud.*inspect --deep"):
        _enhance(tmp_path, 100.0, mic)
    assert not (tmp_path / "out.wav").exists()


@pytest.mark.parametrize("level", [1e-4, 0.5])
def test_a_model_may_amplify_and_quiet_recordings_too(tmp_path: Path, level: float) -> None:
    _enhance(tmp_path, 5.0, level * np.random.default_rng(0).standard_normal(48000))
    assert (tmp_path / "out.wav").exists()
