"""Small sets of clips for tests of ``eval``: noise as speech, so that they cost nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile as sf

RATE = 16000

#: id -> scenario of the set that :func:`write_set` makes by default.
CLIPS = {
    "a": "doubletalk",
    "b": "doubletalk",
    "c": "farend-singletalk",
    "d": "farend-singletalk",
    "e": "nearend-singletalk",
}


def voice(seed: int, seconds: float = 2.0, level: float = 0.1) -> np.ndarray:
    """Noise whose loudness comes and goes."""
    rng = np.random.default_rng(seed)
    count = int(seconds * RATE)
    knots = np.arange(0, count + 1600, 1600)
    loudness = np.interp(np.arange(count), knots, rng.uniform(0.02, 1, knots.size))
    return (level * loudness * rng.standard_normal(count)).clip(-1, 1).astype(np.float32)


def write_clip(folder: Path, name: str, scenario: str, seed: int, seconds: float = 2.0) -> dict[str, str]:
    """``NAME_mic.wav`` and ``NAME_ref.wav``, in doubletalk also ``NAME_target.wav``; their row of a manifest."""
    ref = voice(seed, seconds)
    near = np.zeros_like(ref) if "farend" in scenario else voice(seed + 1000, seconds)
    late = np.concatenate([np.zeros(480, np.float32), ref])[: ref.size]
    echo = np.zeros_like(ref) if "nearend" in scenario else 0.5 * late
    signals = {"mic": near + echo, "ref": ref}
    if scenario == "doubletalk":
        signals["target"] = near
    for role, samples in signals.items():
        sf.write(folder / f"{name}_{role}.wav", samples, RATE)
    return {"id": name, "scenario": scenario, **{role: f"{name}_{role}.wav" for role in signals}}


def write_manifest(path: Path, rows: Sequence[dict[str, str]]) -> Path:
    columns = ["id", "scenario", "mic", "ref", "target", "enhanced"]
    lines = ["\t".join(columns), *["\t".join(row.get(column, "") for column in columns) for row in rows]]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_set(folder: Path, clips: dict[str, str] | None = None, seconds: float = 2.0) -> Path:
    """The clips and their manifest, whose path is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    named = (CLIPS if clips is None else clips).items()
    rows = [write_clip(folder, name, scenario, seed, seconds) for seed, (name, scenario) in enumerate(named)]
    return write_manifest(folder / "pairs.tsv", rows)


def write_outputs(data: Path, folder: Path, gain: float, names: Sequence[str] = tuple(CLIPS)) -> Path:
    """``NAME_enhanced.wav``: the mic times ``gain``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        samples, rate = sf.read(data / f"{name}_mic.wav", dtype="float32")
        # Not FLOAT: libsndfile stamps such files with the time, so that no two are alike.
        sf.write(folder / f"{name}_enhanced.wav", gain * samples, rate, subtype="PCM_24")
    return folder
