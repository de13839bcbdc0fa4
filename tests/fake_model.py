"""Stand-in for ``engine.Enhancer`` with the same timing and a known answer, for tests of what surrounds it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from localvqe_cli.config import ModelConfig

HOP = 256


def keep_mic(mic: np.ndarray, ref: np.ndarray) -> np.ndarray:
    return mic


class FakeStream:
    """Lags one hop, returns whole hops, like ``engine.Stream``."""

    latency_samples = HOP

    def __init__(self, rule: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
        self._rule = rule
        self._waiting = np.zeros(0, np.float32)
        self._ready = np.zeros(HOP, np.float32)
        self._fed = 0
        self._given = 0

    def process(self, mic: np.ndarray, ref: np.ndarray) -> np.ndarray:
        assert mic.dtype == ref.dtype == np.float32
        assert mic.shape == ref.shape
        assert np.isfinite(mic).all()
        assert np.isfinite(ref).all()
        self._fed += len(mic)
        self._waiting = np.concatenate([self._waiting, self._rule(mic, ref).astype(np.float32)])
        whole = len(self._waiting) // HOP * HOP
        self._ready = np.concatenate([self._ready, self._waiting[:whole]])
        self._waiting = self._waiting[whole:]
        out, self._ready = self._ready[:whole], self._ready[whole:]
        self._given += len(out)
        return out

    def flush(self) -> np.ndarray:
        return np.concatenate([self._ready, self._waiting])[: self._fed + HOP - self._given]


class FakeModel:
    """Applies ``rule(mic, ref)`` sample by sample; the default passes the mic through."""

    name = "fake"
    path = Path(__file__)  # any file: its digest stands in the record of a batch
    config = ModelConfig()
    clip_hops = 8

    def __init__(self, rule: Callable[[np.ndarray, np.ndarray], np.ndarray] = keep_mic) -> None:
        self._rule = rule
        self.metadata: dict[str, object] = {}

    def stream(self, *, max_hops: int = 1) -> FakeStream:
        return FakeStream(self._rule)
