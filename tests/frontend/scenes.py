"""The stress scenes: what the microphone and the loudspeaker heard, and what is to be judged.

A scene is a function of its name and a seed. Even seeds speak with synthetic voices, odd ones with the sentences of the
sample pair. Unless a scene is about something else: far end at -25 dBFS, echo at -28 dBFS through a room with 0.2 to
0.5 s of reverberation, 15 to 80 ms late, noise 35 dB below the echo.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from localvqe_cli.training.loudspeaker import hard_clip

from . import signals
from .signals import RATE, Samples

__all__ = ["HOP", "SCENES", "Scene", "conversation", "make"]

HOP = 256
FAR_DB, ECHO_DB, NEAR_DB = -25.0, -28.0, -26.0
#: Samples of noise made at once.
_BLOCK = 240 * RATE
Stretch = tuple[float, float]


@dataclass
class Scene:
    """Signals at 16 kHz, (N,) float32 each, N a multiple of 256; times in seconds.

    Attributes:
        mic, ref: what the front-end hears.
        near, noise: the talker and the background in ``mic``.
        echo: the rest of ``mic``, distortions included.
        delay: (N // 256,) samples from reference to direct sound of the echo.
        changes: when the echo path changed; the filter has to converge anew.
        resumes: when the far end speaks again after a long pause; the filter should still know the path.
        near_alone: somebody speaks here and there is no echo.
        double: both speak here.
        no_echo: nothing of the reference reaches the microphone here.
        quiet: the delay must stay here as it is.
    """

    mic: Samples
    ref: Samples
    near: Samples
    noise: Samples
    delay: NDArray[np.float64]
    changes: list[float] = field(default_factory=list)
    resumes: list[float] = field(default_factory=list)
    near_alone: list[Stretch] = field(default_factory=list)
    double: list[Stretch] = field(default_factory=list)
    no_echo: list[Stretch] = field(default_factory=list)
    quiet: list[Stretch] = field(default_factory=list)
    echo: Samples = field(init=False)

    def __post_init__(self) -> None:
        assert len(self.mic) % HOP == 0
        self.echo = self.mic - self.near - self.noise

    @property
    def seconds(self) -> float:
        """Length of the scene."""
        return len(self.mic) / RATE


class _Studio:
    """Draws the parts of one scene of ``seconds``."""

    def __init__(self, rng: np.random.Generator, seconds: float, sampled: bool) -> None:
        self.rng = rng
        self.length = round(seconds * RATE) // HOP * HOP
        self.seconds = self.length / RATE
        self.sampled = sampled
        self.voices = {side: signals.Voice.draw(rng) for side in ("far", "near")}
        self.delay = float(rng.uniform(0.015, 0.08))
        self.response = self.room()

    def room(self) -> Samples:
        return signals.room(self.rng, float(self.rng.uniform(0.2, 0.5)), float(self.rng.uniform(-2.0, 6.0)))

    def speech(self, side: str, db: float, parts: list[Stretch] | None = None) -> Samples:
        """One side of the call, speaking in ``parts`` (the whole scene by default), silent elsewhere."""
        out = np.zeros(self.length, np.float32)
        for start, end in parts or [(0.0, self.seconds)]:
            part = (
                signals.sample_talk(self.rng, end - start, side)
                if self.sampled
                else signals.talk(self.rng, end - start, self.voices[side])
            )
            at = round(start * RATE)
            out[at : at + len(part)] = part[: self.length - at]
        return signals.level(out, db)

    def echo(self, played: Samples, *, response: Samples | None = None, delay: float | None = None) -> Samples:
        """What the microphone hears of ``played``, not yet at a level."""
        late = round((self.delay if delay is None else delay) * RATE)
        return signals.convolve(played, self.response if response is None else response, late)

    def noise(self, db: float) -> Samples:
        parts, left = [], self.length
        while left:  # an hour in one piece would take gigabytes
            parts.append(signals.noise(self.rng, min(left, _BLOCK) / RATE) * np.float32(10 ** (db / 20)))
            left -= len(parts[-1])
        return np.concatenate(parts)

    def hops(self, delay: float | None = None) -> NDArray[np.float64]:
        """The true delay of each hop, in samples."""
        return np.full(self.length // HOP, (self.delay if delay is None else delay) * RATE)

    def silence(self) -> Samples:
        return np.zeros(self.length, np.float32)


def _switch(before: Samples, after: Samples, at: float) -> Samples:
    """One signal until ``at`` seconds, then the other, with 5 ms between them."""
    ramp = np.clip((np.arange(len(before)) / RATE - at) / 0.005, 0.0, 1.0).astype(np.float32)
    return before * (1.0 - ramp) + after * ramp


def _sum(*parts: Samples) -> Samples:
    total = np.zeros(len(parts[0]), np.float32)
    for part in parts:
        total += part
    return total


# -- the scenes -------------------------------------------------------------------------------


def _far_end(s: _Studio, *, far_db: float = FAR_DB, echo_db: float = ECHO_DB, snr_db: float = 35.0) -> Scene:
    far = s.speech("far", far_db)
    echo, noise = signals.level(s.echo(far), echo_db), s.noise(echo_db - snr_db)
    return Scene(_sum(echo, noise), far, s.silence(), noise, s.hops())


def _silence(s: _Studio, reference_db: float | None, *, double: bool = False) -> Scene:
    """Far end until 10 s and from 25 s; the near end speaks from 13 to 21 s and, if ``double``, from 25 s."""
    far = s.speech("far", FAR_DB, [(0.0, 10.0), (25.0, s.seconds)])
    again = [(25.0, s.seconds)] if double else []
    near = s.speech("near", NEAR_DB, [(13.0, 21.0), *again])
    ref = far if reference_db is None else _sum(far, s.noise(reference_db))
    echo, noise = signals.level(s.echo(far), ECHO_DB), s.noise(-62.0)
    return Scene(
        _sum(echo, near, noise),
        ref,
        near,
        noise,
        s.hops(),
        resumes=[25.0],
        near_alone=[(13.0, 21.0)],
        double=again,
        no_echo=[(11.0, 25.0)],
        quiet=[(10.0, s.seconds)],
    )


def _stranger(s: _Studio) -> Scene:
    """The near end speaks, another voice is in the reference, and the loudspeaker is off."""
    near, noise = s.speech("near", NEAR_DB), s.noise(-62.0)
    whole = [(0.0, s.seconds)]
    return Scene(_sum(near, noise), s.speech("far", FAR_DB), near, noise, s.hops(), near_alone=whole, no_echo=whole)


def _muted(s: _Studio) -> Scene:
    """The loudspeaker is switched off at 10 s while the far end goes on; the near end speaks from 11 s."""
    far, near = s.speech("far", FAR_DB), s.speech("near", NEAR_DB, [(11.0, s.seconds)])
    echo, noise = _switch(signals.level(s.echo(far), ECHO_DB), s.silence(), 10.0), s.noise(-62.0)
    after = [(11.0, s.seconds)]
    quiet = [(3.0, s.seconds)]
    return Scene(_sum(echo, near, noise), far, near, noise, s.hops(), near_alone=after, no_echo=after, quiet=quiet)


def _drift(s: _Studio, ppm: float) -> Scene:
    """The loudspeaker's clock differs from the microphone's; the near end speaks from 45 s."""
    s.delay = max(s.delay, 0.03)
    far, near = s.speech("far", FAR_DB), s.speech("near", NEAR_DB - 6.0, [(45.0, s.seconds)])
    echo, noise = signals.level(s.echo(signals.clock(far, ppm)), ECHO_DB), s.noise(ECHO_DB - 35.0)
    delay = s.hops() - np.arange(s.length // HOP) * HOP * 1e-6 * ppm
    return Scene(_sum(echo, near, noise), far, near, noise, delay, double=[(46.0, s.seconds)])


def _step(s: _Studio, by: float) -> Scene:
    """The delay jumps at 12 s."""
    s.delay = max(s.delay, 0.03)
    far, noise = s.speech("far", FAR_DB), s.noise(ECHO_DB - 35.0)
    echo = signals.level(_switch(s.echo(far), s.echo(far, delay=s.delay + by), 12.0), ECHO_DB)
    delay = s.hops()
    delay[round(12.0 * RATE / HOP) :] += by * RATE
    return Scene(_sum(echo, noise), far, s.silence(), noise, delay, changes=[12.0])


def _path(s: _Studio) -> Scene:
    """Somebody moves the loudspeaker at 12 s: another response, as late as the one before."""
    far, noise = s.speech("far", FAR_DB), s.noise(ECHO_DB - 35.0)
    echo = signals.level(_switch(s.echo(far), s.echo(far, response=s.room()), 12.0), ECHO_DB)
    return Scene(_sum(echo, noise), far, s.silence(), noise, s.hops(), changes=[12.0])


def _clipped_speaker(s: _Studio) -> Scene:
    """The amplifier cuts off what is more than 6 dB above the active RMS of the far end."""
    far, noise = s.speech("far", FAR_DB), s.noise(ECHO_DB - 35.0)
    echo = signals.level(s.echo(hard_clip(far, 10 ** ((FAR_DB + 6.0) / 20))), ECHO_DB)
    return Scene(_sum(echo, noise), far, s.silence(), noise, s.hops())


def _clipped_mic(s: _Studio) -> Scene:
    """The microphone cuts off what is more than 8 dB above the active RMS of the echo."""
    scene = _far_end(s)
    scene.mic = hard_clip(scene.mic, 10 ** ((ECHO_DB + 8.0) / 20))
    scene.__post_init__()
    return scene


def _loud(s: _Studio) -> Scene:
    """The same as single talk, with peaks of -3 dBFS in microphone and reference."""
    scene = _far_end(s)
    peak = np.float32(10 ** (-3.0 / 20))
    gain = peak / np.abs(scene.mic).max()
    scene.mic, scene.noise, scene.ref = (
        scene.mic * gain,
        scene.noise * gain,
        scene.ref * (peak / np.abs(scene.ref).max()),
    )
    scene.__post_init__()
    return scene


def _music(s: _Studio, kind: str) -> Scene:
    """A far end that is no voice, for as long as the scene lasts; the near end speaks from 14 s."""
    source = {"tones": signals.tones, "chords": signals.chords, "pink": lambda r, t: signals.noise(r, t, -3.0)}[kind]
    far = signals.level(source(s.rng, s.seconds), FAR_DB)
    near, noise = s.speech("near", NEAR_DB, [(14.0, s.seconds)]), s.noise(ECHO_DB - 35.0)
    echo = signals.level(s.echo(far), ECHO_DB)
    return Scene(_sum(echo, near, noise), far, near, noise, s.hops(), double=[(14.0, s.seconds)])


def _double(s: _Studio, ser_db: float) -> Scene:
    """Both sides speak from the first sample on."""
    far, near = s.speech("far", FAR_DB), s.speech("near", ECHO_DB + ser_db)
    echo, noise = signals.level(s.echo(far), ECHO_DB), s.noise(ECHO_DB - 35.0)
    return Scene(_sum(echo, near, noise), far, near, noise, s.hops(), double=[(0.0, s.seconds)])


def _through_rooms(s: _Studio, far: Samples, changes: list[float]) -> Samples:
    """The echo of ``far`` through one room after the other, with 5 ms between them."""
    echo, fade, memory = s.silence(), round(0.005 * RATE), RATE
    ramp = np.linspace(0.0, 1.0, fade, dtype=np.float32)
    bounds = [0, *(round(t * RATE) for t in changes), s.length]
    for start, end in pairwise(bounds):
        first, last = max(0, start - memory), min(end + fade, s.length)
        part = s.echo(far[first:last], response=s.response if start == 0 else s.room())[start - first :]
        if start:
            part[:fade] *= ramp
        if end < s.length:
            part[-fade:] *= ramp[::-1]
        echo[start:last] += part
    return echo


def conversation(s: _Studio) -> Scene:
    """Turns of 2 to 8 s, pauses of up to 15 s, double talk, and another echo path every minute or so."""
    turns: dict[str, list[Stretch]] = {"far": [], "near": [], "double": [], "pause": []}
    at = 0.0
    while at < s.seconds:
        first = at == 0.0
        kind = "far" if first else str(s.rng.choice(["far", "near", "double", "pause"], p=[0.4, 0.3, 0.15, 0.15]))
        low, high = {"far": (2.0, 8.0), "near": (2.0, 8.0), "double": (1.0, 4.0), "pause": (1.0, 15.0)}[kind]
        end = min(at + float(s.rng.uniform(low, high)), s.seconds)
        turns[kind].append((at, end))
        at = end + float(s.rng.uniform(0.0, 0.6))
    changes = list(np.cumsum(s.rng.uniform(40.0, 90.0, max(1, int(s.seconds / 40.0)))))
    changes = [float(t) for t in changes if t < s.seconds - 15.0]
    line = s.noise(-75.0 if s.sampled else -200.0)
    far = s.speech("far", FAR_DB, turns["far"] + turns["double"])
    near = s.speech("near", NEAR_DB, turns["near"] + turns["double"])
    echo, noise = signals.level(_through_rooms(s, far, changes), ECHO_DB), s.noise(-65.0)
    silent = [(a + 0.7, b) for a, b in turns["near"] if b - a > 1.5]
    return Scene(
        _sum(echo, near, noise),
        _sum(far, line),
        near,
        noise,
        s.hops(),
        changes=changes,
        near_alone=silent,
        double=turns["double"],
        no_echo=silent,
    )


#: Name -> (seconds, how to make it).
SCENES: dict[str, tuple[float, Callable[[_Studio], Scene]]] = {
    "single talk, SNR 35": (16.0, lambda s: _far_end(s)),
    "single talk, SNR 20": (16.0, lambda s: _far_end(s, snr_db=20.0)),
    "single talk, SNR 10": (16.0, lambda s: _far_end(s, snr_db=10.0)),
    "single talk, SNR 0": (16.0, lambda s: _far_end(s, snr_db=0.0)),
    "double talk, SER 0": (24.0, lambda s: _double(s, 0.0)),
    "double talk, SER 6": (24.0, lambda s: _double(s, 6.0)),
    "pause, zero reference": (36.0, lambda s: _silence(s, None)),
    "pause, -75 dBFS reference": (36.0, lambda s: _silence(s, -75.0)),
    "pause, then double talk": (36.0, lambda s: _silence(s, -75.0, double=True)),
    "stranger": (24.0, _stranger),
    "muted": (24.0, _muted),
    "drift +200 ppm": (60.0, lambda s: _drift(s, 200.0)),
    "drift -200 ppm": (60.0, lambda s: _drift(s, -200.0)),
    "delay +14 ms": (24.0, lambda s: _step(s, 0.014)),
    "delay -14 ms": (24.0, lambda s: _step(s, -0.014)),
    "new path": (24.0, _path),
    "faint": (16.0, lambda s: _far_end(s, echo_db=-45.0)),
    "loud": (16.0, _loud),
    "quiet reference": (16.0, lambda s: _far_end(s, far_db=-48.0)),
    "clipped loudspeaker": (16.0, _clipped_speaker),
    "clipped microphone": (16.0, _clipped_mic),
    "tones": (20.0, lambda s: _music(s, "tones")),
    "pink noise": (20.0, lambda s: _music(s, "pink")),
    "chords": (20.0, lambda s: _music(s, "chords")),
    "conversation": (180.0, conversation),
}


def make(name: str, seed: int, seconds: float | None = None) -> Scene:
    """Scene ``name`` of SCENES; the same samples for the same arguments.

    Args:
        seconds: another length, for scenes without fixed times ("conversation").
    """
    usual, build = SCENES[name]
    rng = np.random.default_rng((zlib.crc32(name.encode()), seed))
    return build(_Studio(rng, seconds or usual, sampled=seed % 2 == 1))
