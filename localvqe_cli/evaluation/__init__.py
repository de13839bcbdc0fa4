"""Score systems on a set of clips: inputs, scoring, cache, statistics, comparison with an earlier run."""

from __future__ import annotations

from .inputs import Clip, attach_outputs, clips_from_folders, read_source, read_sources
from .prepare import Setup, prepare
from .result import ClipOutcome, ClipScores, Evaluation, Problem, SystemInfo
from .run import evaluate, score
from .scoring import Settings

__all__ = [
    "Clip",
    "ClipOutcome",
    "ClipScores",
    "Evaluation",
    "Problem",
    "Settings",
    "Setup",
    "SystemInfo",
    "attach_outputs",
    "clips_from_folders",
    "evaluate",
    "prepare",
    "read_source",
    "read_sources",
    "score",
]
