"""Can the weights of a valid model file make its output run away? What ``localvqe inspect --deep`` adds.

The only feedback in the network is the bottleneck's recurrence h[t] = a h[t-1] + b v[t] (report, 2.5): with a pole on
or outside the unit circle its state grows for as long as anything is heard. Everything else is feed-forward and can at
most be too loud, which the peak gain of each layer shows: no output exceeds gain times the largest input, plus bias.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .description import Health
from .gguf_file import GGUFModel

__all__ = ["GAIN_LIMIT", "examine"]

#: A layer that can amplify by more than this drowns everything else; those of usable models stay below 400.
GAIN_LIMIT = 1e4
_WEIGHT = ".weight"
_CODEC = ("encoder.", "decoder.")


def examine(model: GGUFModel) -> Health:
    """Poles and gains of a model that :func:`gguf_file.check` found nothing wrong with."""
    if not model.config.network:
        return Health()
    modulus = np.hypot(_array(model, "bottleneck.a_real"), _array(model, "bottleneck.a_imag")).ravel()
    stable = modulus[modulus < 1.0]
    unstable = int(modulus.size - stable.size)
    gains = {
        name.removesuffix(_WEIGHT): _peak_gain(_array(model, name))
        for name, info in model.tensors.items()
        if name.endswith(_WEIGHT) and len(info.original or info.shape) > 1 and not name.startswith(_CODEC)
    }
    warnings = []
    if unstable:
        warnings.append(
            f"{unstable} of {modulus.size} bottleneck poles lie on or outside the unit circle (largest modulus "
            f"{modulus.max():.6g}): the output will run away"
        )
    loud = sorted((name for name, gain in gains.items() if gain > GAIN_LIMIT), key=lambda name: -gains[name])
    warnings += [f"{name} can amplify by {gains[name]:.3g}, more than {GAIN_LIMIT:.0e}" for name in loud]
    gain = None if unstable else _recurrent_gain(model, modulus)
    if gain is not None and gain > GAIN_LIMIT:
        warnings.append(f"the bottleneck's memory can amplify by {gain:.3g}, more than {GAIN_LIMIT:.0e}")
    return Health(
        largest_pole=float(modulus.max()),
        unstable_poles=unstable,
        decay_seconds=_decay(model, float(stable.max())) if stable.size else None,
        bottleneck_gain=gain,
        gains=gains,
        warnings=warnings,
    )


def _array(model: GGUFModel, name: str) -> NDArray[Any]:
    wide: NDArray[Any] = model.array(name).astype(np.float64)
    return wide


def _peak_gain(weight: NDArray[Any]) -> float:
    """Largest sum of absolute weights of an output channel."""
    return float(np.abs(weight.reshape(weight.shape[0], -1)).sum(axis=1).max())


def _recurrent_gain(model: GGUFModel, modulus: NDArray[Any]) -> float:
    """Largest |b| |c| / (1 - |a|): what a state can make of a steady input."""
    b, c = (
        np.hypot(_array(model, f"bottleneck.{x}_real"), _array(model, f"bottleneck.{x}_imag")).ravel() for x in "BC"
    )
    return float((b * c / (1.0 - modulus)).max())


def _decay(model: GGUFModel, pole: float) -> float:
    """Seconds in which the state of a stable pole falls by 60 dB."""
    config = model.config
    assert config is not None
    return 0.0 if pole == 0.0 else math.log(1e-3) / math.log(pole) * config.hop_length / config.sample_rate
