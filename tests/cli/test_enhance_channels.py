"""``localvqe enhance --mic-channel --ref-channel``: one file with both signals, or a channel of each of two."""

from __future__ import annotations

import io
import json
import os
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from fake_model import FakeModel
from typer.testing import CliRunner

from localvqe_cli.audio import Job
from localvqe_cli.cli import app
from localvqe_cli.enhance_files import EnhanceOptions, enhance_job

FRAMES = 20000
MIC, REF = 0.1 * np.random.default_rng(4).standard_normal((2, FRAMES)).astype(np.float32)
#: What the stand-in of an engine makes of them: both signals leave a trace that no mixture would.
EXPECTED = MIC - 0.5 * REF
BOTH = ("--mic-channel", "2", "--ref-channel", "3", "--align", "off")


@pytest.fixture(autouse=True)
def _recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = FakeModel(lambda mic, ref: mic - np.float32(0.5) * ref)
    monkeypatch.setattr("localvqe_cli.cli.enhance.load_model", lambda *_, **__: model)
    write("call.wav")


def three_channels() -> np.ndarray:
    return np.stack([np.full(FRAMES, 0.3, np.float32), MIC, REF], 1)


def write(name: str) -> None:
    sf.write(name, three_channels(), 16000, subtype="FLOAT")


def run(*arguments: str, stdin: bytes | None = None) -> Any:
    result = CliRunner().invoke(app, ["enhance", *arguments], input=stdin)
    assert result.exit_code == 0, result.output
    return result


def read(name: str) -> np.ndarray:
    samples, _ = sf.read(name, dtype="float32")
    assert samples.ndim == 1
    return samples


def test_one_file_holds_both() -> None:
    record = json.loads(run("call.wav", *BOTH, "--json").stdout)["files"][0]
    assert (record["mic"], record["ref"], record["channels"]) == ("call.wav", "call.wav", 3)
    assert record["warnings"] == record["notes"] == []
    np.testing.assert_array_equal(read("call_enhanced.wav"), EXPECTED)


def test_the_same_file_named_twice_is_the_same() -> None:
    os.symlink("call.wav", "link.wav")
    for ref in ("call.wav", "link.wav"):
        assert "same file" not in run("call.wav", ref, *BOTH, "--force").stderr
        np.testing.assert_array_equal(read("call_enhanced.wav"), EXPECTED)


def test_each_option_picks_a_channel_of_its_file() -> None:
    sf.write("far.wav", np.stack([REF, np.zeros(FRAMES, np.float32)], 1), 16000, subtype="FLOAT")
    run("call.wav", "far.wav", "--mic-channel", "2", "--ref-channel", "1", "--align", "off")
    np.testing.assert_array_equal(read("call_enhanced.wav"), EXPECTED)
    result = run("call.wav", "far.wav", "--mic-channel", "2", "--align", "off", "--force")
    assert "the reference has 2 channels: mixed to one; --ref-channel picks one instead" in result.stderr
    np.testing.assert_allclose(read("call_enhanced.wav"), MIC - 0.25 * REF, atol=1e-6)


def test_stdin_is_one_stream_of_both() -> None:
    content = Path("call.wav").read_bytes()
    for names in (("-",), ("-", "-")):
        out = run(*names, *BOTH, "-o", "-", stdin=content).stdout_bytes
        np.testing.assert_array_equal(sf.read(io.BytesIO(out), dtype="float32")[0], EXPECTED)


def test_a_named_pipe_is_drained_once() -> None:
    os.mkfifo("pipe.wav")
    content = Path("call.wav").read_bytes()
    writer = threading.Thread(target=lambda: Path("pipe.wav").write_bytes(content), daemon=True)
    writer.start()
    run("pipe.wav", *BOTH, "-o", "out.wav")
    writer.join(timeout=10)
    np.testing.assert_array_equal(read("out.wav"), EXPECTED)


def test_a_recording_that_was_never_closed() -> None:
    content = bytearray(Path("call.wav").read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = bytes(4)
    Path("crash.wav").write_bytes(content)
    run("crash.wav", *BOTH, "--allow-truncated")
    np.testing.assert_array_equal(read("crash_enhanced.wav")[:FRAMES], EXPECTED)


def test_a_directory_of_calls() -> None:
    os.mkdir("calls")
    for name in ("a", "b_mic", "c_ref"):
        write(f"calls/{name}.wav")
    for arguments in (("calls",), ("calls", "calls", "--force")):
        run(*arguments, *BOTH, "-o", "out")
        assert sorted(os.listdir("out"))[0] == "a_enhanced.wav"
        np.testing.assert_array_equal(read("out/a_enhanced.wav"), EXPECTED)
        if len(arguments) == 1:
            outputs = [name for name in sorted(os.listdir("out")) if name.endswith(".wav")]
            assert outputs == [f"{name}_enhanced.wav" for name in ("a", "b_mic", "c_ref")]


@pytest.mark.parametrize(
    "table", ["id,mic\na,call.wav\n", "id,mic,ref\na,call.wav,\n", "id,mic,ref\na,call.wav,call.wav"]
)
def test_a_list_of_calls(table: str) -> None:
    Path("p.csv").write_text(table)
    run("--pairs", "p.csv", *BOTH, "-o", "out")
    np.testing.assert_array_equal(read("out/a_enhanced.wav"), EXPECTED)


def test_a_list_without_references_still_wants_them() -> None:
    Path("p.csv").write_text("id,mic\na,call.wav\n")
    for extra in ((), ("--mic-channel", "2")):
        result = CliRunner().invoke(app, ["enhance", "--pairs", "p.csv", *extra])
        assert result.exit_code == 2
        assert "ref is missing" in result.stderr


def test_a_bad_channel_stops_neither_the_batch_nor_its_count() -> None:
    sf.write("mono.wav", MIC, 16000)
    Path("p.csv").write_text("id,mic\na,mono.wav\nb,call.wav\n")
    result = CliRunner().invoke(app, ["enhance", "--pairs", "p.csv", *BOTH, "-o", "out"])
    assert result.exit_code == 1
    assert "mono.wav: has one channel, so there is no channel 2" in result.stderr
    assert [name for name in os.listdir("out") if name.endswith(".wav")] == ["b_enhanced.wav"]


def test_memory_does_not_grow_with_the_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("localvqe_cli.audio.clip._MEMORY_BYTES", 1 << 16)  # of the output; the rest is on disk
    peaks = []
    options = EnhanceOptions(mic_channel=2, ref_channel=3, align="off")
    for repeat in (40, 160):
        with sf.SoundFile("long.wav", "w", 16000, 3, "FLOAT") as file:
            for _ in range(repeat):
                file.write(three_channels())
        tracemalloc.start()
        enhance_job(FakeModel(), Job("x", "long.wav", "long.wav", "out.wav"), options)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + (1 << 20)
