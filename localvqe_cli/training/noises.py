"""Noises that recordings hardly offer: babble, keyboards, mains hum, fans, and a stand-in for music."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..geometry import MODEL_RATE

__all__ = ["babble", "coloured", "fan", "hum", "keyboard", "music"]

Samples = npt.NDArray[np.float32]


def coloured(rng: np.random.Generator, length: int, slope_db: float) -> Samples:
    """Gaussian noise whose spectrum changes by ``slope_db`` per octave above 60 Hz; unit RMS."""
    size = length + length % 2
    frequency = np.arange(size // 2 + 1, dtype=np.float32) * np.float32(MODEL_RATE / max(size, 1))
    weight = np.maximum(frequency, 60.0) ** np.float32(slope_db / 6.02)
    weight[frequency < 20.0] = 0.0
    parts = rng.standard_normal((2, len(weight)), dtype=np.float32)
    return _unit(np.fft.irfft((parts[0] + 1j * parts[1]) * weight, size)[:length])


def fan(rng: np.random.Generator, length: int) -> Samples:
    """Air noise that breathes a little, over the tones of the blades; unit RMS."""
    time = np.arange(length, dtype=np.float32) / MODEL_RATE
    air = coloured(rng, length, float(rng.uniform(-7.0, -2.0)))
    swell = 1.0 + rng.uniform(0.0, 0.3) * np.sin(2 * np.pi * rng.uniform(0.1, 1.5) * time + rng.uniform(0, 6.3))
    blades = rng.uniform(40.0, 240.0) * np.arange(1.0, 5.0)
    return _unit(air * swell + _tones(rng, time, blades, rng.uniform(0.0, 0.4)))


def hum(rng: np.random.Generator, length: int) -> Samples:
    """Harmonics of the mains with a trace of hiss; unit RMS."""
    time = np.arange(length, dtype=np.float32) / MODEL_RATE
    mains = (50.0 if rng.random() < 0.5 else 60.0) * (1 + rng.uniform(-0.002, 0.002))
    tones = _tones(rng, time, mains * np.arange(1.0, int(rng.integers(4, 16))), 1.0)
    return _unit(tones + rng.uniform(0.02, 0.3) * coloured(rng, length, -3.0))


def keyboard(rng: np.random.Generator, length: int) -> Samples:
    """Somebody types: each key is a click, a short resonance, and a softer click on release; unit RMS."""
    out = np.zeros(length, dtype=np.float32)
    at = float(rng.uniform(0.0, 0.4))
    pace = float(rng.uniform(0.09, 0.35))
    click = int(0.03 * MODEL_RATE)
    decay = np.exp(-np.arange(click, dtype=np.float32) / np.float32(MODEL_RATE * rng.uniform(0.002, 0.008)))
    body = rng.uniform(500.0, 3500.0)
    while at < length / MODEL_RATE:
        for delay, gain in ((0.0, 1.0), (rng.uniform(0.05, 0.12), rng.uniform(0.2, 0.6))):
            start = int((at + delay) * MODEL_RATE)
            if start + click <= length:
                tone = np.sin(
                    2 * np.pi * body * rng.uniform(0.9, 1.1) * np.arange(click, dtype=np.float32) / MODEL_RATE
                )
                burst = rng.standard_normal(click, dtype=np.float32) + np.float32(0.7) * tone.astype(np.float32)
                out[start : start + click] += np.float32(gain * rng.uniform(0.4, 1.0)) * burst * decay
        at += pace * float(rng.exponential()) + 0.04
        if rng.random() < 0.08:
            at += float(rng.uniform(0.3, 1.5))
    return _unit(out)


def babble(rng: np.random.Generator, voices: list[Samples]) -> Samples:
    """Several voices at once, none of them in front; the shortest decides the length; unit RMS."""
    length = min(len(voice) for voice in voices)
    total = np.zeros(length, dtype=np.float32)
    for voice in voices:
        total += voice[:length] * np.float32(10 ** (rng.uniform(-6.0, 0.0) / 20))
    return _unit(total)


def music(rng: np.random.Generator, length: int) -> Samples:
    """Notes of a scale with harmonics, some chords and a beat: a far end that is tonal and no voice; unit RMS.

    Half of it is plucked, and half held, as by strings and organs: long notes of few frequencies tell a filter little.
    """
    out = np.zeros(length, dtype=np.float32)
    root = rng.uniform(80.0, 240.0)
    scale = np.array([0, 2, 4, 5, 7, 9, 11, 12, 14, 16])
    held = rng.random() < 0.5
    beat = rng.uniform(0.5, 3.0) if held else rng.uniform(0.18, 0.5)
    harmonics = np.arange(1, int(rng.integers(3, 9)))
    rolloff = harmonics ** -rng.uniform(0.6, 2.0)
    for start in np.arange(0.0, length / MODEL_RATE, beat):
        first = int(start * MODEL_RATE)
        lasts = beat * rng.uniform(0.9, 1.1) if held else 2.5 * beat
        time = np.arange(min(int(lasts * MODEL_RATE), length - first), dtype=np.float32) / MODEL_RATE
        if held:
            rise, fall = rng.uniform(0.01, 0.15, size=2).astype(np.float32)
            envelope = np.minimum(1.0, time / rise) * np.minimum(1.0, np.maximum(0.0, lasts - time) / fall)
        else:
            envelope = np.exp(-time / np.float32(beat * rng.uniform(0.4, 1.5))) * np.minimum(1.0, time / 0.005)
        for note in rng.choice(scale, size=int(rng.integers(1, 5 if held else 4)), replace=False):
            pitch = root * 2 ** (note / 12)
            phases = 2 * np.pi * pitch * harmonics[harmonics * pitch < 7500]
            tone = np.sin(phases[:, None] * time).T @ rolloff[: len(phases)]
            out[first : first + len(time)] += (rng.uniform(0.4, 1.0) * tone * envelope).astype(np.float32)
    return _unit(out)


def _tones(rng: np.random.Generator, time: npt.NDArray[Any], pitches: npt.NDArray[Any], gain: float) -> Samples:
    total = np.zeros_like(time)
    for pitch in pitches[pitches < 7500]:
        strength = np.float32(gain * rng.uniform(0.1, 1.0))
        total += strength * np.sin(np.float32(2 * np.pi * pitch) * time + np.float32(rng.uniform(0, 6.3)))
    return total


def _unit(x: npt.NDArray[Any]) -> Samples:
    rms = float(np.sqrt(np.mean(np.square(x)))) if len(x) else 0.0
    return (x / max(rms, 1e-9)).astype(np.float32)
