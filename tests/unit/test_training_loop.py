"""The loop: it learns, resumes to the last bit, and leaves files that the other verbs read."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from training_data import make_manifest

from localvqe_cli import checkpoint
from localvqe_cli.errors import CheckpointError, LocalVQEError, UsageError
from localvqe_cli.training import loop
from localvqe_cli.training.dataset import Batch, SceneDataset, make_datasets
from localvqe_cli.training.journal import Journal, draw, read_rows
from localvqe_cli.training.loop import Trainer, TrainingResult
from localvqe_cli.training.options import Limits, Recipe
from localvqe_cli.training.presets import preset

RECIPE: dict[str, Any] = {
    "batch": 2,
    "seconds": 1.0,
    "rooms": 4,
    "warmup": 4,
    "rate": 3e-3,
    "easy_clips": 8,
    "precision": "f32",
    "ema": 0.9,
}


@pytest.fixture(autouse=True)
def _no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take longer than the steps; the command's tests look at them."""
    monkeypatch.setattr(loop, "draw", lambda folder: False)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_manifest(tmp_path_factory.mktemp("loop"))


@pytest.fixture(scope="module")
def two_steps(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two steps, from which tests go on in copies."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "draw", lambda folder: False)
        run(folder := tmp_path_factory.mktemp("runs") / "two", manifest, 2, valid_clips=0)
    return folder


def trainer(
    folder: Path, steps: int, *, resume: bool = False, recipe: dict[str, Any] | None = None, **limits: Any
) -> Trainer:
    limits = {"valid_clips": 4, "workers": 0, "threads": 1, **limits}
    settings = Recipe(**{**RECIPE, **(recipe or {})})
    return Trainer(folder, preset("micro", dmax=8), settings, Limits(steps=steps, **limits), resume=resume)


def run(folder: Path, manifest: Path, steps: int, **options: Any) -> TrainingResult:
    subject = trainer(folder, steps, **options)
    return subject.run(*make_datasets(manifest, manifest.parent / "cache", subject.recipe))


def state(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(folder / "trainer.pt", weights_only=True)
    return content


def same(a: object, b: object) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return isinstance(b, list | tuple) and len(a) == len(b) and all(map(same, a, b))
    return a == b or (a != a and b != b)


def test_the_loss_falls(manifest: Path, tmp_path: Path) -> None:
    run(tmp_path / "a", manifest, 0, valid_clips=12)  # of fewer, some may be nothing that a model could improve
    before = read_rows(tmp_path / "a" / "valid.tsv")[-1]["loss"]
    result = run(tmp_path / "a", manifest, 28, valid_clips=12, resume=True)
    assert result.step == 28
    assert result.figures["loss"] < 0.9 * before
    assert result.best == result.figures["loss"]


def test_resuming_changes_no_bit(manifest: Path, two_steps: Path, tmp_path: Path) -> None:
    run(tmp_path / "whole", manifest, 6, valid_clips=0)
    shutil.copytree(two_steps, tmp_path / "parts")
    run(tmp_path / "parts", manifest, 3, valid_clips=0, resume=True, workers=1)
    run(tmp_path / "parts", manifest, 6, valid_clips=0, resume=True, recipe={"rate": 1.0})  # the recipe is the run's
    whole, parts = state(tmp_path / "whole"), state(tmp_path / "parts")
    for content in (whole, parts):
        content.pop("minutes")
    assert same(whole, parts)


def test_resuming_within_the_fall_of_the_rate(manifest: Path, two_steps: Path, tmp_path: Path) -> None:
    for name in "ab":
        shutil.copytree(two_steps, tmp_path / name)
    run(tmp_path / "a", manifest, 99, valid_clips=0, resume=True, decay_steps=4)
    run(tmp_path / "b", manifest, 4, valid_clips=0, resume=True, decay_steps=4)
    run(tmp_path / "b", manifest, 99, valid_clips=0, resume=True)
    one, two = state(tmp_path / "a"), state(tmp_path / "b")
    assert one["step"] == two["step"] == 6
    assert same(one["model"], two["model"])
    assert same(one["optimizer"], two["optimizer"])


def test_processes_share_a_batch(manifest: Path, two_steps: Path, tmp_path: Path) -> None:
    shutil.copytree(two_steps, tmp_path / "one")
    for name in ("two", "again"):
        run(tmp_path / name, manifest, 2, valid_clips=0, processes=2)
    one, two, again = (state(tmp_path / name) for name in ("one", "two", "again"))
    assert same(two["model"], again["model"])
    assert two["step"] == 2
    # Chosen by timing when the run starts, and kept when it is taken up.
    run(tmp_path / "parts", manifest, 1, valid_clips=0, processes=2, recipe={"precision": "auto"})
    chosen = state(tmp_path / "parts")["recipe"]["precision"]
    run(tmp_path / "parts", manifest, 2, valid_clips=0, processes=2, resume=True)
    run(tmp_path / "whole", manifest, 2, valid_clips=0, processes=2, recipe={"precision": chosen})
    assert same(state(tmp_path / "whole")["model"], state(tmp_path / "parts")["model"])
    # The loss of a batch is nearly the mean of its halves', so both go the same way.
    losses = [read_rows(tmp_path / name / "log.tsv")[-1]["loss"] for name in ("one", "two")]
    assert losses[1] == pytest.approx(losses[0], rel=0.2)
    assert not same(one["model"], two["model"])


def test_a_process_that_dies_ends_the_run(manifest: Path, tmp_path: Path) -> None:
    subject = trainer(tmp_path / "run", 100_000, valid_clips=0, processes=2)
    data, _ = make_datasets(manifest, manifest.parent / "cache", subject.recipe)

    class Deadly(SceneDataset):
        def __getitem__(self, index: int) -> Batch:
            if index == 5:
                os._exit(3)
            return data[index]

    with pytest.raises(LocalVQEError, match="ended with code 3"):
        subject.run(Deadly(None, 0), None)  # type: ignore[arg-type]


def test_a_batch_that_processes_cannot_share(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="3 processes"):
        trainer(tmp_path / "run", 1, processes=3)


def test_processes_on_a_system_that_cannot_copy_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fork")  # as on Windows
    with pytest.raises(UsageError, match="Windows does not; use --threads"):
        trainer(tmp_path / "run", 1, processes=2)


def test_files_of_a_run(manifest: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run(folder, manifest, 2)
    for name in ("best.pt", "last.pt"):
        found = checkpoint.read(folder / name)
        assert found.config == preset("micro", dmax=8)
        assert found.notes == ()
    average = state(folder)["average"]
    assert all(torch.equal(average[name], value) for name, value in checkpoint.read(folder / "last.pt").state.items())
    assert [row["step"] for row in read_rows(folder / "log.tsv")] == [2.0]
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_the_same_seed_gives_the_same_run(manifest: Path, two_steps: Path, tmp_path: Path) -> None:
    run(tmp_path / "b", manifest, 2, valid_clips=0)
    run(tmp_path / "c", manifest, 2, valid_clips=0, recipe={"seed": 2})
    a, b, c = (state(folder)["model"] for folder in (two_steps, tmp_path / "b", tmp_path / "c"))
    assert same(a, b)
    assert not same(a, c)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_stops(manifest: Path, tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "run"
    subject = trainer(folder, 100_000, valid_clips=0)
    data, _ = make_datasets(manifest, manifest.parent / "cache", subject.recipe)
    before = signal.getsignal(number)

    class Interrupting(SceneDataset):
        def __getitem__(self, index: int) -> Batch:
            if index == 6:
                os.kill(os.getpid(), number)
            return data[index]

    result = subject.run(Interrupting(None, 0), None)  # type: ignore[arg-type]
    assert result.interrupted == number
    assert 0 < result.step < 100_000
    assert state(folder)["step"] == result.step
    assert signal.getsignal(number) is before


def test_a_step_that_is_not_finite_is_left_out(manifest: Path, tmp_path: Path) -> None:
    subject = trainer(tmp_path / "run", 3, valid_clips=0)
    data, _ = make_datasets(manifest, manifest.parent / "cache", subject.recipe)

    class Poisoned(SceneDataset):
        def __getitem__(self, index: int) -> Batch:
            mic, ref, target, delay = data[index]
            return (mic * float("nan") if index == 2 else mic), ref, target, delay

    result = subject.run(Poisoned(None, 0), None)  # type: ignore[arg-type]
    assert result.step == 3
    assert all(torch.isfinite(value).all() for value in subject.model.state_dict().values())
    assert read_rows(tmp_path / "run" / "log.tsv")[-1]["skipped"] == 1


def test_a_folder_is_not_overwritten(manifest: Path, tmp_path: Path) -> None:
    run(tmp_path / "run", manifest, 1, valid_clips=0)
    with pytest.raises(UsageError, match="holds a run already"):
        trainer(tmp_path / "run", 2)


def test_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no trainer\.pt"):
        trainer(tmp_path / "none", 2, resume=True)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "trainer.pt").write_bytes(b"no zip")
    with pytest.raises(CheckpointError, match="no trainer state"):
        trainer(tmp_path / "bad", 2, resume=True)


@pytest.mark.parametrize("change", [{"batch": 0}, {"rate": 0.0}, {"ema": 1.0}, {"seconds": 0.5}, {"precision": "f8"}])
def test_bad_recipes(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        trainer(tmp_path / "run", 1, recipe=change)


def test_journal_drops_what_was_never_saved(tmp_path: Path) -> None:
    path = tmp_path / "log.tsv"
    journal = Journal(path, ("hours", "loss"), 0)
    for step in (1, 2, 3):
        journal.add({"step": step, "hours": step, "loss": 1.0 / step})
    path.write_text(path.read_text() + "4\t0.")  # cut off while writing
    Journal(path, ("hours", "loss"), 2).add({"step": 9})
    rows = read_rows(path)
    assert [row["step"] for row in rows] == [1, 2, 9]
    assert rows[1]["loss"] == 0.5
    assert rows[2]["loss"] != rows[2]["loss"]
    assert not draw(tmp_path / "nowhere")
