"""Enhance sound files: from two recordings of any format to one, in flat memory.

What the ``enhance`` verb does, without its terminal: callers pass jobs and options and get results
that carry everything worth telling the user.
"""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field

from .audio import MODEL_RATE, STDIO, AudioInput, AudioOutput, ClipMode, Job, PeakGuard, choose_format, open_output
from .errors import AudioError, LocalVQEError, UsageError
from .file_notes import align_notes, band_notes, clip_notes, input_notes, length_notes
from .signal_path import Alignment, Model, SignalPath, find_alignment, read_pair

__all__ = ["ALIGN_AUTO", "ALIGN_OFF", "EnhanceOptions", "FileResult", "enhance_job", "try_job"]

ALIGN_AUTO = "auto"
ALIGN_OFF = "off"

_MAX_SHIFT_MS = 60_000.0

# What libsndfile calls a container that it does not know, such as M4A and WebM.
_UNKNOWN_FORMAT = 1

#: Called with the seconds done and the seconds in all, None where unknown.
Progress = Callable[[float, float | None], None]


@dataclass(frozen=True)
class EnhanceOptions:
    """How to treat every file of a run.

    Attributes:
        mic_channel, ref_channel: channel to take of the mic's and of the reference's file, from 1; None averages all.
        clip_mode: what to do with output beyond full scale.
        align: ``auto``, ``off``, or milliseconds by which to delay (negative: advance) the reference.
        allow_truncated: take what there is of a WAV that is shorter than its header promises.
        strength: share of the model's output, 0..1; the rest is the unprocessed mic.
        block_frames: frames read at a time; None chooses. The output does not depend on it.

    Raises:
        UsageError: a value out of range.
    """

    mic_channel: int | None = None
    ref_channel: int | None = None
    clip_mode: ClipMode = ClipMode.RESCALE
    align: str | float = ALIGN_AUTO
    allow_truncated: bool = False
    strength: float = 1.0
    block_frames: int | None = None

    def __post_init__(self) -> None:
        for name, channel in (("mic_channel", self.mic_channel), ("ref_channel", self.ref_channel)):
            if channel is not None and channel < 1:
                raise UsageError(f"{name} is {channel}, expected 1 or more")
        if not 0.0 <= self.strength <= 1.0:  # true for NaN as well
            raise UsageError(f"strength is {self.strength}, expected a number from 0 to 1")
        if self.align not in (ALIGN_AUTO, ALIGN_OFF) and not _is_shift(self.align):
            raise UsageError(f"align is {self.align}: give auto, off, or milliseconds between -60000 and 60000")

    @property
    def two_channel(self) -> bool:
        """The mic's file holds its reference too, unless another is named."""
        return self.mic_channel is not None and self.ref_channel is not None

    def check_channels(self, jobs: Iterable[Job]) -> None:
        """Raise UsageError where mic and reference are the same channel of one file."""
        if self.two_channel and self.mic_channel == self.ref_channel:
            for job in jobs:
                if job.mic == job.ref:
                    name = "stdin" if job.mic == STDIO else job.mic
                    raise UsageError(f"{name}: channel {self.mic_channel} cannot be both the mic and its reference")


@dataclass
class FileResult:
    """What became of one job.

    Attributes:
        id, mic, ref, output: of the job; ``ref`` is None for silence, ``output`` where it failed.
        seconds: length of the mic and of the output.
        rate: sampling rate of the mic and of the output, Hz.
        channels: channels in the mic's file; the output is mono.
        subtype: encoding of the output.
        wall_seconds: time the work took.
        realtime_factor: ``wall_seconds / seconds``; below 1 is faster than real time.
        peak: largest absolute output value before ``gain``; full scale is 1.
        clipped: output samples beyond full scale before ``gain``.
        gain: factor applied to the whole file to keep it in range.
        delay_ms: how far the mic's echo lags the reference, at first where that changes; None where no echo was found.
        shift_ms: how far the reference was delayed (negative: advanced), at first where it was resampled too.
        drift_ppm: how fast the reference's clock is against the mic's, on average, resampled or not; None where that
            was not measured.
        warnings, notes, details: sentences for the user, in order of weight.
        error: why there is no output; None on success.
    """

    id: str
    mic: str
    ref: str | None
    output: str | None
    seconds: float = 0.0
    rate: int = 0
    channels: int = 0
    subtype: str = ""
    wall_seconds: float = 0.0
    realtime_factor: float = 0.0
    peak: float = 0.0
    clipped: int = 0
    gain: float = 1.0
    delay_ms: float | None = None
    shift_ms: float = 0.0
    drift_ppm: float | None = None
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    error: str | None = None

    def to_dict(self) -> dict[str, object]:
        """JSON-ready form."""
        return asdict(self)


def _is_shift(align: str | float) -> bool:
    return not isinstance(align, str) and math.isfinite(align) and abs(align) <= _MAX_SHIFT_MS


def try_job(model: Model, job: Job, options: EnhanceOptions, progress: Progress | None = None) -> FileResult:
    """Enhance one file of many: whatever goes wrong with it is the result's ``error``, and the others go on."""
    try:
        return enhance_job(model, job, options, progress)
    except LocalVQEError as exc:
        error = str(exc)
    except Exception as exc:  # a defect of ours, or of the disk: no reason either to lose the other files
        error = f"{job.mic}: failed unexpectedly ({type(exc).__name__}: {exc})"
    return FileResult(job.id, job.mic, job.ref or None, None, error=error)


def enhance_job(model: Model, job: Job, options: EnhanceOptions, progress: Progress | None = None) -> FileResult:
    """Enhance one file; the output has the mic's length, rate and alignment.

    Args:
        progress: called with the seconds done and the seconds in all (None if unknown).

    Raises:
        AudioError: an input is missing, damaged, empty, too short or without a finite sample.
        UsageError: the output cannot be written as asked.
        LocalVQEError: writing failed, or the model's output is not finite.
    """
    started = time.monotonic()
    result = FileResult(job.id, job.mic, job.ref, job.output)
    with ExitStack() as stack:
        mic = stack.enter_context(_open(job.mic, options.mic_channel, options))
        ref = None if job.ref is None else stack.enter_context(_open_reference(job, mic, options))
        result.rate, result.channels = mic.rate, mic.channels
        form = choose_format(job.output, mic)
        result.subtype = form.subtype
        # Opened before the work, so that an unwritable place does not cost an hour first.
        output = stack.enter_context(open_output(job.output, mic.rate, form))
        path = SignalPath(
            model,
            mic,
            ref,
            alignment=_align(model, mic, ref, options.align, result),
            strength=options.strength,
            block_frames=options.block_frames,
        )
        _write(path, output, options.clip_mode, mic, result, progress)
        _require_length(path, mic, ref, model.config.hop_length)
    warnings, notes = input_notes(mic, path.mic_stats, ref, path.ref_stats)
    result.warnings += warnings
    result.notes += notes + length_notes(mic, path.mic_stats, ref, path.ref_stats)
    result.notes += clip_notes(result.peak, result.clipped, result.gain)
    result.notes += band_notes(mic, options.strength)
    result.details += [form.note] if form.note else []
    result.seconds = path.mic_stats.frames / mic.rate
    result.wall_seconds = time.monotonic() - started
    result.realtime_factor = result.wall_seconds / result.seconds
    return result


def _open(
    path: str, channel: int | None, options: EnhanceOptions, *, command: str = "localvqe enhance - REF -o OUT.wav"
) -> AudioInput:
    """``command`` is how this input can come from a pipe."""
    try:
        return AudioInput(path, channel, allow_truncated=options.allow_truncated)
    except AudioError as exc:
        if getattr(exc.__cause__, "code", None) != _UNKNOWN_FORMAT:
            raise
        name = "in.m4a" if path == STDIO else shlex.quote(path)
        raise AudioError(f"{exc}; if ffmpeg knows it: ffmpeg -i {name} -f wav - | {command}") from exc


def _open_reference(job: Job, mic: AudioInput, options: EnhanceOptions) -> AudioInput:
    if not job.ref:
        raise AudioError(f"{job.mic}: no reference found for it; --no-ref runs without one")
    if job.ref == job.mic:
        return mic.again(options.ref_channel)
    return _open(job.ref, options.ref_channel, options, command="localvqe enhance MIC - -o OUT.wav")


def _align(
    model: Model, mic: AudioInput, ref: AudioInput | None, align: str | float, result: FileResult
) -> Alignment | None:
    """How to move the reference; fills in what ``result`` says about it."""
    if ref is None and model.config.echo_only:
        result.notes.append("without a reference this model, which takes echo only, changes nothing; try -m denoise")
    if ref is None or align == ALIGN_OFF:
        return None
    if not isinstance(align, str):
        found = Alignment(round(align * MODEL_RATE / 1000.0))
    else:
        found = find_alignment(*read_pair(mic, ref), model.config)
    result.delay_ms, result.shift_ms, result.drift_ppm = found.delay_ms, found.shift_ms, found.drift_ppm
    result.notes += align_notes(found)
    return found


def _write(
    path: SignalPath,
    output: AudioOutput,
    clip_mode: ClipMode,
    mic: AudioInput,
    result: FileResult,
    progress: Progress | None,
) -> None:
    written = 0
    with PeakGuard(output, clip_mode) as guard:
        for block in path.blocks():
            guard.write(block)
            written += len(block)
            if progress is not None:
                progress(written / mic.rate, mic.seconds)
        report = guard.finish()
    result.peak, result.clipped, result.gain = report.peak, report.clipped, report.gain


def _require_length(path: SignalPath, mic: AudioInput, ref: AudioInput | None, hop: int) -> None:
    """Known for sure only after reading, since headers lie; the output has not been committed yet."""
    for source, stats in ((mic, path.mic_stats), (ref, path.ref_stats)):
        if source is not None and stats.frames * MODEL_RATE < hop * source.rate:
            ms = 1000.0 * stats.frames / source.rate
            raise AudioError(f"{source.name}: {ms:.1f} ms is too short; the model works in hops of 16 ms")
