"""``localvqe enhance`` with the compiled engine, in this process and as a process of its own."""

from __future__ import annotations

import io
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from typer.testing import CliRunner

from localvqe_cli.cli import app
from localvqe_cli.engine import Enhancer

COMMAND = [sys.executable, "-m", "localvqe_cli"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rng = np.random.default_rng(0)
    for name in ("mic", "ref"):
        sf.write(tmp_path / f"{name}.wav", 0.1 * rng.standard_normal(8000), 16000, subtype="FLOAT")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def environment() -> dict[str, str]:
    package = str(Path(__file__).resolve().parents[2])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))}


def test_the_file_holds_what_the_api_computes(folder: Path) -> None:
    result = CliRunner().invoke(app, ["enhance", "mic.wav", "ref.wav", "--json"])
    assert result.exit_code == 0, result.output
    enhancer = Enhancer()
    assert json.loads(result.stdout)["model"] == {"name": enhancer.name, "path": str(enhancer.path)}
    assert f"model: {enhancer.name}" in result.stderr
    mic, ref = (sf.read(f"{name}.wav", dtype="float32")[0] for name in ("mic", "ref"))
    np.testing.assert_allclose(sf.read("mic_enhanced.wav")[0], enhancer.enhance(mic, ref), atol=1e-6)


def test_as_a_process_through_pipes(folder: Path) -> None:
    mic = Path("mic.wav").read_bytes()
    run = subprocess.run(
        [*COMMAND, "enhance", "-", "ref.wav", "-q"], input=mic, capture_output=True, env=environment(), check=False
    )
    assert (run.returncode, run.stderr) == (0, b"")
    CliRunner().invoke(app, ["enhance", "mic.wav", "ref.wav"])
    # Not byte by byte: libsndfile notes the second of writing in float files.
    piped, written = (sf.read(source, dtype="float32")[0] for source in (io.BytesIO(run.stdout), "mic_enhanced.wav"))
    np.testing.assert_array_equal(piped, written)


def test_a_bad_model_exits_4_without_output(folder: Path) -> None:
    Path("bad.gguf").write_bytes(b"not a model")
    run = subprocess.run(
        [*COMMAND, "enhance", "mic.wav", "ref.wav", "-m", "bad.gguf"], capture_output=True, text=True, env=environment()
    )
    assert run.returncode == 4
    assert run.stdout == ""
    assert run.stderr.startswith("localvqe: error: ")
    assert run.stderr.count("\n") == 1
    assert not Path("mic_enhanced.wav").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_nothing_behind(folder: Path, number: signal.Signals, code: int) -> None:
    sf.write("long.wav", np.zeros(16000 * 600, np.int16), 16000)
    before = sorted(os.listdir())
    process = subprocess.Popen(
        [*COMMAND, "enhance", "long.wav", "--no-ref", "--clip-mode", "clamp"], stderr=subprocess.PIPE, env=environment()
    )
    deadline = time.monotonic() + 60
    while sorted(os.listdir()) == before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert sorted(os.listdir()) != before
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert b"Traceback" not in errors
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize("mode", ["rescale", "clamp"])
def test_a_full_disk_exits_1_without_output(folder: Path, mode: str) -> None:
    limit = 20000  # bytes that a file may grow to
    run = subprocess.run(
        [*COMMAND, "enhance", "mic.wav", "ref.wav", "--clip-mode", mode],
        capture_output=True,
        text=True,
        env=environment(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert run.returncode == 1
    assert "localvqe: error: could not write mic_enhanced.wav" in run.stderr
    assert sorted(os.listdir()) == ["mic.wav", "ref.wav"]


def test_a_reader_that_stops_early_is_no_error_message(folder: Path) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    run = subprocess.run(
        [*COMMAND, "enhance", "mic.wav", "ref.wav", "-o", "-", "-q"],
        stdout=write_end,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    os.close(write_end)
    assert run.stderr == b""


def test_help_is_quick_and_fits_a_narrow_terminal() -> None:
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run = subprocess.run(
            [*COMMAND, "--help"], capture_output=True, text=True, env={**environment(), "COLUMNS": "60"}, check=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert max(map(len, run.stdout.splitlines())) <= 60
        assert "..." not in run.stdout.partition("Commands:")[2]
    for verb in ("enhance", "export", "inspect", "verify"):
        assert f"\n  {verb} " in run.stdout
    # On an idle machine it takes 0.3 s at most; a test machine may be busy.
    assert min(spent) < 0.6
    heavy = ("torch", "scipy", "soundfile", "numpy", "rich")
    probe = f"import sys, localvqe_cli.cli; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, env=environment(), check=True)
    assert run.stdout == "[]\n"


def test_version_and_completion() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.stdout.startswith("localvqe ")
    assert "--install-completion" in CliRunner().invoke(app, ["--help"]).stdout


def test_every_development_pair_keeps_length_rate_and_encoding(eval_dev: Path, tmp_path: Path) -> None:
    """All 27 in one command; the real devices' delays need no shift."""
    arguments = ["enhance", "--pairs", str(eval_dev / "pairs.tsv"), "-o", str(tmp_path), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    records = json.loads(result.stdout)["files"]
    assert len(records) == 27
    for record in records:
        mic, out = sf.info(record["mic"]), sf.info(record["output"])
        assert (out.frames, out.samplerate, out.subtype, out.channels) == (mic.frames, mic.samplerate, mic.subtype, 1)
        assert record["shift_ms"] == 0.0


def test_a_model_that_takes_echo_only_says_that_it_needs_a_reference(folder: Path) -> None:
    arguments = ["enhance", "mic.wav", "--no-ref", "--force"]
    assert "changes nothing" not in CliRunner().invoke(app, arguments).stderr  # the default takes noise as well
    arguments += ["-m", "kalman"]
    alone = CliRunner().invoke(app, arguments)
    assert alone.exit_code == 0
    assert "changes nothing; try -m denoise" in alone.stderr
    np.testing.assert_allclose(sf.read("mic_enhanced.wav")[0], sf.read("mic.wav")[0], atol=1e-5)
    arguments[2] = "ref.wav"
    assert "changes nothing" not in CliRunner().invoke(app, arguments).stderr
