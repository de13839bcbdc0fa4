"""Scores of a speech codec: how far what it gives back is from what it was given."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..audio import AudioInput, Resampler
from ..audio.resample import FloatArray
from ..errors import AudioError
from ..lfsc.codec import Codec
from ..metrics import Score
from ..metrics.sisdr import si_sdr_db
from ..metrics.spectral_distance import mel_distance, stft_distance

__all__ = ["CODEC_FIELDS", "CodecScores", "mean_scores", "score_codec", "score_signals"]

#: Key of a score -> its heading, and whether more of it is better.
CODEC_FIELDS = {
    "si_sdr_db": ("SI-SDR (dB)", True),
    "mel_distance": ("mel distance", False),
    "stft_distance": ("STFT distance", False),
}


@dataclass(frozen=True)
class CodecScores:
    """Scores of one file.

    Attributes:
        path: the file.
        seconds: its length.
        values: by the keys of :data:`CODEC_FIELDS`; None where a score is not defined, of silence say.
    """

    path: str
    seconds: float
    values: Mapping[str, float | None]


def score_codec(codec: Codec, path: str | os.PathLike[str]) -> CodecScores:
    """Encode and decode a sound file and compare, at the codec's rate. The file is held in memory.

    Raises:
        AudioError: it cannot be read or used.
    """
    name = os.fspath(path)
    with AudioInput(name) as audio:
        resampler = Resampler(audio.rate, codec.sample_rate)
        blocks = [resampler.push(block) for block in audio.blocks()]
        sound = np.concatenate([*blocks, resampler.finish()])
    if not sound.size:
        raise AudioError(f"{name}: too short, nothing is left of it at {codec.sample_rate} Hz")
    values = score_signals(sound, codec.decode(codec.encode(sound), sound.size), codec.sample_rate)
    return CodecScores(name, sound.size / codec.sample_rate, values)


def score_signals(sound: FloatArray, decoded: FloatArray, rate: int) -> dict[str, float | None]:
    """The scores of (n,) samples against what they were, both at ``rate`` Hz."""
    ratio: Score = si_sdr_db(decoded, sound)
    return {
        "si_sdr_db": ratio if isinstance(ratio, float) else None,
        "mel_distance": mel_distance(decoded, sound, rate),
        "stft_distance": stft_distance(decoded, sound),
    }


def mean_scores(scores: list[CodecScores]) -> dict[str, float | None]:
    """Means over files of what is defined."""
    means: dict[str, float | None] = {}
    for key in CODEC_FIELDS:
        values = [value for value in (s.values[key] for s in scores) if value is not None]
        means[key] = math.fsum(values) / len(values) if values else None
    return means
