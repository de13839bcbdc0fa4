"""What goes on all the time, taken down by a fixed number of decibels: a gain per bin without weights.

The stage before knows the background B, the smallest smoothed power of the last 12 s, and the gain g by which it takes
the echo down. Noise is a little louder than its smallest power, so N = NOISE_BIAS B, and a bin's gain is

    w = max(10^(-noise_reduction / 20), s / (1 + s))
    s = DECISION_MEMORY w'^2 r' + (1 - DECISION_MEMORY) max(r - 1, 0),    r = g^2 |error|^2 / N

where the dash means the frame before: s is how far speech stands out of the noise (decision-directed). r holds the echo
stage's gain, so that what it took down to the background goes down with the background and the noise of the room sounds
alike whoever talks.

Not in the report: files without a ``localvqe.residual.noise_reduction`` above 0 do not have it.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["speech_gain"]

#: Noise over its smallest smoothed power.
NOISE_BIAS = 1.5
#: Share of what the frame before kept of speech, in the estimate of this frame's.
DECISION_MEMORY = 0.98


def speech_gain(power: Tensor, background: Tensor, before: Tensor, decibels: float) -> tuple[Tensor, Tensor]:
    """The gain of one frame.

    Args:
        power: of the bins after the echo's gain, (B, F).
        background: their smallest lately, above 0, (B, F).
        before: the second result of the frame before, (B, F); zeros at first.
        decibels: by how much noise alone is lowered, at least 0.

    Returns:
        The gain, 0..1, and how far what it keeps stands out of the noise, as a ratio of powers, for the next frame.
    """
    ratio = power / (NOISE_BIAS * background)
    speech = DECISION_MEMORY * before + (1.0 - DECISION_MEMORY) * (ratio - 1.0).clamp(min=0.0)
    gain = torch.clamp(speech / (1.0 + speech), min=10.0 ** (-decibels / 20.0))
    return gain, gain.square() * ratio
