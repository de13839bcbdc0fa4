"""How fast a speech codec runs: clips of noise through the engine, without chunks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine import kernels
from ..families import LFSCConfig
from ..gguf_file import read
from ..lfsc.codec import Codec
from ..lfsc.complexity import macs_per_frame
from ..worker_pool import usable_cpus
from .machine import cpu_name, peak_rss_mb, rss_mb
from .result import BenchRun, Machine, threads_in_words
from .rounds import in_turn, timed
from .runner import as_run, stored_types

__all__ = ["CODEC_ITERS", "CODEC_SECONDS", "CodecFacts", "CodecReport", "run_codec_bench"]

#: A clip of the published codec is a second of work for a second of sound: fewer passes than a model of calls has.
CODEC_ITERS = 3
CODEC_SECONDS = 3.0


@dataclass(frozen=True)
class CodecFacts:
    """What ran; ``encode_mmac``, ``decode_mmac`` are millions of multiply-adds for a frame of ``frame_ms``."""

    name: str
    version: int
    parameters: int
    type: str
    frame_ms: float
    encode_mmac: float
    decode_mmac: float


@dataclass(frozen=True)
class CodecReport:
    """What one call of ``bench`` found about a codec.

    Attributes:
        runs: of the modes ``encode`` and ``decode``; a hop is a frame, a pass a clip of ``seconds``.
        seconds: of sound in a pass.
        load_ms: reading, checking and packing the model.
        peak_rss_mb: peak resident memory of the whole process.
        engine_rss_mb: growth of resident memory from before the model was loaded to after the runs.
    """

    machine: Machine
    model: CodecFacts
    runs: list[BenchRun]
    seconds: float
    load_ms: float
    peak_rss_mb: float
    engine_rss_mb: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)


def run_codec_bench(
    model: str | os.PathLike[str],
    threads: Sequence[int],
    iters: int = CODEC_ITERS,
    seconds: float = CODEC_SECONDS,
    progress: Callable[[str], None] = lambda _: None,
) -> CodecReport:
    """Measure a codec.

    Args:
        model: path of its file.
        threads: worker counts to try.
        iters: passes over the clip, after one that is not measured.
        seconds: length of the clip, built-in noise.
        progress: told what is about to run.

    Raises:
        ModelError, EngineError: as :class:`localvqe_cli.lfsc.codec.Codec`.
    """
    before = rss_mb()
    started = time.perf_counter()
    codec = Codec(model, threads=threads[0])
    load_ms = (time.perf_counter() - started) * 1e3
    config = codec.config
    frames = max(config.least_frames, int(seconds * config.sample_rate / config.samples_per_frame))
    sound = noise_clip(config, frames)
    macs = macs_per_frame(config)
    frame_ms = 1e3 * config.samples_per_frame / config.sample_rate
    peak = 0.0
    runs = []
    for workers in threads:
        if workers != threads[0]:
            codec = Codec(model, threads=workers)
        tokens = codec.encode(sound)
        codec.decode(tokens)  # a pass that is not measured
        progress(f"encode and decode in turn, {threads_in_words(workers)}")
        works = (partial(codec.encode, sound), partial(codec.decode, tokens))
        times, around = in_turn([partial(timed, work, frames) for work in works], iters, [workers])
        peak = max(peak, around.peak)
        for mode, side, ms in zip(("encode", "decode"), ("encoder", "decoder"), times, strict=True):
            runs.append(as_run(mode, workers, ms, macs[side], around, hops=iters * frames, hop_ms=frame_ms))
    file = read(codec.path)
    return CodecReport(
        machine=Machine(cpu_name(), usable_cpus(), kernels(), 2.0 * peak / 1e9),
        model=CodecFacts(
            codec.name,
            config.version,
            file.parameters,
            stored_types(file),
            frame_ms,
            macs["encoder"] / 1e6,
            macs["decoder"] / 1e6,
        ),
        runs=runs,
        seconds=frames * frame_ms / 1e3,
        load_ms=load_ms,
        peak_rss_mb=peak_rss_mb(),
        engine_rss_mb=rss_mb() - before,
    )


def noise_clip(config: LFSCConfig, frames: int) -> NDArray[np.float32]:
    """So many whole frames of it."""
    return 0.1 * np.random.default_rng(0).standard_normal(frames * config.samples_per_frame).astype(np.float32)
