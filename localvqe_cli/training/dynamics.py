"""Gains that follow a signal: the gain control of a microphone, the compressor of either side.

They are given as factors over time, so that they apply to the parts of a signal as they do to the whole.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ..geometry import MODEL_RATE

__all__ = ["automatic_gain", "compressor", "frame_power", "spread"]

Samples = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


def automatic_gain(rng: np.random.Generator, x: Samples) -> Samples:
    """Gain that brings speech slowly to one level, (N,) for a signal (N,): seconds upwards, faster downwards."""
    frame = 320
    power = frame_power(x, frame)
    level = 10 * np.log10(power + 1e-12)
    audible = level > level.max() - 35.0
    wanted = float(level[audible].mean()) + float(rng.uniform(-3.0, 3.0))
    reach = float(rng.uniform(4.0, 15.0))
    up, down = (1.0 - math.exp(-frame / MODEL_RATE / float(rng.uniform(*span))) for span in ((0.7, 4.0), (0.1, 1.0)))
    gain = float(rng.uniform(-reach, reach))
    gains = np.empty(len(power))
    for i in range(len(power)):
        if audible[i]:
            error = min(max(wanted - float(level[i]), -reach), reach) - gain
            gain += (up if error > 0.0 else down) * error
        gains[i] = gain
    return spread(10 ** (gains / 20), frame, len(x))


def compressor(rng: np.random.Generator, x: Samples) -> Samples:
    """Gain of a fast compressor, (N,) in 0..1: it holds loud syllables down within milliseconds."""
    frame = 64
    power = frame_power(x, frame)
    level = 10 * np.log10(power + 1e-12)
    threshold = float(np.percentile(level, float(rng.uniform(60.0, 95.0))))
    slope = 1.0 - 1.0 / float(rng.uniform(1.5, 8.0))
    wanted = -slope * np.maximum(level - threshold, 0.0)
    attack, release = (
        1.0 - math.exp(-frame / MODEL_RATE / math.exp(float(rng.uniform(math.log(low), math.log(high)))))
        for low, high in ((0.002, 0.015), (0.04, 0.4))
    )
    gains = np.empty(len(wanted))
    gain = 0.0
    for i, goal in enumerate(wanted.tolist()):
        gain += (attack if goal < gain else release) * (goal - gain)
        gains[i] = gain
    return spread(10 ** (gains / 20), frame, len(x))


def frame_power(x: Samples, frame: int) -> Doubles:
    """Mean square of every ``frame`` samples, the last ones padded with zeros."""
    count = -(-len(x) // frame)
    squares = np.square(np.pad(x, (0, count * frame - len(x))), dtype=np.float64)
    return np.asarray(squares.reshape(count, frame).mean(axis=1))


def spread(values: Doubles, frame: int, length: int) -> Samples:
    """Straight lines through values at the middle of each frame, (length,)."""
    middle = (np.arange(len(values)) + 0.5) * frame
    return np.interp(np.arange(length), middle, values).astype(np.float32)
