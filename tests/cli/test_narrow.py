"""Windows of 40, 60 and 80 columns: nothing is cut, and no figure is lost or broken."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from eval_data import write_outputs, write_set
from make_model import narrow_config, random_gguf, random_state, save_checkpoint
from typer.testing import CliRunner

from localvqe_cli.cli import app
from localvqe_cli.models import DEFAULT_MODEL

WIDTHS = (40, 60, 80)
VERBS = ["", "enhance", "export", "inspect", "verify", "quantize", "bench", "train", "eval", "models", "models list"]
CONFIG = narrow_config(3)

Show = Callable[..., str]


@pytest.fixture(params=WIDTHS)
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Of a window that takes colours: where there is none, rows are as long as they need to be."""
    monkeypatch.setenv("COLUMNS", str(request.param))
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    value: int = request.param
    return value


def run(*arguments: str | Path, codes: tuple[int, ...] = (0,)) -> str:
    """What goes to stdout, without colours."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code in codes, result.output
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", result.stdout)


def fits(text: str, width: int) -> None:
    assert "…" not in text
    # Paths are left whole, for copying; the window breaks them.
    long = [line for line in text.splitlines() if len(line.rstrip()) > width and "/" not in line]
    assert long == []


@pytest.mark.parametrize("verb", VERBS)
def test_help(verb: str, width: int) -> None:
    text = run(*verb.split(), "--help")
    # The longest name of an argument has 42 characters, and is a name.
    fits(text, max(width, 42))
    assert all(option in text for option in re.findall(r"--[a-z-]+\w", text))
    words = [line.strip() for line in text.splitlines() if line.strip()]
    assert sum(len(word) for word in words) / len(words) > 0.4 * (width - 10)  # not a word a line


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "m.gguf"
    random_gguf(path, CONFIG, 0)
    return path


def test_inspect(model: Path, width: int) -> None:
    text = run("inspect", model)
    fits(text, width)
    report = json.loads(run("inspect", model, "--json"))
    squeezed = " ".join(text.split())
    for row in report["tensors"]:
        start = squeezed.index(f" {row['name']} ")
        figures = (f"{row['bytes']:,}", *(f"{row[key]:.4g}" for key in ("min", "max", "rms")))
        assert all(figure in squeezed[start : start + 150] for figure in figures), row["name"]
    assert all(key in text for key in report["metadata"] if not key.startswith("localvqe.tensor_shape."))


def test_models_list(width: int) -> None:
    text = run("models", "list")
    fits(text, width)
    size = f"{DEFAULT_MODEL.stat().st_size / 1000:.1f} kB"
    for name in ("default", "denoise", "v1.1", "v1.3.pt", "1,290,845", "4,814,655", size):
        assert name in text


def test_bench(model: Path, width: int) -> None:
    text = run("bench", "-m", model, "--iters", "5", "--threads", "1")
    fits(text, width)
    rows = text[text.index("max") :] if width == 80 else text
    assert len(re.findall(r"\b\d+\.\d{3}\b", rows)) >= 2 * 4  # p50 to max, of stream and clip
    assert len(re.findall(r"\d+\.\d %", text)) >= 2


def test_eval(tmp_path: Path, width: int) -> None:
    manifest = write_set(tmp_path)
    write_outputs(tmp_path, tmp_path / "tenth", 0.1)
    name = "a-system-with-a-long-name"
    text = run(
        "eval", manifest, "--enhanced", f"{name}={tmp_path / 'tenth'}", "--metrics", "erle,level,delay", "-j", "1"
    )
    fits(text, width)
    for figure in ("20.0", "-20.0"):
        assert figure in text.split()
    assert text.split().count("20.0") >= 6  # both ERLEs in three scenarios
    assert "level" in text


def test_verify(tmp_path: Path, width: int) -> None:
    pytest.importorskip("torch")
    state = random_state(CONFIG)
    save_checkpoint(tmp_path / "m.pt", state, CONFIG)
    random_gguf(tmp_path / "m.gguf", CONFIG, 9)  # of other weights: both tables are shown
    text = run("verify", tmp_path / "m.pt", tmp_path / "m.gguf", codes=(1,))
    # Sentences are left whole, for logs.
    fits("\n".join(line for line in text.splitlines() if not line.startswith(("tensors: ", "NOT verified: "))), width)
    assert len(re.findall(r"\d\.\de[-+]\d\d", text)) >= 10
    assert text.count("DRIFT") >= 5
