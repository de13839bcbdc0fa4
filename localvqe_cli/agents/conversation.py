"""A caller and an agent: the microphone's frames without what the agent says. All that the frameworks share."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from ..engine import Enhancer
from ..geometry import MODEL_RATE
from ..live.canceller import Canceller
from ..live.status import LiveStatus
from .playout import Pcm, Playout

__all__ = ["Conversation", "as_mono"]


def as_mono(data: bytes | memoryview, channels: int) -> Pcm:
    """Interleaved 16-bit PCM as (n,), the mean of its channels."""
    samples = np.frombuffer(data, np.int16)
    if channels == 1:
        return samples
    mean: Pcm = np.rint(samples.reshape(-1, channels).mean(axis=1)).astype(np.int16)
    return mean


class Conversation:
    """16-bit PCM in and out, at any rate. Whenever the microphone is heard, the far end gets as much time as it did.

    So both have one clock, and the agent's silence is part of the far end. Not for several threads.

    Args:
        model, strength, noise_gate: as in :class:`Canceller`.

    Raises:
        UsageError: a number out of range.
        ModelError: the model cannot be used.
    """

    def __init__(self, model: str | Path | Enhancer | None, strength: float, noise_gate: float | None) -> None:
        self._new = partial(Canceller, MODEL_RATE, MODEL_RATE, model=model, strength=strength, noise_gate=noise_gate)
        self._clock: Callable[[], float] = time.monotonic
        self._begin()

    def _begin(self) -> None:
        self._canceller = self._new()
        self._speech: Playout | None = None
        self._closed = False

    def hear(self, samples: Pcm, rate: int) -> Pcm:
        """The caller's microphone, (n,) at ``rate`` Hz; returns as many clean samples."""
        if self._closed:
            self._begin()
        now = self._clock()
        if rate != self._canceller.mic_rate:
            self._canceller.change_rates(mic_rate=rate)
        self._canceller.far(self._playout(self._canceller.far_rate, now).take(now), now)
        clean = self._canceller.mic(samples, now)
        pcm: Pcm = np.clip(np.rint(clean * 32768.0), -32768, 32767).astype(np.int16)
        return pcm

    def say(self, samples: Pcm, rate: int) -> None:
        """The agent's speech, (n,) at ``rate`` Hz, to be played when all before it is over."""
        if len(samples) and not self._closed:
            now = self._clock()
            self._playout(rate, now).say(samples, now)

    def stop_speaking(self) -> None:
        """What the agent said and nobody has heard yet is dropped."""
        if self._speech is not None:
            self._speech.clear(self._clock())

    def pause_speaking(self, lost: float) -> None:
        """The agent's speech waits; the next ``lost`` seconds of it are dropped."""
        if self._speech is not None:
            self._speech.pause(self._clock(), lost)

    def resume_speaking(self) -> None:
        """The agent's speech goes on."""
        if self._speech is not None:
            self._speech.resume(self._clock())

    def status(self) -> LiveStatus:
        """What the conversation is like now."""
        return self._canceller.status()

    def close(self) -> None:
        """Give the model's memory back. Whoever is heard after that is another caller."""
        self._canceller.close()
        self._closed = True

    def _playout(self, rate: int, now: float) -> Playout:
        if self._speech is None or self._speech.rate != rate:
            self._speech = Playout(rate, self._speech.until if self._speech is not None else now)
            if rate != self._canceller.far_rate:
                self._canceller.change_rates(far_rate=rate)
        return self._speech
