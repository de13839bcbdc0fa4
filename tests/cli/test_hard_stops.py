"""A killed run, a full disk, a folder that may not be written, an input that goes away: nothing half-written."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from make_model import narrow_config, random_gguf, random_state, save_checkpoint
from typer.testing import CliRunner

from localvqe_cli import atomic
from localvqe_cli.audio.pairing import jobs_from_manifest, prepare_outputs
from localvqe_cli.cli import app
from localvqe_cli.errors import AudioError, UsageError

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fuzz"))


def _localvqe(*arguments: object, room: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command, with files limited to ``room`` bytes: what a full disk does to a writer."""

    def limit() -> None:
        if room is not None:
            import signal

            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # an error from write() instead, as from a full disk
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    command = [sys.executable, "-m", "localvqe_cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, preexec_fn=limit, timeout=120)


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    folder = tmp_path / "inputs"
    folder.mkdir()
    config = narrow_config(2)
    random_gguf(folder / "m.gguf", config)
    save_checkpoint(folder / "m.pt", random_state(config), config)
    for name in ("mic", "ref"):
        sf.write(folder / f"{name}.wav", 0.1 * np.random.default_rng(0).standard_normal(160000), 16000)
    return folder


def test_a_full_disk(inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for arguments in (
        ["enhance", "-m", inputs / "m.gguf", inputs / "mic.wav", inputs / "ref.wav", "-o", out / "a.wav"],
        ["export", inputs / "m.pt", "-o", out / "a.gguf"],
    ):
        done = _localvqe(*arguments, room=100_000)
        assert done.returncode == 1, done.stderr
        assert done.stderr.count("localvqe: error:") == 1
        assert "Traceback" not in done.stderr
        assert os.listdir(out) == []


def test_an_older_output_survives_a_full_disk(inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.gguf"
    out.write_bytes(b"older")
    arguments = ["quantize", inputs / "m.gguf", out, "Q8_0", "--keep-bases", "--force"]
    assert _localvqe(*arguments, room=100_000).returncode == 1
    assert out.read_bytes() == b"older"


def test_a_folder_that_may_not_be_written(inputs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    done = CliRunner().invoke(app, ["export", str(inputs / "m.pt"), "-o", str(folder / "a.gguf")])
    assert done.exit_code == 2
    assert "read-only" in done.stderr


def test_an_input_that_vanishes_while_it_is_waited_for(inputs: Path, tmp_path: Path) -> None:
    from fake_model import FakeModel

    from localvqe_cli.audio import Job
    from localvqe_cli.enhance_files import EnhanceOptions, enhance_job

    jobs = [Job(name, str(inputs / "mic.wav"), str(inputs / "ref.wav"), str(tmp_path / f"{name}.wav")) for name in "ab"]
    prepare_outputs(jobs, force=False)
    enhance_job(FakeModel(), jobs[0], EnhanceOptions())
    (inputs / "ref.wav").unlink()
    with pytest.raises(AudioError, match="no such file"):
        enhance_job(FakeModel(), jobs[1], EnhanceOptions())
    assert not (tmp_path / "b.wav").exists()


def test_kills() -> None:
    pytest.importorskip("torch")
    import kills

    done, findings = kills.campaign(2, seed=3, names=["quantize", "enhance-list"])
    assert findings == []
    assert done == {"enhance-list": 1, "quantize": 1}


# -- manifests --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../x", "..", ".", "a/b", "/x", "a\\b", "c:x", "a\x01"])
def test_an_id_cannot_leave_the_output_folder(tmp_path: Path, name: str) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text(f"id\tmic\tref\n{name}\ta.wav\tb.wav\n")
    with pytest.raises(UsageError, match="not a plain file name"):
        jobs_from_manifest(str(path), str(tmp_path / "out"))


def test_a_dash_in_a_manifest_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text("id\tmic\tref\na\t-\t-\n")
    (job,) = jobs_from_manifest(str(path), str(tmp_path / "out"))
    assert "-" not in (job.mic, job.ref)


def test_a_list_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("localvqe_cli.audio.pairing.MAX_ROWS", 1000)
    path = tmp_path / "pairs.tsv"
    for endless in ("a" * (33 << 20), "a,\n" * 1001):
        path.write_text("id\tmic\tref\n" + endless)
        with pytest.raises(UsageError, match="split the list"):
            jobs_from_manifest(str(path), None)


def test_an_output_that_is_a_link_is_written_where_it_points(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(UsageError, match="exists"):  # not without being asked
        atomic.check_output(tmp_path / "link")
    with atomic.atomic_output(tmp_path / "link") as path:
        path.write_text("new")
    assert (tmp_path / "real").read_text() == "new"
    assert (tmp_path / "link").is_symlink()
