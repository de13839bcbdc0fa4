"""One training clip: who speaks, through which room and loudspeaker, with what noise, at what level.

A scene is a function of its random generator alone. Levels are those of active stretches
(:func:`localvqe_cli.training.corpus.active_rms`): a voice with long pauses is as loud as one without.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import fft

from . import noises
from .corpus import RATE, Corpus, active_rms
from .loudspeaker import distort
from .rooms import LENGTH, Room

__all__ = ["SCENARIOS", "Scene", "SceneMaker", "SceneOptions"]

Samples = npt.NDArray[np.float32]
Spectrum = npt.NDArray[np.complex64]

SCENARIOS = ("doubletalk", "farend", "nearend", "noise", "silence")
_MIX = {"doubletalk": 0.42, "farend": 0.22, "nearend": 0.22, "noise": 0.08, "silence": 0.06}
#: What the first clips are made of. With more far-end clips the output falls silent before it learns to discriminate.
_EASY_MIX = {"doubletalk": 0.42, "farend": 0.26, "nearend": 0.26, "noise": 0.04, "silence": 0.02}
_DEVICE_LENGTH = 4000
HOP = 256
#: A stretch that happens to be a pause is drawn again.
_ATTEMPTS = 20
_AUDIBLE = 0.1


@dataclass(frozen=True)
class SceneOptions:
    """What the scenes are like; ranges in dB or seconds, drawn uniformly unless said otherwise.

    Attributes:
        seconds: length of a clip.
        mix: share of each scenario.
        ser_db: active near end over active echo, in doubletalk.
        snr_db: active speech over noise.
        level_db: active level of the microphone, dBFS; most clips lie in the middle.
        delay: of the echo behind the reference; most lie in the lower half.
        change_share: share of the clips with echo whose path changes or moves, and of those whose delay jumps.
        noise_kept_db: level at which the target keeps the background noise; -inf for none. What is left of it covers
            what is left of the echo, and a listener hears that the line is open.
    """

    seconds: float = 4.0
    mix: Mapping[str, float] = field(default_factory=lambda: dict(_MIX))
    ser_db: tuple[float, float] = (-15.0, 15.0)
    snr_db: tuple[float, float] = (-5.0, 30.0)
    level_db: tuple[float, float] = (-45.0, -5.0)
    delay: tuple[float, float] = (0.0, 0.5)
    change_share: float = 0.2
    noise_kept_db: float = -15.0

    @property
    def samples(self) -> int:
        """Length of a clip in samples."""
        return round(self.seconds * RATE)

    def easy(self) -> SceneOptions:
        """The same with fewer hopeless clips: no very loud echo or noise, no movement; to begin a training with."""
        low, high = self.snr_db
        return SceneOptions(
            self.seconds,
            _EASY_MIX,
            (max(-8.0, self.ser_db[0]), self.ser_db[1]) if self.ser_db[1] > -8.0 else self.ser_db,
            (min(15.0, high), high) if low < 15.0 else self.snr_db,
            self.level_db,
            self.delay,
            0.0,
            self.noise_kept_db,
        )


@dataclass(frozen=True)
class Scene:
    """Signals at 16 kHz, (N,) float32.

    Attributes:
        mic, ref: what the model hears.
        target: what it should say: the near end with its early reflections, at its level in ``mic``, over a rest of
            the noise.
        near, echo, noise: the parts of ``mic`` before clipping.
        scenario: one of SCENARIOS.
        delay: samples from reference to echo, one value per hop of 256 samples, (N // 256 + 1,) int32; -1 where there
            is no echo to be heard.
    """

    mic: Samples
    ref: Samples
    target: Samples
    near: Samples
    echo: Samples
    noise: Samples
    scenario: str
    delay: npt.NDArray[np.int32]


class SceneMaker:
    """Draws scenes from recordings and rooms."""

    def __init__(self, corpus: Corpus, rooms: list[Room], options: SceneOptions) -> None:
        self.corpus = corpus
        self.rooms = rooms
        self.options = options
        self._size = fft.next_fast_len(options.samples + LENGTH + _DEVICE_LENGTH, real=True)
        self._frequency = np.arange(self._size // 2 + 1, dtype=np.float32) * np.float32(RATE / self._size)

    def make(self, rng: np.random.Generator, lot: float | None = None) -> Scene:
        """The next scene of ``rng``.

        Args:
            lot: which scenario, a number in [0, 1) whose range the mix divides; by default drawn from ``rng``.
        """
        options, length = self.options, self.options.samples
        names = list(options.mix)
        bounds = np.cumsum([options.mix[name] for name in names])
        lot = float(rng.random()) if lot is None else lot
        scenario = names[min(int(np.searchsorted(bounds, lot * bounds[-1], side="right")), len(names) - 1)]
        room = self.rooms[int(rng.integers(len(self.rooms)))]
        colour, band = self._microphone(rng)
        zero = np.zeros(length, dtype=np.float32)
        near = target = echo = noise = zero
        delay: npt.NDArray[np.int32] = np.full(length, -1, dtype=np.int32)

        if scenario in ("doubletalk", "nearend"):
            near, target = self._near_end(rng, room, colour)
        if scenario in ("doubletalk", "farend"):
            far = self._far_end(rng)
            echo, delay = self._echo(rng, room, far, colour)
            if scenario == "doubletalk":
                ser = self._draw_ser(rng)
                echo = echo * np.float32(active_rms(near) / max(active_rms(echo), 1e-9) * 10 ** (-ser / 20))
            else:
                echo = echo / np.float32(max(active_rms(echo), 1e-9))
        else:
            far = self._idle_reference(rng)

        speech = near if scenario in ("doubletalk", "nearend") else echo
        if scenario == "noise":
            noise = self._noise(rng, band)
        elif scenario != "silence":
            snr = self._draw_snr(rng)
            noise = self._noise(rng, band) * np.float32(active_rms(speech) * 10 ** (-snr / 20))
        elif rng.random() < 0.7:
            noise = noises.coloured(rng, length, float(rng.uniform(-6.0, 0.0)))

        level = float(rng.uniform(-95.0, -60.0)) if scenario == "silence" else self._draw_level(rng)
        loudness = active_rms(near + echo + noise)
        gain = np.float32(10 ** (level / 20) / loudness) if loudness > 0.0 else np.float32(1.0)
        near, echo, noise, target = near * gain, echo * gain, noise * gain, target * gain
        mic = near + echo + noise
        peak = float(np.abs(mic).max(initial=0.0))
        limit = 1.0
        if scenario != "silence" and rng.random() < 0.06:  # an overdriven microphone behind a gain
            limit = min(1.0, peak * float(rng.uniform(0.3, 0.8)))
        mic = np.clip(mic, -np.float32(limit), np.float32(limit))
        target = target + noise * np.float32(10 ** (options.noise_kept_db / 20))
        target = np.clip(target, -1.0, 1.0).astype(np.float32)
        return Scene(mic, self._reference_level(rng, far), target, near, echo, noise, scenario, _per_hop(delay, echo))

    # -- draws --------------------------------------------------------------------------------

    def _draw_delay(self, rng: np.random.Generator) -> int:
        low, high = self.options.delay
        if rng.random() < 0.6:
            high = low + 0.45 * (high - low)
        return int(rng.uniform(low, high) * RATE)

    def _draw_ser(self, rng: np.random.Generator) -> float:
        low, high = self.options.ser_db
        if rng.random() < 0.4:  # loud echo is where there is most to learn
            high = low + 0.6 * (high - low)
        return float(rng.uniform(low, high))

    def _draw_snr(self, rng: np.random.Generator) -> float:
        low, high = self.options.snr_db
        if rng.random() < 0.3:  # a quiet room
            return float(rng.uniform(high, high + 20.0))
        return float(rng.triangular(low, 0.5 * (low + high), high)) if low < high else low

    def _draw_level(self, rng: np.random.Generator) -> float:
        low, high = self.options.level_db
        if rng.random() < 0.8:
            low, high = low + 0.22 * (high - low), low + 0.78 * (high - low)
        return float(rng.uniform(low, high))

    # -- sources ------------------------------------------------------------------------------

    def _voice(self, rng: np.random.Generator) -> Samples:
        """Utterances of one speaker with pauses between them, active RMS about 1."""
        for _ in range(_ATTEMPTS):
            voice = self._utterances(rng)
            if active_rms(voice) > _AUDIBLE:
                break
        return voice

    def _utterances(self, rng: np.random.Generator) -> Samples:
        corpus, length = self.corpus, self.options.samples
        speaker = corpus.speakers[int(rng.choice(len(corpus.speakers), p=corpus.speaker_weights))]
        out = np.zeros(length, dtype=np.float32)
        at = 0 if rng.random() < 0.35 else int(rng.uniform(0.0, 0.4) * length)
        while at < length:
            track = speaker.tracks[int(rng.integers(len(speaker.tracks)))]
            spare = track.length - (length - at)
            offset = int(rng.integers(spare)) if spare > 0 else 0
            part = corpus.read(track, offset, length - at)
            out[at : at + len(part)] = part
            at += len(part) + int((0.05 + rng.exponential(0.5)) * RATE)
        return out

    def _far_end(self, rng: np.random.Generator) -> Samples:
        """What the other side sends, active RMS about 1."""
        kind, length = rng.random(), self.options.samples
        if kind < 0.74:
            far = self._voice(rng)
        elif kind < 0.86:
            far = self._voice(rng) + np.float32(10 ** (rng.uniform(-10, 0) / 20)) * self._voice(rng)
        elif kind < 0.93:
            far = noises.music(rng, length)
        else:
            far = self._recorded_noise(rng)
        if rng.random() < 0.25:  # the other side is not silent in its pauses either
            floor = noises.coloured(rng, length, float(rng.uniform(-6.0, 0.0)))
            far = far + floor * np.float32(10 ** (rng.uniform(-50.0, -15.0) / 20))
        if rng.random() < 0.12:
            far = self._filter(far, self._lowpass(float(rng.choice((3400.0, 4000.0, 5500.0)))))
        return far

    def _idle_reference(self, rng: np.random.Generator) -> Samples:
        """A reference that does not reach the microphone: nothing, a faint noise, or somebody on headphones."""
        kind, length = rng.random(), self.options.samples
        if kind < 0.5:
            return np.zeros(length, dtype=np.float32)
        if kind < 0.65:
            faint = noises.coloured(rng, length, float(rng.uniform(-6.0, 0.0)))
            return np.multiply(faint, 10 ** rng.uniform(-4, -1.5), dtype=np.float32)
        return self._far_end(rng)

    def _recorded_noise(self, rng: np.random.Generator) -> Samples:
        """A stretch of a recording, repeated where it is short; unit RMS."""
        length = self.options.samples
        if not self.corpus.noises:
            return noises.coloured(rng, length, -3.0)
        track = self.corpus.noises[int(rng.integers(len(self.corpus.noises)))]
        spare = track.length - length
        part = self.corpus.read(track, int(rng.integers(spare)) if spare > 0 else 0, length)
        if len(part) < length:
            part = np.roll(np.resize(part, length), int(rng.integers(length)))
        rms = float(np.sqrt(np.mean(np.square(part))))
        return part / np.float32(rms) if rms > 1e-6 else noises.coloured(rng, length, -3.0)

    def _noise(self, rng: np.random.Generator, band: Samples | None) -> Samples:
        """Background noise of unit RMS."""
        kind, length = rng.random(), self.options.samples
        if kind < 0.42:
            noise = self._recorded_noise(rng)
        elif kind < 0.56:
            noise = noises.babble(rng, [self._voice(rng) for _ in range(int(rng.integers(4, 8)))])
            room = self.rooms[int(rng.integers(len(self.rooms)))]
            noise = self._filter(noise, self._transform(room.talker - 0.7 * room.early))
        elif kind < 0.66:
            noise = noises.keyboard(rng, length)
        elif kind < 0.72:
            noise = noises.hum(rng, length)
        elif kind < 0.86:
            noise = noises.fan(rng, length)
        else:
            noise = noises.coloured(rng, length, float(rng.uniform(-9.0, 1.0)))
        if band is not None:
            noise = self._filter(noise, band)
        rms = float(np.sqrt(np.mean(np.square(noise))))
        return np.divide(noise, max(rms, 1e-6), dtype=np.float32)

    # -- acoustics ----------------------------------------------------------------------------

    def _transform(self, x: Samples) -> Spectrum:
        return np.asarray(fft.rfft(x, self._size), dtype=np.complex64)

    def _back(self, spectrum: Spectrum) -> Samples:
        return np.asarray(fft.irfft(spectrum, self._size)[: self.options.samples], dtype=np.float32)

    def _filter(self, x: Samples, response: npt.NDArray[np.float32] | Spectrum) -> Samples:
        return self._back(np.asarray(self._transform(x) * response, dtype=np.complex64))

    def _lowpass(self, cutoff: float) -> Samples:
        return np.asarray(1.0 / (1.0 + (self._frequency / np.float32(cutoff)) ** 24), dtype=np.float32)

    def _microphone(self, rng: np.random.Generator) -> tuple[Samples, Samples | None]:
        """Gain per bin of a microphone, and its band limit alone where it has one."""
        f = self._frequency
        corner = np.float32(math.exp(rng.uniform(math.log(20.0), math.log(180.0))))
        ratio = (f / corner) ** 2
        colour = ratio / (1.0 + ratio)
        colour *= np.maximum(f / 1000.0, 0.05) ** np.float32(rng.uniform(-3.0, 3.0) / 6.02)
        if rng.random() >= 0.12:
            return colour.astype(np.float32), None
        band = self._lowpass(float(rng.choice((3400.0, 4000.0, 5500.0, 7000.0))))
        return (colour * band).astype(np.float32), band

    def _near_end(self, rng: np.random.Generator, room: Room, colour: Samples) -> tuple[Samples, Samples]:
        """(what the microphone hears of the talker, what is wanted of it)."""
        voice = self._transform(self._voice(rng)) * colour
        if rng.random() < 0.1:  # a close microphone: no room at all
            dry = self._back(voice)
            return dry, dry
        return self._back(voice * self._transform(room.talker)), self._back(voice * self._transform(room.early))

    def _echo(
        self, rng: np.random.Generator, room: Room, far: Samples, colour: Samples
    ) -> tuple[Samples, npt.NDArray[np.int32]]:
        """(what the microphone hears of the far end, its delay at each sample)."""
        played = distort(far, rng)
        change = rng.random()
        share = self.options.change_share
        played, delay = self._delayed(rng, played, jumps=change < 0.4 * share)
        sound = self._transform(played) * colour
        if self.corpus.devices and rng.random() < 0.75:
            device = self.corpus.devices[int(rng.integers(len(self.corpus.devices)))]
            sound = sound * self._transform(device[:_DEVICE_LENGTH])
        echo = self._back(sound * self._transform(room.speaker))
        if 0.4 * share <= change < 1.4 * share:
            moved = self._back(sound * self._transform(room.moved)) * np.float32(10 ** (rng.uniform(-6.0, 6.0) / 20))
            echo = echo + self._movement(rng) * (moved - echo)
        return echo, delay

    def _delayed(self, rng: np.random.Generator, x: Samples, *, jumps: bool) -> tuple[Samples, npt.NDArray[np.int32]]:
        length = len(x)
        delay = self._draw_delay(rng)
        delays = np.full(length, delay, dtype=np.int32)
        out = np.zeros_like(x)
        out[delay:] = x[: length - delay]
        if jumps:
            low, high = (int(edge * RATE) for edge in self.options.delay)
            other = int(np.clip(delay + rng.choice((-1, 1)) * rng.uniform(0.008, 0.15) * RATE, low, high))
            at = max(other, int(rng.uniform(0.3, 0.7) * length))
            out[at:] = x[at - other : length - other]
            delays[at:] = other
        return out, delays

    def _movement(self, rng: np.random.Generator) -> Samples:
        """Weight of the second position over time: one change within the clip, or a sway to and fro."""
        time = np.arange(self.options.samples, dtype=np.float32) / np.float32(self.options.samples)
        if rng.random() < 0.5:
            at, width = rng.uniform(0.25, 0.75), rng.uniform(0.005, 0.05)
            return np.asarray(np.clip((time - at) / width + 0.5, 0.0, 1.0), dtype=np.float32)
        turns = 2 * np.pi * rng.uniform(0.3, 1.5)
        return np.asarray(0.5 - 0.5 * np.cos(turns * time + rng.uniform(0, 6.3)), dtype=np.float32)

    def _reference_level(self, rng: np.random.Generator, far: Samples) -> Samples:
        """The reference at a level of its own: the model cannot know the loudspeaker's volume."""
        peak = float(np.abs(far).max(initial=0.0))
        gain = 10 ** (float(rng.uniform(-38.0, -14.0)) / 20)
        return far * np.float32(min(gain, 0.99 / peak)) if peak > 0.0 else far


def _per_hop(delay: npt.NDArray[np.int32], echo: Samples) -> npt.NDArray[np.int32]:
    """Delay at each hop where the echo is within 30 dB of its loudest hop, else -1."""
    count = len(echo) // HOP + 1
    power = np.square(np.pad(echo, (0, count * HOP - len(echo)))).reshape(count, HOP).mean(axis=1)
    heard = power > 1e-3 * max(float(power.max()), 1e-20)
    at = np.minimum(np.arange(count) * HOP, len(delay) - 1)
    return np.where(heard, delay[at], -1).astype(np.int32)
