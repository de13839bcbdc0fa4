"""Microphones that hear a reference through a room, late by as much as a test wants at any time."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import oaconvolve

from localvqe_cli.audio.resample import PositionReader

RATE = 16000

Samples = NDArray[np.float32]
Lag = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def speech_like(seconds: float, seed: int) -> Samples:
    """Coloured noise that swells and fades several times a second; each caller's own."""
    return _speech_like(seconds, seed).copy()


@lru_cache(maxsize=8)
def _speech_like(seconds: float, seed: int) -> Samples:
    rng = np.random.default_rng(seed)
    n = int(seconds * RATE)
    noise = np.convolve(rng.standard_normal(n), np.hanning(9), mode="same")
    knots = rng.random(int(4 * seconds) + 2)
    swell = np.interp(np.arange(n), np.linspace(0, n, len(knots)), knots) ** 3
    return (0.2 * noise * swell).astype(np.float32)


def room(seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    decay = np.exp(-np.arange(2400) / 600)
    response = 0.1 * rng.standard_normal(2400) * decay
    response[0] = 1.0
    return response


def in_room(far: Samples, seed: int) -> Samples:
    """``far`` with the reverberation of a room."""
    return oaconvolve(far, room(seed))[: len(far)].astype(np.float32)


def steady(ppm: float, seconds: float = 0.06) -> Lag:
    """The lag in samples at any sample, of a reference ``ppm`` fast, that is ``seconds`` at first."""
    return lambda t: seconds * RATE - ppm * 1e-6 * t


def heard(far: Samples, lag: Lag, *, echo: float = 0.5, seed: int = 2) -> Samples:
    """What a microphone hears of ``far``, which may be silent in parts, with the lag in samples at each of its own."""
    wet = in_room(far, seed)
    times = np.arange(len(far), dtype=np.float64)
    return np.float32(echo) * PositionReader([wet], len(far)).read(times - lag(times))
