"""What a loudspeaker and its amplifier do to a signal before it becomes sound."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["distort", "hard_clip", "memory_polynomial", "soft_clip"]

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


def distort(x: Samples, rng: np.random.Generator) -> Samples:
    """One of the above at random strength, or none (a third of the time); RMS stays what it was.

    Args:
        x: (N,), any level.
        rng: what decides.
    """
    peak = float(np.abs(x).max(initial=0.0))
    kind = rng.random()
    if peak <= 0.0 or kind < 0.33:
        return x
    unit = x / np.float32(peak)
    if kind < 0.55:
        out = soft_clip(unit, float(np.exp(rng.uniform(np.log(0.5), np.log(6.0)))))
    elif kind < 0.7:
        out = hard_clip(unit, float(rng.uniform(0.25, 0.9)))
    else:
        fading = np.float32(0.6) ** np.arange(3, dtype=np.float32)
        second = (rng.uniform(-0.4, 0.4) * fading * rng.uniform(0.5, 1.0, 3)).astype(np.float32)
        third = (rng.uniform(-0.5, 0.1) * fading * rng.uniform(0.5, 1.0, 3)).astype(np.float32)
        out = memory_polynomial(unit, second, third)
        if kind > 0.9:
            out = soft_clip(out, float(rng.uniform(0.5, 3.0)))
    before, after = float(np.sqrt(np.mean(unit**2))), float(np.sqrt(np.mean(out**2)))
    return np.asarray(out * np.float32(peak * before / max(after, 1e-9)), dtype=np.float32)
