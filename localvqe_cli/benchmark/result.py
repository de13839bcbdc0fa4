"""What a benchmark found, as data; the keys of its JSON form are the names here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "HOP_MS",
    "BenchReport",
    "BenchRun",
    "Machine",
    "ModelFacts",
    "SlowHop",
    "is_busy",
    "lower_quartile",
    "threads_in_words",
]

#: A hop's share of real time: 256 samples at 16 kHz.
HOP_MS = 16.0


# A core of its own gives a process over 99 % of its time, and peaks a second apart that differ by a few per cent.
_MIN_CPU_SHARE = 0.9
_MIN_PEAK_RATIO = 0.8


def threads_in_words(threads: int) -> str:
    """So many of them."""
    return f"{threads} thread{'s' if threads > 1 else ''}"


def lower_quartile(values: Sequence[float]) -> float:
    """The value that a quarter of them are below, one of them; of two the smaller."""
    return float(np.percentile(values, 25, method="lower"))


def is_busy(cpu_shares: Sequence[float], peaks: Sequence[float]) -> bool:
    """True where the machine was not this process's own: it had to wait for a core, or what a core gives changed.

    A quarter of the looks decides: what is disturbed less often moves no median.

    Args:
        cpu_shares: CPU time over wall time of as many threads as ran, at the same moments as the peaks.
        peaks: of one core, around and between what was measured.
    """
    return lower_quartile(cpu_shares) < _MIN_CPU_SHARE or lower_quartile(peaks) < _MIN_PEAK_RATIO * max(peaks)


@dataclass(frozen=True)
class Machine:
    """Where it ran.

    Attributes:
        cpu: the processor's own name.
        threads: logical processors this process may use.
        isa: kernel set in use, for example ``avx2``.
        fma_gflops: F32 peak of one core with that set, two operations per multiply-add.
    """

    cpu: str
    threads: int
    isa: str
    fma_gflops: float


@dataclass(frozen=True)
class ModelFacts:
    """What ran; ``type`` is the storage type of its weights (several as ``Q4_K+Q8_0``), ``mmac_per_hop`` millions of
    multiply-adds."""

    name: str
    version: int
    parameters: int
    type: str
    mmac_per_hop: float


@dataclass(frozen=True)
class SlowHop:
    """A hop that took long: its index in the run and its time."""

    hop: int
    ms: float


@dataclass(frozen=True)
class BenchRun:
    """One way of running the model. Times are per hop; a codec's hop is its frame.

    Attributes:
        mode: ``stream`` (a hop per call) or ``clip`` (the whole input per call); of a codec ``encode`` or ``decode``.
        threads: workers inside the stream; with ``streams`` > 1, threads that share the streams out.
        streams: live streams at once.
        hops: hops measured.
        mean_ms, p50_ms, p95_ms, p99_ms, max_ms: of the time per hop; of each pass in clip mode.
        realtime_factor: processing time over audio time; below 1 is faster than real time.
        budget_share: p50 over the time that a hop lasts, per processor.
        floor_ms: the model's multiply-adds over the peak of one core, measured around and between the passes.
        x_floor: p50 over floor: the figure that survives a change of machine.
        workers: threads that ran: the engine starts no more than there are processors.
        cpu_share: share of the time that the system gave to as many threads (at most one a processor) while each
            computed, between the passes; of these looks the lower quartile; 1 on an idle machine.
        busy: others had so much of the machine meanwhile that the figures say little, see :func:`is_busy`.
        together: the live streams went through the engine in one call, not one by one.
        real_time_streams: streams that finished 99 % of their hops within 16 ms of their arrival, or None
            where nothing was paced.
        slowest: the ten slowest hops.
    """

    mode: str
    threads: int
    streams: int
    hops: int
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    realtime_factor: float
    budget_share: float
    floor_ms: float
    x_floor: float
    workers: int = 1
    cpu_share: float = 1.0
    busy: bool = False
    together: bool = False
    real_time_streams: int | None = None
    slowest: list[SlowHop] = field(default_factory=list)

    @classmethod
    def from_times(
        cls,
        mode: str,
        threads: int,
        ms: NDArray[np.float64],
        floor_ms: float,
        *,
        streams: int = 1,
        hop_ms: float = HOP_MS,
        **more: Any,
    ) -> BenchRun:
        """Statistics of times per hop of ``hop_ms`` in ms, (n,)."""
        worst = np.argsort(ms)[::-1][:10]
        p50, p95, p99 = (float(v) for v in np.percentile(ms, [50, 95, 99]))
        more.setdefault("hops", int(ms.size))
        more.setdefault("workers", threads)
        return cls(
            mode=mode,
            threads=threads,
            streams=streams,
            mean_ms=float(ms.mean()),
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99,
            max_ms=float(ms.max()),
            realtime_factor=float(ms.mean()) / hop_ms,
            budget_share=p50 / hop_ms,
            floor_ms=floor_ms,
            x_floor=p50 / floor_ms if floor_ms > 0 else float("nan"),
            slowest=[SlowHop(int(i), float(ms[i])) for i in worst],
            **more,
        )


@dataclass(frozen=True)
class BenchReport:
    """Everything one call of ``bench`` found.

    Attributes:
        load_ms: reading, checking and packing the model, and opening the first stream.
        peak_rss_mb: peak resident memory of the whole process.
        engine_rss_mb: resident memory of the model and one stream.
        rss_per_stream_mb: growth per additional stream.
        integer_layers: convolutions that ran as integer products; the rest of a quantized model is unpacked to F32.
        profile_us: block -> microseconds per hop, where asked for.
        backend: where the network ran, ``cpu`` or ``NAME:DEVICE``.
    """

    machine: Machine
    model: ModelFacts
    runs: list[BenchRun]
    load_ms: float
    peak_rss_mb: float
    engine_rss_mb: float
    rss_per_stream_mb: float
    integer_layers: int = 0
    profile_us: dict[str, float] | None = None
    backend: str = "cpu"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)
