"""The way of a recording through the model, block by block. ::

    mic ── mix down ── to 16 kHz ─┬── model ── drop one hop ── to the mic's rate ── mix ──► output
    ref ── mix down ── to 16 kHz ─┴ align                           mic, at its own rate ──┘

Every stage is a generator that pulls from the one before, so memory does not grow with length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .audio import MODEL_RATE, AudioInput, ReadStats, Resampler, reference_shift
from .audio.align import is_visible
from .audio.drift import WIDE_SECONDS, DriftTracker
from .audio.lag_curve import LagCurve, fit_curve
from .audio.queue import SampleQueue
from .audio.resample import FloatArray, PositionReader
from .audio.statistics import rms
from .config import ModelConfig
from .errors import LocalVQEError

__all__ = [
    "Alignment",
    "Model",
    "ModelStream",
    "SignalPath",
    "align_reference",
    "find_alignment",
    "read_at_model_rate",
    "read_pair",
]

# The model sees the same pieces however the file was read, so the output cannot depend on that.
_PIECE_HOPS = 64
# Fed to the resampler after the end, so that the last samples at the mic's rate have neighbours.
_TAIL = 64
# A model takes things away from its microphone. An output of thirty times the loudest second of the microphone so far,
# and beyond full scale, is no longer a mask at work but weights that run away.
_RUNAWAY_GAIN = 30.0
_QUIET = 1e-3
# -45 dBFS. References of calls where nobody spoke at the far end reach -50 in their loudest second, the others -34.
_IDLE = 10.0 ** (-45.0 / 20.0)
_ALIGN_BLOCK = 1 << 14
_SEARCH_BLOCK = 4 * MODEL_RATE
# The adaptive filter follows 30 ppm without loss; at 50 ppm an echo 55 dB down comes back by 2 dB, at 200 by 7.
_LEAST_RATE = 30e-6
# Within two milliseconds, in samples at 16 kHz, a clock that differs cannot be told from somebody who moves. On
# recordings of 10 s at 28 to 126 ppm, resampling changed AECMOS by less than 0.1, up or down.
_LEAST_DRIFT = 32.0


class ModelStream(Protocol):
    """The part of ``engine.Stream`` used here: lags one hop, returns whole hops."""

    def process(self, mic: FloatArray, ref: FloatArray) -> FloatArray: ...

    def flush(self) -> FloatArray: ...


class Model(Protocol):
    """The part of ``engine.Enhancer`` used here."""

    @property
    def config(self) -> ModelConfig: ...

    @property
    def clip_hops(self) -> int: ...

    def stream(self, *, max_hops: int = 1) -> ModelStream: ...


class SignalPath:
    """One recording and its reference on the way through one model.

    Attributes:
        mic_stats, ref_stats: what reading found; complete after :meth:`blocks`.
        mic_length: samples that the model saw, at 16 kHz.
    """

    def __init__(
        self,
        model: Model,
        mic: AudioInput,
        ref: AudioInput | None,
        *,
        alignment: Alignment | None = None,
        strength: float = 1.0,
        block_frames: int | None = None,
    ) -> None:
        """``alignment`` is how the reference is moved, None for not at all."""
        self._model = model
        self._mic = mic
        self._ref = ref
        self._alignment = Alignment() if alignment is None else alignment
        self._strength = np.float32(strength)
        self._block_frames = block_frames
        self.mic_stats = ReadStats()
        self.ref_stats = ReadStats()
        self.mic_length = 0

    def blocks(self) -> Iterator[FloatArray]:
        """Yield the output: the mic's rate, length and alignment.

        Raises:
            AudioError: an input is damaged.
            LocalVQEError: the model's output is not finite, or far louder than the mic.
        """
        dry = SampleQueue()
        wet = SampleQueue()
        resampler = Resampler(MODEL_RATE, self._mic.rate)
        written = 0
        for enhanced in self._enhanced(dry):
            wet.push(resampler.push(enhanced))
            written += len(wet)
            yield self._mixed(wet.take(len(wet)), dry)
        wet.push(resampler.push(np.zeros(_TAIL, np.float32)))
        wet.push(resampler.finish())
        yield self._mixed(wet.take_padded(self.mic_stats.frames - written), dry)

    def _mixed(self, wet: FloatArray, dry: SampleQueue) -> FloatArray:
        """The wet signal, or its share and the mic's where ``strength`` asks for both."""
        if self._strength == 1.0:
            return wet
        # The model lags the mic, so the dry partner of every wet sample has been read.
        mixed: FloatArray = self._strength * wet + (np.float32(1.0) - self._strength) * dry.take_padded(len(wet))
        return mixed

    def _enhanced(self, dry: SampleQueue) -> Iterator[FloatArray]:
        """The model's output at 16 kHz, aligned with the mic."""
        stream = self._model.stream(max_hops=self._model.clip_hops)
        hop = self._model.config.hop_length
        skip = self._model.config.latency_samples
        loudest = _QUIET
        for mic, ref in self._pieces(_PIECE_HOPS * hop, dry):
            self.mic_length += len(mic)
            out = stream.process(mic, ref)
            loudest = max(loudest, rms(mic))
            yield self._sane(out, loudest)[skip:]
            skip = max(0, skip - len(out))
        yield self._sane(stream.flush(), loudest)[skip:]

    def _sane(self, out: FloatArray, loudest: float) -> FloatArray:
        """``out``, unless the model has run away; ``loudest`` is the highest RMS of a piece of the mic so far."""
        finite = bool(np.isfinite(out).all())
        if finite and (len(out) == 0 or np.abs(out).max() <= 1.0 or rms(out) <= _RUNAWAY_GAIN * loudest):
            return out
        what = f"is over {_RUNAWAY_GAIN:.0f} times as loud as the microphone" if finite else "is not finite"
        raise LocalVQEError(
            f"{self._mic.name}: stopped at {self.mic_length / MODEL_RATE:.1f} s, where the model's output {what}; "
            "the model is damaged or unstable, see `localvqe inspect --deep`"
        )

    def _pieces(self, length: int, dry: SampleQueue) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Equal pieces of mic and reference at 16 kHz, ``length`` samples but for the last."""
        keep = dry if self._strength != 1.0 else None
        mic = SampleQueue(_at_model_rate(self._mic, self.mic_stats, self._block_frames, keep))
        ref = SampleQueue(self._aligned_ref())
        while len(piece := mic.take(length)):
            yield piece, ref.take_padded(len(piece))
        # What of the reference was not needed still counts: its length and its damage are reported.
        ref.drain()

    def _aligned_ref(self) -> Iterator[FloatArray]:
        if self._ref is None:
            return iter(())
        return self._alignment.moved(_at_model_rate(self._ref, self.ref_stats, self._block_frames))


@dataclass(frozen=True)
class Alignment:
    """How a reference is moved so that the model sees its echo, and what that is known from.

    Attributes:
        shift: samples at 16 kHz by which it is delayed (negative: advanced), where ``curve`` is None.
        curve: how the echo lags the reference, which is resampled to take out what changes; None where nothing does.
        steady: the lag in samples that is left by resampling.
        delay_ms: how far the mic's echo lags the reference, at first; None where no echo was found.
        drift_ppm: how fast the reference's clock is against the mic's, on average; None where no echo was followed.
        unheard: no echo was found, although both signals are active.
    """

    shift: int = 0
    curve: LagCurve | None = None
    steady: float = 0.0
    delay_ms: float | None = None
    drift_ppm: float | None = None
    unheard: bool = False

    @property
    def shift_ms(self) -> float:
        """By how much the reference is delayed, at first."""
        if self.curve is None or self.delay_ms is None:
            return self.shift * 1000.0 / MODEL_RATE
        return self.steady * 1000.0 / MODEL_RATE - self.delay_ms

    def moved(self, ref: Iterable[FloatArray]) -> Iterator[FloatArray]:
        """The reference's blocks (n,) at 16 kHz as the model is to get them; the result does not depend on the cut."""
        if self.curve is not None:
            yield from self._resampled(ref, self.curve)
            return
        yield np.zeros(max(0, self.shift), np.float32)
        drop = max(0, -self.shift)
        for block in ref:
            yield block[drop:]
            drop = max(0, drop - len(block))

    def _resampled(self, ref: Iterable[FloatArray], curve: LagCurve) -> Iterator[FloatArray]:
        back = curve.furthest_back()
        reader = PositionReader(ref, back)
        start = 0
        while True:
            times = np.arange(start, start + _ALIGN_BLOCK, dtype=np.float64)
            positions = times - curve.at(times) + self.steady
            if reader.length is not None and positions[0] - back >= reader.length:
                return
            yield reader.read(positions)
            start += _ALIGN_BLOCK


def _at_model_rate(
    source: AudioInput, stats: ReadStats, block_frames: int | None = None, keep: SampleQueue | None = None
) -> Iterator[FloatArray]:
    """The whole of ``source`` as mono blocks at 16 kHz; ``keep`` receives them at their own rate."""
    resampler = Resampler(source.rate, MODEL_RATE)
    for block in source.blocks(stats, block_frames):
        if keep is not None:
            keep.push(block)
        yield resampler.push(block)
    yield resampler.finish()


def read_at_model_rate(path: str, max_seconds: int | None = None, stats: ReadStats | None = None) -> FloatArray:
    """A recording, or its first ``max_seconds``, as mono samples at 16 kHz, (n,). Raises AudioError as AudioInput.

    ``stats`` is filled while reading.
    """
    with AudioInput(path) as source:
        samples = _at_model_rate(source, ReadStats() if stats is None else stats)
        if max_seconds is not None:
            return SampleQueue(samples).take(max_seconds * MODEL_RATE)
        return np.concatenate(list(samples))


def find_alignment(mic: Iterable[FloatArray], ref: Iterable[FloatArray], config: ModelConfig) -> Alignment:
    """Follow the echo through the whole of both signals, blocks (n,) at 16 kHz, in flat memory.

    The reference stays as it is where the model sees the echo all the time and the clocks agree. The result does not
    depend on how the signals are cut into blocks.
    """
    near, far = SampleQueue(mic), SampleQueue(ref)
    tracker = DriftTracker()
    length = ahead = 0
    active = [False, False]
    while ahead <= length + WIDE_SECONDS * MODEL_RATE:
        pieces = near.take(_SEARCH_BLOCK), far.take(_SEARCH_BLOCK)
        if not any(map(len, pieces)):
            break
        length, ahead = length + len(pieces[0]), ahead + len(pieces[1])
        active = [known or _is_active(piece) for known, piece in zip(active, pieces, strict=True)]
        tracker.push(*pieces)
    tracker.finish()
    first, curve, lags = tracker.first, fit_curve(tracker.points), config.visible_lags
    delay_ms = first.delay_ms if first is not None and first.trusted else None
    if curve is None:
        shift = 0 if delay_ms is None else reference_shift(delay_ms, lags)
        return Alignment(shift, delay_ms=delay_ms, unheard=delay_ms is None and all(active))
    start = float(curve.at(np.zeros(1))[0])
    rate, moved = curve.drift(length)
    heard_ms = curve.lags[curve.times <= tracker.points[-1].time] * 1000.0 / MODEL_RATE
    if delay_ms is None:
        delay_ms = start * 1000.0 / MODEL_RATE
    shift = reference_shift(delay_ms, lags)
    drifts = moved >= max(_LEAST_DRIFT, _LEAST_RATE * length)
    if not drifts and all(is_visible(lag_ms - shift * 1000.0 / MODEL_RATE, lags) for lag_ms in heard_ms):
        return Alignment(shift, delay_ms=delay_ms, drift_ppm=-1e6 * rate)
    delay_ms = start * 1000.0 / MODEL_RATE
    steady = start - reference_shift(delay_ms, lags)
    return Alignment(curve=curve, steady=steady, delay_ms=delay_ms, drift_ppm=-1e6 * rate)


def align_reference(mic: FloatArray, ref: FloatArray, config: ModelConfig) -> FloatArray:
    """``ref`` (m,) as ``enhance --align auto`` moves it for ``mic`` (n,) and this model: (n,), all at 16 kHz."""
    found = find_alignment([mic], [ref], config)
    return SampleQueue(found.moved([ref])).take_padded(len(mic))


def read_pair(mic: AudioInput, ref: AudioInput) -> tuple[Iterator[FloatArray], Iterator[FloatArray]]:
    """Both as blocks at 16 kHz, for :func:`find_alignment`. Reading them raises AudioError on damage."""
    return _at_model_rate(mic, ReadStats()), _at_model_rate(ref, ReadStats())


def _is_active(signal: FloatArray) -> bool:
    """Some second of (n,) samples at 16 kHz is louder than the noise of an idle line."""
    starts = range(0, len(signal), MODEL_RATE)
    return any(rms(signal[start : start + MODEL_RATE]) > _IDLE for start in starts)
