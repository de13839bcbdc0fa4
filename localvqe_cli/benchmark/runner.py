"""Runs the engine and takes the time, through ctypes on prepared buffers (about a microsecond a call)."""

from __future__ import annotations

import gc
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..complexity import macs_per_hop
from ..engine import Enhancer, RawTogether, Stream, is_cpu, kernels
from ..errors import UsageError
from ..geometry import HOP
from ..gguf_file import GGUFModel, read
from ..onnx_file.format import TYPE_KEY
from ..onnx_file.session import OnnxEnhancer
from ..open_model import is_onnx, open_model
from ..worker_pool import usable_cpus
from .machine import cpu_name, engine_threads, peak_rss_mb, rss_mb
from .result import HOP_MS, BenchReport, BenchRun, Machine, ModelFacts, threads_in_words
from .rounds import Conditions, Times, Way, in_turn, timed

__all__ = ["BenchOptions", "as_run", "run_bench", "stored_types"]

Samples = NDArray[np.float32]

_WARM_UP_HOPS = 20
_MEMORY_STREAMS = 8
_BUILT_IN_HOPS = 187  # three seconds
_MIN_PACED_HOPS = 50


@dataclass(frozen=True)
class BenchOptions:
    """What to measure.

    Attributes:
        threads: worker counts to try.
        modes: of ``stream`` and ``clip``.
        streams: live streams at once; above 1 they are fed in real time, one by one and together.
        iters: passes over the input.
        profile: take the time per block as well, in an extra pass.
        backend, device, precision: where the network runs and in what numbers, as for ``Enhancer``.
    """

    threads: Sequence[int] = (1,)
    modes: Sequence[str] = ("stream", "clip")
    streams: int = 1
    iters: int = 10
    profile: bool = False
    backend: str = "auto"
    device: int = 0
    precision: str = "auto"


def built_in_input() -> tuple[Samples, Samples]:
    """(mic, ref): modulated noise, its echo 50 ms later, and near-end noise in the second half; three seconds."""
    rng = np.random.default_rng(0)
    n = _BUILT_IN_HOPS * HOP
    ref = 0.1 * rng.standard_normal(n) * (1.0 + np.sin(np.arange(n) / 1600.0))
    echo = np.concatenate([np.zeros(800), 0.5 * ref])[:n]
    near = 0.05 * rng.standard_normal(n) * (np.arange(n) > n // 2)
    return (echo + near).astype(np.float32), ref.astype(np.float32)


def run_bench(
    model: str | None,
    options: BenchOptions,
    signals: tuple[Samples, Samples] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> BenchReport:
    """Measure a model.

    Args:
        model: as :class:`Enhancer` takes it.
        signals: (mic, ref) at 16 kHz, equally long, at least one hop; None for :func:`built_in_input`.
        progress: told what is about to run.

    Raises:
        UsageError: the input is shorter than a hop.
        ModelError, EngineError: as :class:`Enhancer`.
    """
    mic, ref = built_in_input() if signals is None else signals
    whole = mic.size // HOP * HOP
    if whole == 0:
        raise UsageError(f"the input has {mic.size} samples; a benchmark needs at least one hop of {HOP}")
    mic, ref = np.ascontiguousarray(mic[:whole]), np.ascontiguousarray(ref[:whole])

    if options.profile and is_onnx(model):
        raise UsageError(f"{model}: the time per block is the engine's; profile the GGUF file")
    load = partial(open_model, model, backend=options.backend, device=options.device, precision=options.precision)
    load()  # whatever is loaded once per process is not part of loading a model
    before = rss_mb()
    started = time.perf_counter()
    enhancer = load()
    first = enhancer.stream()
    load_ms = (time.perf_counter() - started) * 1e3
    first.process(mic[: _WARM_UP_HOPS * HOP], ref[: _WARM_UP_HOPS * HOP])
    engine_rss = rss_mb() - before
    per_stream = _rss_per_stream(enhancer, mic, ref)
    macs = macs_per_hop(enhancer.config)

    single = [(mode, threads) for mode in options.modes for threads in options.threads]
    progress(" and ".join(f"{mode}, {threads_in_words(threads)}" for mode, threads in single) + ", in turn")
    passes = [_passes(load(threads=threads), mode, mic, ref) for mode, threads in single]
    times, around = in_turn(passes, options.iters, options.threads)
    del passes  # the live streams need no others beside them
    peak = around.peak
    runs = []
    for (mode, threads), ms in zip(single, times, strict=True):
        hops = options.iters * (mic.size // HOP)
        runs.append(as_run(mode, threads, ms, macs, around, hops=hops))
        if mode == "stream" and options.streams > 1:
            for together in (False,) if is_onnx(model) else (False, True):
                progress(f"{options.streams} live streams, {threads_in_words(threads)}")
                live, around_live = _live(load(threads=1), threads, options, together, mic, ref, macs)
                runs.append(live)
                peak = max(peak, around_live.peak)
    profile = _profile(first, mic, ref) if options.profile else None
    return BenchReport(
        machine=Machine(cpu_name(), usable_cpus(), kernels(), 2.0 * peak / 1e9),
        model=_facts(enhancer, macs),
        runs=runs,
        load_ms=load_ms,
        peak_rss_mb=peak_rss_mb(),
        engine_rss_mb=engine_rss,
        rss_per_stream_mb=per_stream,
        integer_layers=first.integer_layers(),
        profile_us=profile,
        backend=_place(enhancer),
    )


def _facts(enhancer: Enhancer, macs: int) -> ModelFacts:
    if isinstance(enhancer, OnnxEnhancer):
        parameters, kind = enhancer.file.parameters, enhancer.file.metadata[TYPE_KEY]
    else:
        file = read(enhancer.path)
        parameters, kind = file.parameters, stored_types(file)
    return ModelFacts(enhancer.name, enhancer.config.version, parameters, kind, macs / 1e6)


def stored_types(file: GGUFModel) -> str:
    """Storage of a model's weights, for example ``Q8_0``."""
    # Norms and biases are F32 in every file; what it is named by is the rest.
    return "+".join(sorted({info.type.name for info in file.tensors.values()} - {"F32"})) or "F32"


def _place(enhancer: Enhancer) -> str:
    if isinstance(enhancer, OnnxEnhancer):
        return enhancer.backend
    return "cpu" if is_cpu(enhancer.backend) else f"{enhancer.backend}:{enhancer.device}"


def as_run(mode: str, threads: int, ms: Times, macs: int, around: Conditions, **more: Any) -> BenchRun:
    """What was measured of one way of running a model.

    Args:
        ms: per hop, (n,).
        macs: multiply-adds of a hop.
        around: what the machine gave meanwhile.
        more: of :meth:`BenchRun.from_times`; workers are what the engine starts where nothing else is said.
    """
    more.setdefault("workers", engine_threads(threads))
    floor_ms = macs / around.peak * 1e3 if around.peak > 0 else math.nan
    share, busy = around.cpu_share(threads), around.busy(threads)
    return BenchRun.from_times(mode, threads, ms, floor_ms, cpu_share=share, busy=busy, **more)


def _passes(enhancer: Enhancer, mode: str, mic: Samples, ref: Samples) -> Way:
    """A way of running the model, warmed up at the start of every pass: another has just had the caches."""
    hops = mic.size // HOP
    stream = enhancer.stream() if mode == "stream" else enhancer.stream(max_hops=enhancer.clip_hops)
    step = stream.raw_call(mic, ref, np.empty(HOP if mode == "stream" else mic.size, np.float32))

    def clip() -> Times:
        step(0, min(_WARM_UP_HOPS, hops))
        return timed(partial(step, 0, hops), hops)

    return partial(_by_hop, step, hops) if mode == "stream" else clip


def _by_hop(step: Callable[[int, int], object], hops: int) -> Times:
    """ms of each hop of one pass."""
    for i in range(_WARM_UP_HOPS):
        step(i % hops, 1)
    ns = np.empty(hops, np.int64)
    clock = time.perf_counter_ns
    gc.disable()  # a collection would be blamed on a hop
    try:
        for i in range(hops):
            start = clock()
            step(i, 1)
            ns[i] = clock() - start
    finally:
        gc.enable()
    times: Times = ns / 1e6
    return times


def _live(
    enhancer: Enhancer,
    threads: int,
    options: BenchOptions,
    together: bool,
    mic: Samples,
    ref: Samples,
    macs: int,
) -> tuple[BenchRun, Conditions]:
    """Live streams in real time, and what the machine gave meanwhile."""
    hops = max(_MIN_PACED_HOPS, options.iters * mic.size // HOP // 10)
    held = 0

    def times() -> Times:
        nonlocal held
        ms, held = _paced(enhancer, threads, options.streams, together, hops, mic, ref)
        return ms

    (ms,), around = in_turn([times], 1, [threads])
    # They are shared out over threads of this module, all of which run.
    shared = {"streams": options.streams, "together": together, "real_time_streams": held, "workers": threads}
    return as_run("stream", threads, ms, macs, around, **shared), around


def _paced(
    enhancer: Enhancer, threads: int, streams: int, together: bool, hops: int, mic: Samples, ref: Samples
) -> tuple[Times, int]:
    """Live streams: a hop of each arrives every 16 ms. Returns (ms of work per hop, streams that held real time)."""
    available = mic.size // HOP
    work = np.zeros((streams, hops))
    late = np.zeros((streams, hops))
    # What each thread serves at once: all of its streams, or one after the other.
    shares = [range(t, streams, threads) for t in range(min(threads, streams))]
    served = [[share] if together else [range(i, i + 1) for i in share] for share in shares]
    steps = [[_step_of(enhancer, len(some), mic, ref) for some in own] for own in served]
    for own in steps:
        for step in own:
            step(0)
    start = time.perf_counter() + 0.05

    def serve(own: list[range], steps: list[Callable[[int], None]]) -> None:
        for hop in range(hops):
            arrival = start + hop * HOP_MS / 1e3
            pause = arrival - time.perf_counter()
            if pause > 0:
                time.sleep(pause)
            for some, step in zip(own, steps, strict=True):
                begun = time.perf_counter()
                step(hop % available)
                done = time.perf_counter()
                work[some, hop] = (done - begun) * 1e3 / len(some)
                late[some, hop] = (done - arrival) * 1e3

    workers = [threading.Thread(target=serve, args=share) for share in zip(served, steps, strict=True)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    in_time = (late <= HOP_MS).mean(axis=1) >= 0.99
    return work.ravel(), int(in_time.sum())


def _step_of(enhancer: Enhancer, n: int, mic: Samples, ref: Samples) -> Callable[[int], None]:
    """A function ``(hop)``: it processes that hop of the signals in each of n new streams, in one call."""
    streams = [enhancer.stream() for _ in range(n)]
    if n == 1:
        step = streams[0].raw_call(mic, ref, np.empty(HOP, np.float32))
        return lambda hop: step(hop, 1)
    return RawTogether(streams, [mic] * n, [ref] * n, np.empty((n, HOP), np.float32))


def _rss_per_stream(enhancer: Enhancer, mic: Samples, ref: Samples) -> float:
    before = rss_mb()
    kept = []
    for _ in range(_MEMORY_STREAMS):
        stream = enhancer.stream()
        stream.process(mic[:HOP], ref[:HOP])
        kept.append(stream)
    return (rss_mb() - before) / len(kept)


def _profile(stream: Stream, mic: Samples, ref: Samples) -> dict[str, float]:
    stream.set_profiling(True)
    stream.process(mic, ref)
    return {block: ns / 1e3 for block, ns in stream.profile().items()}
