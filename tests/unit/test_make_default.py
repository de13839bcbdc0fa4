"""The embedded model: what it says about itself, and that it is the checkpoint in the repository."""

from __future__ import annotations

import runpy
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import localvqe
import localvqe_cli
from localvqe_cli import gguf_file
from localvqe_cli.models import EMBEDDED, resolve
from localvqe_cli.weights.make_default import make_model

#: In the repository; installed packages come without it.
CHECKPOINT = Path(__file__).parents[2] / "localvqe_cli" / "weights" / "default.pt"


@pytest.mark.parametrize("name", ["default", "kalman"])
def test_it_is_what_the_script_makes_of_the_checkpoint(name: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    make_model(tmp_path / "again.gguf", CHECKPOINT, echo_only=name == "kalman")
    made, embedded = gguf_file.read(tmp_path / "again.gguf"), gguf_file.read(resolve(name))
    assert made.metadata == embedded.metadata
    for name in embedded.tensors:
        np.testing.assert_allclose(made.array(name), embedded.array(name), atol=1e-6, err_msg=name)


@pytest.mark.parametrize("name", ["default", "kalman"])
def test_it_says_what_it_is(name: str) -> None:
    model = gguf_file.read(resolve(name))
    assert model.config is not None
    assert model.config.frontend is not None
    assert not model.config.network
    assert resolve(name).stat().st_size < 10_000
    for key in ("general.name", "general.version", "general.description", "localvqe.training.data"):
        assert model.metadata[key]
    assert model.metadata["general.license"] == "apache-2.0"
    assert model.metadata["localvqe.training.hours"] > 1.0


def test_the_package_stays_small_and_its_names_mean_its_files() -> None:
    files = {resolve(name) for name in EMBEDDED}
    assert sum(path.stat().st_size for path in files) < 3_000_000
    assert resolve("default-q8_0") == resolve(None)
    plain, kalman, denoise = (gguf_file.read(resolve(name)) for name in ("default", "kalman", "denoise"))
    assert denoise.config.network
    assert denoise.config.frontend == kalman.config.frontend
    assert denoise.config.residual.noise_reduction == kalman.config.residual.noise_reduction == 0.0
    quieter = replace(kalman.config.residual, noise_reduction=8.0)
    assert plain.config == replace(kalman.config, residual=quieter)
    for name in plain.tensors:
        np.testing.assert_array_equal(denoise.array(name), plain.array(name))
        np.testing.assert_array_equal(kalman.array(name), plain.array(name))


@pytest.mark.parametrize("name", EMBEDDED)
def test_it_removes_an_echo_and_leaves_the_near_end(name: str) -> None:
    """A voice-like far end through a room, then a near end alone: the sounds are synthetic, so only much counts."""
    rng = np.random.default_rng(0)
    seconds = 6
    time = np.arange(seconds * 16000) / 16000
    pitch = 120 + 20 * np.sin(2 * np.pi * 0.7 * time)
    voice = sum(np.sin(k * 2 * np.pi * np.cumsum(pitch) / 16000) / k for k in range(1, 25))
    syllables = np.clip(np.sin(2 * np.pi * 2.1 * time), 0, 1) ** 0.5
    far = (0.05 * voice * syllables).astype(np.float32)
    room = rng.standard_normal(1500) * np.exp(-np.arange(1500) / 250.0) / 12.0
    echo = np.convolve(far, np.concatenate([np.zeros(800), room]))[: far.size]
    mic = (echo + 1e-4 * rng.standard_normal(far.size)).astype(np.float32)
    out = localvqe.Enhancer(name).enhance(mic, far)
    last = slice(3 * 16000, None)
    # Pure harmonics are hard for the learned gain (docs/reference/frontend.md, chords): 8 dB by the default 2.1.
    assert 10 * np.log10(np.mean(mic[last] ** 2) / np.mean(out[last] ** 2)) > 7.0
    near = np.roll(far, 40000)
    alone = localvqe.Enhancer(name).enhance(near, np.zeros_like(far))
    # The buzz that stands for a voice has no pauses to tell it from noise.
    bound = {"kalman": 0.01, "default": 2.0, "denoise": 6.0}[name]
    assert abs(10 * np.log10(np.mean(alone**2) / np.mean(near**2))) < bound


@pytest.mark.parametrize("script", ["make_default", "make_kalman", "make_denoise"])
def test_the_scripts_explain_themselves_and_refuse_in_a_line(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Run here, as ``python -m`` would: a process for each would load torch for each."""
    module = f"localvqe_cli.weights.{script}"

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [script, *arguments])
        monkeypatch.delitem(sys.modules, module, raising=False)
        with pytest.raises(SystemExit) as ended:
            runpy.run_module(module, run_name="__main__")
        assert isinstance(ended.value.code, int)
        return ended.value.code, *capsys.readouterr()

    monkeypatch.chdir(tmp_path)
    code, told, complaint = run("--help")
    assert (code, complaint) == (0, "")
    assert "PATH" in told
    assert run("--force")[0] == 2
    code, _, complaint = run(*["nowhere"] * (script == "make_denoise"), "no/such/folder.gguf")
    # An installed package lacks the checkpoints, which is found out first.
    has_checkpoints = (Path(localvqe_cli.__file__).parent / "weights" / CHECKPOINT.name).exists()
    assert code == (2 if has_checkpoints else 4)
    assert complaint.startswith("localvqe: error: ")
    assert complaint.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
