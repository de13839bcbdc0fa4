"""Live enhancement in the form of an audio callback: as many samples out as in, at the caller's rate.

::

    mic, ref ── to 16 kHz ── hops of 256 ── model ── back to the rate ── queue ──► block

The queue starts with as much silence as the worst call lacks: every call can be served, and the lag is constant.
"""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .audio.live_resample import LiveResampler
from .audio.queue import SampleQueue
from .errors import AudioError, LocalVQEError, UsageError
from .geometry import HOP, MODEL_RATE

if TYPE_CHECKING:
    from .engine import Enhancer

__all__ = ["MAX_BLOCK", "RATES", "BlockStream", "whole_number", "worst_lack"]

MAX_BLOCK = 1 << 20
RATES = (8000, 192000)
#: What the engine accepts as hops of one graph run.
_MAX_HOPS = 64


class BlockStream:
    """Live enhancement in blocks of one size: :meth:`Enhancer.stream` with ``block`` makes it.

    Every call of :meth:`process` takes ``block`` samples of each signal at ``rate`` Hz and returns ``block`` samples,
    which lag by exactly ``latency_samples``: ``out[n]`` belongs to ``mic[n - latency_samples]``, and is what
    ``Stream`` would have given for it. What lies before the first sample is silence. The output does not depend on
    ``block``; the latency does: a hop, what a hop waits for its last block, and 4 ms where rates are converted. At
    16 kHz it is ``512 - gcd(block, 256)``. Above 8 kHz there is nothing in the output, whatever the rate.

    A stream belongs to one thread at a time; different streams are independent. ``with`` or :meth:`close` gives its
    memory back at a known time.

    Args:
        enhancer: the model.
        block: samples of each call, 1 to 1048576.
        rate: Hz, 8000 to 192000.

    Attributes:
        block, rate: as above.
        latency_samples: by how much the output lags, in samples at ``rate``.

    Raises:
        UsageError: a number out of range, or the enhancer was closed.
    """

    block: int
    rate: int
    latency_samples: int
    _skip: int
    _queue: SampleQueue

    def __init__(self, enhancer: Enhancer, *, block: int, rate: int = MODEL_RATE) -> None:
        self.block = whole_number("block", block, 1, MAX_BLOCK)
        self.rate = whole_number("rate", rate, *RATES)
        model_rate = enhancer.config.sample_rate
        self._enhancer = enhancer
        self._down = [LiveResampler(self.rate, model_rate) for _ in range(2)]
        self._up = LiveResampler(model_rate, self.rate)
        self.latency_samples = worst_lack(self._down[0], self._up, self.rate, self.block)
        hops = -(-self.block * model_rate // (self.rate * HOP))
        self._stream = enhancer.stream(max_hops=min(_MAX_HOPS, hops))
        self._start()

    def __enter__(self) -> BlockStream:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the memory back; only this may be called again."""
        self._stream.close()

    def __reduce__(self) -> NoReturn:
        self._stream.__reduce__()  # says why not

    def process(self, mic: ArrayLike, ref: ArrayLike | None = None) -> NDArray[np.float32]:
        """Feed (block,) samples of each signal; returns (block,) float32.

        Types, ranges and the warning are those of :meth:`Enhancer.enhance`, and int16 in gives float32 out as there; a
        ``ref`` of None is silence.

        Raises:
            AudioError: not ``block`` samples, more than one dimension, or types that differ.
            LocalVQEError: the model's weights make its output run away; the stream has been reset.
            UsageError: the stream was closed.
        """
        near, far = self._enhancer._signals(mic, ref)
        if near.size != self.block:
            raise AudioError(f"the stream takes blocks of {self.block} samples, and this one has {near.size}")
        self._stream._open_handle()
        signals = [resampler.push(signal) for resampler, signal in zip(self._down, (near, far), strict=True)]
        try:
            enhanced = self._stream.process(*signals)
        except LocalVQEError:
            self.reset()  # a part of a hop would put every later call out of step
            raise
        wanted = enhanced[self._skip :]
        self._skip = max(0, self._skip - len(enhanced))
        self._queue.push(self._up.push(wanted))
        return self._queue.take(self.block)

    def flush(self) -> NDArray[np.float32]:
        """The end of the signal: the ``latency_samples`` that are still owed, float32.

        The stream can be used again after :meth:`reset`.
        """
        silence = np.zeros(self.block, np.float32)
        calls = -(-self.latency_samples // self.block)
        return np.concatenate([self.process(silence, silence) for _ in range(calls)])[: self.latency_samples]

    def reset(self) -> None:
        """Forget everything heard so far."""
        self._stream.reset()
        self._start()

    def _start(self) -> None:
        for resampler in (*self._down, self._up):
            resampler.reset()
        self._skip = self._stream.latency_samples  # what the model gives for the time before the signal
        self._queue = SampleQueue()
        self._queue.push(np.zeros(self.latency_samples, np.float32))


def worst_lack(down: LiveResampler, up: LiveResampler, rate: int, block: int) -> int:
    """By how many samples at ``rate`` what is ready can fall behind what came in, over all calls with ``block``.

    ``down`` and ``up`` convert to and from the model's rate. A block of 1 gives the bound for blocks of any size.
    """

    def lack(fed: int) -> int:
        hops = down.ready(fed) // HOP
        return fed - up.ready((hops - 1) * HOP)

    # Both rates have taken whole hops after this many samples; with whole blocks as well, everything repeats.
    hop = HOP * rate // math.gcd(HOP * rate, MODEL_RATE)
    return max(lack(fed) for fed in range(block, math.lcm(block, hop) + 1, block))


def whole_number(name: str, value: int, low: int, high: int) -> int:
    """``value`` as an int; raises UsageError unless it is one from ``low`` to ``high``."""
    try:
        number = operator.index(value)
    except TypeError:
        raise UsageError(f"{name} is {value!r}, expected a whole number") from None
    if not low <= number <= high:
        raise UsageError(f"{name} is {number}, expected {low} to {high}")
    return number
