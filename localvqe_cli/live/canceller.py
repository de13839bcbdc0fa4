"""A live call from two devices: microphone and far end as they come, a clean microphone out. ::

far, its rate and clock ── ClockBridge ──┐ at 16 kHz, on the microphone's clock
mic ── to 16 kHz ── hops of 256 ─────────┴── model ── back to the rate ── queue ──► block
"""

from __future__ import annotations

import asyncio
import threading
import time as system_time
from collections.abc import AsyncIterable, AsyncIterator, Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..audio.live_resample import LiveResampler
from ..audio.queue import SampleQueue
from ..audio.resample import FloatArray
from ..block_stream import MAX_BLOCK, RATES, whole_number, worst_lack
from ..engine import Enhancer, as_samples
from ..errors import AudioError, LocalVQEError, UsageError
from ..geometry import HOP, MODEL_RATE
from .bridge import ClockBridge
from .clock import DeviceClock
from .levels import Levels, dbfs
from .overload import Overload
from .status import LiveStatus

__all__ = ["Canceller", "HopListener"]

#: The far end is read behind by so many samples, and by a step more where its blocks come too late for that. Steps are
#: of whole hops, so that coefficients of the adaptive filter keep their lags; of two, so that there are few.
_LAG, _LAG_STEP, _MOST_LAG = HOP, 2 * HOP, 9 * HOP

#: Called with every hop of mic, far end and output, (256,) each at 16 kHz; the output belongs to the mic's hop before.
HopListener = Callable[[FloatArray, FloatArray, FloatArray], None]


class _Stream(Protocol):
    """The part of ``engine.Stream`` used here."""

    def process(self, mic: FloatArray, ref: FloatArray) -> FloatArray: ...

    def delay_ms(self) -> tuple[float, float]: ...

    def close(self) -> None: ...


class Canceller:
    """Takes the echo out of a microphone while the call runs; the two devices may have clocks of their own.

    ``far`` takes what the loudspeaker plays, ``mic`` what the microphone hears, each in blocks of any size and at any
    time; two threads, such as two audio callbacks, may call them at once. Of each clock it keeps a line through the
    times of its blocks, and reads the far end where it belongs at the microphone's pace: two clocks in, the
    microphone's out. What is missing of the far end is silence, and never makes the output later.

    Args:
        mic_rate, far_rate: Hz, 8000 to 192000.
        model: a GGUF file, a name from the registry, None for the embedded default; or an :class:`Enhancer`.
        strength: share of the enhanced signal, 0..1.
        noise_gate: hops of output at or below this level in dBFS become silence; of the model, so not beside an
            Enhancer.
        block: samples of every microphone block where they are all alike: the latency is lower then. None takes any.

    Attributes:
        mic_rate, far_rate: as above.
        latency_samples: by how much the output lags the microphone, in samples at ``mic_rate``.

    Raises:
        UsageError: a number out of range.
        ModelError: the model cannot be used.
    """

    mic_rate: int
    far_rate: int
    latency_samples: int
    _up: LiveResampler
    _down: LiveResampler
    _queue: SampleQueue

    def __init__(
        self,
        mic_rate: int,
        far_rate: int,
        *,
        model: str | Path | Enhancer | None = None,
        strength: float = 1.0,
        noise_gate: float | None = None,
        block: int | None = None,
    ) -> None:
        far_rate = whole_number("far_rate", far_rate, *RATES)
        self._block = None if block is None else whole_number("block", block, 1, MAX_BLOCK)
        if not 0.0 <= strength <= 1.0:
            raise UsageError(f"strength is {strength}, expected 0 to 1")
        if isinstance(model, str | Path) or model is None:
            model = Enhancer(model, noise_gate=noise_gate)
        elif noise_gate is not None:
            raise UsageError("noise_gate is the model's; give it to the Enhancer")
        self._strength = np.float32(strength)
        self._stream: _Stream = model.stream()
        self._mic_lock, self._far_lock = threading.Lock(), threading.Lock()
        self._mic_clock = DeviceClock()
        self._bridge = ClockBridge(far_rate, lag=_LAG, step=_LAG_STEP, most=_MOST_LAG)
        self._overload, self._levels = Overload(), Levels()
        self._work_clock: Callable[[], float] = system_time.perf_counter
        self._listeners: list[HopListener] = []
        self._closed = False
        self._dry = np.zeros(HOP, np.float32)  # the hop before, which the output belongs to
        self._seconds = 0.0  # of microphone
        self.far_rate = far_rate
        self._begin_mic(whole_number("mic_rate", mic_rate, *RATES))

    def __enter__(self) -> Canceller:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the model's memory back; only this may be called again."""
        with self._mic_lock:
            self._closed = True
            self._stream.close()

    def far(self, block: ArrayLike, time: float | None = None) -> None:
        """What the loudspeaker plays next: (n,) at ``far_rate``, floats in [-1, 1] or integer PCM.

        Args:
            block: the samples.
            time: when its last sample came, in seconds of any steady clock that ``mic`` is given as well; None is now.

        Raises:
            AudioError: more than one dimension, or no type of samples.
        """
        samples, _ = as_samples("far", block)
        time = system_time.monotonic() if time is None else time
        with self._far_lock:
            self._bridge.push(np.nan_to_num(samples), time)

    def mic(self, block: ArrayLike, time: float | None = None) -> NDArray[np.float32]:
        """What the microphone hears next, (n,) at ``mic_rate``; returns as many clean samples, float32.

        ``out[n]`` belongs to the microphone's sample ``n - latency_samples``; before the first there is silence.

        Args:
            block: the samples, floats in [-1, 1] or integer PCM.
            time: when its last sample came, as for :meth:`far`.

        Raises:
            AudioError: more than one dimension, no type of samples, or not ``block`` of them.
            LocalVQEError: the model's weights make its output run away; it has been reset.
            UsageError: it was closed.
        """
        samples, _ = as_samples("mic", block)
        time = system_time.monotonic() if time is None else time
        if self._block is not None and len(samples) != self._block:
            raise AudioError(f"this takes microphone blocks of {self._block} samples, and this one has {len(samples)}")
        with self._mic_lock:
            if self._closed:
                raise UsageError("this Canceller was closed; make a new one")
            return self._clean(samples, time)

    async def clean(
        self, mic: AsyncIterable[ArrayLike], far: AsyncIterable[ArrayLike]
    ) -> AsyncIterator[NDArray[np.float32]]:
        """The same from two asynchronous sources: yields a clean block for every block of ``mic``, until that ends.

        Blocks count as coming when their source gives them.
        """

        async def listen() -> None:
            async for block in far:
                self.far(block)

        task = asyncio.ensure_future(listen())
        try:
            async for block in mic:
                if task.done():
                    task.result()  # raises what went wrong with the far end; its end is no error
                yield self.mic(block)
        finally:
            task.cancel()

    def change_rates(self, *, mic_rate: int | None = None, far_rate: int | None = None) -> None:
        """A device goes on at another rate; with another ``mic_rate`` the output and its latency are of that rate.

        Raises:
            UsageError: a rate out of range.
        """
        if far_rate is not None:
            far_rate = whole_number("far_rate", far_rate, *RATES)
        if mic_rate is not None:
            mic_rate = whole_number("mic_rate", mic_rate, *RATES)
            with self._mic_lock:
                self._begin_mic(mic_rate)
        if far_rate is not None:
            with self._far_lock:
                self._bridge.set_rate(far_rate)
                self.far_rate = far_rate

    def status(self) -> LiveStatus:
        """What the call is like now."""
        with self._mic_lock, self._far_lock:
            mic, far, out = self._levels.means()
            delay = None
            if self._bridge.clock.started and not self._closed:
                delay = self._stream.delay_ms()[0] + 1000.0 * self._bridge.lag / MODEL_RATE
            return LiveStatus(
                seconds=self._seconds,
                mic_dbfs=dbfs(mic),
                far_dbfs=dbfs(far),
                out_dbfs=dbfs(out),
                attenuation_db=self._levels.attenuation_db(),
                delay_ms=delay,
                drift_ppm=self._bridge.clock.ppm - self._mic_clock.ppm if self._bridge.clock.started else 0.0,
                lag_ms=1000.0 * self._bridge.lag / MODEL_RATE,
                load=self._overload.load,
                far_gaps=self._bridge.gaps,
                mic_losses=self._mic_clock.losses,
                far_losses=self._bridge.clock.losses,
                passed_through=self._overload.resting,
                times_passed_through=self._overload.times,
            )

    def on_hop(self, listener: HopListener) -> None:
        """Have ``listener(mic, far, out)`` called with every hop, (256,) each at 16 kHz, in the thread of :meth:`mic`.

        ``far`` is the far end as the model got it, on the microphone's clock; ``out`` belongs to the hop before.
        """
        self._listeners.append(listener)

    def _begin_mic(self, rate: int) -> None:
        self.mic_rate = rate
        self._down, self._up = LiveResampler(rate, MODEL_RATE), LiveResampler(MODEL_RATE, rate)
        self.latency_samples = worst_lack(self._down, self._up, rate, self._block or 1)
        self._pending = np.zeros(0, np.float32)
        self._next = self._mic_clock.seconds  # device seconds of the first sample that waits for its hop
        self._skip = HOP  # what the model gives for the hop before
        self._queue = SampleQueue()
        self._queue.push(np.zeros(self.latency_samples, np.float32))

    def _clean(self, block: FloatArray, time: float) -> FloatArray:
        seconds = len(block) / self.mic_rate
        self._next += self._mic_clock.push(seconds, time)
        self._seconds += seconds
        ready = np.concatenate([self._pending, self._down.push(np.nan_to_num(block))])
        whole = len(ready) // HOP * HOP
        self._pending = ready[whole:]
        if whole:
            try:
                wanted = self._processed(ready[:whole])
            except LocalVQEError:
                self._begin_mic(self.mic_rate)  # a part of a hop would put every later call out of step
                raise
            kept = wanted[self._skip :]
            self._skip = max(0, self._skip - whole)
            self._queue.push(self._up.push(kept))
        return self._queue.take(len(block))

    def _processed(self, mic: FloatArray) -> FloatArray:
        """Whole hops at 16 kHz, and what the model makes of them."""
        with self._far_lock:
            far = self._bridge.read(len(mic), self._next, self._mic_clock)
        self._next += len(mic) / MODEL_RATE
        dry = np.concatenate([self._dry, mic])
        self._dry = dry[len(mic) :]
        dry = dry[: len(mic)]
        started = self._work_clock()
        out = dry if self._overload.resting else self._mixed(self._stream.process(mic, far), dry)
        for hop in range(0, len(mic), HOP):
            hops = (mic[hop : hop + HOP], far[hop : hop + HOP], out[hop : hop + HOP])
            self._levels.note(*hops)
            for listener in self._listeners:
                listener(*hops)
        self._overload.note(self._work_clock() - started, len(mic) / MODEL_RATE)
        return out

    def _mixed(self, wet: FloatArray, dry: FloatArray) -> FloatArray:
        if self._strength == 1.0:
            return wet
        mixed: FloatArray = self._strength * wet + (np.float32(1.0) - self._strength) * dry
        return mixed
