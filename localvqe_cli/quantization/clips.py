"""Recordings to calibrate with."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..audio import jobs_from_directories, jobs_from_manifest
from ..audio.statistics import rms
from ..errors import AudioError, UsageError
from ..geometry import MODEL_RATE
from ..signal_path import read_at_model_rate

__all__ = ["CalibrationClip", "CalibrationSet", "read_clips"]

Samples = NDArray[np.float32]

MIN_SECONDS = 1.0
#: More would only take longer: clips beyond the first 64, evenly spread, and seconds beyond 60 of each are left out.
MAX_CLIPS = 64
MAX_SECONDS = 60
#: RMS of a microphone signal that counts as silence.
SILENCE_DBFS = -80.0


@dataclass(frozen=True)
class CalibrationClip:
    """A pair at 16 kHz: equally long (n,) signals."""

    id: str
    mic: Samples
    ref: Samples


@dataclass(frozen=True)
class CalibrationSet:
    """Clips and where they came from.

    Attributes:
        name: the table or folder they were named by, without its path.
        clips: at least one.
        seconds: of all clips together.
        sha256: of all samples, so that two files can be known to be calibrated alike.
        notes: what was left out, a line each.
    """

    name: str
    clips: tuple[CalibrationClip, ...]
    seconds: float
    sha256: str
    notes: tuple[str, ...]


def read_clips(source: str | os.PathLike[str]) -> CalibrationSet:
    """The pairs of a table (as ``localvqe enhance --pairs`` takes it) or a folder.

    Raises:
        UsageError: there is no such table or folder, or it lists no pairs.
        AudioError: a recording cannot be read, is shorter than a second, or is silent.
    """
    path = os.fspath(source)
    if not os.path.exists(path):
        raise UsageError(f"{path}: no such table or folder of recordings")
    jobs = jobs_from_directories(path, None, None) if os.path.isdir(path) else jobs_from_manifest(path, None)
    notes = []
    if len(jobs) > MAX_CLIPS:
        notes.append(f"calibrating with {MAX_CLIPS} of the {len(jobs)} pairs, evenly spread")
        jobs = [jobs[i * len(jobs) // MAX_CLIPS] for i in range(MAX_CLIPS)]
    clips = []
    digest = hashlib.sha256()
    for job in jobs:
        if job.ref == "":
            raise UsageError(f"{job.mic}: has no reference beside it (X_mic goes with X_ref or X_lpb)")
        clip = _read(job.id, job.mic, job.ref)
        digest.update(clip.mic.tobytes() + clip.ref.tobytes())
        clips.append(clip)
    seconds = sum(clip.mic.size for clip in clips) / MODEL_RATE
    name = os.path.basename(os.path.abspath(path))
    return CalibrationSet(name, tuple(clips), seconds, digest.hexdigest(), tuple(notes))


def _read(name: str, mic_path: str, ref_path: str | None) -> CalibrationClip:
    mic = read_at_model_rate(mic_path, MAX_SECONDS)
    if mic.size < MIN_SECONDS * MODEL_RATE:
        seconds = mic.size / MODEL_RATE
        raise AudioError(f"{mic_path}: {seconds:.2f} s, too short to calibrate with; it needs {MIN_SECONDS:g} s")
    if not np.isfinite(mic).all():
        raise AudioError(f"{mic_path}: holds samples that are not finite")
    if rms(mic) < 10 ** (SILENCE_DBFS / 20):
        raise AudioError(f"{mic_path}: is silent, so no error could be seen in it; leave it out")
    ref = np.zeros(0, np.float32) if ref_path is None else read_at_model_rate(ref_path, MAX_SECONDS)[: mic.size]
    if not np.isfinite(ref).all():
        raise AudioError(f"{ref_path}: holds samples that are not finite")
    return CalibrationClip(name, mic, np.pad(ref, (0, mic.size - ref.size)).astype(np.float32))
