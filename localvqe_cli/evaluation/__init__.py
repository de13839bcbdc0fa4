"""Score systems on a set of clips: inputs, scoring, cache, statistics, comparison with an earlier run."""

from __future__ import annotations

from .inputs import Clip, attach_outputs, clips_from_folders, read_source, read_sources
from .result import ClipOutcome, ClipScores, Evaluation, Problem, SystemInfo
from .run import evaluate
from .scoring import Settings

__all__ = [
    "Clip",
    "ClipOutcome",
    "ClipScores",
    "Evaluation",
    "Problem",
    "Settings",
    "SystemInfo",
    "attach_outputs",
    "clips_from_folders",
    "evaluate",
    "read_source",
    "read_sources",
]
