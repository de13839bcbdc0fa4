"""One stretch of a call: who speaks when, through which room and loudspeaker, with what noise, at what level.

A scene is a function of its random generator alone. Levels are those of active stretches
(:func:`localvqe_cli.training.corpus.active_rms`): a voice with long pauses is as loud as one without.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from scipy import fft

from . import echo_path, noises, talk
from .corpus import RATE, Corpus, active_rms
from .gain import automatic_gain, compressor
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

    Every ``*_share`` is a chance between 0 and 1, drawn for each scene apart from the others.

    Attributes:
        seconds: length of a scene; from 8 on, the pauses are those of calls.
        mix: share of each scenario.
        ser_db: active near end over active echo, in doubletalk.
        snr_db: active speech over noise.
        level_db: active level of the microphone, dBFS; most scenes lie in the middle.
        delay: of the echo behind the reference; most lie in the lower half.
        noise_kept_db: level at which the target keeps the background noise; -inf for none. What is left of it covers
            what is left of the echo, and a listener hears that the line is open.
        overlap_share: of doubletalk, in which both speak nearly all the time; the rest has parts or turns.
        pause_share: each side makes one long pause, up to 15 s, at the start (it comes late) or later.
        silent_pause_share: the reference is exactly zero in the far end's pauses; else there is faint noise.
        faint_echo_share: of doubletalk, in which the echo is 5 to 25 dB fainter than ``ser_db`` can be: headphones.
        unrelated_share: without echo, the far end speaks nevertheless: headphones, or a loudspeaker turned off.
        drift_share, drift_ppm: the loudspeaker's clock is not the microphone's, by up to this much, mostly by less
            than 0.6 of it.
        jump_share: the delay jumps, by 2 to 150 ms.
        change_share: the echo path changes or sways.
        volume_share: somebody turns the loudspeaker up or down, or mutes it.
        linear_share: loudspeakers that do not distort.
        agc_share: the device evens out the level of its microphone.
        compressor_share: it holds down loud syllables.
        clip_share: the microphone is overdriven.
        flaw_share: the reference has a constant part or hums, or ends before the microphone does.
    """

    seconds: float = 4.0
    mix: Mapping[str, float] = field(default_factory=lambda: dict(_MIX))
    ser_db: tuple[float, float] = (-15.0, 15.0)
    snr_db: tuple[float, float] = (-5.0, 30.0)
    level_db: tuple[float, float] = (-55.0, -5.0)
    delay: tuple[float, float] = (0.0, 0.5)
    noise_kept_db: float = -15.0
    overlap_share: float = 0.4
    pause_share: float = 0.3
    silent_pause_share: float = 0.5
    faint_echo_share: float = 0.06
    unrelated_share: float = 0.35
    drift_share: float = 0.3
    drift_ppm: float = 200.0
    jump_share: float = 0.08
    change_share: float = 0.25
    volume_share: float = 0.08
    linear_share: float = 0.33
    agc_share: float = 0.2
    compressor_share: float = 0.1
    clip_share: float = 0.06
    flaw_share: float = 0.04

    @property
    def samples(self) -> int:
        """Length of a scene in samples."""
        return round(self.seconds * RATE)

    def easy(self) -> SceneOptions:
        """The same with fewer hopeless scenes: no very loud echo or noise, nothing moves; to begin a training with."""
        low, high = self.snr_db
        return replace(
            self,
            mix=_EASY_MIX,
            ser_db=(max(-8.0, self.ser_db[0]), self.ser_db[1]) if self.ser_db[1] > -8.0 else self.ser_db,
            snr_db=(min(15.0, high), high) if low < 15.0 else self.snr_db,
            faint_echo_share=0.0,
            drift_share=0.0,
            jump_share=0.0,
            change_share=0.0,
            volume_share=0.0,
            clip_share=0.0,
            flaw_share=0.0,
        )


@dataclass(frozen=True)
class Scene:
    """Signals at 16 kHz, (N,) float32.

    Attributes:
        mic, ref: what the model hears.
        target: what it should say: the near end with its early reflections, at its level in ``mic``, over a rest of
            the noise.
        near, echo, noise: the parts of ``mic``, with the room, the microphone's colour and its gain control, which
            holds the target as well. ``mic`` is their sum, except where it is clipped.
        scenario: one of SCENARIOS.
        delay: samples from reference to echo, one value per hop of 256 samples, (ceil(N / 256) + 1,) int32; -1 where
            there is no echo to be heard.
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

        turns = self._turns(rng, scenario)
        if turns.near:
            near, target = self._near_end(rng, room, colour, turns.near)
        if turns.far:
            far = self._far_end(rng, turns.far)
            echo, delay = self._echo(rng, room, far, colour)
            loudness = active_rms(echo)
            if turns.near:
                echo = echo * np.float32(active_rms(near) / max(loudness, 1e-9) * 10 ** (-self._draw_ser(rng) / 20))
            else:
                echo = echo / np.float32(max(loudness, 1e-9))
        else:
            far = self._idle_reference(rng)

        if scenario == "noise":
            noise = self._noise(rng, band)
        elif scenario != "silence":
            speech = near if turns.near else echo
            noise = self._noise(rng, band) * np.float32(active_rms(speech) * 10 ** (-self._draw_snr(rng) / 20))
        elif rng.random() < 0.7:
            noise = noises.coloured(rng, length, float(rng.uniform(-6.0, 0.0)))

        gain = self._gain(rng, near + echo + noise, steady=scenario == "silence")
        near, echo, noise, target = near * gain, echo * gain, noise * gain, target * gain
        mic = near + echo + noise
        limit = 1.0
        if scenario != "silence" and rng.random() < options.clip_share:  # an overdriven microphone behind a gain
            limit = min(1.0, float(np.abs(mic).max(initial=0.0)) * float(rng.uniform(0.3, 0.8)))
        mic = np.clip(mic, -np.float32(limit), np.float32(limit))
        target = target + noise * np.float32(10 ** (options.noise_kept_db / 20))
        target = np.clip(target, -1.0, 1.0).astype(np.float32)
        ref = self._reference_level(rng, far)
        return Scene(mic, ref, target, near, echo, noise, scenario, _per_hop(delay, echo))

    # -- draws --------------------------------------------------------------------------------

    def _draw_delay(self, rng: np.random.Generator) -> float:
        """Samples, and parts of one."""
        low, high = self.options.delay
        if rng.random() < 0.6:
            high = low + 0.45 * (high - low)
        return float(rng.uniform(low, high) * RATE)

    def _draw_ser(self, rng: np.random.Generator) -> float:
        low, high = self.options.ser_db
        if rng.random() < self.options.faint_echo_share:
            return float(rng.uniform(high + 5.0, high + 25.0))
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

    def _turns(self, rng: np.random.Generator, scenario: str) -> talk.Turns:
        options = self.options
        if scenario == "doubletalk":
            return talk.together(rng, options.samples, options.overlap_share, options.pause_share)
        spurts = talk.alone(rng, options.samples, options.pause_share)
        return talk.Turns(spurts if scenario == "farend" else [], spurts if scenario == "nearend" else [])

    def _gain(self, rng: np.random.Generator, mic: Samples, *, steady: bool) -> Samples:
        """What brings the microphone to a level, and follows it where the device does; (N,) or (1,)."""
        follows: Samples = np.ones(1, dtype=np.float32)
        if not steady and mic.any():
            if rng.random() < self.options.agc_share:
                follows = automatic_gain(rng, mic)
            if rng.random() < self.options.compressor_share:
                follows = follows * compressor(rng, mic * follows)
        level = float(rng.uniform(-95.0, -60.0)) if steady else self._draw_level(rng)
        loudness = active_rms(mic * follows)
        if loudness <= 0.0:
            return np.ones(1, dtype=np.float32)
        return np.asarray(follows * np.float32(10 ** (level / 20) / loudness), dtype=np.float32)

    # -- sources ------------------------------------------------------------------------------

    def _voice(self, rng: np.random.Generator, spurts: talk.Spurts) -> Samples:
        """One speaker in all spurts, active RMS about 1, exactly zero between them."""
        for _ in range(_ATTEMPTS):
            voice = self._utterances(rng, spurts)
            if active_rms(voice) > _AUDIBLE:
                break
        return voice

    def _utterances(self, rng: np.random.Generator, spurts: talk.Spurts) -> Samples:
        corpus = self.corpus
        speaker = corpus.speakers[int(rng.choice(len(corpus.speakers), p=corpus.speaker_weights))]
        out = np.zeros(self.options.samples, dtype=np.float32)
        for start, stop in spurts:
            at = start
            while at < stop:
                track = speaker.tracks[int(rng.integers(len(speaker.tracks)))]
                spare = track.length - (stop - at)
                offset = int(rng.integers(spare)) if spare > 0 else 0
                part = corpus.read(track, offset, stop - at)
                out[at : at + len(part)] = part
                at += len(part) + int((0.05 + rng.exponential(0.2)) * RATE)
            fade = min(320, stop - start)  # the last sentence ends where the spurt does
            out[stop - fade : stop] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
            out[start:stop] *= np.float32(10 ** (float(rng.normal(0.0, 1.5)) / 20))
        return out

    def _far_end(self, rng: np.random.Generator, spurts: talk.Spurts) -> Samples:
        """What the other side sends, active RMS about 1; exactly zero between the spurts, or faintly noisy."""
        kind, length = rng.random(), self.options.samples
        if kind < 0.76:
            far = self._voice(rng, spurts)
        elif kind < 0.88:
            far = self._voice(rng, spurts)
            other = talk.alone(rng, length, self.options.pause_share)
            far = far + np.float32(10 ** (rng.uniform(-10, 0) / 20)) * self._voice(rng, other)
            spurts = [*spurts, *other]
        else:
            far = noises.music(rng, length) if kind < 0.94 else self._recorded_noise(rng)
        if rng.random() < 0.12:
            far = self._filter(far, self._lowpass(float(rng.choice((3400.0, 4000.0, 5500.0)))))
        far = far * _gate(spurts, length)
        if rng.random() >= self.options.silent_pause_share:  # the other side is not silent in its pauses
            floor = noises.coloured(rng, length, float(rng.uniform(-6.0, 0.0)))
            far = far + floor * np.float32(10 ** (rng.uniform(-60.0, -25.0) / 20))
        if rng.random() < 0.3 * self.options.flaw_share:
            far = far * (np.arange(length) < rng.uniform(0.5, 0.97) * length)
        return np.asarray(far, dtype=np.float32)

    def _idle_reference(self, rng: np.random.Generator) -> Samples:
        """A reference that does not reach the microphone: nothing, a faint noise, or somebody on headphones."""
        length = self.options.samples
        if rng.random() < self.options.unrelated_share:
            return self._far_end(rng, talk.alone(rng, length, self.options.pause_share))
        if rng.random() < 0.75:
            return np.zeros(length, dtype=np.float32)
        faint = noises.coloured(rng, length, float(rng.uniform(-6.0, 0.0)))
        return np.multiply(faint, 10 ** rng.uniform(-4, -1.5), dtype=np.float32)

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
        kind = rng.random()
        if kind < 0.4:
            noise = self._steady(rng)
        else:
            noise = self._restless(rng) + np.float32(10 ** (rng.uniform(-25.0, -5.0) / 20)) * self._steady(rng)
        if band is not None:
            noise = self._filter(noise, band)
        rms = float(np.sqrt(np.mean(np.square(noise))))
        return np.divide(noise, max(rms, 1e-6), dtype=np.float32)

    def _steady(self, rng: np.random.Generator) -> Samples:
        """A quiet room, its machines, and the microphone's own noise; unit RMS."""
        length = self.options.samples
        if rng.random() < 0.3:
            return noises.fan(rng, length)
        rumble = noises.coloured(rng, length, float(rng.uniform(-12.0, -3.0)))
        hiss = noises.coloured(rng, length, float(rng.uniform(-2.0, 2.0)))
        share = float(rng.uniform(0.0, 1.0))
        return np.asarray(math.sqrt(1.0 - share) * rumble + math.sqrt(share) * hiss, dtype=np.float32)

    def _restless(self, rng: np.random.Generator) -> Samples:
        """Noise that changes, or that recordings hold; unit RMS."""
        kind, length = rng.random(), self.options.samples
        if kind < 0.6:
            return self._recorded_noise(rng)
        if kind < 0.78:
            crowd = [self._voice(rng, talk.alone(rng, length, 0.3)) for _ in range(int(rng.integers(4, 8)))]
            room = self.rooms[int(rng.integers(len(self.rooms)))]
            noise = self._filter(noises.babble(rng, crowd), self._transform(room.talker - 0.7 * room.early))
            return np.divide(noise, max(float(np.sqrt(np.mean(np.square(noise)))), 1e-6), dtype=np.float32)
        return noises.keyboard(rng, length) if kind < 0.92 else noises.hum(rng, length)

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

    def _near_end(
        self, rng: np.random.Generator, room: Room, colour: Samples, spurts: talk.Spurts
    ) -> tuple[Samples, Samples]:
        """(what the microphone hears of the talker, what is wanted of it)."""
        voice = self._transform(self._voice(rng, spurts)) * colour
        if rng.random() < 0.1:  # a close microphone: no room at all
            dry = self._back(voice)
            return dry, dry
        return self._back(voice * self._transform(room.talker)), self._back(voice * self._transform(room.early))

    def _echo(
        self, rng: np.random.Generator, room: Room, far: Samples, colour: Samples
    ) -> tuple[Samples, npt.NDArray[np.int32]]:
        """(what the microphone hears of the far end, its delay at each sample)."""
        options, length = self.options, len(far)
        played = far * echo_path.volume(rng, length) if rng.random() < options.volume_share else far
        played = distort(played, rng, options.linear_share)
        moves = rng.random() < options.change_share
        delay = self._delay(rng, moves=moves)
        sound = self._transform(echo_path.read_at(played, np.arange(length) - delay)) * colour
        if self.corpus.devices and rng.random() < 0.75:
            device = self.corpus.devices[int(rng.integers(len(self.corpus.devices)))]
            sound = sound * self._transform(device[:_DEVICE_LENGTH])
        echo = self._back(sound * self._transform(room.speaker))
        if moves:
            moved = self._back(sound * self._transform(room.moved)) * np.float32(10 ** (rng.uniform(-6.0, 6.0) / 20))
            echo = echo + echo_path.motion(rng, length) * (moved - echo)
        return echo, np.round(delay).astype(np.int32)

    def _delay(self, rng: np.random.Generator, *, moves: bool) -> npt.NDArray[np.float64]:
        """Samples from the reference to the loudspeaker's sound at the microphone, (N,)."""
        options, length = self.options, self.options.samples
        bounds = (options.delay[0] * RATE, options.delay[1] * RATE)
        delay = np.full(length, self._draw_delay(rng))
        if rng.random() < options.jump_share:
            delay = echo_path.steps(rng, length, float(delay[0]), bounds)
        if rng.random() < options.drift_share:
            delay = delay + echo_path.drift(rng, length, options.drift_ppm)
        if moves and rng.random() < 0.5:  # a device in a hand: some centimetres to and fro
            time = np.arange(length) / RATE
            rate = math.exp(rng.uniform(math.log(0.1), math.log(0.8)))
            delay = delay + rng.uniform(0.2, 6.0) * np.sin(2 * np.pi * rate * time + rng.uniform(0, 6.3))
        return np.asarray(np.maximum(delay, 0.0))

    def _reference_level(self, rng: np.random.Generator, far: Samples) -> Samples:
        """The reference at a level of its own: the model cannot know the loudspeaker's volume."""
        peak = float(np.abs(far).max(initial=0.0))
        gain = 10 ** (float(rng.uniform(-38.0, -14.0)) / 20)
        ref = far * np.float32(min(gain, 0.95 / peak)) if peak > 0.0 else far
        if rng.random() < 0.7 * self.options.flaw_share:
            size = 10 ** (float(rng.uniform(-65.0, -40.0)) / 20)
            flaw = noises.hum(rng, len(ref)) if rng.random() < 0.5 else np.ones_like(ref)
            ref = np.clip(ref + np.float32(size) * flaw, -1.0, 1.0)
        return np.asarray(ref, dtype=np.float32)


def _gate(spurts: talk.Spurts, length: int) -> Samples:
    """1 in the spurts, 0 between them, (length,)."""
    out = np.zeros(length, dtype=np.float32)
    for start, stop in spurts:
        out[start:stop] = 1.0
    return out


def _per_hop(delay: npt.NDArray[np.int32], echo: Samples) -> npt.NDArray[np.int32]:
    """Delay at each hop where the echo is within 30 dB of its loudest hop, else -1."""
    count = -(-len(echo) // HOP) + 1
    power = np.square(np.pad(echo, (0, count * HOP - len(echo)))).reshape(count, HOP).mean(axis=1)
    heard = power > 1e-3 * max(float(power.max()), 1e-20)
    at = np.minimum(np.arange(count) * HOP, len(delay) - 1)
    return np.where(heard, delay[at], -1).astype(np.int32)
