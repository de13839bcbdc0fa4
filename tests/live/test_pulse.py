"""``localvqe live`` on a real PulseAudio: what another program hears from the microphone that it makes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile
from echo_scene import RATE, heard, speech_like, steady
from pulse_daemon import Daemon, find, missing, wait_until
from typer.testing import CliRunner

from localvqe_cli.cli import app

pytest.importorskip("pulsectl", reason="pulsectl is not installed: pip install 'localvqe[live]'")
pytestmark = pytest.mark.skipif(bool(missing()), reason="no PulseAudio: apt-get install pulseaudio pulseaudio-utils")

FAR_ONLY, NEAR_ONLY, END = slice(3 * RATE, 5 * RATE), slice(6 * RATE, 8 * RATE), 9


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path_factory.mktemp("pulse"))
    yield daemon
    daemon.stop()


def start(daemon: Daemon, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "localvqe_cli", "live", "--mic", "room_mic", "--far", "speaker_tap", "--json"]
    return subprocess.Popen([*command, *arguments], env=daemon.env, stdout=subprocess.PIPE, text=True)


def scene() -> tuple[np.ndarray, np.ndarray]:
    """Far end and microphone: five seconds of far end, then two of near end."""
    far = speech_like(END, 3)
    far[int(5.5 * RATE) :] = 0.0
    near = speech_like(END, 4)
    near[: NEAR_ONLY.start] = near[NEAR_ONLY.stop :] = 0.0
    noise = 3e-4 * np.random.default_rng(1).standard_normal(len(far)).astype(np.float32)
    return far, heard(far, steady(0.0, 0.2)) + near + noise


def level(signal: np.ndarray) -> float:
    return float(10.0 * np.log10(np.mean(np.square(signal, dtype=np.float64)) + 1e-12))


def gain(found: np.ndarray, of: np.ndarray) -> float:
    """By how many dB ``found`` is louder, in most quarters of a second: a machine at work loses some sound."""
    starts = range(0, len(of), RATE // 4)
    return float(np.median([level(found[i : i + RATE // 4]) - level(of[i : i + RATE // 4]) for i in starts]))


def call_through(daemon: Daemon, folder: Path) -> list[dict[str, object]]:
    """The scene through ``localvqe live``, heard and recorded in ``folder``; returns what it said."""
    far, mic = scene()
    soundfile.write(folder / "call.wav", np.stack([far, mic], axis=1), RATE, subtype="FLOAT")
    live = start(daemon, "--virtual-mic", "--record", str(folder / "rec"), "--force")
    wait_until(lambda: "localvqe_mic\t" in daemon.list("sources"), "no microphone was made")
    with daemon.listening("localvqe_mic", folder / "heard.raw"):
        assert daemon.play(folder / "call.wav").wait(60) == 0
    live.send_signal(signal.SIGTERM)  # how a supervisor ends it
    said, _ = live.communicate(timeout=60)
    assert live.returncode == 143
    assert "localvqe" not in daemon.list("modules")
    return [json.loads(line) for line in said.splitlines()]


def test_the_echo_goes_and_the_voice_stays(daemon: Daemon, tmp_path: Path) -> None:
    for _ in range(3):
        events = call_through(daemon, tmp_path)
        status = [event for event in events if event["event"] == "status"][-1]
        # Where the machine had no time for sound, what came out says nothing about the echo.
        if not (status["times_passed_through"] or status["mic_losses"] or status["far_losses"]):
            break
    else:
        pytest.skip("three times this machine was too busy for live sound")

    _, mic = scene()
    clean = np.fromfile(tmp_path / "heard.raw", np.float32)
    place = find(clean, mic[NEAR_ONLY])
    assert gain(clean[place - 3 * RATE : place - RATE], mic[FAR_ONLY]) < -15.0
    assert gain(clean[place : place + 2 * RATE], mic[NEAR_ONLY]) == pytest.approx(0.0, abs=1.0)

    assert {event["device"] for event in events if event["event"] == "opened"} == {"mic", "far", "out"}
    assert max(event.get("attenuation_db") or 0.0 for event in events) > 15.0

    recorded = {name: soundfile.read(tmp_path / "rec" / f"{name}.flac")[0] for name in ("mic", "far", "out")}
    assert len({len(samples) for samples in recorded.values()}) == 1
    place = find(recorded["mic"], mic[NEAR_ONLY])
    assert find(recorded["out"], mic[NEAR_ONLY]) == place  # in step to the sample
    echo = slice(place - 4 * RATE, place - RATE)
    late = find(recorded["mic"][echo.start : echo.stop + RATE], recorded["far"][echo])
    assert 0 < late < RATE // 2
    assert gain(recorded["out"][echo], recorded["mic"][echo]) < -15.0


def test_a_sound_server_that_is_restarted_is_survived_and_ctrl_c_leaves_nothing(daemon: Daemon, tmp_path: Path) -> None:
    live = start(daemon, "--virtual-mic", "my_mic", "--record", str(tmp_path))
    wait_until(lambda: "my_mic\t" in daemon.list("sources"), "no microphone was made")
    daemon.stop()
    daemon.start()
    wait_until(lambda: "my_mic\t" in daemon.list("sources"), "the microphone did not come back")
    second = start(daemon, "--virtual-mic", "my_mic")
    assert second.wait(60) == 2  # two cannot have one name
    second.communicate()
    # Sound goes through again.
    tone = (0.3 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)).astype(np.float32)
    soundfile.write(tmp_path / "tone.wav", np.stack([0.0 * tone, tone], axis=1), RATE, subtype="FLOAT")
    with daemon.listening("my_mic", tmp_path / "heard.raw"):
        assert daemon.play(tmp_path / "tone.wav").wait(60) == 0
    live.send_signal(signal.SIGINT)
    said, _ = live.communicate(timeout=60)
    assert live.returncode == 0
    assert "my_mic" not in daemon.list("modules")
    found = np.fromfile(tmp_path / "heard.raw", np.float32)
    assert max(level(found[i : i + 8000]) for i in range(0, len(found) - 8000, 4000)) > level(tone) - 6.0
    lost = [event["device"] for event in map(json.loads, said.splitlines()) if event["event"] == "lost"]
    assert {"mic", "far", "out"} <= set(lost)


def test_what_a_killed_one_left_is_taken_away(daemon: Daemon) -> None:
    live = start(daemon, "--virtual-mic")
    wait_until(lambda: "localvqe_mic\t" in daemon.list("sources"), "no microphone was made")
    live.kill()
    live.communicate()
    again = start(daemon, "--duration", "1")
    again.communicate(timeout=60)
    assert again.returncode == 0
    assert "localvqe" not in daemon.list("modules")


def test_a_name_that_no_device_has_is_refused(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in daemon.env.items():
        monkeypatch.setenv(name, value)
    for option in ("--mic", "--far", "--out"):
        done = CliRunner().invoke(app, ["live", option, "nobody"])
        assert done.exit_code == 2
        assert done.stderr == f"localvqe: error: {option} nobody: there is no such device; see localvqe live --list\n"
    listed = CliRunner().invoke(app, ["live", "--list", "--json"])
    found = {(device["kind"], device["name"]) for device in json.loads(listed.stdout)}
    assert found == {("mic", "speaker_tap"), ("mic", "room_mic"), ("far", "card.monitor"), ("out", "card")}
    done = CliRunner().invoke(app, ["live", "--virtual-mic", "a b"])
    assert done.exit_code == 2
    assert "use letters, digits" in done.stderr
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/nonexistent")
    done = CliRunner().invoke(app, ["live", "--list"])
    assert done.exit_code == 1
    assert done.stderr.startswith("localvqe: error: no PulseAudio or PipeWire server answers; start it")


def test_the_adapter_of_other_systems_hears_and_plays(daemon: Daemon, tmp_path: Path) -> None:
    """In a process of its own, for that library connects once."""
    if find_spec("soundcard") is None:
        pytest.skip("SoundCard is not installed: pip install 'localvqe[live]'")
    tone = (0.3 * np.sin(2 * np.pi * 440 * np.arange(20 * RATE) / RATE)).astype(np.float32)
    soundfile.write(tmp_path / "tone.wav", tone, RATE, subtype="FLOAT")
    probe = """if True:
        import numpy as np
        from localvqe_cli.live.devices.soundcards import SoundCardBackend
        backend = SoundCardBackend()
        found = backend.devices()
        print(sorted((d.kind, d.is_default) for d in found))
        speaker = [d.name for d in found if d.kind == "far"]
        source = backend.open_far(speaker[0].removeprefix("Monitor of "))
        heard = np.concatenate([source.read() for _ in range(100)])
        print(backend.rate, heard.dtype, heard.ndim, bool(np.abs(heard).max() > 0.2))
        source.close()
        sink = backend.open_out([d.name for d in found if d.kind == "out"][0])
        sink.write(np.zeros(480, np.float32))
        sink.close()
    """
    (tmp_path / "probe.py").write_text(probe)
    player = daemon.play(tmp_path / "tone.wav")
    try:
        done = subprocess.run(
            [sys.executable, str(tmp_path / "probe.py")], env=daemon.env, capture_output=True, text=True, check=False
        )
    finally:
        player.terminate()
        player.wait(20)
    assert done.returncode == 0, done.stderr
    devices, heard = done.stdout.splitlines()
    assert devices == str([("far", True), ("mic", False), ("mic", True), ("out", False)])
    assert heard == "48000 float32 1 True"
