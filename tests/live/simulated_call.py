"""Calls of two devices without devices: each has a clock of its own, and its blocks come late by what a test wants.

Time is the microphone's: the far end's clock runs ``ppm`` fast. Nothing here looks at a real clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from echo_scene import RATE, Samples, heard, speech_like, steady

from localvqe_cli.live.canceller import Canceller

#: A quiet room: -60 dBFS.
NOISE = 1e-3

Arrivals = list[tuple[float, int, int]]  # when, and which samples


@dataclass
class Device:
    """How a device hands out its samples: in blocks, each late by up to ``jitter`` s, and by no less than the stalls.

    ``stalls`` are (when, seconds) in which nothing arrives and after which all does; ``away`` those that are lost.
    """

    rate: int = RATE
    block: int = 160
    ppm: float = 0.0
    jitter: float = 0.0
    stalls: Sequence[tuple[float, float]] = ()
    away: Sequence[tuple[float, float]] = ()

    def arrivals(self, seconds: float, seed: int) -> Arrivals:
        pace = self.rate * (1.0 + 1e-6 * self.ppm)
        count = int(seconds * pace) // self.block
        captured = np.arange(1, count + 1) * self.block / pace
        times = captured + np.random.default_rng(seed).uniform(0.0, self.jitter, count)
        for start, length in self.stalls:
            held = (captured > start) & (captured < start + length)
            times[held] = np.maximum(times[held], start + length)
        times = np.maximum.accumulate(times)
        lost = np.zeros(count, bool)
        for start, length in self.away:
            lost |= (captured > start) & (captured < start + length)
        return [(times[i], i * self.block, (i + 1) * self.block) for i in range(count) if not lost[i]]


@dataclass
class Call:
    """Who speaks, through which devices, and what the microphone hears."""

    seconds: float
    mic: Device = field(default_factory=lambda: Device(block=256))
    far: Device = field(default_factory=Device)
    delay: float = 0.12
    seed: int = 5

    def __post_init__(self) -> None:
        self.far_signal = speech_like(self.seconds + 1.0, self.seed)
        rng = np.random.default_rng(self.seed)
        noise = NOISE * rng.standard_normal(len(self.far_signal)).astype(np.float32)
        self.mic_signal = heard(self.far_signal, steady(self.far.ppm, self.delay)) + noise

    def run(self, canceller: Canceller, watch: Callable[[float], None] | None = None) -> Samples:
        """Everything the canceller gives; ``watch`` is called with the time after every microphone block."""
        canceller._work_clock = lambda: 0.0  # how busy this machine is does not matter
        events = [(when, 1, begin, end) for when, begin, end in self.mic.arrivals(self.seconds, self.seed + 1)]
        events += [(when, 0, begin, end) for when, begin, end in self.far.arrivals(self.seconds, self.seed + 2)]
        out = []
        for when, is_mic, begin, end in sorted(events):
            if is_mic:
                out.append(canceller.mic(self.mic_signal[begin:end], when))
                if watch is not None:
                    watch(when)
            else:
                canceller.far(self.far_signal[begin:end], when)
        return np.concatenate(out)

    def attenuation(self, out: Samples, latency: int, start: float, end: float) -> float:
        """By how many dB the output is below the microphone, over all seconds in which the far end did not stall."""
        stalled = {int(when) for when, _ in self.far.stalls}
        mic, left = self.mic_signal, out[latency:]
        spans = [slice(s * RATE, (s + 1) * RATE) for s in range(int(start), int(end)) if s not in stalled]
        power = [sum(float(np.sum(signal[span] ** 2)) for span in spans) for signal in (mic, left)]
        return float(10.0 * np.log10(power[0] / power[1]))
