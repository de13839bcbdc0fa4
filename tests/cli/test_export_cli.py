"""``localvqe export`` as a user types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_refusal import refusal
from make_model import narrow_config, random_gguf, random_state, save_checkpoint
from typer.testing import CliRunner, Result

from localvqe_cli import gguf_file
from localvqe_cli.cli import app
from localvqe_cli.models import find_published

CONFIG = narrow_config(2)


def run(*arguments: str | os.PathLike[str]) -> Result:
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "ckpt.pt"
    save_checkpoint(path, random_state(CONFIG), CONFIG)
    return path


def test_the_default_output_is_beside_the_checkpoint(checkpoint: Path) -> None:
    result = run(checkpoint)
    assert result.exit_code == 0, result.output
    assert gguf_file.read(checkpoint.with_name("ckpt-f32.gguf")).config == CONFIG
    assert result.stdout == ""
    assert "ckpt-f32.gguf" in result.stderr
    assert "architecture version 2" in result.stderr
    assert "135 tensors" in result.stderr


def test_json_goes_to_stdout_alone(checkpoint: Path, tmp_path: Path) -> None:
    result = run(checkpoint, "-o", tmp_path / "out.gguf", "--json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert report["output"] == str(tmp_path / "out.gguf")
    assert report["bytes"] == (tmp_path / "out.gguf").stat().st_size
    assert report["config"]["mic_channels"] == list(CONFIG.mic_channels)
    assert report["temperature"] == pytest.approx(0.1)
    assert report["notes"] == []


def test_quiet_says_nothing(checkpoint: Path) -> None:
    assert run(checkpoint, "-q").output == ""


def test_metadata_options_end_up_in_the_file(checkpoint: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.gguf"
    options = ["--name", "Mein Modell ü", "--license", "apache-2.0", "--meta", "localvqe.data=a=b, c"]
    assert run(checkpoint, "-o", target, *options).exit_code == 0
    extra = dict(list(gguf_file.read(target).metadata.items())[-3:])
    assert extra == {"general.name": "Mein Modell ü", "general.license": "apache-2.0", "localvqe.data": "a=b, c"}


def test_without_options_only_the_contract_keys_are_written(checkpoint: Path) -> None:
    run(checkpoint)
    model = gguf_file.read(checkpoint.with_name("ckpt-f32.gguf"))
    assert list(model.metadata) == ["general.architecture", *(key for key, _, _ in CONFIG.gguf_fields())]


def test_what_the_checkpoint_does_not_say_is_asked_for_or_noted(tmp_path: Path) -> None:
    path = tmp_path / "bare.pt"
    save_checkpoint(path, random_state(CONFIG))
    assert "--arch 2" in refusal(run(path), 4)
    result = run(path, "--arch", "3")
    assert result.exit_code == 0
    assert "note: " in result.stderr
    assert "64" in result.stderr
    assert gguf_file.read(tmp_path / "bare-f32.gguf").config == narrow_config(3, dmax=64)
    assert run(path, "--arch", "2", "--dmax", "4", "--force").exit_code == 0
    assert gguf_file.read(tmp_path / "bare-f32.gguf").config == CONFIG


def test_an_existing_file_is_kept_unless_forced(checkpoint: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.gguf"
    target.write_bytes(b"precious")
    assert "--force" in refusal(run(checkpoint, "-o", target), 2)
    assert target.read_bytes() == b"precious"
    assert run(checkpoint, "-o", target, "--force").exit_code == 0
    assert gguf_file.read(target).config == CONFIG


def test_outputs_that_cannot_be(checkpoint: Path, tmp_path: Path) -> None:
    before = checkpoint.read_bytes()
    protected = tmp_path / "protected.gguf"
    protected.write_bytes(b"x")
    protected.chmod(0o444)
    for target, word in (
        (tmp_path, "directory"),
        (tmp_path / "no" / "out.gguf", "does not exist"),
        (checkpoint, "the input itself"),
        (protected, "read-only"),
        ("-", "stdout"),
    ):
        assert word in refusal(run(checkpoint, "-o", target, "--force"), 2)
    assert checkpoint.read_bytes() == before
    assert protected.read_bytes() == b"x"


@pytest.mark.parametrize(
    "options",
    [
        ["--meta", "no separator"],
        ["--meta", "=text"],
        ["--meta", "Key=x"],
        ["--meta", "key="],
        ["--meta", "localvqe.dmax=7"],
        ["--meta", "general.name=b", "--name", "a"],
        ["--name", ""],
        ["--arch", "4"],
        ["--arch", "3"],
        ["--dmax", "5"],
    ],
)
def test_options_that_make_no_sense(checkpoint: Path, tmp_path: Path, options: list[str]) -> None:
    refusal(run(checkpoint, *options), 2)
    assert [p.name for p in tmp_path.iterdir()] == ["ckpt.pt"]


class Payload:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch '{self.mark}'",)


def _code(path: Path) -> None:
    torch.save({"model": Payload(path.with_name("mark"))}, path)


def _lacks_a_tensor(path: Path) -> None:
    save_checkpoint(path, {n: a for n, a in random_state(CONFIG).items() if n != "bottleneck.D"}, CONFIG)


def _other_shape(path: Path) -> None:
    save_checkpoint(path, random_state(CONFIG) | {"bottleneck.D": np.zeros(3, np.float32)}, CONFIG)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda p: None, "no such file"),
        (lambda p: p.mkdir(), "directory"),
        (lambda p: p.write_bytes(b""), "empty"),
        (lambda p: p.write_bytes(b"RIFF0000WAVE" * 9), "not a PyTorch checkpoint"),
        (lambda p: random_gguf(p, CONFIG), "GGUF file already"),
        (_code, "never run"),
        (_lacks_a_tensor, "bottleneck.D"),
        (_other_shape, "bottleneck.D"),
    ],
)
def test_bad_checkpoints_end_in_one_line_and_exit_code_4(tmp_path: Path, make: object, word: str) -> None:
    path = tmp_path / "bad.pt"
    make(path)  # type: ignore[operator]
    assert word in refusal(run(path), 4)
    assert {p.name for p in tmp_path.iterdir()} <= {"bad.pt"}


def test_a_missing_torch_is_exit_code_5(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "pip install 'localvqe[torch]'" in refusal(run(checkpoint), 5)


def test_an_export_that_is_killed_leaves_no_file_under_the_final_name(checkpoint: Path, tmp_path: Path) -> None:
    """The write stops halfway, without a chance to clean up."""
    script = (
        "import os, sys; from localvqe_cli.gguf_file import writer; import gguf;"
        "gguf.GGUFWriter.write_tensors_to_file = lambda self, **kw: (self.flush(), os._exit(9));"
        "from localvqe_cli.export import export; export(sys.argv[1], sys.argv[2])"
    )
    target = tmp_path / "out.gguf"
    done = subprocess.run([sys.executable, "-c", script, str(checkpoint), str(target)], check=False)
    assert done.returncode == 9
    assert not target.exists()
    assert run(checkpoint, "-o", target).exit_code == 0
    assert gguf_file.read(target).config == CONFIG


def test_a_registry_name_is_taken_from_the_cache(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "localvqe models pull v1.1.pt" in refusal(run("v1.1.pt"), 4)
    published = find_published("v1.1.pt")
    assert published is not None
    cached = tmp_path / "cache" / published.filename
    cached.parent.mkdir()
    cached.write_bytes(checkpoint.read_bytes())
    monkeypatch.setattr("localvqe_cli.models.resolve", lambda name: cached if name == "v1.1.pt" else Path(name))
    monkeypatch.chdir(tmp_path)
    assert run("v1.1.pt").exit_code == 0
    assert gguf_file.read(tmp_path / "localvqe-v1.1-1.3M-f32.gguf").config == CONFIG  # not in the cache
    result = CliRunner().invoke(app, ["verify", "v1.1.pt", "localvqe-v1.1-1.3M-f32.gguf"])
    assert result.exit_code == 0, result.output
