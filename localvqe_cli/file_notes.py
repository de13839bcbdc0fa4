"""What to tell the user about a file that was enhanced, in words."""

from __future__ import annotations

import os

from .audio import MODEL_RATE, STDIO, AudioInput, ReadStats
from .audio.drift import WIDE_SECONDS
from .audio.lag_curve import MAX_PPM
from .signal_path import Alignment

__all__ = ["BAND_NOTE", "align_notes", "band_notes", "clip_notes", "input_notes", "length_notes"]

#: Of any output at a higher rate than the model's: worth saying once in a run, not for every file.
BAND_NOTE = "the model works at 16 kHz: output at a higher rate holds nothing above 8 kHz"

# Below one sample at the model's rate two files are equally long.
_SAME_LENGTH = 1.0 / MODEL_RATE


def input_notes(
    mic: AudioInput, mic_stats: ReadStats, ref: AudioInput | None, ref_stats: ReadStats
) -> tuple[list[str], list[str]]:
    """(warnings, notes) about the inputs, after both were read."""
    warnings: list[str] = []
    notes: list[str] = []
    if ref is not None and _is_same_file(mic.path, ref.path) and not _are_told_apart(mic, ref):
        warnings.append("mic and reference are the same file: the model will remove everything it can")
    for source, stats, role, option in (
        (mic, mic_stats, "mic", "--mic-channel"),
        (ref, ref_stats, "reference", "--ref-channel"),
    ):
        if source is None:
            continue
        if source.frames is not None and stats.frames < source.frames:
            warnings.append(
                f"the {role} ends early: its header promises {source.frames / source.rate:.2f} s, "
                f"{stats.frames / source.rate:.2f} s are there"
            )
        if stats.bad_samples:
            count = "1 sample" if stats.bad_samples == 1 else f"{stats.bad_samples} samples"
            warnings.append(f"{count} of the {role} NaN, infinite or beyond 1e6 times full scale: replaced by zeros")
        if stats.silent:
            notes.append(f"the {role} is silent")
        if source.mixes_down:
            notes.append(f"the {role} has {source.channels} channels: mixed to one; {option} picks one instead")
    return warnings, notes


def length_notes(mic: AudioInput, mic_stats: ReadStats, ref: AudioInput | None, ref_stats: ReadStats) -> list[str]:
    """A note where the reference is shorter or longer than the mic."""
    if ref is None:
        return []
    missing = mic_stats.frames / mic.rate - ref_stats.frames / ref.rate
    if abs(missing) < _SAME_LENGTH:
        return []
    if missing > 0:
        return [f"the reference is {missing:.3f} s shorter than the mic: padded with silence"]
    return [f"the reference is {-missing:.3f} s longer than the mic: cut"]


def band_notes(mic: AudioInput, strength: float) -> list[str]:
    """:data:`BAND_NOTE` where it holds: not where a share of the mic keeps its full band."""
    return [BAND_NOTE] if mic.rate > MODEL_RATE and strength == 1.0 else []


def align_notes(found: Alignment) -> list[str]:
    """Why and how the reference was moved, or that no echo was found to move it by."""
    if found.unheard:
        return [
            f"no echo of the reference was found from {WIDE_SECONDS:g} s before to {WIDE_SECONDS:g} s after it, at "
            f"clocks up to {MAX_PPM} ppm apart; pass --align MS if the delay is known, or was the loudspeaker off?"
        ]
    notes = []
    if found.shift_ms:
        move = f"reference {'delayed' if found.shift_ms > 0 else 'advanced'} by {abs(found.shift_ms):.0f} ms"
        if found.delay_ms is None:
            notes.append(f"{move}, as asked")
        else:
            order = "after" if found.delay_ms > 0 else "before"
            notes.append(
                f"the echo comes {abs(found.delay_ms):.0f} ms {order} the reference, out of the model's sight: {move}"
            )
    if found.curve is not None:
        notes.append(_drift_note(found))
    return notes


def _drift_note(found: Alignment) -> str:
    ppm = found.drift_ppm or 0.0
    return f"the reference's clock is {abs(ppm):.0f} ppm {'fast' if ppm > 0 else 'slow'}: resampled"


def clip_notes(peak: float, clipped: int, gain: float) -> list[str]:
    """A note where the output went beyond full scale."""
    if not clipped:
        return []
    plural = "s" if clipped > 1 else ""
    done = f"whole file scaled by {gain:.3f}" if gain != 1.0 else "clamped"
    return [f"{clipped} sample{plural} beyond full scale (peak {peak:.2f}): {done}"]


def _are_told_apart(mic: AudioInput, ref: AudioInput) -> bool:
    """Of one file, two channels are in use."""
    return None not in (mic.channel, ref.channel) and mic.channel != ref.channel


def _is_same_file(first: str, second: str) -> bool:
    if STDIO in (first, second):
        return False
    try:
        return os.path.samefile(first, second)
    except OSError:
        return False
