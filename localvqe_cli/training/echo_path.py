"""The way from the reference to the microphone as it changes over time: delay, clock, position, volume."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from ..geometry import MODEL_RATE

__all__ = ["drift", "motion", "read_at", "steps", "volume"]

Samples = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

_OVERSAMPLED = 4


def read_at(x: Samples, position: Doubles) -> Samples:
    """``x`` between its samples: (N,) and positions (M,) in samples -> (M,); zero outside of ``x``.

    Band-limited oversampling by four, then a cubic through four points: below 4 kHz the error is under -60 dB, at
    7 kHz -45 dB, and what of it stays the same over time is a filter.
    """
    size = 2 * fft.next_fast_len(len(x) // 2 + 32, real=True)
    spectrum = np.zeros(size * _OVERSAMPLED // 2 + 1, dtype=np.complex64)
    spectrum[: size // 2 + 1] = fft.rfft(x, size)
    spectrum[size // 2] *= 0.5  # the highest bin stands for both signs
    dense = np.asarray(fft.irfft(spectrum, size * _OVERSAMPLED), dtype=np.float32) * np.float32(_OVERSAMPLED)
    at = position * _OVERSAMPLED
    base = np.floor(at).astype(np.int64)
    u = (at - base).astype(np.float32)
    inside = (position >= 0.0) & (position <= len(x) - 1.0)
    base = np.where(inside, base, 0)
    # Lagrange's polynomial through the points at -1, 0, 1 and 2; the one at -1 of the first sample is of the padding.
    below, above = u - 1.0, u + 1.0
    out = dense[base - 1] * (-u * below * (u - 2.0) / 6.0)
    out += dense[base] * (above * below * (u - 2.0) / 2.0)
    out += dense[base + 1] * (-u * above * (u - 2.0) / 2.0)
    out += dense[base + 2] * (u * above * below / 6.0)
    return np.asarray(np.where(inside, out, np.float32(0.0)), dtype=np.float32)


def drift(rng: np.random.Generator, length: int, largest_ppm: float) -> Doubles:
    """Samples by which a clock has gone ahead or fallen behind, (length,); three of four are within 0.6 of the most."""
    widest = 0.6 * largest_ppm if rng.random() < 0.75 else largest_ppm
    return np.arange(length, dtype=np.float64) * (float(rng.uniform(-widest, widest)) * 1e-6)


def steps(rng: np.random.Generator, length: int, delay: float, bounds: tuple[float, float]) -> Doubles:
    """A delay that jumps once or a few times, by 2 to 20 ms or (two of five) by 20 to 150: samples, (length,).

    Args:
        delay: before the first jump, samples.
        bounds: lowest and highest delay, samples.
    """
    out = np.full(length, delay)
    for at in np.sort(rng.uniform(0.15, 0.85, size=1 + int(rng.poisson(length / MODEL_RATE / 15.0)))):
        low, high = (0.002, 0.02) if rng.random() < 0.6 else (0.02, 0.15)
        step = float(rng.choice((-1, 1))) * float(rng.uniform(low, high)) * MODEL_RATE
        first = int(at * length)
        before = out[first]
        if not bounds[0] <= before + step <= bounds[1]:
            step = -step
        out[first:] = np.clip(before + step, *bounds)
    return out


def motion(rng: np.random.Generator, length: int, places: int) -> Samples:
    """How much of each of ``places`` echo paths, two or more, there is over time, (places, length), 1 in sum.

    Either a few changes from one to the next within 0.02 to 1.5 s, or a device in a hand that never rests.
    """
    seconds = length / MODEL_RATE
    times, weights = [0.0], [np.eye(places)[0]]
    if rng.random() < 0.5:
        place = 0
        for at in np.sort(rng.uniform(0.15, 0.85, size=1 + int(rng.poisson(seconds / 12.0)))) * seconds:
            width = math.exp(rng.uniform(math.log(0.02), math.log(1.5)))
            times += [max(at - 0.5 * width, times[-1]), max(at + 0.5 * width, times[-1])]
            weights += [weights[-1], np.eye(places)[(place := (place + 1) % places)]]
    else:
        pace, depth = float(rng.uniform(0.3, 2.0)), float(rng.uniform(0.3, 1.0))
        place = 0
        while times[-1] < seconds:
            times.append(times[-1] + 0.1 + float(rng.exponential(pace)))
            place = (place + 1 + int(rng.integers(places - 1))) % places  # another one
            weights.append((1.0 - depth) * weights[0] + depth * np.eye(places)[place])
    time = np.arange(length) / MODEL_RATE
    return np.stack([np.interp(time, times, weight) for weight in np.transpose(weights)]).astype(np.float32)


def volume(rng: np.random.Generator, length: int) -> Samples:
    """Gain of a loudspeaker that somebody turns up or down, or mutes for a while, (length,)."""
    out = np.ones(length, dtype=np.float32)
    first = int(rng.uniform(0.15, 0.85) * length)
    if rng.random() < 0.25:  # muted, and not always switched on again
        last = length if rng.random() < 0.4 else int(rng.uniform(first, length))
        out[first:last] = 0.0
    else:
        out[first:] = 10 ** (float(rng.choice((-1, 1))) * float(rng.uniform(3.0, 14.0)) / 20)
    ramp = int(rng.uniform(0.01, 0.3) * MODEL_RATE)
    return np.asarray(ndimage.uniform_filter1d(out, ramp, mode="nearest"), dtype=np.float32)
