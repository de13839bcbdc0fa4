"""``localvqe train`` as a verb."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from training_data import make_manifest
from typer.testing import CliRunner

from localvqe_cli.cli import progress
from localvqe_cli.cli.train import train
from localvqe_cli.errors import CheckpointError, UsageError
from localvqe_cli.training import loop

app = typer.Typer()
app.command()(train)
SMALL = "--width micro --dmax 8 --batch 2 --seconds 1 --rooms 2 --valid-clips 2 --workers 0 --threads 1 --precision f32"


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_manifest(tmp_path_factory.mktemp("cli"))


def call(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False, standalone_mode=True)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_train_and_resume(manifest: Path, tmp_path: Path) -> None:
    where = ["--data", manifest.parent, "-o", tmp_path / "run", "--cache", tmp_path / "cache"]
    first = json.loads(call(*where, *SMALL.split(), "--steps", 1, "--json"))
    assert (first["step"], first["clips"]) == (1, 2)
    second = json.loads(call(*where, *SMALL.split(), "--steps", 2, "--json", "--resume"))
    assert second["step"] == 2
    assert {"best.pt", "last.pt", "trainer.pt", "log.tsv", "valid.tsv"} <= {
        p.name for p in (tmp_path / "run").iterdir()
    }
    pytest.importorskip("matplotlib")
    assert (tmp_path / "run" / "curves.png").read_bytes()[:4] == b"\x89PNG"


def test_preparations_are_heard_of(manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_LINE_SECONDS", 0.0)
    monkeypatch.setattr(loop, "draw", lambda folder: False)
    where = ["--data", manifest, "-o", tmp_path / "run", *SMALL.split(), "--steps", 0]
    words = [str(word) for word in where]
    told = CliRunner().invoke(app, words).stderr
    lines = [line for line in told.splitlines() if line.startswith("decoding recordings: ")]
    assert len(lines) == sum(1 for _ in manifest.open()) - 1
    assert lines[0] == "decoding recordings: 0 %"
    assert lines == sorted(lines, key=lambda line: int(line.split()[-2]))
    assert "simulating rooms: 50 %" in told
    assert "decoding" not in CliRunner().invoke(app, [*words, "--resume"]).stderr  # there by now
    assert CliRunner().invoke(app, [*words, "-q", "--cache", str(tmp_path / "other"), "--resume"]).stderr == ""
    assert list((tmp_path / "other").glob("audio-*.i16"))


def test_says_how_far(manifest: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="how far to train"):
        call("--data", manifest, "-o", tmp_path / "run")


def test_bad_requests(manifest: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown width 'huge'"):
        call("--data", manifest, "-o", tmp_path / "run", "--steps", 1, "--width", "huge")
    with pytest.raises(CheckpointError, match="to resume from"):
        call("--data", manifest, "-o", tmp_path / "run", "--steps", 1, "--resume")
    with pytest.raises(UsageError, match="manifest"):
        call("--data", tmp_path, "-o", tmp_path / "run", *SMALL.split(), "--steps", 1)
    with pytest.raises(UsageError, match="unknown device"):
        call("--data", manifest, "-o", tmp_path / "run", *SMALL.split(), "--steps", 1, "--device", "abacus")
