"""Runs the engine and takes the time, through ctypes on prepared buffers (about a microsecond a call)."""

from __future__ import annotations

import gc
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..complexity import macs_per_hop
from ..engine import Enhancer, RawTogether, Stream, is_cpu, kernels, measure_peak
from ..errors import UsageError
from ..geometry import HOP
from ..gguf_file import GGUFModel, read
from ..onnx_file.format import TYPE_KEY
from ..onnx_file.session import OnnxEnhancer
from ..open_model import is_onnx, open_model
from ..worker_pool import usable_cpus
from .machine import cpu_name, engine_threads, peak_rss_mb, rss_mb
from .result import HOP_MS, BenchReport, BenchRun, Machine, ModelFacts, is_busy

__all__ = ["BenchOptions", "measure_run", "pass_times", "run_bench", "stored_types"]

Samples = NDArray[np.float32]
Times = NDArray[np.float64]

_WARM_UP_HOPS = 60
_PEAK_SECONDS = 0.15
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
    macs = macs_per_hop(enhancer.config)
    peaks: list[float] = []
    runs = []
    for mode in options.modes:
        for threads in options.threads:
            progress(f"{mode}, {threads} thread{'s' if threads > 1 else ''}")
            ways = [(1, False)]
            if options.streams > 1 and mode == "stream":
                ways += [(options.streams, False)] + ([] if is_onnx(model) else [(options.streams, True)])
            for streams, together in ways:
                runs.append(_run(load, mode, threads, streams, together, options.iters, mic, ref, macs, peaks))
    engine_rss = rss_mb() - before
    per_stream = _rss_per_stream(enhancer, mic, ref)
    profile = _profile(first, mic, ref) if options.profile else None
    return BenchReport(
        machine=Machine(cpu_name(), usable_cpus(), kernels(), 2.0 * max(peaks) / 1e9),
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


def _run(
    load: Callable[..., Enhancer],
    mode: str,
    threads: int,
    streams: int,
    together: bool,
    iters: int,
    mic: Samples,
    ref: Samples,
    macs: int,
    peaks: list[float],
) -> BenchRun:
    paced: int | None = None

    def times() -> Times:
        nonlocal paced
        if streams > 1:
            hops = max(_MIN_PACED_HOPS, iters * mic.size // HOP // 10)
            ms, paced = _paced(load(threads=1), threads, streams, together, hops, mic, ref)
            return ms
        enhancer = load(threads=threads)
        if mode == "stream":
            return _by_hop(enhancer.stream(), mic, ref, iters)
        return _by_clip(enhancer.stream(max_hops=enhancer.clip_hops), mic, ref, iters)

    run = measure_run(
        mode, threads, times, macs, peaks, streams=streams, hops=iters * (mic.size // HOP) if mode == "clip" else None
    )
    return replace(run, real_time_streams=paced, together=together)


def measure_run(
    mode: str,
    threads: int,
    times: Callable[[], Times],
    macs: int,
    peaks: list[float],
    *,
    streams: int = 1,
    hops: int | None = None,
    hop_ms: float = HOP_MS,
) -> BenchRun:
    """One way of running a model, between two measurements of the machine.

    Args:
        times: runs it, and returns ms per hop.
        macs: multiply-adds of a hop.
        peaks: the machine's peak is appended.
        hops: that were measured, where there are not as many times.
    """
    before, share_before = _peak()
    ms = times()
    # The clock drifts with temperature and neighbours; the floor belongs to the time of the run.
    after, share_after = _peak()
    share = min(share_before, share_after)
    peak = max(before, after)
    peaks.append(peak)
    return BenchRun.from_times(
        mode,
        threads,
        streams,
        ms,
        macs / peak * 1e3 if peak > 0 else math.nan,
        hop_ms=hop_ms,
        hops=int(ms.size) if hops is None else hops,
        # Live streams are shared out over threads of this module, all of which run.
        workers=threads if streams > 1 else engine_threads(threads),
        cpu_share=share,
        busy=is_busy(share, before, after),
    )


def _peak() -> tuple[float, float]:
    """Multiply-adds per second of one core, and the share of the time that this process had for them."""
    wall, cpu = time.perf_counter(), time.process_time()
    peak = measure_peak(_PEAK_SECONDS)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return peak, min(1.0, cpu / wall)


def _by_hop(stream: Stream, mic: Samples, ref: Samples, iters: int) -> Times:
    """ms of each hop over ``iters`` passes."""
    out = np.empty(HOP, np.float32)
    hops = mic.size // HOP
    step = stream.raw_call(mic, ref, out)
    for i in range(_WARM_UP_HOPS):
        step(i % hops, 1)
    ns = np.empty(iters * hops, np.int64)
    clock = time.perf_counter_ns
    gc.disable()  # a collection would be blamed on a hop
    try:
        for i in range(ns.size):
            start = clock()
            step(i % hops, 1)
            ns[i] = clock() - start
    finally:
        gc.enable()
    times: Times = ns / 1e6
    return times


def _by_clip(stream: Stream, mic: Samples, ref: Samples, iters: int) -> Times:
    """ms per hop of each pass over the whole input."""
    hops = mic.size // HOP
    step = stream.raw_call(mic, ref, np.empty(mic.size, np.float32))
    return pass_times(partial(step, 0, hops), hops, iters)


def pass_times(body: Callable[[], object], hops: int, iters: int) -> Times:
    """ms per hop of each pass, after one that is not measured."""
    body()
    ms = np.empty(iters)
    for i in range(iters):
        started = time.perf_counter()
        body()
        ms[i] = (time.perf_counter() - started) * 1e3 / hops
    return ms


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
