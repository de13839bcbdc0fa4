"""What a loudspeaker and its amplifier do to a signal before it becomes sound."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import signal

from ..audio.statistics import rms
from ..geometry import MODEL_RATE
from .dynamics import compressor

__all__ = ["distort", "hard_clip", "memory_polynomial", "rattle", "response", "soft_clip"]

Samples = npt.NDArray[np.float32]


def soft_clip(x: Samples, drive: float) -> Samples:
    """A saturating amplifier: tanh(drive x) / drive, so that small signals pass unchanged. ``drive`` > 0."""
    out: Samples = np.tanh(np.float32(drive) * x) / np.float32(drive)
    return out


def hard_clip(x: Samples, limit: float) -> Samples:
    """Cut off at +-``limit``."""
    return np.clip(x, -np.float32(limit), np.float32(limit))


def memory_polynomial(x: Samples, quadratic: npt.NDArray[np.float32], cubic: npt.NDArray[np.float32]) -> Samples:
    """x[n] + sum over k of quadratic[k] x[n-k]^2 + cubic[k] x[n-k]^3: a cone that is slow and not symmetric.

    The constant that the even part adds is removed.
    """
    square = x * x
    cube = square * x
    out = x.copy()
    for lag, (second, third) in enumerate(zip(quadratic, cubic, strict=True)):
        part = second * square + third * cube
        out[lag:] += part[: len(part) - lag]
    centred: Samples = np.subtract(out, out.mean(), dtype=np.float32)
    return centred


def rattle(x: Samples, rng: np.random.Generator) -> Samples:
    """What a loose part adds: noise of 1 to 5 kHz while the cone moves far, RMS 45 to 20 dB below ``x``'s."""
    cone = np.abs(signal.lfilter([0.12], [1.0, -0.88], x))
    beyond = np.maximum(cone - np.float32(rng.uniform(0.2, 0.6)) * cone.max(initial=0.0), 0.0)
    low = math.exp(rng.uniform(math.log(800.0), math.log(2500.0)))
    sos = signal.butter(1, (low, 2.0 * low), "bandpass", fs=MODEL_RATE, output="sos")
    noise = signal.sosfilt(sos, beyond * rng.standard_normal(len(x), dtype=np.float32))
    gain = 10 ** (float(rng.uniform(-45.0, -20.0)) / 20) * rms(x) / max(rms(noise), 1e-12)
    return np.asarray(x + np.float32(gain) * noise, dtype=np.float32)


def response(rng: np.random.Generator, frequency: Samples) -> npt.NDArray[np.complex64]:
    """Complex gain of a loudspeaker at each frequency in Hz, at most about 1: no bass, and not flat above.

    Of the recordings in docs/reference/training.md, nearly all have 10 to 30 dB less of the octave from 125 Hz than of
    the one from 1 kHz. One loudspeaker in six is a larger one.
    """
    low, high = (50.0, 200.0) if rng.random() < 0.17 else (250.0, 800.0)
    corner = math.exp(rng.uniform(math.log(low), math.log(high)))
    damping = float(rng.uniform(0.7, 1.6))
    s = 1j * frequency / np.float32(corner)
    gain = s * s / (s * s + damping * s + 1.0)
    if rng.random() < 0.4:  # a closed box in a closed case
        gain = gain * s / (s + 1.0)
    top = 1j * frequency / np.float32(math.exp(rng.uniform(math.log(2500.0), math.log(9000.0))))
    gain = gain / (1.0 + top)
    octaves = np.log2(np.maximum(frequency, 50.0) / 50.0)
    bumps = np.interp(octaves, np.arange(0.0, 8.5, 0.5), rng.normal(0.0, 3.0, 17))
    return np.asarray(gain * 10 ** (bumps / 20), dtype=np.complex64)


def distort(x: Samples, rng: np.random.Generator, linear_share: float = 0.33) -> Samples:
    """One or two of the above or a compressor at random strength, or none (``linear_share``); RMS stays what it was.

    Args:
        x: (N,), any level.
        rng: what decides.
    """
    peak = float(np.abs(x).max(initial=0.0))
    if peak <= 0.0 or rng.random() < linear_share:
        return x
    unit = x / np.float32(peak)
    kind = rng.random()
    out = unit
    if kind < 0.3:
        out = soft_clip(unit, math.exp(rng.uniform(math.log(0.25), math.log(5.0))))
    elif kind < 0.5:
        out = hard_clip(unit, float(rng.triangular(0.2, 0.9, 0.95)))
    elif kind < 0.85:
        fading = np.float32(0.6) ** np.arange(3, dtype=np.float32)
        strength = float(rng.uniform(0.15, 1.0)) ** 2
        second = (rng.uniform(-0.4, 0.4) * fading * rng.uniform(0.5, 1.0, 3)).astype(np.float32)
        third = (rng.uniform(-0.5, 0.1) * fading * rng.uniform(0.5, 1.0, 3)).astype(np.float32)
        out = memory_polynomial(unit, np.float32(strength) * second, np.float32(strength) * third)
        if kind > 0.7:
            out = soft_clip(out, float(rng.uniform(0.5, 3.0)))
    if kind > 0.85 or rng.random() < 0.05:
        out = out * compressor(rng, out)
    if rng.random() < 0.12:
        out = rattle(out, rng)
    return np.asarray(out * np.float32(peak * rms(unit) / max(rms(out), 1e-9)), dtype=np.float32)
