"""AECMOS: opinion scores for echo and for other degradation, predicted by a network (Purin et al., ICASSP 2022).

Computed by speechmos' 16 kHz model with its scenario marker. Scores are 1 to 5, higher is better. What the challenge
rates is a part of the clip, after a canceller had time to adapt:

======================  ==================================================================
far-end single talk     the last half
doubletalk              the last (seconds - 15) / 2 s of clips longer than 15 s, else all
near-end single talk    all
======================  ==================================================================
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Any

from ..audio.resample import MODEL_RATE
from ..errors import MissingExtraError
from .sessions import one_thread_session
from .signals import ClipSignals, Failure, Score, TalkType, Undefined, is_silent, within_full_scale

__all__ = ["LONGEST", "SHORTEST", "VERSION", "compute", "rated_part"]

VERSION = "1"

#: The model's analysis window, samples: less than this is no spectrum.
SHORTEST = 513
#: speechmos looks at no more than the first 20 s of what it is given.
LONGEST = 20 * MODEL_RATE
_INTRODUCTION = 15 * MODEL_RATE


def rated_part(talk: TalkType, length: int) -> slice:
    """Which samples of a clip of ``length`` samples at 16 kHz are rated, see above."""
    if talk is TalkType.FAR_END:
        return slice(length // 2, length)
    if talk is TalkType.DOUBLE and length > _INTRODUCTION:
        return slice(length - (length - _INTRODUCTION) // 2, length)
    return slice(0, length)


def compute(signals: ClipSignals) -> dict[str, Score]:
    """``aecmos_echo`` and ``aecmos_deg`` of the rated part; mic, ref and output cut to the shortest, never padded.

    Raises:
        MissingExtraError: speechmos or what it needs is not installed.
    """
    if signals.talk is None:
        return _both(Failure("unknown scenario: AECMOS must know who speaks"))
    length = min(signals.mic.size, signals.ref.size, signals.enhanced.size)
    part = rated_part(signals.talk, length)
    if part.stop - part.start < SHORTEST:
        ms = 1000.0 * (part.stop - part.start) / MODEL_RATE
        return _both(Failure(f"the rated part of {ms:.1f} ms is shorter than AECMOS' window of 32.1 ms"))
    sample = {
        "lpb": within_full_scale(signals.ref[part]),
        "mic": within_full_scale(signals.mic[part]),
        "enh": within_full_scale(signals.enhanced[part]),
    }
    if is_silent(sample["enh"]):
        # speechmos scales each spectrum to its own maximum: digital silence would look like a loud noise.
        return _both(Undefined("the output is silent in the rated part"))
    if is_silent(sample["mic"]):
        return _both(Undefined("the mic is silent in the rated part"))
    found = _scorer()(sample, signals.talk.value)
    return {"aecmos_echo": float(found["echo_mos"]), "aecmos_deg": float(found["deg_mos"])}


def _both(score: Score) -> dict[str, Score]:
    return {"aecmos_echo": score, "aecmos_deg": score}


@lru_cache(maxsize=1)
def _scorer() -> Any:
    try:
        from speechmos.aecmos import AECMOS
    except ImportError as exc:
        raise MissingExtraError("AECMOS", "eval") from exc
    logging.getLogger().addFilter(_drop_length_warning)
    scorer = AECMOS("aecmos_16kHz")
    scorer.ort_session = one_thread_session(scorer.model_path)
    return scorer


def _drop_length_warning(record: logging.LogRecord) -> bool:
    # speechmos says on every long clip what docs/evaluation.md says once.
    return "only the first 20 seconds" not in record.getMessage()
