"""A scripted conversation with a voice agent, whose caller hears it over a network and a loudspeaker, on a clock of the
test's own: two answers of the agent, and the caller between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import soxr
from echo_scene import RATE, Samples, heard, speech_like, steady
from numpy.typing import NDArray

Pcm = NDArray[np.int16]

#: Seconds of: both answers, the caller's own words, and the end; whole frames of 20, 40 and 50 ms.
ANSWERS, OWN, END = ((0.6, 5.0), (7.6, 11.0)), (6.0, 7.2), 11.0
#: From where the agent hands out its speech to where the caller's microphone hears it.
DELAY = 0.25


class Clock:
    """Stands still until a test moves it."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def pcm(samples: Samples, rate: int) -> Pcm:
    """A signal at 16 kHz as 16-bit PCM at another rate."""
    return np.rint(32767.0 * np.clip(soxr.resample(samples, RATE, rate), -1.0, 1.0)).astype(np.int16)


@dataclass
class AgentCall:
    """What the agent says and when, and what the microphone hears in frames of ``frame`` seconds.

    ``ahead``: the agent hands out speech faster than it is heard, as it is made; otherwise at the pace of its sound.
    """

    mic_rate: int = RATE
    speech_rate: int = RATE
    frame: float = 0.02
    ahead: bool = True
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        far = speech_like(END, 3)
        spoken = np.zeros(len(far), bool)
        for start, end in ANSWERS:
            spoken[int(start * RATE) : int(end * RATE)] = True
        self.far = np.where(spoken, far, np.float32(0.0))
        near = speech_like(END, 4)
        near[: int(OWN[0] * RATE)] = near[int(OWN[1] * RATE) :] = 0.0
        noise = 3e-4 * np.random.default_rng(1).standard_normal(len(far)).astype(np.float32)
        self.mic = pcm(heard(self.far, steady(0.0, DELAY)) + near + noise, self.mic_rate)

    def steps(self) -> Iterator[tuple[list[Pcm], Pcm]]:
        """For every frame of the microphone: what the agent hands out before it, and the frame. Moves the clock."""
        speech = {start: pcm(self.far[int(start * RATE) : int(end * RATE)], self.speech_rate) for start, end in ANSWERS}
        count = round(self.frame * self.mic_rate)
        piece = round(self.frame * self.speech_rate)
        begin = self.clock.now
        for step in range(len(self.mic) // count):
            said = []
            for start, samples in speech.items():
                into = step - round(start / self.frame)
                # Ahead: five frames at a time.
                width = 5 * piece if self.ahead else piece
                if 0 <= into * width < len(samples):
                    said.append(samples[into * width : (into + 1) * width])
            self.clock.now = begin + step * self.frame
            yield said, self.mic[step * count : (step + 1) * count]

    def attenuation(self, out: Pcm, start: float, end: float) -> float:
        """By how many dB the output is below the microphone between two moments, both later by the same."""
        span = slice(int(start * self.mic_rate), int(end * self.mic_rate))
        return level(self.mic[span]) - level(out[span])

    def own_words(self, out: Pcm) -> float:
        """By how many dB the output is louder than the microphone where only the caller speaks."""
        return -self.attenuation(out, OWN[0], OWN[1] + 0.1)


def level(samples: Pcm) -> float:
    return float(10.0 * np.log10(np.mean(np.square(samples / 32768.0)) + 1e-12))
