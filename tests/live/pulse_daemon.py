"""A PulseAudio of a test's own, without sound cards.

Two players that start at once do not start together. So loudspeaker and room are the channels of one device, ``card``:
what the left one plays is the far end, ``speaker_tap``, and what the right one plays the microphone, ``room_mic``.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import numpy as np
from echo_scene import RATE

#: Machines that run tests have other work too: generous buffers, for players and for what is tested.
LATENCY = "--latency-msec=400"
LIVE_LATENCY_MS = "80"
_REMAP = "module-remap-source master=card.monitor channels=1 channel_map=mono remix=no"
#: What makes the devices.
MODULES = (
    "module-null-sink sink_name=card rate=16000 channels=2 sink_properties=device.description=Card",
    f"{_REMAP} source_name=speaker_tap master_channel_map=front-left",
    f"{_REMAP} source_name=room_mic master_channel_map=front-right",
)


class Daemon:
    """The device ``card``; ``env`` is what its clients need."""

    needed: ClassVar[tuple[str, ...]] = ("pulseaudio", "pactl", "paplay", "parec")
    packages = "pulseaudio pulseaudio-utils"

    @classmethod
    def missing(cls) -> list[str]:
        return [name for name in cls.needed if shutil.which(name) is None]

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.chmod(0o700)
        self.env = {
            **os.environ,
            **dict.fromkeys(("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"), str(folder)),
        }
        self.env["PULSE_LATENCY_MSEC"] = LIVE_LATENCY_MS
        self.env.pop("PULSE_SERVER", None)
        self.start()

    def start(self) -> None:
        command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--realtime=no"]
        for module in ("module-native-protocol-unix", *MODULES):
            command += ["-L", module]
        self._processes: list[subprocess.Popen[bytes]] = []
        self.spawn(*command)
        wait_until(lambda: "room_mic" in self.list("sources"), "PulseAudio did not start")

    def spawn(self, *command: str) -> None:
        """Run it until :meth:`stop`."""
        with open(self._folder / "daemon.log", "ab") as log:
            self._processes.append(subprocess.Popen(command, env=self.env, stdout=log, stderr=log))

    def stop(self) -> None:
        for process in reversed(self._processes):
            process.terminate()
            process.wait(20)

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Inside, whoever talks to the clients answers nothing."""
        self._processes[-1].send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._processes[-1].send_signal(signal.SIGCONT)

    def list(self, what: str) -> str:
        """Short list of sinks, sources or modules; empty while nothing answers."""
        command = ["pactl", "list", "short", what]
        return subprocess.run(command, env=self.env, capture_output=True, text=True, check=False).stdout

    def play(self, file: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["paplay", "--device=card", LATENCY, str(file)], env=self.env)

    @contextmanager
    def listening(self, source: str, file: Path) -> Iterator[None]:
        """What ``source`` gives goes to ``file`` as raw float32 at 16 kHz, from before the body to after it."""
        command = ["parec", f"--device={source}", "--rate=16000", "--channels=1", "--format=float32le", "--raw"]
        with open(file, "wb") as target:
            listener = subprocess.Popen([*command, LATENCY], env=self.env, stdout=target)
        try:
            wait_until(lambda: file.stat().st_size > 0, "the microphone gives nothing")
            yield
            heard = file.stat().st_size
            wait_until(lambda: file.stat().st_size > heard + 2 * RATE, "the microphone gives no more")
        finally:
            listener.terminate()
            listener.wait(20)


def wait_until(happened: object, otherwise: str, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not happened():  # type: ignore[operator]
        assert time.monotonic() < end, otherwise
        time.sleep(0.1)


def find(signal: np.ndarray, part: np.ndarray) -> int:
    """Where ``part`` begins in ``signal``, by correlation."""
    size = len(signal) + len(part)
    found = np.fft.irfft(np.fft.rfft(signal, size) * np.conj(np.fft.rfft(part, size)), size)
    return int(np.argmax(found[: len(signal)]))
