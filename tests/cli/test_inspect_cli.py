"""``localvqe inspect`` as a user types it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from bad_gguf import CASES, write_case
from gguf_document import STR, TYPE_Q8_0, Key, parse
from make_model import narrow_config, random_gguf, random_quantized_gguf, random_state, save_checkpoint
from typer.testing import CliRunner, Result

from localvqe_cli import gguf_file, models
from localvqe_cli.cli import app

CONFIG = narrow_config(3)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inspect") / "model.gguf"
    random_gguf(path, CONFIG)
    return path


def run(*arguments: str | os.PathLike[str]) -> Result:
    return CliRunner().invoke(app, ["inspect", *map(str, arguments)])


def test_everything_in_the_file_is_shown(model: Path) -> None:
    result = run(model)
    assert result.exit_code == 0
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert lines[0] == f"{model}: GGUF version 3, network of architecture version 3, dmax 4"
    described = gguf_file.read(model)
    for key in described.metadata:
        assert any(line.split()[:2] == [key, described.metadata_types[key]] for line in lines), key
    for name, info in described.tensors.items():
        row = next(line.split() for line in lines if line.split()[:1] == [name])
        assert row[1] == "F32"
        assert " ".join(row[2 : 2 * len(info.shape) + 1]) == " x ".join(map(str, info.shape))
    assert "135 tensors (135 F32)" in result.stdout
    assert f"{model.stat().st_size:,} bytes of file" in result.stdout
    assert lines[-1] == "usable: yes"


def test_a_file_has_its_own_name_and_not_that_of_a_published_one(tmp_path: Path) -> None:
    """Exported from one's own training: the architecture is shared, the weights are not."""
    checkpoint, path = tmp_path / "mine.pt", tmp_path / "mine.gguf"
    save_checkpoint(checkpoint, random_state(CONFIG), CONFIG)
    facts = ["--name", "call centre 3", "--meta", "localvqe.training=40 h"]
    told = CliRunner().invoke(app, ["export", str(checkpoint), "-o", str(path), *facts])
    assert told.exit_code == 0, told.output
    lines = run(path).stdout.splitlines()
    assert lines[0].startswith(f"{path}: call centre 3, GGUF version 3, network of architecture version 3")
    assert any(line.split() == ["localvqe.training", "str", "40", "h"] for line in lines)
    for text in (told.stderr, run(path).stdout, run(checkpoint).stdout):
        assert not re.search(r"\bv1\b|v1\.[0-9]", text)


def test_tensors_can_be_left_out(model: Path) -> None:
    assert "bottleneck.D" not in run(model, "--no-tensors").stdout
    assert "tensors" not in json.loads(run(model, "--no-tensors", "--json").stdout)


def test_json(model: Path) -> None:
    report = json.loads(run(model, "--json").stdout)
    assert report["usable"] is True
    assert report["format"] == "GGUF"
    assert report["config"]["dmax"] == CONFIG.dmax
    assert report["metadata"]["localvqe.dmax"] == {"type": "u32", "value": CONFIG.dmax}
    assert [row["name"] for row in report["tensors"]] == list(gguf_file.read(model).tensors)


def test_nothing_means_the_embedded_model(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "DEFAULT_MODEL", model)
    assert str(model) in run().stdout.replace("\n", "")


@pytest.mark.parametrize(
    "name", ["ends in the data", "other architecture", "dmax 0", "without dmax", "NaN in bottleneck.D"]
)
def test_an_unusable_file_is_shown_as_far_as_it_goes(model: Path, tmp_path: Path, name: str) -> None:
    path, word = write_case(name, model, tmp_path)
    result = run(path)
    assert result.exit_code == 4
    assert word in result.stderr
    assert result.stderr.count("\n") == 1
    assert "general.architecture" in result.stdout
    assert "usable: NO" in result.stdout
    assert f"problem: {json.loads(run(path, '--json').stdout)['problems'][0]}" in result.stdout.replace("\n", "")


@pytest.mark.parametrize("name", list(CASES)[::10])
def test_json_of_an_unusable_file_is_json(model: Path, tmp_path: Path, name: str) -> None:
    path, _ = write_case(name, model, tmp_path)
    result = run(path, "--json")
    assert result.exit_code == 4
    report = json.loads(result.stdout, parse_constant=lambda text: pytest.fail(f"{text} is not JSON"))
    assert report["usable"] is False
    assert report["problems"]


def test_a_quantized_tensor_is_shown(model: Path, tmp_path: Path) -> None:
    document = parse(model)
    basis = document.tensor("decoder.linear.weight")
    basis.type, basis.data = TYPE_Q8_0, bytes(512 * 512 // 32 * 34)
    path = tmp_path / "q.gguf"
    path.write_bytes(document.dump())
    result = run(path)
    assert result.exit_code == 4
    assert any(line.split()[:2] == ["decoder.linear.weight", "Q8_0"] for line in result.stdout.splitlines())
    assert "134 F32" in result.stdout
    assert "1 Q8_0" in result.stdout


def test_a_quantized_model_is_shown_in_full(tmp_path: Path) -> None:
    config = narrow_config(2, mic_channels=(2, 12, 16, 9, 16, 8))
    random_quantized_gguf(tmp_path / "q.gguf", config, "Q8_0")
    result = run(tmp_path / "q.gguf")
    assert result.exit_code == 0
    line = next(line for line in result.stdout.splitlines() if "dec2.deconv.conv.weight" in line)
    assert "Q8_0" in line
    assert "24 x 16 x 4 x 4 (as 24 x 256)" in line
    assert "localvqe.shape" not in result.stdout  # the table has it
    report = json.loads(run(tmp_path / "q.gguf", "--json").stdout)
    row = next(row for row in report["tensors"] if row["name"] == "far_enc2.conv.weight")
    assert (row["type"], row["shape"], row["stored_shape"]) == ("Q8_0", [3, 5, 4, 4], [3, 96])
    assert row["rms"] > 0
    random_gguf(tmp_path / "f.gguf", config)
    plain = json.loads(run(tmp_path / "f.gguf", "--json").stdout)
    assert report["totals"]["parameters"] == plain["totals"]["parameters"]
    assert report["totals"]["tensor_bytes"] < plain["totals"]["tensor_bytes"]


def test_text_out_of_a_file_cannot_command_the_terminal(model: Path, tmp_path: Path) -> None:
    document = parse(model)
    document.keys.append(Key("general.name", STR, "\x1b[2J[bold red]\nlocalvqe: all is well"))
    document.keys.append(Key("evil\x1b]0;title\x07", STR, "x" * 3000))
    path = tmp_path / "a.gguf"
    path.write_bytes(document.dump())
    result = run(path)
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout
    assert "\x07" not in result.stdout
    assert "[bold red]" in result.stdout
    assert "\nlocalvqe: all is well" not in result.stdout


def test_a_checkpoint_is_shown_too(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    save_checkpoint(path, random_state(CONFIG), CONFIG)
    report = json.loads(run(path, "--json").stdout)
    assert report["format"] == "PyTorch checkpoint"
    assert report["config"]["mic_channels"] == list(CONFIG.mic_channels)
    assert "mic_enc1.conv.weight" in run(path).stdout
    bare = tmp_path / "bare.pt"
    save_checkpoint(bare, random_state(CONFIG))
    refused = run(bare)
    assert refused.exit_code == 4
    assert "--arch" in refused.stderr
    assert run(bare, "--arch", "3").exit_code == 0


@pytest.mark.parametrize(
    ("name", "word"),
    [("missing.gguf", "no such model"), ("localvqe-v1.1-1.3M-f32.gguf", "not downloaded"), (".", "directory")],
)
def test_files_that_are_not_there(name: str, word: str) -> None:
    result = run(name)
    assert result.exit_code == 4
    assert result.stdout == ""
    assert result.stderr.startswith("localvqe: error: ")
    assert word in result.stderr


def test_a_gguf_file_needs_no_torch_and_a_closed_pipe_is_no_error(model: Path) -> None:
    script = (
        "import sys; sys.modules['torch'] = None; from localvqe_cli.cli import main;"
        "sys.argv = ['localvqe', 'inspect', sys.argv[1]]; main()"
    )
    command = [sys.executable, "-c", script, str(model)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "usable: yes" in done.stdout
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
