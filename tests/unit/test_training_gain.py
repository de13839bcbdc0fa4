"""Training the filter's gain: it learns, resumes to the last bit, and writes a checkpoint that the other verbs read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import soundfile
from training_data import make_manifest
from typer.testing import CliRunner

from localvqe_cli import checkpoint, export
from localvqe_cli.cli import app
from localvqe_cli.errors import CheckpointError, UsageError
from localvqe_cli.verify import builtin_signals

torch = pytest.importorskip("torch")

from localvqe_cli.training.dataset import make_datasets  # noqa: E402
from localvqe_cli.training.gain_loop import GainResult, GainTrainer  # noqa: E402
from localvqe_cli.training.gain_loss import residual_loss  # noqa: E402
from localvqe_cli.training.journal import read_rows  # noqa: E402
from localvqe_cli.training.options import GainRecipe, Limits  # noqa: E402

RECIPE = GainRecipe(batch=2, seconds=2.0, piece=13, rooms=4, hidden=3, rate=2e-3, warmup=1, ema=0.5, compiled=False)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_manifest(tmp_path_factory.mktemp("gain"))


def run(folder: Path, manifest: Path, steps: int, valid_clips: int = 0, **options: Any) -> GainResult:
    trainer = GainTrainer(folder, RECIPE, Limits(steps=steps, valid_clips=valid_clips, threads=1), **options)
    return trainer.run(*make_datasets(manifest, manifest.parent / "cache", trainer.recipe))


def test_it_learns_and_exports(manifest: Path, tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", manifest, 60, valid_clips=3)
    assert whole.loss is not None
    assert whole.by_hand is not None
    assert whole.loss < whole.by_hand
    assert read_rows(tmp_path / "whole" / "valid.tsv")[-1]["loss"] == pytest.approx(whole.loss, rel=1e-4)

    loaded = checkpoint.read(tmp_path / "whole" / "last.pt")
    assert not loaded.config.network
    assert loaded.config.frontend is not None
    assert loaded.config.frontend.gain_hidden == 3
    summary = export.export(tmp_path / "whole" / "last.pt", tmp_path / "gain.gguf")
    assert summary.temperature is None
    soundfile.write(tmp_path / "mic.wav", builtin_signals(0.5)[0], 16000)
    arguments = ["verify", str(tmp_path / "whole" / "last.pt"), str(tmp_path / "gain.gguf")]
    result = CliRunner().invoke(app, [*arguments, "--mic", str(tmp_path / "mic.wav")])
    assert result.exit_code == 0, result.output


def test_resuming_changes_no_bit(manifest: Path, tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", manifest, 6)
    run(tmp_path / "halves", manifest, 3)
    run(tmp_path / "halves", manifest, 6, resume=True)
    states = [torch.load(tmp_path / name / "trainer.pt", weights_only=True) for name in ("whole", "halves")]
    assert states[0]["step"] == states[1]["step"] == whole.step
    for name, value in states[0]["gain"].items():
        assert torch.equal(value, states[1]["gain"][name]), name


def test_a_run_is_not_overwritten_nor_taken_for_another_kind(manifest: Path, tmp_path: Path) -> None:
    run(tmp_path, manifest, 2)
    with pytest.raises(UsageError, match="--resume"):
        run(tmp_path, manifest, 2)
    with pytest.raises(CheckpointError, match="controller"):
        GainTrainer(tmp_path / "wider", GainRecipe(hidden=5), Limits(steps=1), init=tmp_path / "last.pt")
    arguments = ["train", "--data", str(manifest), "-o", str(tmp_path), "--resume", "--steps", "3"]
    refused = CliRunner().invoke(app, arguments)
    assert refused.exit_code == 4, refused.output


def test_the_command(manifest: Path, tmp_path: Path) -> None:
    arguments = ["train", "--gain", "--data", str(manifest), "-o", str(tmp_path / "run"), "--steps", "1", "--json"]
    arguments += ["--batch", "1", "--seconds", "2", "--rooms", "4", "--hidden", "2", "--valid-clips", "0"]
    result = CliRunner().invoke(app, arguments, env={"TORCHDYNAMO_DISABLE": "1"})
    assert result.exit_code == 0, result.output
    assert (tmp_path / "run" / "last.pt").is_file()
    assert '"step": 1' in result.stdout


def test_options_of_a_network_are_refused(manifest: Path, tmp_path: Path) -> None:
    arguments = ["train", "--gain", "--data", str(manifest), "-o", str(tmp_path / "run"), "--steps", "1"]
    result = CliRunner().invoke(app, [*arguments, "--processes", "2"])
    assert result.exit_code == 2
    assert "--processes cannot go with --gain" in str(result.output)


def test_the_loss_counts_what_is_left_and_what_is_taken() -> None:
    generator = torch.Generator().manual_seed(0)
    near, echo = (torch.randn(2, 4096, generator=generator) * level for level in (0.01, 0.1))
    mic = near + echo
    loudness = mic.square().mean(dim=1)

    def loss(estimate: torch.Tensor) -> float:
        return float(residual_loss(echo, estimate, mic, loudness))

    assert loss(echo) == 0.0
    assert loss(torch.zeros_like(echo)) > loss(0.9 * echo) > loss(0.99 * echo) > 0.0
    assert loss(mic) > 2.0  # the near end is gone with the echo
    quiet = residual_loss(0.01 * echo, 0.009 * echo, 0.01 * mic, 1e-4 * loudness)
    assert float(quiet) == pytest.approx(loss(0.9 * echo), rel=1e-3)
