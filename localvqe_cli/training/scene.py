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
from scipy import fft, ndimage

from ..geometry import HOP, MODEL_RATE
from . import echo_path, noises, talk
from .corpus import Corpus, active_rms
from .dynamics import automatic_gain, compressor
from .loudspeaker import distort, response
from .rooms import LENGTH, Room

__all__ = ["SCENARIOS", "Scene", "SceneMaker", "SceneOptions"]

Samples = npt.NDArray[np.float32]
Spectrum = npt.NDArray[np.complex64]

SCENARIOS = ("doubletalk", "farend", "nearend", "noise", "silence")
_MIX = {"doubletalk": 0.42, "farend": 0.22, "nearend": 0.22, "noise": 0.08, "silence": 0.06}
#: What the first clips are made of. With more far-end clips the output falls silent before it learns to discriminate.
_EASY_MIX = {"doubletalk": 0.42, "farend": 0.26, "nearend": 0.26, "noise": 0.04, "silence": 0.02}
_DEVICE_LENGTH = 4000
#: A stretch that happens to be a pause is drawn again.
_ATTEMPTS = 20
#: Samples at the end of a spurt that are not filled with the beginning of another recording.
_SENTENCE = 11200
#: Power of what is left out at either end of a recording, over that of its voice.
_SILENT_DB = -26.0
#: Where a recording is cut: the samples within which a pause is looked for, of a frame, and of the fade; frames.
_MARGIN, _QUIET, _FADE, _PAUSE = 12000, 160, 80, 9
_AUDIBLE = 0.1


@dataclass(frozen=True)
class SceneOptions:
    """What the scenes are like; ranges in dB or seconds, drawn uniformly unless said otherwise.

    Every ``*_share`` is a chance between 0 and 1, drawn for each scene apart from the others.

    Attributes:
        seconds: length of a scene; from 8 on, the pauses are those of calls.
        mix: share of each scenario.
        ser_db: active near end over active echo, in doubletalk.
        snr_db, noisy_share, noisy_snr_db: active near end over noise, in a quiet and in a noisy room.
        enr_db: active echo over noise where the near end does not take part.
        level_db: active level of the microphone, dBFS; most scenes lie in the middle.
        delay: of the echo behind the reference; most lie in the lowest quarter.
        noise_kept_db: level at which the target keeps the background noise; -inf for none. What is left of it covers
            what is left of the echo, and a listener hears that the line is open.
        overlap_share: of doubletalk, in which both speak nearly all the time; the rest has parts or turns.
        pause_share: the far end makes one long pause, up to 15 s, at the start (it comes late) or later; half of this
            for the near end of doubletalk.
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
    ser_db: tuple[float, float] = (-13.0, 17.0)
    snr_db: tuple[float, float] = (20.0, 50.0)
    noisy_share: float = 0.14
    noisy_snr_db: tuple[float, float] = (-5.0, 20.0)
    enr_db: tuple[float, float] = (2.0, 40.0)
    level_db: tuple[float, float] = (-55.0, -5.0)
    delay: tuple[float, float] = (0.0, 0.5)
    noise_kept_db: float = -15.0
    overlap_share: float = 0.65
    pause_share: float = 0.25
    silent_pause_share: float = 0.5
    faint_echo_share: float = 0.06
    unrelated_share: float = 0.35
    drift_share: float = 0.3
    drift_ppm: float = 200.0
    jump_share: float = 0.08
    change_share: float = 0.25
    volume_share: float = 0.08
    linear_share: float = 0.35
    agc_share: float = 0.15
    compressor_share: float = 0.1
    clip_share: float = 0.05
    flaw_share: float = 0.04

    @property
    def samples(self) -> int:
        """Length of a scene in samples."""
        return round(self.seconds * MODEL_RATE)

    def easy(self) -> SceneOptions:
        """The same with fewer hopeless scenes: no very loud echo or noise, nothing moves; to begin a training with."""
        return replace(
            self,
            mix=_EASY_MIX,
            ser_db=(max(-8.0, self.ser_db[0]), self.ser_db[1]) if self.ser_db[1] > -8.0 else self.ser_db,
            noisy_share=0.0,
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
        self._frequency = np.arange(self._size // 2 + 1, dtype=np.float32) * np.float32(MODEL_RATE / self._size)

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
        room = self._any_room(rng)
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
            talker = active_rms(near) * 10 ** (-self._draw_ser(rng) / 20) if turns.near else 1.0
            echo = echo * np.float32(talker / max(active_rms(echo), 1e-9))
        else:
            far = self._idle_reference(rng)

        if scenario == "noise":
            noise = self._noise(rng, band, restless=0.6)
        elif scenario != "silence":
            noisy = rng.random() < options.noisy_share
            noise = self._noise(rng, band, restless=0.7 if noisy else 0.25)
            if turns.near:
                noise = noise * np.float32(active_rms(near) * 10 ** (-self._draw_snr(rng, noisy=noisy) / 20))
            else:
                noise = noise * np.float32(active_rms(echo) * 10 ** (-self._draw_enr(rng) / 20))
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
        if rng.random() < 0.7:
            return (low + (high - low) * math.exp(rng.uniform(math.log(0.015), math.log(0.25)))) * MODEL_RATE
        return float(rng.uniform(low, high) * MODEL_RATE)

    def _draw_ser(self, rng: np.random.Generator) -> float:
        low, high = self.options.ser_db
        if rng.random() < self.options.faint_echo_share:
            return float(rng.uniform(high + 5.0, high + 25.0))
        return float(rng.triangular(low, 0.5 * (low + high), high)) if low < high else low

    def _draw_snr(self, rng: np.random.Generator, *, noisy: bool) -> float:
        if noisy:
            return float(rng.uniform(*self.options.noisy_snr_db))
        low, high = self.options.snr_db
        return float(rng.triangular(low, 0.5 * (low + high), high)) if low < high else low

    def _draw_enr(self, rng: np.random.Generator) -> float:
        low, high = self.options.enr_db
        return float(rng.triangular(low, low + 0.3 * (high - low), high)) if low < high else low

    def _draw_level(self, rng: np.random.Generator) -> float:
        low, high = self.options.level_db
        if rng.random() < 0.7:
            low, high = low + 0.5 * (high - low), low + 0.8 * (high - low)
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

    def _voice(self, rng: np.random.Generator, spurts: talk.Spurts, *, clear: bool = False) -> Samples:
        """One speaker in all spurts, active RMS about 1, exactly zero between them; ``clear``: with little noise."""
        for _ in range(_ATTEMPTS):
            voice = self._utterances(rng, spurts, clear=clear)
            if active_rms(voice) > _AUDIBLE:
                break
        return voice

    def _utterances(self, rng: np.random.Generator, spurts: talk.Spurts, *, clear: bool) -> Samples:
        corpus = self.corpus
        speakers = corpus.clear_speakers if clear else corpus.speakers
        weights = corpus.clear_weights if clear else corpus.speaker_weights
        speaker = speakers[int(rng.choice(len(speakers), p=weights))]
        out = np.zeros(self.options.samples, dtype=np.float32)
        for start, stop in spurts:
            at = start
            while at == start or stop - at > _SENTENCE:
                track = speaker.tracks[int(rng.integers(len(speaker.tracks)))]
                wanted = stop - at
                spare = track.length - wanted - _MARGIN
                offset = int(rng.integers(spare)) if spare > 0 else 0
                recording = corpus.read(track, offset, wanted + _MARGIN)
                part = _between_words(recording, wanted, first=offset > 0, last=spare > offset)
                out[at : at + len(part)] = part
                at += max(len(part), _FADE) + int((0.02 + rng.exponential(0.12)) * MODEL_RATE)
            out[start:stop] *= np.float32(10 ** (float(rng.normal(0.0, 1.5)) / 20))
        return out

    def _far_end(self, rng: np.random.Generator, spurts: talk.Spurts) -> Samples:
        """What the other side sends, active RMS about 1; exactly zero between the spurts, or faintly noisy."""
        kind, length = rng.random(), self.options.samples
        if kind < 0.68:
            far = self._voice(rng, spurts)
        elif kind < 0.80:
            far = self._voice(rng, spurts)
            other = talk.alone(rng, length, self.options.pause_share)
            far = far + np.float32(10 ** (rng.uniform(-10, 0) / 20)) * self._voice(rng, other)
            spurts = [*spurts, *other]
        else:
            far = noises.music(rng, length) if kind < 0.93 else self._recorded_noise(rng)
        if rng.random() < 0.12:
            far = self._filter(far, self._lowpass(float(rng.choice((3400.0, 4000.0, 5500.0)))))
        far = far * _gate(spurts, length)
        if rng.random() >= self.options.silent_pause_share:  # the other side is not silent in its pauses
            floor = noises.coloured(rng, length, float(rng.uniform(-6.0, 0.0)))
            far = far + floor * np.float32(10 ** (rng.uniform(-50.0, -22.0) / 20))
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

    def _noise(self, rng: np.random.Generator, band: Samples | None, *, restless: float) -> Samples:
        """Background noise of unit RMS: ``restless`` is the chance that there is more than the room itself."""
        noise = self._steady(rng)
        if rng.random() < restless:
            noise = self._restless(rng) + np.float32(10 ** (rng.uniform(-25.0, -5.0) / 20)) * noise
        if band is not None:
            noise = self._filter(noise, band)
        rms = float(np.sqrt(np.mean(np.square(noise))))
        return np.divide(noise, max(rms, 1e-6), dtype=np.float32)

    def _steady(self, rng: np.random.Generator) -> Samples:
        """A quiet room, its machines, and the microphone's own noise; unit RMS."""
        length = self.options.samples
        if rng.random() < 0.3:
            return noises.fan(rng, length)
        rumble = noises.coloured(rng, length, float(rng.uniform(-12.0, -4.0)))
        hiss = noises.coloured(rng, length, float(rng.uniform(-4.0, 0.0)))
        share = float(rng.uniform(0.0, 1.0)) ** 4
        return np.asarray(math.sqrt(1.0 - share) * rumble + math.sqrt(share) * hiss, dtype=np.float32)

    def _restless(self, rng: np.random.Generator) -> Samples:
        """Noise that changes, or that recordings hold; unit RMS."""
        kind, length = rng.random(), self.options.samples
        if kind < 0.6:
            return self._recorded_noise(rng)
        if kind < 0.78:
            crowd = [self._voice(rng, talk.alone(rng, length, 0.3)) for _ in range(int(rng.integers(4, 8)))]
            room = self._any_room(rng)
            noise = self._filter(noises.babble(rng, crowd), self._transform(room.talker - 0.7 * room.early))
            return np.divide(noise, max(float(np.sqrt(np.mean(np.square(noise)))), 1e-6), dtype=np.float32)
        return noises.keyboard(rng, length) if kind < 0.92 else noises.hum(rng, length)

    def _any_room(self, rng: np.random.Generator) -> Room:
        return self.rooms[int(rng.integers(len(self.rooms)))]

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
        voice = self._transform(self._voice(rng, spurts, clear=True)) * colour
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
        sound = sound * response(rng, self._frequency)
        if self.corpus.devices and rng.random() < 0.6:
            device = self.corpus.devices[int(rng.integers(len(self.corpus.devices)))]
            sound = sound * self._transform(device[:_DEVICE_LENGTH])
        echo = self._back(sound * self._transform(room.speaker))
        if moves:
            places = [echo]
            others = [room.moved, *(self._any_room(rng).moved for _ in range(int(rng.integers(3))))]
            for place in others:
                farther = int(rng.integers(20))
                shifted = np.concatenate([np.zeros(farther, dtype=np.float32), place[: LENGTH - farther]])
                shifted *= np.float32(10 ** (float(rng.uniform(-5.0, 5.0)) / 20))
                places.append(self._back(sound * self._transform(shifted)))
            weights = echo_path.motion(rng, length, len(places))
            echo = np.asarray(sum(w * place for w, place in zip(weights, places, strict=True)), dtype=np.float32)
        return echo, np.round(delay).astype(np.int32)

    def _delay(self, rng: np.random.Generator, *, moves: bool) -> npt.NDArray[np.float64]:
        """Samples from the reference to the loudspeaker's sound at the microphone, (N,)."""
        options, length = self.options, self.options.samples
        bounds = (options.delay[0] * MODEL_RATE, options.delay[1] * MODEL_RATE)
        delay = np.full(length, self._draw_delay(rng))
        if rng.random() < options.jump_share:
            delay = echo_path.steps(rng, length, float(delay[0]), bounds)
        if rng.random() < options.drift_share:
            delay = delay + echo_path.drift(rng, length, options.drift_ppm)
        if moves and rng.random() < 0.3:  # a device in a hand: some centimetres to and fro
            time = np.arange(length) / MODEL_RATE
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


def _between_words(part: Samples, length: int, *, first: bool, last: bool) -> Samples:
    """At most ``length`` samples of ``part`` (active RMS 1), without silence at either end.

    Where the recording goes on before it (``first``) or behind it (``last``), it begins or ends in a pause.
    """
    power = np.square(part[: len(part) // _QUIET * _QUIET].reshape(-1, _QUIET)).mean(axis=1)
    if not len(power):
        return part[:length]
    power = ndimage.uniform_filter1d(power, _PAUSE, mode="nearest")
    margin = max(1, min(_MARGIN // _QUIET, len(power) // 3))
    begin = int(np.argmin(power[:margin])) if first else 0
    heard = np.flatnonzero(power[begin:] > 10 ** (_SILENT_DB / 10))
    begin += max(0, int(heard[0]) - 2) if len(heard) else 0
    end = min(len(power), begin + length // _QUIET)
    if last or end < len(power):
        margin = min(margin, (end - begin) // 3)
        end -= margin - 1 - int(np.argmin(power[end - margin : end])) if margin > 0 else 0
    heard = np.flatnonzero(power[begin:end] > 10 ** (_SILENT_DB / 10))
    end = min(end, begin + int(heard[-1]) + 5) if len(heard) else end
    part = part[begin * _QUIET : end * _QUIET].copy()
    fade = min(_FADE, len(part) // 2)
    ramp = np.linspace(0.0, 1.0, fade, dtype=np.float32)
    part[:fade] *= ramp
    part[len(part) - fade :] *= ramp[::-1]
    return part


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
