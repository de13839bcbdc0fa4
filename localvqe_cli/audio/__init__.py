"""Sound files in and out: read, mix down, resample, pair, align, keep in range, write.

Nothing here knows about models. Inside the package audio is float32, mono, full scale 1.0; files are
read and written in blocks, so length costs time and disk but no memory.
"""

from __future__ import annotations

from .align import DelayEstimate, estimate_delay, reference_shift
from .clip import ClipMode, ClipReport, PeakGuard
from .pairing import (
    Job,
    jobs_from_directories,
    jobs_from_manifest,
    jobs_from_pairs,
    prepare_outputs,
    single_job,
)
from .reader import STDIO, AudioInput, ReadStats
from .resample import MODEL_RATE, Resampler
from .writer import AudioOutput, OutputFormat, choose_format, open_output

__all__ = [
    "MODEL_RATE",
    "STDIO",
    "AudioInput",
    "AudioOutput",
    "ClipMode",
    "ClipReport",
    "DelayEstimate",
    "Job",
    "OutputFormat",
    "PeakGuard",
    "ReadStats",
    "Resampler",
    "choose_format",
    "estimate_delay",
    "jobs_from_directories",
    "jobs_from_manifest",
    "jobs_from_pairs",
    "open_output",
    "prepare_outputs",
    "reference_shift",
    "single_job",
]
