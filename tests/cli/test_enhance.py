"""``localvqe enhance`` as typed: choices, messages, exit codes. The engine is a stand-in that changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from fake_model import FakeModel
from typer.testing import CliRunner

from localvqe_cli.cli import app

#: Where a model runs if nothing is said.
PLACE = {"backend": "auto", "device": 0, "precision": "auto"}


class Shell:
    """A working directory with a few recordings, and what was asked of the engine."""

    def __init__(self) -> None:
        self.loaded: dict[str, Any] = {}
        self.model = FakeModel()

    def load(self, model: str | None, **settings: Any) -> FakeModel:
        self.loaded = {"model": model, **settings}
        return self.model

    def __call__(self, *args: str, code: int = 0, stdin: bytes | None = None) -> Any:
        result = CliRunner().invoke(app, ["enhance", *args], input=stdin)
        assert result.exit_code == code, result.output
        if code not in (0, 1):  # an error is one line, and nothing goes to stdout
            errors = [
                line for line in result.stderr.splitlines() if not line.startswith(("note:", "model:", "warning:"))
            ]
            assert result.stdout == ""
            assert len(errors) == 1
            assert errors[0].startswith("localvqe: error: ")
        return result


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    shell = Shell()
    monkeypatch.setattr("localvqe_cli.cli.enhance.load_model", shell.load)
    rng = np.random.default_rng(0)
    for name in ("mic", "ref"):
        sf.write(f"{name}.wav", 0.1 * rng.standard_normal(8000), 16000)
    return shell


def files() -> list[str]:
    return sorted(str(p) for p in Path().rglob("*") if p.is_file() and p.name not in ("mic.wav", "ref.wav"))


def outputs(folder: str) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir() if path.stem != "results")


def test_a_pair_writes_beside_the_mic_and_says_what_it_did(shell: Shell) -> None:
    result = shell("mic.wav", "ref.wav")
    assert files() == ["mic_enhanced.wav"]
    assert Path("mic_enhanced.wav").read_bytes() == Path("mic.wav").read_bytes()
    assert result.stdout == ""
    assert result.stderr.startswith("model: fake\n")
    assert "mic_enhanced.wav: 0.50 s in" in result.stderr
    assert shell.loaded == {"model": None, "threads": 1, "noise_gate": None, **PLACE}


def test_options_reach_the_engine(shell: Shell) -> None:
    shell("--ref", "ref.wav", "--mic", "mic.wav", "-m", "x.gguf", "-t", "2", "--noise-gate", "-60", "-o", "o.flac")
    assert shell.loaded == {"model": "x.gguf", "threads": 2, "noise_gate": -60.0, **PLACE}
    assert sf.info("o.flac").subtype == "PCM_16"


def test_options_reach_the_signal(shell: Shell) -> None:
    shell.model = FakeModel(lambda mic, ref: 20 * mic)
    sf.write("two.wav", np.stack([np.full(8000, 0.01), np.full(8000, 0.1)], 1), 16000, subtype="FLOAT")
    arguments = ("two.wav", "ref.wav", "--mic-channel", "2", "--align", "-30", "--force")
    for extra, level in (((), 1.0), (("--clip-mode", "clamp"), 1.0), (("--strength", "0.5", "-o", "h.wav"), 1.0)):
        result = shell(*arguments, *extra, "--json")
        record = json.loads(result.stdout)["files"][0]
        assert record["shift_ms"] == -30.0
        assert record["channels"] == 2
        assert np.abs(sf.read(record["output"])[0]).max() == pytest.approx(level, abs=1e-4)
    assert record["peak"] == pytest.approx(0.5 * 2.0 + 0.5 * 0.1)


def test_json_is_alone_on_stdout_and_complete(shell: Shell) -> None:
    sf.write("short.wav", np.zeros(4000), 16000)
    answer = json.loads(shell("mic.wav", "short.wav", "--json").stdout)
    assert answer["model"] == {"name": "fake", "path": str(shell.model.path)}
    (record,) = answer["files"]
    assert record["realtime_factor"] > 0
    expected = {
        "id": "mic", "mic": "mic.wav", "ref": "short.wav", "output": "mic_enhanced.wav", "seconds": 0.5, "rate": 16000,
        "channels": 1, "subtype": "PCM_16", "clipped": 0, "gain": 1.0, "delay_ms": None, "shift_ms": 0.0,
        "drift_ppm": None, "warnings": [],
        "notes": ["the reference is silent", "the reference is 0.250 s shorter than the mic: padded with silence"],
        "details": [], "error": None,
    }  # fmt: skip
    assert {key: record[key] for key in expected} == expected
    assert set(record) - set(expected) == {"wall_seconds", "realtime_factor", "peak"}


def test_quiet_and_verbose(shell: Shell) -> None:
    assert shell("mic.wav", "mic.wav", "-q").output == ""
    sf.write("deep.wav", np.zeros(8000), 16000, subtype="FLOAT")
    assert "PCM_24" not in shell("deep.wav", "ref.wav", "-o", "o.flac").stderr
    assert "PCM_24" in shell("deep.wav", "ref.wav", "-o", "o.flac", "-v", "--force").stderr


def test_the_lost_band_is_said_once_in_a_run(shell: Shell) -> None:
    told = "holds nothing above 8 kHz"
    sf.write("wide.wav", 0.1 * np.random.default_rng(0).standard_normal(24000), 48000)
    assert told in shell("wide.wav", "ref.wav").stderr
    assert told not in shell("mic.wav", "ref.wav").stderr
    # The unprocessed share keeps its band.
    assert told not in shell("wide.wav", "ref.wav", "--strength", "0.9", "--force").stderr
    Path("p.csv").write_text("id,mic,ref\na,mic.wav,ref.wav\nb,wide.wav,ref.wav\nc,wide.wav,ref.wav\n")
    result = shell("--pairs", "p.csv", "-o", "out", "--json")
    assert [line for line in result.stderr.splitlines() if told in line] == [
        "note: the model works at 16 kHz: output at a higher rate holds nothing above 8 kHz"
    ]
    notes = [" ".join(record["notes"]) for record in json.loads(result.stdout)["files"]]
    assert [told in text for text in notes] == [False, True, True]


def test_no_progress_bar_and_no_colours_without_a_terminal(shell: Shell) -> None:
    assert "\x1b" not in shell("mic.wav", "ref.wav").output


def test_stdin_to_stdout(shell: Shell) -> None:
    content = Path("mic.wav").read_bytes()
    assert shell("-", "ref.wav", stdin=content).stdout_bytes == content
    assert shell("mic.wav", "-", "-o", "-", stdin=content).stdout_bytes == content
    shell("-", "--no-ref", "-o", "named.wav", stdin=content)
    assert files() == ["named.wav"]


def test_a_device_takes_the_output_in_place(shell: Shell) -> None:
    shell("mic.wav", "ref.wav", "-o", "/dev/null")
    assert Path("/dev/null").is_char_device()


def test_an_existing_output_needs_force(shell: Shell) -> None:
    Path("mic_enhanced.wav").write_text("precious")
    result = shell("mic.wav", "ref.wav", code=2)
    assert "mic_enhanced.wav exists; use --force" in result.stderr
    assert Path("mic_enhanced.wav").read_text() == "precious"
    shell("mic.wav", "ref.wav", "--force")
    assert sf.info("mic_enhanced.wav").frames == 8000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no microphone recording given"),
        (("mic.wav",), "no reference given; name the far-end recording, use --mic-channel"),
        (("mic.wav", "ref.wav", "--no-ref"), "--no-ref contradicts"),
        (("mic.wav", "ref.wav", "--mic", "mic.wav"), "MIC is given twice"),
        (("mic.wav", "ref.wav", "--ref", "ref.wav"), "REF is given twice"),
        (("mic.wav", "ref.wav", "--pairs", "p.tsv"), "--pairs lists mics"),
        (("--pairs", "missing.tsv"), "missing.tsv: cannot be read"),
        (("-", "-"), "only one of mic and reference"),
        (("two.wav", "--mic-channel", "1"), "use --mic-channel and --ref-channel where MIC holds both"),
        (("two.wav", "--ref-channel", "2"), "use --mic-channel and --ref-channel where MIC holds both"),
        (("two.wav", "--mic-channel", "2", "--ref-channel", "2"), "two.wav: channel 2 cannot be both the mic and"),
        (("two.wav", "two.wav", "--mic-channel", "2", "--ref-channel", "2"), "two.wav: channel 2 cannot be both"),
        (("-", "--mic-channel", "1", "--ref-channel", "1"), "stdin: channel 1 cannot be both"),
        (("two.wav", "--mic-channel", "1", "--ref-channel", "3"), "two.wav: has channels 1 to 2, so there is no chan"),
        (("two.wav", "ref.wav", "--mic-channel", "3"), "two.wav: has channels 1 to 2, so there is no channel 3"),
        (("mic.wav", "--mic-channel", "1", "--ref-channel", "2"), "mic.wav: has one channel, so there is no channel 2"),
        (("two.wav", "--no-ref", "--ref-channel", "2"), "--no-ref contradicts --ref-channel"),
        (("", "ref.wav"), "MIC is empty"),
        (("mic.wav", "ref.wav", "-o", ""), "--output is empty"),
        (("mic.wav", "ref.wav", "-o", "none/"), "the folder none/ does not exist"),
        (("mic.wav", "ref.wav", "-o", "mic.wav", "--force"), "it is the input itself"),
        (("mic.wav", "ref.wav", "-o", "ref.wav", "--force"), "it is the input itself"),
        (("mic.wav", "ref.wav", "-o", "none/o.wav"), "the folder none does not exist"),
        (("mic.wav", "ref.wav", "-o", "mic.wav/o.wav"), "cannot write mic.wav/o.wav"),
        (("mic.wav", "ref.wav", "-o", "o.xyz"), "cannot tell the audio format"),
        (("mic.wav", "ref.wav", "-o", "-", "--json"), "both want stdout"),
        (("mic.wav", "ref.wav", "--align", "often"), "align is often: give auto, off"),
        (("mic.wav", "ref.wav", "--align", "nan"), "align is nan: give"),
        (("mic.wav", "ref.wav", "--align", "1e9"), "align is 1000000000.0: give"),
        (("mic.wav", "ref.wav", "--noise-gate=-inf"), "--noise-gate -inf"),
        ((".", "ref.wav"), "so the reference must be one too"),
        (("mic.wav", "."), "is a directory but the mic is a file"),
        ((".", "-o", "-"), "cannot go to stdout"),
        (("mic.wav", "ref.wav", "-o", "o.wav", "--resume"), "--resume is for many files with -o DIR"),
        ((".", "--resume"), "--resume is for many files with -o DIR"),
        ((".", "-o", "out", "--resume", "--force"), "--resume contradicts --force"),
    ],
)
def test_requests_that_make_no_sense_exit_2(shell: Shell, arguments: tuple[str, ...], message: str) -> None:
    sf.write("two.wav", 0.1 * np.random.default_rng(1).standard_normal((8000, 2)), 16000)
    assert message in shell(*arguments, code=2, stdin=b"x").stderr
    assert files() == ["two.wav"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--threads", "0"],
        ["--threads", "33"],
        ["--jobs", "0"],
        ["--jobs", "257"],
        ["--strength", "1.1"],
        ["--strength", "nan"],
        ["--mic-channel", "0"],
        ["--ref-channel", "0"],
        ["--noise-gate", "3"],
        ["--clip-mode", "wrap"],
        ["--unknown"],
        ["a", "b", "c"],
    ],
)
def test_values_out_of_range_exit_2(shell: Shell, arguments: list[str]) -> None:
    result = CliRunner().invoke(app, ["enhance", "mic.wav", "ref.wav", *arguments])
    assert result.exit_code == 2
    assert files() == []
    assert result.stderr.splitlines()[-1].startswith("localvqe: error: ")
    assert "\nError: " not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--unknown"], "No such option: --unknown"),
        (["unknown"], "No such command 'unknown'"),
        (["models", "unknown"], "No such command 'unknown'"),
        (["export"], "Missing argument"),
        (["bench", "--iters", "many"], "Invalid value for '--iters'"),
    ],
)
def test_mistyped_words_look_like_every_other_error(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[0].startswith("Usage: ")
    assert lines[-1].startswith(f"localvqe: error: {message}")
    assert sum("rror: " in line for line in lines) == 1


def test_nothing_typed_shows_the_help() -> None:
    result = CliRunner().invoke(app, [])
    assert "Commands:" in result.output
    assert "rror: " not in result.output


def test_the_speed_of_a_short_file_has_a_decimal(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    for seconds, said in ((1.0, "(0.5x real time)"), (0.05, "(10x real time)"), (0.001, "(500x real time)")):
        clock = SimpleNamespace(monotonic=iter([0.0, seconds]).__next__)
        monkeypatch.setattr("localvqe_cli.enhance_files.time", clock)
        assert said in shell("mic.wav", "ref.wav", "--force").stderr


def bad_inputs() -> dict[str, bytes]:
    sf.write("tmp.wav", np.zeros(0), 16000)
    empty = Path("tmp.wav").read_bytes()
    sf.write("tmp.wav", np.full(255, 0.1), 16000)
    short = Path("tmp.wav").read_bytes()
    sf.write("tmp.wav", np.full(8000, np.nan), 16000, subtype="FLOAT")
    nan = Path("tmp.wav").read_bytes()
    Path("tmp.wav").unlink()
    return {
        "zero bytes": b"",
        "empty": empty,
        "text": b"not audio\n" * 99,
        "short": short,
        "nan": nan,
        "cut": short[:30],
    }


@pytest.mark.parametrize("kind", ["zero bytes", "empty", "text", "short", "nan", "cut"])
@pytest.mark.parametrize("role", ["mic", "ref"])
def test_unusable_audio_exits_3_without_output(shell: Shell, kind: str, role: str) -> None:
    content = bad_inputs()[kind]
    Path("bad.wav").write_bytes(content)
    arguments = ("bad.wav", "ref.wav") if role == "mic" else ("mic.wav", "bad.wav")
    assert "bad.wav: " in shell(*arguments, code=3).stderr
    assert files() == ["bad.wav"]


@pytest.mark.parametrize("arguments", [("a*.wav", "ref.wav"), ("mic.wav", "re?.wav.gz"), ("[ab].wav", "--no-ref")])
def test_a_pattern_that_the_shell_left_alone_gets_a_hint(shell: Shell, arguments: tuple[str, ...]) -> None:
    told = shell(*arguments, code=3).stderr
    assert "no such file" in told
    assert "the shell did not expand this pattern" in told


def test_a_pattern_of_lists_gets_the_hint_too(shell: Shell) -> None:
    assert "lists/*.tsv: no such file; the shell did not expand" in shell("--pairs", "lists/*.tsv", code=2).stderr


def test_a_name_with_a_pattern_sign_is_a_name(shell: Shell) -> None:
    Path("mic.wav").rename("mic [1].wav")
    shell("mic [1].wav", "ref.wav")
    assert "mic [1]_enhanced.wav" in files()


def test_an_unknown_container_points_to_ffmpeg(shell: Shell) -> None:
    content = b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom\0\0\0\0" + bytes(4000)
    Path("my call.m4a").write_bytes(content)
    told = shell("my call.m4a", "ref.wav", code=3).stderr
    assert "ffmpeg -i 'my call.m4a' -f wav - | localvqe enhance - REF -o OUT.wav" in told
    told = shell("mic.wav", "my call.m4a", code=3).stderr
    assert "ffmpeg -i 'my call.m4a' -f wav - | localvqe enhance MIC - -o OUT.wav" in told
    assert "ffmpeg -i in.m4a -f wav - |" in shell("-", "ref.wav", code=3, stdin=content).stderr
    assert "ffmpeg" not in shell("nowhere.m4a", "ref.wav", code=3).stderr
    Path("nothing.wav").write_bytes(Path("mic.wav").read_bytes()[:44])
    assert "ffmpeg" not in shell("nothing.wav", "ref.wav", code=3).stderr


def test_an_existing_directory_takes_the_output_of_a_pair(shell: Shell) -> None:
    for name in ("out", "in"):
        Path(name).mkdir()
    Path("in/a.b.flac").write_bytes(Path("mic.wav").read_bytes())
    shell("in/a.b.flac", "ref.wav", "-o", "out/")
    shell("in/a.b.flac", "ref.wav", "-o", ".")
    shell("-", "ref.wav", "-o", "out", stdin=Path("mic.wav").read_bytes())
    assert files() == ["a.b_enhanced.wav", "in/a.b.flac", "out/a.b_enhanced.wav", "out/stdin_enhanced.wav"]
    assert "out/a.b_enhanced.wav exists" in shell("in/a.b.flac", "ref.wav", "-o", "out", code=2).stderr


def test_a_missing_file_exits_3(shell: Shell) -> None:
    assert "nowhere.wav: no such file" in shell("nowhere.wav", "ref.wav", code=3).stderr


def test_odd_audio_is_processed_with_a_note(shell: Shell) -> None:
    content = Path("mic.wav").read_bytes()
    Path("cut.wav").write_bytes(content[: len(content) // 2])
    assert "--allow-truncated" in shell("cut.wav", "ref.wav", code=3).stderr
    assert "warning: the mic ends early" in shell("cut.wav", "ref.wav", "--allow-truncated").stderr
    sf.write("silent.wav", np.zeros(8000), 16000)
    assert "note: the mic is silent" in shell("silent.wav", "ref.wav").stderr
    sf.write("eight.wav", np.zeros((8000, 8)), 16000)
    assert "8 channels: mixed to one" in shell("eight.wav", "ref.wav").stderr
    assert "--mic-channel picks one" in shell("eight.wav", "ref.wav", "--force").stderr
    assert "--ref-channel picks one" in shell("mic.wav", "eight.wav", "--force").stderr
    assert "warning: mic and reference are the same file" in shell("mic.wav", "mic.wav", "--force").stderr
    data = np.full(8000, 0.1)
    data[7] = np.nan
    sf.write("nan.wav", data, 16000, subtype="FLOAT")
    told = shell("nan.wav", "ref.wav").stderr
    assert "warning: 1 sample of the mic NaN, infinite or beyond 1e6 times full scale: replaced by zeros" in told
    assert np.isfinite(sf.read("nan_enhanced.wav")[0]).all()


def test_a_read_only_output_is_refused(shell: Shell) -> None:
    Path("locked").mkdir(mode=0o555)
    assert "the folder locked is read-only" in shell("mic.wav", "ref.wav", "-o", "locked/o.wav", code=2).stderr
    Path("old.wav").write_text("precious")
    Path("old.wav").chmod(0o444)
    assert "read-only" in shell("mic.wav", "ref.wav", "-o", "old.wav", "--force", code=2).stderr
    assert Path("old.wav").read_text() == "precious"


def test_a_failing_disk_exits_1_and_leaves_nothing(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", refuse)
    assert "no space left on device" in shell("mic.wav", "ref.wav", code=1).stderr
    assert files() == []


def test_an_interrupt_exits_130_and_leaves_nothing(shell: Shell) -> None:
    def interrupt(mic: np.ndarray, ref: np.ndarray) -> np.ndarray:
        raise KeyboardInterrupt

    shell.model = FakeModel(interrupt)
    shell("mic.wav", "ref.wav", code=130)
    assert files() == []


def test_a_name_that_is_no_text_is_printed_escaped(shell: Shell) -> None:
    name = b"m\xff\n.wav".decode("utf-8", "surrogateescape")
    assert "m\\udcff .wav: no such file" in shell(name, "ref.wav", code=3).stderr


# -- batches ----------------------------------------------------------------------------------


def test_pairs_write_into_a_directory_by_id(shell: Shell) -> None:
    Path("p.tsv").write_text("id\tscenario\tmic\tref\na\tx\tmic.wav\tref.wav\nb\ty\tref.wav\tmic.wav\n")
    answer = json.loads(shell("--pairs", "p.tsv", "-o", "out/deep", "--json").stdout)
    assert [record["output"] for record in answer["files"]] == ["out/deep/a_enhanced.wav", "out/deep/b_enhanced.wav"]
    assert Path("out/deep/b_enhanced.wav").read_bytes() == Path("ref.wav").read_bytes()
    assert "2 of 2 files enhanced" in shell("--pairs", "p.tsv", "-o", "out/deep", "--force").stderr


def test_one_bad_file_finishes_the_others_and_exits_1(shell: Shell) -> None:
    Path("p.csv").write_text("id,mic,ref\na,mic.wav,ref.wav\nb,mic.wav,none.wav\nc,mic.wav,ref.wav\n")
    result = shell("--pairs", "p.csv", "-o", "out", "--json", code=1)
    assert "localvqe: error: none.wav: no such file" in result.stderr
    assert "2 of 3 files enhanced" in result.stderr
    assert [record["error"] for record in json.loads(result.stdout)["files"]] == [None, "none.wav: no such file", None]
    assert outputs("out") == ["a_enhanced.wav", "c_enhanced.wav"]


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "..", "a/b"])
def test_an_id_cannot_escape_the_directory(shell: Shell, name: str) -> None:
    Path("p.csv").write_text(f"id,mic,ref\n{name},mic.wav,ref.wav\n")
    assert "not a plain file name" in shell("--pairs", "p.csv", "-o", "out", code=2).stderr
    assert files() == ["p.csv"]


def test_a_batch_that_would_overwrite_stops_before_any_work(shell: Shell) -> None:
    Path("p.csv").write_text("id,mic,ref\na,mic.wav,ref.wav\nb,mic.wav,ref.wav\n")
    Path("b_enhanced.wav").write_text("precious")
    assert "b_enhanced.wav exists" in shell("--pairs", "p.csv", code=2).stderr
    assert files() == ["b_enhanced.wav", "p.csv"]


def test_directories(shell: Shell) -> None:
    for folder, suffix in (("m", "_mic"), ("r", "_lpb")):
        Path(folder).mkdir()
        for name in ("one", "two"):
            Path(f"{folder}/{name}{suffix}.wav").write_bytes(Path("mic.wav").read_bytes())
    shell("m", "r", "-o", "out")
    assert outputs("out") == ["one_mic_enhanced.wav", "two_mic_enhanced.wav"]
    Path("m/three_mic.wav").write_bytes(Path("mic.wav").read_bytes())
    result = shell("m", "r", "--force", code=1)
    assert "three_mic.wav: no reference found for it" in result.stderr
    assert "2 of 3 files enhanced" in result.stderr
    shell("m", "--no-ref", "--force")
    assert len(list(Path("m").glob("*_enhanced.wav"))) == 3


def test_a_second_run_resumes(shell: Shell) -> None:
    Path("p.csv").write_text("id,mic,ref\na,mic.wav,ref.wav\nb,mic.wav,late.wav\nc,mic.wav,ref.wav\n")
    arguments = ("--pairs", "p.csv", "-o", "out", "--align", "off")
    assert "late.wav: no such file" in shell(*arguments, code=1).stderr
    assert "out/a_enhanced.wav exists" in shell(*arguments, code=2).stderr
    Path("late.wav").write_bytes(Path("ref.wav").read_bytes())
    result = shell(*arguments, "--resume", "--json")
    told = result.stderr.splitlines()
    assert told[:2] == ["model: fake", "2 of 3 files are finished already"]
    assert told[2].startswith("out/b_enhanced.wav: 0.50 s in")
    assert told[3].startswith("1 of 1 files enhanced: 0.50 s")
    assert [record["output"] for record in json.loads(result.stdout)["files"]] == [
        f"out/{name}_enhanced.wav" for name in "abc"
    ]
    assert shell(*arguments, "--resume").stderr.splitlines() == ["model: fake", "3 of 3 files are finished already"]


def test_an_interrupted_list_says_how_to_go_on(shell: Shell) -> None:
    def interrupt(mic: np.ndarray, ref: np.ndarray) -> np.ndarray:
        raise KeyboardInterrupt

    Path("p.csv").write_text("id,mic,ref\na,mic.wav,ref.wav\n")
    shell.model = FakeModel(interrupt)
    told = CliRunner().invoke(app, ["enhance", "--pairs", "p.csv", "-o", "out"])
    assert told.exit_code == 130
    assert told.stderr.splitlines()[1:] == [
        "note: what is finished stays; the same command with --resume does the rest",
        "localvqe: error: interrupted",
    ]
    assert outputs("out") == []
