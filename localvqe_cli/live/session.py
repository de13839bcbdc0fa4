"""A call between devices: a thread for each, which opens its device again whenever that was lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import numpy as np

from ..audio.live_resample import LiveResampler
from ..geometry import MODEL_RATE
from .bridge import ClockBridge
from .canceller import Canceller
from .clock import DeviceClock
from .devices import Backend, DeviceLostError, Sink, Source

__all__ = ["Session"]

#: Seconds until a device that is lost is tried again.
_RETRY = 0.5
#: Samples that are handed to the output at a time.
_OUT_BLOCK = 128
#: How far the output stays behind the microphone, for its blocks and ours; more where that turns out too little.
_OUT_LAG, _OUT_STEP, _MOST_OUT_LAG = 384, 80, 2400

#: Called with "lost" or "opened", the device's part ("mic", "far", "out") and a text.
EventListener = Callable[[str, str, str], None]


class Session:
    """Runs a call. The devices are opened in the background, and missing ones are waited for.

    Args:
        backend: the sound system.
        canceller: does the work, at the rate and with the blocks of the backend.
        mic, far: names of devices, None for the default ones.
        out: a device to play into, or with ``virtual`` the name of the microphone to make.
        tell: hears of devices lost and opened, in their threads.

    Attributes:
        failed: what ended the call before its time, raised by :meth:`wait`.
    """

    def __init__(
        self,
        backend: Backend,
        canceller: Canceller,
        *,
        mic: str | None,
        far: str | None,
        out: str,
        virtual: bool,
        tell: EventListener,
    ) -> None:
        self._backend, self._canceller = backend, canceller
        self._mic, self._far, self._out, self._virtual = mic, far, out, virtual
        self._tell = tell
        self._stop = threading.Event()
        self._lost: dict[str, str] = {}  # what was last said of a device that is away
        self.failed: BaseException | None = None
        self._out_lock = threading.Lock()
        self._bridge = ClockBridge(backend.rate, lag=_OUT_LAG, step=_OUT_STEP, most=_MOST_OUT_LAG)
        self._threads = [
            threading.Thread(target=self._run, args=(role, work), name=f"localvqe {role}", daemon=True)
            for role, work in (("out", self._play), ("far", self._hear_far), ("mic", self._hear_mic))
        ]

    def __enter__(self) -> Session:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the devices; the virtual microphone goes with them."""
        self._stop.set()
        for thread in self._threads:
            # A device that gives nothing any more cannot be waited for; the one that may have made devices must be.
            thread.join(10.0 if thread is self._threads[0] else 2.0)

    def wait(self, seconds: float) -> None:
        """Let it run; returns early when something failed, which is raised."""
        self._stop.wait(seconds)
        if self.failed is not None:
            raise self.failed

    @property
    def out_gaps(self) -> int:
        """How often the output had to be silent for want of clean samples."""
        return self._bridge.gaps

    @property
    def out_lag_ms(self) -> float:
        """By how much the output stays behind the microphone's blocks, beside the canceller's latency."""
        return 1000.0 * self._bridge.lag / MODEL_RATE

    def _run(self, role: str, work: Callable[[], None]) -> None:
        """Work until told to stop, again and again where the device is lost."""
        try:
            while not self._stop.is_set():
                try:
                    work()
                except DeviceLostError as exc:
                    if self._lost.get(role) != str(exc):
                        self._lost[role] = str(exc)
                        self._tell("lost", role, str(exc))
                    self._stop.wait(_RETRY)
        except BaseException as exc:
            self.failed = exc
            self._stop.set()

    @contextmanager
    def _opened(self, role: str, device: Source | Sink, name: str | None) -> Iterator[None]:
        self._lost.pop(role, None)
        self._tell("opened", role, name or "the default")
        try:
            yield
        finally:
            device.close()

    def _hear_far(self) -> None:
        source = self._backend.open_far(self._far)
        with self._opened("far", source, self._far):
            while not self._stop.is_set():
                block = source.read()
                self._canceller.far(block, time.monotonic())

    def _hear_mic(self) -> None:
        source = self._backend.open_mic(self._mic)
        with self._opened("mic", source, self._mic):
            while not self._stop.is_set():
                block = source.read()
                now = time.monotonic()
                clean = self._canceller.mic(block, now)
                with self._out_lock:
                    self._bridge.push(clean, now)

    def _play(self) -> None:
        made = self._backend.virtual_mic(self._out) if self._virtual else nullcontext(self._out)
        with made as name:
            sink = self._backend.open_out(name)
            with self._opened("out", sink, self._out):
                self._feed(sink)

    def _feed(self, sink: Sink) -> None:
        clock, up = DeviceClock(), LiveResampler(MODEL_RATE, sink.rate)
        while not self._stop.is_set():
            with self._out_lock:
                # The clock has no line until a block was taken.
                ready = clock.started
                block = self._bridge.read(_OUT_BLOCK, clock.seconds, clock) if ready else np.zeros(_OUT_BLOCK, "f")
            sink.write(up.push(np.clip(block, -1.0, 1.0)))
            clock.push(_OUT_BLOCK / MODEL_RATE, time.monotonic())
