"""AECMOS of a model in training on recorded pairs: for the log alone, since choosing by it would be fitting to them."""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch import Tensor

from .. import export, gguf_file
from ..config import ModelConfig
from ..engine import Enhancer
from ..evaluation import read_source
from ..evaluation.scenario import talk_type
from ..geometry import MODEL_RATE
from ..metrics import ClipSignals, aecmos
from ..signal_path import align_reference, read_at_model_rate
from .validation import OPINION_COLUMNS

__all__ = ["Opinion"]


class Opinion:
    """Recorded pairs with scenarios, as ``localvqe eval`` reads them.

    Raises:
        UsageError, AudioError: ``source`` cannot be read.
        MissingExtraError: speechmos is not installed; told before the training starts.
    """

    def __init__(self, source: str | os.PathLike[str]) -> None:
        self._clips = [
            (clip.scenario, clip.mic, clip.ref)
            for clip in read_source(os.fspath(source))
            if clip.ref is not None and talk_type(clip.scenario) is not None
        ]
        tone = np.full(MODEL_RATE, 0.1, np.float32)
        aecmos.compute(ClipSignals(tone, tone, tone, None, talk_type("doubletalk")))

    def run(self, config: ModelConfig, state: Mapping[str, Tensor]) -> dict[str, float]:
        """Both figures of OPINION_COLUMNS, of the engine with these weights; nan without a usable clip."""
        found: dict[str, list[list[float]]] = defaultdict(list)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.gguf"
            gguf_file.write(path, config, export.fold(config, {k: v.cpu() for k, v in state.items()}))
            enhancer = Enhancer(path)
            for scenario, mic_path, ref_path in self._clips:
                mic, ref = read_at_model_rate(mic_path), read_at_model_rate(ref_path)
                far = align_reference(mic, ref, config)
                signals = ClipSignals(mic, ref, enhancer.enhance(mic, far), None, talk_type(scenario))
                scores = aecmos.compute(signals)
                values = [value for name in OPINION_COLUMNS if isinstance(value := scores[name], float)]
                if len(values) == len(OPINION_COLUMNS):
                    found[scenario].append(values)
        if not found:
            return dict.fromkeys(OPINION_COLUMNS, float("nan"))
        means = np.mean([np.mean(rows, axis=0) for rows in found.values()], axis=0)
        return {name: float(value) for name, value in zip(OPINION_COLUMNS, means, strict=True)}
