"""The way of a recording through the model, block by block. ::

    mic ── mix down ── to 16 kHz ─┬── model ── drop one hop ── to the mic's rate ── mix ──► output
    ref ── mix down ── to 16 kHz ─┴ shift                           mic, at its own rate ──┘

Every stage is a generator that pulls from the one before, so memory does not grow with length.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from .audio import MODEL_RATE, AudioInput, DelayEstimate, ReadStats, Resampler, estimate_delay, reference_shift
from .audio.align import SEARCH_SECONDS
from .audio.queue import SampleQueue
from .audio.resample import FloatArray
from .config import ModelConfig
from .engine import CLIP_HOPS
from .errors import LocalVQEError

__all__ = ["Model", "ModelStream", "SignalPath", "find_shift", "is_active", "read_at_model_rate", "read_heads"]

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


class ModelStream(Protocol):
    """The part of ``engine.Stream`` used here: lags one hop, returns whole hops."""

    def process(self, mic: FloatArray, ref: FloatArray) -> FloatArray: ...

    def flush(self) -> FloatArray: ...


class Model(Protocol):
    """The part of ``engine.Enhancer`` used here."""

    @property
    def config(self) -> ModelConfig: ...

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
        shift: int = 0,
        strength: float = 1.0,
        block_frames: int | None = None,
    ) -> None:
        """``shift`` delays the reference by that many samples at 16 kHz, or advances it if negative."""
        self._model = model
        self._mic = mic
        self._ref = ref
        self._shift = shift
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
        stream = self._model.stream(max_hops=CLIP_HOPS)
        hop = self._model.config.hop_length
        skip = self._model.config.latency_samples
        loudest = _QUIET
        for mic, ref in self._pieces(_PIECE_HOPS * hop, dry):
            self.mic_length += len(mic)
            out = stream.process(mic, ref)
            loudest = max(loudest, _rms(mic))
            yield self._sane(out, loudest)[skip:]
            skip = max(0, skip - len(out))
        yield self._sane(stream.flush(), loudest)[skip:]

    def _sane(self, out: FloatArray, loudest: float) -> FloatArray:
        """``out``, unless the model has run away; ``loudest`` is the highest RMS of a piece of the mic so far."""
        finite = bool(np.isfinite(out).all())
        if finite and (len(out) == 0 or np.abs(out).max() <= 1.0 or _rms(out) <= _RUNAWAY_GAIN * loudest):
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
        ref = SampleQueue(self._shifted_ref())
        while len(piece := mic.take(length)):
            yield piece, ref.take_padded(len(piece))
        # What of the reference was not needed still counts: its length and its damage are reported.
        ref.drain()

    def _shifted_ref(self) -> Iterator[FloatArray]:
        if self._ref is None:
            return
        yield np.zeros(max(0, self._shift), np.float32)
        drop = max(0, -self._shift)
        for block in _at_model_rate(self._ref, self.ref_stats, self._block_frames):
            yield block[drop:]
            drop = max(0, drop - len(block))


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


def find_shift(mic: FloatArray, ref: FloatArray, config: ModelConfig) -> tuple[DelayEstimate | None, int]:
    """Search the first minute of (n,) and (m,) samples at 16 kHz for the echo.

    Returns the outcome, None where one is silent, and the samples by which to delay the reference (negative: advance
    it) so that the model sees the echo: 0 where it does already, or where there is no trusted outcome.
    """
    head = SEARCH_SECONDS * MODEL_RATE
    found = estimate_delay(mic[:head], ref[:head])
    if found is None or not found.trusted:
        return found, 0
    return found, reference_shift(found.delay_ms, config.visible_lags)


def is_active(signal: FloatArray) -> bool:
    """Some second of (n,) samples at 16 kHz is louder than the noise of an idle line."""
    starts = range(0, len(signal), MODEL_RATE)
    return any(_rms(signal[start : start + MODEL_RATE]) > _IDLE for start in starts)


def read_heads(mic: AudioInput, ref: AudioInput) -> tuple[FloatArray, FloatArray]:
    """As much of both as :func:`find_shift` looks at, at 16 kHz, (n,) and (m,). Raises AudioError on damage."""
    length = SEARCH_SECONDS * MODEL_RATE
    first, second = (SampleQueue(_at_model_rate(source, ReadStats())).take(length) for source in (mic, ref))
    return first, second


def _rms(block: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(block, dtype=np.float64)))) if len(block) else 0.0
