"""``localvqe live`` as a user types it, on a sound system that is not there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fake_sound import FakeSound
from typer.testing import CliRunner

from localvqe_cli.cli import app
from localvqe_cli.live import service
from localvqe_cli.live.canceller import Canceller
from localvqe_cli.live.devices.backend import Backend
from localvqe_cli.live.session import Session


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> FakeSound:
    found = FakeSound()
    monkeypatch.setattr("localvqe_cli.cli.live.open_backend", lambda: found)
    return found


def run(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["live", *arguments])
    return done.exit_code, done.stdout, done.stderr


def test_it_makes_a_microphone_and_takes_it_away(sound: FakeSound, tmp_path: Path) -> None:
    code, out, err = run("--duration", "0.7", "--record", str(tmp_path / "new" / "rec"), "--strength", "0.5")
    assert (code, out) == (0, "")
    assert err == "clean microphone: localvqe_mic\n"
    assert sound.made == sound.opened == []
    assert sound.closed.is_set()
    assert np.abs(np.concatenate(sound.written)).max() > 0.1
    found = [soundfile.info(tmp_path / "new" / "rec" / f"{name}.flac") for name in ("mic", "far", "out")]
    assert len({info.frames for info in found}) == 1
    assert {(info.samplerate, info.channels) for info in found} == {(16000, 1)}
    mic, _ = soundfile.read(tmp_path / "new" / "rec" / "mic.flac")
    np.testing.assert_allclose(mic, 0.25, atol=1e-4)
    code, _, err = run("--duration", "0.2", "--record", str(tmp_path / "new" / "rec"))
    assert code == 2
    assert "mic.flac exists; use --force to overwrite it" in err


def test_json_lines_say_what_happens(sound: FakeSound) -> None:
    code, out, _ = run("--virtual-mic", "--duration", "1.2", "--json", "--out", "cable")
    assert code == 2  # two places
    code, out, _ = run("--duration", "1.2", "--json", "--virtual-mic")
    assert code == 0
    events = [json.loads(line) for line in out.splitlines()]
    assert {event["device"] for event in events if event["event"] == "opened"} == {"mic", "far", "out"}
    status = [event for event in events if event["event"] == "status"][-1]
    assert status["seconds"] > 0
    assert status["mic_dbfs"] == pytest.approx(-12, abs=0.2)
    assert status["far_dbfs"] is status["attenuation_db"] is None
    assert {"delay_ms", "drift_ppm", "load", "far_gaps", "passed_through", "out_gaps"} <= set(status)


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--mic", "x"], 2, "--mic x: there is no such device; see localvqe live --list"),
        (["--out", "cable", "--virtual-mic", "x"], 2, "--out and --virtual-mic are two places for one sound"),
        (["--duration", "0"], 2, "--duration 0.0: give a number of seconds above 0"),
        (["--noise-gate", "-inf"], 2, "--noise-gate -inf: give a level in dBFS"),
        (["-m", "no-such.gguf"], 4, "no-such.gguf: no such model file"),
        (["--install-service", "--remove-service"], 2, "--install-service contradicts --remove-service"),
    ],
)
def test_bad_arguments_get_a_line_and_a_code(sound: FakeSound, arguments: list[str], code: int, text: str) -> None:
    found, _, err = run(*arguments)
    assert found == code
    assert err.startswith(f"localvqe: error: {text}")
    assert err.count("\n") == 1


def test_where_no_microphone_can_be_made_a_cable_is_asked_for(sound: FakeSound) -> None:
    sound.makes_microphones = False
    code, _, err = run("--duration", "0.2")
    assert code == 2
    assert "name a virtual cable with --out" in err
    code, _, err = run("--out", "cable", "--duration", "0.4")
    assert code == 0
    assert err == "clean microphone: cable\n"


def test_devices_are_listed(sound: FakeSound) -> None:
    code, out, _ = run("--list")
    assert code == 0
    assert "Microphones (--mic):\n  m  (default)  Microphone\nFar ends (--far):\n" in out
    code, out, _ = run("--list", "--json")
    assert json.loads(out)[2] == {"kind": "out", "name": "cable", "description": "A cable", "is_default": False}


def test_devices_that_vanish_are_opened_again() -> None:
    sound = FakeSound(rate=48000)
    backend: Backend = sound  # type: ignore[assignment]
    told: list[tuple[str, str]] = []
    with Canceller(48000, 48000, block=480) as canceller:

        def tell(event: str, role: str, _: str) -> None:
            told.append((event, role))

        session = Session(backend, canceller, mic=None, far=None, out="v", virtual=True, tell=tell)

        def until(happened: object) -> None:
            for _ in range(600):
                if happened():  # type: ignore[operator]
                    return
                session.wait(0.05)
            raise AssertionError((told, sound.opened))

        with session:
            until(lambda: len(sound.opened) == 3)
            assert sound.made == ["v"]
            sound.away = {"mic", "far", "out"}
            until(lambda: not sound.opened)
            assert sound.made == []
            sound.away = set()
            until(lambda: len(sound.opened) == 3)
            reads = dict(sound.reads)
            until(lambda: all(sound.reads[kind] > reads[kind] + 5 for kind in reads))
        assert sound.opened == sound.made == []
    for role in ("mic", "far", "out"):
        assert [event for event, who in told if who == role] == ["opened", "lost", "opened"]


def test_what_is_no_lost_device_ends_the_call() -> None:
    sound = FakeSound()
    backend: Backend = sound  # type: ignore[assignment]
    with Canceller(16000, 16000) as canceller:
        session = Session(backend, canceller, mic=None, far=None, out="v", virtual=False, tell=lambda *_: None)
        with session:
            sound.broken = {"far"}
            with pytest.raises(RuntimeError, match="a bug"):
                session.wait(30)
    assert sound.opened == []


@pytest.fixture
def systemctl(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """What systemctl is called with; it answers, and refuses nothing."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    calls: list[list[str]] = []

    def call(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(service.subprocess, "run", call)
    monkeypatch.setattr(service.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(sys, "argv", ["localvqe", "live", "--install-service", "--mic", 'a "b" $c 100%'])
    return calls


def test_a_service_is_installed_with_the_same_arguments_and_removed(systemctl: list[list[str]], tmp_path: Path) -> None:
    code, _, err = run("--install-service", "--mic", "ignored-here")
    unit = tmp_path / "systemd" / "user" / "localvqe-live.service"
    assert (code, err) == (0, f"{unit}: written and started; it starts with every session\n")
    lines = unit.read_text().splitlines()
    expected = f'ExecStart="{sys.executable}" "-m" "localvqe_cli" "live" "--mic" "a \\"b\\" $$c 100%%"'
    assert expected in lines
    assert "SuccessExitStatus=143" in lines
    done = [call[2:] for call in systemctl if "show-environment" not in call]
    assert done == [["daemon-reload"], ["enable", unit.name], ["restart", unit.name]]
    code, _, err = run("--remove-service")
    assert (code, err) == (0, f"{unit}: stopped and removed\n")
    assert not unit.exists()
    assert ["systemctl", "--user", "disable", "--now", unit.name] in systemctl
    code, _, err = run("--remove-service")
    assert code == 2
    assert "the service is not installed" in err


def test_without_systemd_it_is_an_autostart_entry(
    systemctl: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.shutil, "which", lambda name: None)
    code, _, err = run("--install-service")
    entry = tmp_path / "autostart" / "localvqe-live.desktop"
    assert code == 0
    assert err == f"{entry}: written; the next session starts it\n"
    assert f'Exec="{sys.executable}" "-m" "localvqe_cli" "live" "--mic"' in entry.read_text()
    assert systemctl == []
    assert run("--remove-service")[0] == 0
    assert not entry.exists()


def test_a_unit_that_systemd_refuses_is_gone_again(
    systemctl: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, int("enable" in command), "", "Failed: no\n")

    monkeypatch.setattr(service.subprocess, "run", refuse)
    code, _, err = run("--install-service")
    assert (code, err) == (1, "localvqe: error: systemctl --user enable localvqe-live.service: Failed: no\n")
    assert not (tmp_path / "systemd" / "user" / "localvqe-live.service").exists()
