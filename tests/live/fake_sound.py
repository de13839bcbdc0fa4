"""A sound system of a test's own: its devices give and take what the test says, and vanish when it says."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from localvqe_cli.errors import UsageError
from localvqe_cli.live.devices import DeviceInfo, DeviceLostError


class FakeDevice:
    """A Source of a constant, or a Sink that keeps what it is given; paced loosely."""

    def __init__(self, system: FakeSound, kind: str, rate: int, value: float) -> None:
        self._system, self._kind, self._value = system, kind, value
        self.rate = rate

    def _check(self) -> None:
        time.sleep(0.002)
        if self._kind in self._system.away:
            raise DeviceLostError(f"{self._kind} is unplugged")
        if self._kind in self._system.broken:
            raise RuntimeError("a bug")

    def read(self) -> np.ndarray:
        self._check()
        self._system.reads[self._kind] = self._system.reads.get(self._kind, 0) + 1
        return np.full(self.rate // 100, self._value, np.float32)

    def write(self, samples: np.ndarray) -> None:
        self._check()
        self._system.written.append(samples)

    def close(self) -> None:
        self._system.opened.remove(self._kind)


class FakeSound:
    """``away`` and ``broken`` name kinds of devices; ``opened`` those that are open now."""

    def __init__(self, *, makes_microphones: bool = True, rate: int = 16000) -> None:
        self.makes_microphones = makes_microphones
        self.rate, self.block = rate, rate // 100
        self.away: set[str] = set()
        self.broken: set[str] = set()
        self.opened: list[str] = []
        self.made: list[str] = []
        self.reads: dict[str, int] = {}
        self.written: list[np.ndarray] = []
        self.closed = threading.Event()

    def devices(self) -> list[DeviceInfo]:
        return [
            DeviceInfo("mic", "m", "Microphone", True),
            DeviceInfo("far", "s.monitor", "Monitor of S", True),
            DeviceInfo("out", "cable", "A cable", False),
        ]

    def _open(self, kind: str) -> FakeDevice:
        if kind in self.away:
            raise DeviceLostError(f"{kind} is unplugged")
        self.opened.append(kind)
        return FakeDevice(self, kind, self.rate if kind != "out" else 48000, 0.25 if kind == "mic" else 0.0)

    def open_mic(self, name: str | None) -> FakeDevice:
        return self._open("mic")

    def open_far(self, name: str | None) -> FakeDevice:
        return self._open("far")

    def open_out(self, name: str) -> FakeDevice:
        return self._open("out")

    @contextmanager
    def virtual_mic(self, name: str) -> Iterator[str]:
        if not self.makes_microphones:
            raise UsageError("none here")
        self.made.append(name)
        try:
            yield f"{name}_sink"
        finally:
            self.made.remove(name)

    def close(self) -> None:
        self.closed.set()
