"""AECMOS: opinion scores for echo and for other degradation, predicted by a network (Purin et al., ICASSP 2022).

Computed by the 16 kHz network with scenario marker that the package speechmos brings, without the rest of that package:
the same scores to 1e-4, in one thread and half of the time. Scores are 1 to 5, higher is better. What the challenge
rates is a part of the clip, after a canceller had time to adapt:

======================  ==================================================================
far-end single talk     the last half
doubletalk              the last (seconds - 15) / 2 s of clips longer than 15 s, else all
near-end single talk    all
======================  ==================================================================
"""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ..audio.resample import MODEL_RATE, FloatArray
from ..errors import MissingExtraError
from .mel import BANDS, MEL_HOP, WINDOW, log_mel
from .sessions import one_thread_session
from .signals import ClipSignals, Failure, Score, TalkType, Undefined, is_silent, within_full_scale

__all__ = ["LONGEST", "SHORTEST", "VERSION", "compute", "rated_part", "score"]

VERSION = "2"

#: The network's analysis window, samples: less than this is no spectrum.
SHORTEST = WINDOW
#: It looks at no more than the first 20 s of what it is given.
LONGEST = 20 * MODEL_RATE
_INTRODUCTION = 15 * MODEL_RATE

_NETWORK = Path("aecmos_models", "Run_1663915512_Stage_0.onnx")  # within speechmos
_STATE = (4, 1, 64)
# Who speaks is told behind the last frame, as 20 frames of ones where somebody can be heard, then 20 of zeros.
_MARKER = 20
# Spectrograms kept: of mic and reference, which every system of a clip shares, and of some outputs between them.
_KEPT = 8


def rated_part(talk: TalkType, length: int) -> slice:
    """Which samples of a clip of ``length`` samples at 16 kHz are rated, see above."""
    if talk is TalkType.FAR_END:
        return slice(length // 2, length)
    if talk is TalkType.DOUBLE and length > _INTRODUCTION:
        return slice(length - (length - _INTRODUCTION) // 2, length)
    return slice(0, length)


def score(mic: FloatArray, ref: FloatArray, enhanced: FloatArray, talk: TalkType) -> tuple[float, float]:
    """The network's scores (echo, degradation) of a whole excerpt; of more than 20 s the first 20.

    Mic and reference of the last few calls are known by their content, so that further outputs for the same pair cost
    half. Nothing is checked for silence, see :func:`compute`.

    Args:
        mic, ref, enhanced: float32 at 16 kHz, within full scale; cut to the shortest, of at least ``SHORTEST`` samples.

    Raises:
        MissingExtraError: speechmos or onnxruntime is not installed.
    """
    session = _session()
    length = min(mic.size, ref.size, enhanced.size, LONGEST)
    heard = {
        "ref": (ref, talk is not TalkType.NEAR_END),
        "mic": (mic, talk is not TalkType.FAR_END),
        "enhanced": (enhanced, True),
    }
    frames = (length - 1) // MEL_HOP + 1
    features = np.zeros((1, len(heard), frames + 2 * _MARKER, BANDS), np.float32)
    for channel, (samples, speaks) in enumerate(heard.values()):
        features[0, channel, :frames] = _known(np.ascontiguousarray(samples[:length], np.float32).tobytes())
        features[0, channel, frames : frames + _MARKER] = speaks
    echo, degradation = session.run(None, {"input": features, "h0": np.zeros(_STATE, np.float32)})[0]
    return float(echo), float(degradation)


def compute(signals: ClipSignals) -> dict[str, Score]:
    """``aecmos_echo`` and ``aecmos_deg`` of the rated part; mic, ref and output cut to the shortest, never padded.

    Raises:
        MissingExtraError: speechmos or onnxruntime is not installed.
    """
    if signals.talk is None:
        return _both(Failure("unknown scenario: AECMOS must know who speaks"))
    length = min(signals.mic.size, signals.ref.size, signals.enhanced.size)
    part = rated_part(signals.talk, length)
    if part.stop - part.start < SHORTEST:
        ms = 1000.0 * (part.stop - part.start) / MODEL_RATE
        return _both(Failure(f"the rated part of {ms:.1f} ms is shorter than AECMOS' window of 32.1 ms"))
    mic, ref, enhanced = (within_full_scale(x[part]) for x in (signals.mic, signals.ref, signals.enhanced))
    if is_silent(enhanced):
        # Each spectrum is scaled to its own maximum: digital silence would look like a loud noise.
        return _both(Undefined("the output is silent in the rated part"))
    if is_silent(mic):
        return _both(Undefined("the mic is silent in the rated part"))
    echo, degradation = score(mic, ref, enhanced, signals.talk)
    return {"aecmos_echo": echo, "aecmos_deg": degradation}


def _both(value: Score) -> dict[str, Score]:
    return {"aecmos_echo": value, "aecmos_deg": value}


@lru_cache(maxsize=_KEPT)
def _known(samples: bytes) -> FloatArray:
    return log_mel(np.frombuffer(samples, np.float32))


@lru_cache(maxsize=1)
def _session() -> Any:
    # Found without importing speechmos, which would load librosa and with it seconds of compilers.
    package = find_spec("speechmos")
    if package is None or package.origin is None:
        raise MissingExtraError("AECMOS", "eval")
    network = Path(package.origin).parent / _NETWORK
    try:
        return one_thread_session(str(network))
    except ImportError as exc:
        raise MissingExtraError("AECMOS", "eval") from exc
