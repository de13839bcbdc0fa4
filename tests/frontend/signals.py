"""Sources and rooms for the stress scenes: numpy only, the same samples for the same generator on every machine.

Speech is made in two ways. :func:`talk` is a source and a filter: glottal pulses whose pitch moves, noise for
fricatives and bursts, formants that glide between vowels, syllables in phrases. :func:`sample_talk` repeats the
sentences of the sample pair in ``examples/``. All speech has an active RMS of 1, which is that of the frames of 20 ms
within 30 dB of the loudest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from localvqe_cli.training.corpus import active_rms
from localvqe_cli.training.noises import coloured

__all__ = ["RATE", "Voice", "chords", "clock", "convolve", "level", "noise", "room", "sample_talk", "talk", "tones"]

Samples = NDArray[np.float32]
Doubles = NDArray[np.float64]

RATE = 16000
#: Samples between two settings of the vocal tract, and of the transform that applies one.
_STEP, _FFT = 80, 1024
#: F1 to F3 of seven vowels, Hz, for a tract of average length; the higher formants stay.
_VOWELS = np.array(
    [
        (280, 2250, 2950),
        (430, 1950, 2600),
        (660, 1700, 2400),
        (740, 1200, 2500),
        (480, 860, 2450),
        (320, 780, 2300),
        (500, 1480, 2450),
    ],
    dtype=float,
)
_HIGH_FORMANTS = (3500.0, 4500.0, 5500.0, 6500.0)
_BANDWIDTHS = (70.0, 90.0, 140.0, 220.0, 300.0, 400.0, 500.0)
#: Where consonants pull F2 to: lips, teeth, palate.
_LOCI = (800.0, 1700.0, 2300.0)
#: When each sentence of the sample pair is spoken, in seconds (examples/README.md).
_SENTENCES = {"far": ((0.0, 2.2), (2.2, 4.4)), "near": ((2.2, 4.4), (4.4, 6.5))}
_EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@dataclass(frozen=True)
class Voice:
    """One speaker.

    Attributes:
        pitch: mean fundamental frequency, Hz.
        tract: factor on all formants; a shorter tract has higher ones.
        pace: syllables per second.
        breath: noise in the voice, as a share of its amplitude.
    """

    pitch: float
    tract: float
    pace: float
    breath: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Voice:
        """A man's or a woman's voice, half and half."""
        low = rng.random() < 0.5
        pitch = rng.uniform(90.0, 140.0) if low else rng.uniform(170.0, 250.0)
        tract = rng.uniform(0.92, 1.03) if low else rng.uniform(1.08, 1.22)
        return cls(float(pitch), float(tract), float(rng.uniform(3.0, 5.0)), float(rng.uniform(0.04, 0.16)))


# -- speech -----------------------------------------------------------------------------------


def talk(rng: np.random.Generator, seconds: float, voice: Voice | None = None) -> Samples:
    """``seconds`` of somebody speaking in phrases with short pauses."""
    voice = voice or Voice.draw(rng)
    length = round(seconds * RATE)
    tracks = _articulate(rng, seconds, voice)
    pitch = np.interp(np.arange(length), np.arange(len(tracks["pitch"])) * _STEP, tracks["pitch"])
    pitch *= 1.0 + 0.01 * np.convolve(rng.standard_normal(length), np.hanning(400) / 14.0, "same")
    turns = np.cumsum(pitch / RATE)
    whole = np.floor(turns)
    starts = np.flatnonzero(np.diff(whole) > 0) + 1
    pulses = np.zeros(length + 1)
    late = (turns[starts] - whole[starts]) / (pitch[starts] / RATE)  # samples since the pulse, 0..1
    strength = 1.0 + 0.05 * rng.standard_normal(len(starts))
    # A pulse between two samples is shared by them; its power does not depend on the pitch.
    np.add.at(pulses, starts, strength * (1.0 - late) * np.sqrt(RATE / pitch[starts]))
    np.add.at(pulses, starts - 1, strength * late * np.sqrt(RATE / pitch[starts]))
    hiss = rng.standard_normal(length + 1)
    return level(_vocal_tract(pulses[:length], hiss[:length], tracks, voice))


def _articulate(rng: np.random.Generator, seconds: float, voice: Voice) -> dict[str, Doubles]:
    """What the speaker does every _STEP samples: pitch, amplitudes, formants, colour of the noise."""
    knots: dict[str, list[tuple[float, Any]]] = {
        name: [(0.0, start)]
        for name, start in (
            ("pitch", voice.pitch),
            ("voiced", 0.0),
            ("noisy", 0.0),
            ("colour", 4000.0),
            ("formants", _VOWELS[6]),
        )
    }
    at = float(rng.uniform(0.05, 0.3))
    while at < seconds:
        count = int(rng.integers(4, 13))
        top = voice.pitch * 2 ** (rng.uniform(1.0, 5.0) / 12)
        for syllable in range(count):
            span = float(rng.uniform(0.7, 1.35)) / voice.pace
            stress = float(rng.uniform(0.45, 1.0))
            fall = top * 2 ** (-5.0 * syllable / count / 12)
            _syllable(rng, knots, at, span, stress, fall * 2 ** (stress * rng.uniform(0.0, 4.0) / 12))
            at += span
        knots["voiced"].append((at + 0.03, 0.0))
        at += 0.2 + float(rng.exponential(0.35))
    time = np.arange(round(seconds * RATE) // _STEP + 2) * (_STEP / RATE)
    tracks: dict[str, Doubles] = {}
    for name, points in knots.items():
        x = np.array([point[0] for point in points])
        y = np.array([point[1] for point in points], dtype=float)
        columns = y if y.ndim == 2 else y[:, None]
        track = np.stack([np.interp(time, x, column) for column in columns.T], axis=1)
        tracks[name] = track if y.ndim == 2 else track[:, 0]
    return tracks


def _syllable(
    rng: np.random.Generator,
    knots: dict[str, list[tuple[float, Any]]],
    at: float,
    span: float,
    stress: float,
    pitch: float,
) -> None:
    kind = rng.choice(["open", "fricative", "stop", "voiced"], p=[0.15, 0.3, 0.3, 0.25])
    onset = 0.02 if kind == "open" else float(rng.uniform(0.25, 0.4)) * span
    vowel = _VOWELS[int(rng.integers(len(_VOWELS)))] * rng.uniform(0.95, 1.05, 3)
    glide = _VOWELS[int(rng.integers(len(_VOWELS)))]
    locus = vowel.copy()
    locus[:2] = 0.5 * (vowel[0] + 250.0), 0.5 * (vowel[1] + _LOCI[int(rng.integers(3))])
    start, end = at + onset, at + span
    hum = 0.25 * stress if kind == "voiced" else 0.0
    knots["voiced"] += [(at, hum), (start, hum + 0.1), (start + 0.03, stress), (at + 0.8 * span, 0.6 * stress)]
    knots["voiced"].append((end - 0.005, 0.03 * stress))
    knots["pitch"] += [(start, 0.97 * pitch), (at + 0.6 * span, pitch), (end - 0.005, 0.92 * pitch)]
    knots["formants"] += [(start, locus), (start + 0.06, vowel), (end - 0.01, 0.7 * vowel + 0.3 * glide)]
    colour, loud = float(rng.uniform(2500.0, 6000.0)), float(rng.uniform(0.1, 0.5))
    knots["colour"] += [(at, colour), (end - 0.005, colour)]
    if kind == "fricative":
        knots["noisy"] += [(at, 0.0), (at + 0.3 * onset, loud), (at + 0.8 * onset, loud), (start, 0.0)]
    elif kind == "stop":
        knots["noisy"] += [(start - 0.02, 0.0), (start - 0.015, 1.5 * loud), (start + 0.015, 0.0)]
    knots["noisy"].append((end - 0.005, 0.0))


def _vocal_tract(pulses: Doubles, hiss: Doubles, tracks: dict[str, Doubles], voice: Voice) -> Samples:
    """Filter stretches of 10 ms, each by the tract of its moment, and add them up."""
    length, span = len(pulses), 2 * _STEP
    count = length // _STEP + 1
    window = np.hanning(span + 1)[:span]
    padded = [np.concatenate([np.zeros(_STEP), x, np.zeros(span)]) for x in (pulses, hiss)]
    frequency = np.arange(_FFT // 2 + 1) * (RATE / _FFT)
    delay = np.exp(-2j * np.pi * frequency / RATE)
    source = 1.0 / (1.0 - 0.96 * delay) * (1.0 - 0.985 * delay) / (1.0 - 0.7 * delay)
    out = np.zeros(_STEP * (count + 1) + _FFT)
    for first in range(0, count, 1000):
        rows = np.arange(first, min(first + 1000, count))
        index = rows[:, None] * _STEP + np.arange(span)
        voiced = tracks["voiced"][rows, None]
        glottal = padded[0][index] + voice.breath * padded[1][index]
        spectrum = np.fft.rfft(glottal * voiced * window, _FFT) * source
        formants = np.concatenate([tracks["formants"][rows], np.tile(_HIGH_FORMANTS, (len(rows), 1))], axis=1)
        gain, under = np.ones((len(rows), 1)), np.ones(1)
        for centre, width in zip(voice.tract * formants.T, _BANDWIDTHS, strict=True):
            over, factor = _resonance(centre, width, delay)
            gain, under = gain * over, under * factor
        spectrum *= gain / under
        friction = np.fft.rfft(padded[1][index] * tracks["noisy"][rows, None] * window, _FFT)
        over, under = _resonance(tracks["colour"][rows], 1800.0, delay)
        spectrum += 2.0 * friction * (1.0 - delay) * (over / under)
        pieces = np.fft.irfft(spectrum, _FFT)
        for start in range(0, _FFT, _STEP):
            part = pieces[:, start : start + _STEP]
            at = out[first * _STEP + start :][: len(rows) * _STEP].reshape(len(rows), _STEP)
            at[:, : part.shape[1]] += part
    return out[_STEP : _STEP + length].astype(np.float32)


def _resonance(centre: Doubles, width: float, delay: NDArray[np.complex128]) -> tuple[Doubles, NDArray[np.complex128]]:
    """(N,) centres, Hz -> (N, 1) / (N, F), responses of two-pole resonators, 1 at 0 Hz."""
    radius = np.exp(-np.pi * width / RATE)
    slope = -2.0 * radius * np.cos(2 * np.pi * np.minimum(centre, 7600.0) / RATE)[:, None]
    return 1.0 + slope + radius**2, slope * delay + (1.0 + radius**2 * delay**2)


@cache
def _sentences(side: str) -> list[Samples]:
    import soundfile

    name = {"far": "sample_ref.wav", "near": "sample_target.flac"}[side]
    whole, rate = soundfile.read(_EXAMPLES / name, dtype="float32")
    assert rate == RATE
    return [whole[round(start * RATE) : round(end * RATE)] for start, end in _SENTENCES[side]]


def sample_talk(rng: np.random.Generator, seconds: float, side: str) -> Samples:
    """Sentences of one side ("far" or "near") of the sample pair in random order, each a little faster or slower."""
    length, at = round(seconds * RATE), 0
    out = np.zeros(length, np.float32)
    while at < length:
        sentence = _sentences(side)[int(rng.integers(2))]
        pace = rng.uniform(0.92, 1.08)
        sentence = np.interp(np.arange(0.0, len(sentence) - 1, pace), np.arange(len(sentence)), sentence)
        part = sentence[: length - at]
        out[at : at + len(part)] = part
        at += len(part) + round(rng.uniform(0.05, 0.5) * RATE)
    return level(out)


# -- other sources ----------------------------------------------------------------------------


def noise(rng: np.random.Generator, seconds: float, slope_db: float = -4.0) -> Samples:
    """Steady noise whose spectrum changes by ``slope_db`` per octave; -3 is pink."""
    return coloured(rng, round(seconds * RATE), slope_db)


def tones(rng: np.random.Generator, seconds: float) -> Samples:
    """Five steady tones between 300 Hz and 4 kHz."""
    time = np.arange(round(seconds * RATE)) / RATE
    pitches = np.exp(rng.uniform(np.log(300.0), np.log(4000.0), 5))
    return level(sum(rng.uniform(0.3, 1.0) * np.sin(2 * np.pi * f * time + rng.uniform(0, 6.3)) for f in pitches))


def chords(rng: np.random.Generator, seconds: float) -> Samples:
    """Held triads of six harmonics, a new one every 1.2 seconds, with no silence between them."""
    time = np.arange(round(seconds * RATE)) / RATE
    out = np.zeros(len(time))
    for start in np.arange(0.0, seconds, 1.2):
        here = (time >= start) & (time < start + 1.3)
        local = time[here] - start
        swell = np.minimum(1.0, np.minimum(local / 0.1, (1.3 - local) / 0.1))
        root = 130.0 * 2 ** (rng.integers(12) / 12)
        for third in (1.0, 1.26 if rng.random() < 0.5 else 1.189, 1.498):
            for harmonic in range(1, 7):
                phase = 2 * np.pi * root * third * harmonic * local + rng.uniform(0, 6.3)
                out[here] += swell * np.sin(phase) / harmonic
    return level(out)


# -- acoustics --------------------------------------------------------------------------------


def room(rng: np.random.Generator, decay: float, direct_db: float = 3.0) -> Samples:
    """A response that starts with the direct sound; its energy is 1.

    Args:
        decay: seconds in which the reverberation falls by 60 dB.
        direct_db: energy of the direct sound over that of everything else.
    """
    length = min(round(decay * RATE), RATE // 2)
    tail = rng.standard_normal(length) * 10 ** (-3.0 * np.arange(length) / (decay * RATE))
    tail[: round(0.002 * RATE)] = 0.0
    tail = np.convolve(tail, (0.55, 0.3, 0.1, 0.05))[:length]  # walls damp the highs
    tail /= np.linalg.norm(tail)
    tail[0] = 10 ** (direct_db / 20)
    return (tail / np.linalg.norm(tail)).astype(np.float32)


def convolve(x: Samples, response: Samples, delay: int = 0) -> Samples:
    """``x`` through ``response``, ``delay`` samples late, as long as ``x``."""
    size = 1 << max(15, (2 * len(response)).bit_length())  # of a length with large factors it takes ten times as long
    block = size - len(response)
    transform = np.fft.rfft(response, size)
    out = np.zeros(len(x) + size + delay)
    for start in range(0, len(x), block):
        part = np.fft.irfft(np.fft.rfft(x[start : start + block], size) * transform, size)
        out[delay + start : delay + start + size] += part
    return out[: len(x)].astype(np.float32)


def clock(x: Samples, ppm: float) -> Samples:
    """``x`` as a clock that is fast by ``ppm`` plays it: sample n is x at n (1 + ppm / 1e6); zeros after its end."""
    position = np.arange(len(x)) * (1.0 + 1e-6 * ppm)
    base = np.floor(position).astype(int)
    fraction = position - base
    half = 16
    padded = np.concatenate([np.zeros(half), x, np.zeros(2 * half + int(len(x) * abs(ppm) * 1e-6))])
    out = np.zeros(len(x))
    for tap in range(1 - half, half + 1):
        away = tap - fraction
        out += padded[base + tap + half] * np.sinc(away) * (0.5 + 0.5 * np.cos(np.pi * away / (half + 1)))
    return out.astype(np.float32)


def level(x: Any, db: float = 0.0) -> Samples:
    """``x`` with an active RMS of ``db`` over 1."""
    x = np.asarray(x, dtype=np.float32)
    return (x * (10 ** (db / 20) / max(active_rms(x), 1e-9))).astype(np.float32)
