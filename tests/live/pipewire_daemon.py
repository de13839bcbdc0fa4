"""A PipeWire of a test's own, with the devices of ``pulse_daemon``; the same programs are its clients."""

from __future__ import annotations

import os
import subprocess
from typing import ClassVar

from pulse_daemon import MODULES, Daemon, wait_until

#: Which server the tests of this process run on.
VARIABLE = "LOCALVQE_TEST_SOUND_SERVER"


class PipeWireDaemon(Daemon):
    """See :class:`Daemon`."""

    needed: ClassVar[tuple[str, ...]] = (
        *("dbus-daemon", "pipewire", "wireplumber", "pipewire-pulse"),
        *("pactl", "paplay", "parec"),
    )
    packages = "dbus pipewire wireplumber pipewire-pulse pulseaudio-utils"

    def start(self) -> None:
        bus = f"unix:path={self._folder}/bus"
        self.env |= {"DBUS_SESSION_BUS_ADDRESS": bus, "XDG_STATE_HOME": str(self._folder)}
        self._processes = []
        (self._folder / "bus").unlink(missing_ok=True)
        self.spawn("dbus-daemon", "--session", "--nofork", "--nopidfile", f"--address={bus}")
        wait_until((self._folder / "bus").exists, "dbus-daemon did not start")
        self.spawn("pipewire")
        wait_until((self._folder / "pipewire-0").exists, "PipeWire did not start")
        self.spawn("wireplumber")
        self.spawn("pipewire-pulse")
        wait_until(lambda: self._call("info") == 0, "pipewire-pulse did not start")
        for module in MODULES:
            wait_until(lambda module=module: self._call("load-module", *module.split()) == 0, f"no {module}")
        wait_until(lambda: "room_mic" in self.list("sources"), "no devices")

    def stop(self) -> None:
        super().stop()
        for socket in ("pipewire-0", "pulse/native", "bus"):
            (self._folder / socket).unlink(missing_ok=True)

    def _call(self, *arguments: str) -> int:
        try:
            done = subprocess.run(["pactl", *arguments], env=self.env, capture_output=True, check=False, timeout=10)
        except subprocess.TimeoutExpired:  # it is still starting
            return 1
        return done.returncode


def chosen() -> type[Daemon]:
    """PulseAudio, unless the environment wants the other."""
    return PipeWireDaemon if os.environ.get(VARIABLE) == "pipewire" else Daemon
