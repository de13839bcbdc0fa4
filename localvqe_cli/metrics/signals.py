"""What a metric is given, and the three things it may answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from ..audio.resample import FloatArray

__all__ = ["ClipSignals", "Failure", "Score", "TalkType", "Undefined", "is_silent", "within_full_scale"]

# One step of 16-bit PCM: what is no louder than this is silence with dither.
_SILENCE = 1.0 / 32768.0


class TalkType(str, Enum):
    """Who speaks, in AECMOS' own spelling of its scenario marker."""

    DOUBLE = "dt"
    FAR_END = "st"
    NEAR_END = "nst"


@dataclass(frozen=True)
class ClipSignals:
    """One clip and one system's output for it, mono float32 at 16 kHz, full scale 1.0.

    Attributes:
        mic: (n,) what the microphone heard.
        ref: (m,) what the loudspeaker played, not shifted in any way.
        enhanced: (k,) the system's output; for the unprocessed microphone, ``mic`` itself.
        target: (l,) the clean near-end speech inside ``mic``, where it is known.
        talk: None where the scenario's name says nothing known.
    """

    mic: FloatArray
    ref: FloatArray
    enhanced: FloatArray
    target: FloatArray | None = None
    talk: TalkType | None = None


@dataclass(frozen=True)
class Undefined:
    """The metric has no value here and nothing is wrong, as with the echo reduction of a clip without echo."""

    reason: str


@dataclass(frozen=True)
class Failure:
    """The metric should have a value here and has none, or one with a reservation."""

    reason: str
    value: float | None = None


Score = float | Undefined | Failure


def is_silent(samples: FloatArray) -> bool:
    """Nothing louder than one step of 16-bit PCM."""
    return samples.size == 0 or float(np.abs(samples).max()) <= _SILENCE


def within_full_scale(samples: FloatArray) -> FloatArray:
    """``samples`` with what exceeds full scale flattened: models of opinion accept nothing beyond -1..1."""
    return np.clip(samples, -1.0, 1.0)
