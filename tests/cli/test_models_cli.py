"""``localvqe models`` as a user types it, against a local server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from make_model import narrow_config, random_gguf
from model_server import ModelServer, published, serving
from typer.testing import CliRunner, Result

from localvqe import Enhancer
from localvqe_cli import models
from localvqe_cli.cli import app, common
from localvqe_cli.cli.progress import ProgressBar
from localvqe_cli.models import registry
from localvqe_cli.models.registry import PublishedFile

OTHER = published(b"no model at all", "localvqe-v8-tiny.pt", "v8")


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small model."""
    path = tmp_path_factory.mktemp("model") / "model.gguf"
    random_gguf(path, narrow_config(2))
    return path.read_bytes()


@pytest.fixture
def file(content: bytes) -> PublishedFile:
    return published(content)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "models"


@pytest.fixture(autouse=True)
def server(
    tmp_path: Path, file: PublishedFile, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ModelServer]:
    for name in ("LOCALVQE_OFFLINE", "HF_HUB_OFFLINE", "HF_ENDPOINT", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOCALVQE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(registry, "PUBLISHED", (file, OTHER))
    with serving() as running:
        running.files = {file.filename: content, OTHER.filename: b"no model at all"}
        monkeypatch.setenv("LOCALVQE_MIRROR", running.mirror)
        yield running
    common.configure_console()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["models", *arguments])


def rows(result: Result) -> dict[str, list[str]]:
    """The table of ``list`` by name."""
    return {line.split()[0]: line.split() for line in result.stdout.splitlines() if line.strip()}


def test_pull_makes_a_name_work_everywhere(file: PublishedFile, folder: Path, server: ModelServer) -> None:
    result = run("pull", "V9")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        f"downloading {file.filename} from the mirror 127.0.0.1:{server.port}",
        f"v9: {(folder / file.filename).stat().st_size / 1e6:.1f} MB, SHA-256 as published, {folder / file.filename}",
    ]
    inspected = CliRunner().invoke(app, ["inspect", "v9", "--json"])
    assert json.loads(inspected.stdout)["usable"] is True
    assert Enhancer("v9").path == folder / file.filename
    again = run("pull", "v9")
    assert again.exit_code == 0
    assert "already here" in again.stderr
    assert len(server.requests) == 1
    assert run("pull", "--force", "v9").exit_code == 0
    assert len(server.requests) == 2


def test_pull_quietly_and_several(folder: Path) -> None:
    result = run("pull", "-q", "v9", "v8.pt", "localvqe-v8-tiny")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert {p.name for p in folder.iterdir() if p.name[0] != "."} == {"localvqe-v9-tiny-f32.gguf", OTHER.filename}


def test_the_progress_bar_hears_of_every_byte(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[tuple[float, float | None]] = []
    monkeypatch.setattr(ProgressBar, "__call__", lambda _self, done, total: heard.append((done, total)))
    assert run("pull", "v9").exit_code == 0
    assert len(heard) > 10
    assert heard[-1] == (len(content), len(content))


def test_one_failure_does_not_stop_the_others(folder: Path, server: ModelServer) -> None:
    del server.files["localvqe-v9-tiny-f32.gguf"]
    result = run("pull", "v9", "v8.pt")
    assert result.exit_code == 1
    assert "localvqe: error: " in result.stderr
    assert "404" in result.stderr
    assert (folder / OTHER.filename).is_file()


def test_a_corrupted_download_is_a_model_error(folder: Path, file: PublishedFile, server: ModelServer) -> None:
    server.files[file.filename] = server.files[file.filename][::-1]
    result = run("pull", "v9")
    assert result.exit_code == 4
    assert "SHA-256" in result.stderr.splitlines()[-1]
    assert list(folder.iterdir()) == []


def test_a_cut_download_resumes(file: PublishedFile, server: ModelServer) -> None:
    server.cut_after = 1_000_000
    cut = run("pull", "v9")
    assert cut.exit_code == 1
    assert "run the command again to resume" in cut.stderr
    server.cut_after = None
    assert run("pull", "v9").exit_code == 0
    assert server.requests[-1] == ("GET", file.filename, "bytes=1000000-")


def test_offline(server: ModelServer) -> None:
    result = run("pull", "--offline", "v9")
    assert result.exit_code == 1
    assert result.stderr == "localvqe: error: v9 is not downloaded: --offline forbids the network\n"
    assert server.requests == []


def test_a_bad_mirror_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALVQE_MIRROR", "http://example.org/")
    assert run("pull", "v9").exit_code == 2


@pytest.mark.parametrize("verb", ["show", "pull", "verify", "rm"])
@pytest.mark.parametrize("name", ["v7", "../v9", "../../etc/passwd", "", "a\x1b[2Jb"])
def test_unknown_names(verb: str, name: str, server: ModelServer) -> None:
    result = run(verb, name)
    assert result.exit_code == 4
    assert result.stdout == ""
    assert "no published model of that name; see localvqe models list" in result.stderr
    assert "\x1b" not in result.stderr
    assert server.requests == []


def test_an_unknown_name_among_others_stops_before_any_work(server: ModelServer) -> None:
    assert run("pull", "v9", "v7").exit_code == 4
    assert server.requests == []


def test_list(file: PublishedFile, content: bytes, folder: Path) -> None:
    before = rows(run("list"))
    assert before["default"][-1] == "built-in"
    assert before["v9"][-2:] == ["not", "downloaded"]
    assert before["v8.pt"] == ["v8.pt", "v8", "1,000", "-", "not", "downloaded"]
    run("pull", "v9")
    result = run("list")
    assert rows(result)["v9"] == ["v9", "v9", "1,000", f"{len(content) / 1e6:.1f}", "MB", "cached"]
    assert str(folder) in result.stderr
    (folder / file.filename).write_bytes(b"")
    assert rows(run("list"))["v9"][-1] == "damaged"


def test_list_in_json(file: PublishedFile, content: bytes, folder: Path) -> None:
    run("pull", "v9")
    report = json.loads(run("list", "--json").stdout)
    assert report["folder"] == str(folder)
    assert [row["name"] for row in report["models"]] == ["default", "kalman", "denoise", "v9", "v8.pt"]
    default, kalman, denoise, v9, v8 = report["models"]
    told = ("path", "file", "line", "bytes")
    assert kalman == {**default, "name": "kalman", **{key: kalman[key] for key in told}}
    assert Path(kalman["path"]).name == "kalman-f32.gguf"
    assert denoise["parameters"] > 100 * default["parameters"]
    assert default["path"] == str(models.DEFAULT_MODEL)
    assert default["bytes"] == models.DEFAULT_MODEL.stat().st_size
    assert v9 == {
        "name": "v9",
        "file": file.filename,
        "format": "GGUF",
        "line": "v9",
        "version": 2,
        "dmax": 32,
        "parameters": 1000,
        "license": "apache-2.0",
        "sha256": file.sha256,
        "url": file.url,
        "where": "cached",
        "path": str(folder / file.filename),
        "bytes": len(content),
    }
    assert (v8["where"], v8["path"], v8["bytes"], v8["format"]) == ("not downloaded", None, None, "PyTorch checkpoint")


def test_show(file: PublishedFile, folder: Path) -> None:
    absent = run("show", "v9")
    assert absent.exit_code == 0
    facts = dict(line.split(maxsplit=1) for line in absent.stdout.splitlines())
    assert facts["sha256"] == file.sha256
    assert facts["where"] == "not downloaded"
    assert "tensors" not in facts
    run("pull", "v9")
    facts = dict(line.split(maxsplit=1) for line in run("show", "v9").stdout.splitlines())
    assert facts["path"] == str(folder / file.filename)
    assert facts["tensors"] == "135 (135 F32)"
    assert facts["usable"] == "yes"
    (folder / file.filename).write_bytes(b"GGUF")
    facts = dict(line.split(maxsplit=1) for line in run("show", "v9").stdout.splitlines())
    assert facts["where"] == "damaged"


def test_show_in_json() -> None:
    assert json.loads(run("show", "v9", "--json").stdout)["contents"] is None
    run("pull", "v9", "v8.pt")
    shown = json.loads(run("show", "v9", "--json").stdout)
    assert shown["contents"]["config"]["mic_channels"] == list(narrow_config(2).mic_channels)
    assert json.loads(run("show", "v8.pt", "--json").stdout)["contents"] is None  # and torch stays out of it


def test_show_the_embedded_model() -> None:
    shown = json.loads(run("show", "default", "--json").stdout)
    assert shown["where"] == "built-in"
    assert shown["contents"]["usable"] is True
    assert "general.name" in run("show", "default").stdout


def test_verify(file: PublishedFile, content: bytes, folder: Path) -> None:
    nothing = run("verify")
    assert (nothing.exit_code, nothing.stdout, nothing.stderr) == (0, "", "nothing is downloaded\n")
    run("pull", "v9", "v8.pt")
    path = folder / file.filename
    good = run("verify")
    assert good.exit_code == 0
    assert good.stderr.splitlines() == [f"v9: ok, {path}", f"v8.pt: ok, {folder / OTHER.filename}"]
    before = path.stat()
    path.write_bytes(content[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    bad = run("verify", "-q")
    assert bad.exit_code == 1
    assert bad.stderr == f"localvqe: error: {path} is not the published file; run: localvqe models pull v9\n"
    report = json.loads(run("verify", "--json").stdout)
    assert [(row["name"], row["ok"]) for row in report["models"]] == [("v9", False), ("v8.pt", True)]
    assert run("verify", "v8.pt").exit_code == 0
    assert run("pull", "v9").exit_code == 0
    assert run("verify").exit_code == 0


def test_verify_what_is_not_here() -> None:
    result = run("verify", "v9")
    assert result.exit_code == 1
    assert "not downloaded; run: localvqe models pull v9" in result.stderr


def test_verify_the_embedded_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("verify", "default").exit_code == 0
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(models.DEFAULT_MODEL.read_bytes()[:-100])
    monkeypatch.setattr(models, "DEFAULT_MODEL", damaged)
    result = run("verify", "default")
    assert result.exit_code == 1
    assert str(damaged) in result.stderr


def test_rm(file: PublishedFile, content: bytes, folder: Path, server: ModelServer) -> None:
    run("pull", "v9")
    result = run("rm", "v9")
    assert result.exit_code == 0
    assert result.stderr == f"removed v9: {len(content) / 1e6:.1f} MB freed\n"
    assert list(folder.iterdir()) == []
    again = run("rm", "v9")
    assert again.exit_code == 0
    assert "nothing to remove" in again.stderr
    server.cut_after = 1_000_000
    run("pull", "v9")
    assert run("rm", "v9").stderr == "removed v9: 1.0 MB freed\n"


def test_the_embedded_model_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "nothing to download" in run("pull", "default").stderr
    result = run("rm", "default")
    assert result.exit_code == 2
    assert models.DEFAULT_MODEL.is_file()


def test_an_interrupted_download_can_be_taken_up(file: PublishedFile, folder: Path, server: ModelServer) -> None:
    """Ctrl-C in the middle: one line, 130, and no lock or named file stays."""
    server.gate.clear()
    script = (
        "import sys; from localvqe_cli.models import registry; from localvqe_cli.models.registry import PublishedFile;"
        f"registry.PUBLISHED = (PublishedFile({file.filename!r}, {file.sha256!r}, 'v9', 2, 1),);"
        "from localvqe_cli.cli import main; sys.argv = ['localvqe', 'models', 'pull', 'v9']; main()"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 20
    while not server.requests and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    process.send_signal(2)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said.splitlines()[-1] == "localvqe: error: interrupted"
    assert file.filename not in {p.name for p in folder.iterdir()}
    assert not any(p.name.endswith(".lock") for p in folder.iterdir())
    server.gate.set()
    assert run("pull", "v9").exit_code == 0


@pytest.mark.parametrize("verb", ["", "list", "show", "pull", "verify", "rm"])
def test_help_fits_a_narrow_terminal(verb: str) -> None:
    result = CliRunner().invoke(app, ["models", *filter(None, [verb]), "--help"], terminal_width=60)
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 60
    assert not any(line.rstrip().endswith("...") for line in result.stdout.splitlines()[1:])


def test_models_comes_last_among_the_verbs() -> None:
    help_text = CliRunner().invoke(app, ["--help"]).stdout
    assert help_text.rstrip().splitlines()[-1].split()[0] == "models"
