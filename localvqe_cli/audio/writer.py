"""Audio outputs: mono, in the microphone's rate and encoding, whole or not at all."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray

from ..atomic import atomic_output
from ..errors import LocalVQEError, UsageError
from .reader import STDIO
from .resample import FloatArray

__all__ = ["AudioOutput", "OutputFormat", "SoundKind", "choose_format", "open_output"]

# What to use where a container cannot hold the microphone's encoding, in this order.
_SUBSTITUTES = {
    "PCM_U8": ("PCM_S8", "PCM_16"),
    "PCM_S8": ("PCM_U8", "PCM_16"),
    "PCM_24": ("PCM_16",),
    "PCM_32": ("PCM_24", "PCM_16"),
    "FLOAT": ("PCM_24", "PCM_16"),
    "DOUBLE": ("FLOAT", "PCM_24", "PCM_16"),
}
_RIFF_LIMIT = (1 << 32) - (1 << 16)
_WIDEST_SAMPLE = 8
# Bits of a sample in the encodings that hold integers without loss; not ALAC_32, of which libsndfile keeps 24 bits.
_INTEGER_BITS = {
    "PCM_U8": 8,
    "PCM_S8": 8,
    "PCM_16": 16,
    "PCM_24": 24,
    "PCM_32": 32,
    "ALAC_16": 16,
    "ALAC_20": 20,
    "ALAC_24": 24,
}
# The largest value of 16-bit PCM; wider and float encodings keep to it too, so that a 16-bit copy needs no clipping.
_CEILING = 32767.0 / 32768.0
_CONTAINERS = {"aif": "AIFF", "aifc": "AIFF", "oga": "OGG", "opus": "OGG", "snd": "AU", "wave": "WAV"}


@dataclass(frozen=True)
class OutputFormat:
    """libsndfile's names of a container and an encoding, and why they differ from the input's."""

    container: str
    subtype: str
    note: str | None = None


class SoundKind(Protocol):
    """What an output takes after: an :class:`AudioInput`, or sound that came from elsewhere."""

    @property
    def frames(self) -> int | None:
        """Length in samples, None where it is unknown."""

    @property
    def subtype(self) -> str:
        """libsndfile's name of the sample encoding."""


def choose_format(path: str, source: SoundKind) -> OutputFormat:
    """The container that ``path``'s extension names, with ``source``'s encoding if it can hold it.

    stdout, pipes and devices get WAV. A WAV that would outgrow its 4 GB header becomes RF64, which the same readers
    open.

    Raises:
        UsageError: the extension names no format that can be written.
    """
    extension = "wav" if _is_stream(path) else os.path.splitext(path)[1].lstrip(".").lower()
    container = _CONTAINERS.get(extension, extension.upper())
    if container == "RAW" or container not in soundfile.available_formats():
        raise UsageError(f"{path}: cannot tell the audio format from the name; end it in .wav, .flac or .ogg")
    if container == "WAV" and (source.frames or 0) * _WIDEST_SAMPLE > _RIFF_LIMIT:
        container = "RF64"
    wanted = "OPUS" if extension == "opus" else source.subtype
    fallback = soundfile.default_subtype(container)
    for subtype in (wanted, *_SUBSTITUTES.get(wanted, ()), fallback):
        if subtype is not None and soundfile.check_format(container, subtype):
            note = None if subtype == source.subtype else f"{container} written as {subtype} (mic: {source.subtype})"
            return OutputFormat(container, subtype, note)
    raise UsageError(f"{path}: {container} files cannot be written; end the name in .wav, .flac or .ogg")


class AudioOutput:
    """Takes mono float32 blocks; in integer encodings values are rounded and clamped, never wrapped.

    Rounding is done here and not by libsndfile, which rounds in FLAC and takes the next lower value in WAV, AIFF and
    CAF: half a step of offset. Samples are those of the C interface's ``_s16`` functions (half to even). Float and
    lossy encodings get the block as it is.

    Attributes:
        ceiling: the largest value that a signal which is to fit should reach, of full scale.
    """

    def __init__(self, file: Any, name: str) -> None:
        """``file`` is an open ``soundfile.SoundFile``, ``name`` what messages call it."""
        self._file = file
        self._name = name
        self._bits = _INTEGER_BITS.get(file.subtype)
        self.ceiling = _CEILING if self._bits is None else min(_CEILING, 1.0 - 2.0 ** (1 - self._bits))

    def write(self, block: FloatArray) -> None:
        """Append ``block`` (n,), finite, nominally in [-1, 1].

        Raises:
            LocalVQEError: the system refused, for example because the disk is full.
        """
        try:
            self._file.write(block if self._bits is None else _to_integers(block, self._bits))
        except (OSError, RuntimeError, AssertionError) as exc:  # the last is soundfile's short write
            raise LocalVQEError(_refusal(self._name, exc)) from exc


@contextmanager
def open_output(path: str, rate: int, form: OutputFormat) -> Iterator[AudioOutput]:
    """An output file or object that takes its name when the body ends well and disappears when it does not.

    ``-``, pipes and devices receive the finished bytes at the end, since a header cannot be
    corrected there.

    Raises:
        UsageError: the target cannot be written, or its format cannot hold ``rate``.
        LocalVQEError: the system refused a write.
        RemoteError: the storage did.
    """
    if _is_stream(path):
        with tempfile.TemporaryFile() as spool:
            with _sound_file(spool, path, rate, form) as file:
                yield AudioOutput(file, path)
            _copy_out(spool, path)
        return
    with atomic_output(path) as temporary, _sound_file(temporary, path, rate, form) as file:
        yield AudioOutput(file, path)


def _to_integers(block: FloatArray, bits: int) -> NDArray[np.int32]:
    """``block`` (n,) in steps of a ``bits`` wide integer, at the top of 32 bits, whose lower end libsndfile drops."""
    full = 2.0 ** (bits - 1)
    steps = np.clip(np.rint(block.astype(np.float64) * full), -full, full - 1.0)
    integers: NDArray[np.int32] = steps.astype(np.int32) << np.int32(32 - bits)
    return integers


@contextmanager
def _sound_file(target: Path | BinaryIO, name: str, rate: int, form: OutputFormat) -> Iterator[Any]:
    try:
        file = soundfile.SoundFile(target, "w", rate, 1, form.subtype, format=form.container)
    except (soundfile.SoundFileError, ValueError) as exc:
        what = f"{form.container} with {form.subtype} at {rate} Hz"
        detail = str(getattr(exc, "error_string", exc)).rstrip(".")
        raise UsageError(f"cannot write {name} as {what} ({detail}); choose another extension") from exc
    try:
        yield file
    finally:
        try:
            file.close()
        except (soundfile.SoundFileError, OSError) as exc:
            raise LocalVQEError(_refusal(name, exc)) from exc


def _is_stream(path: str) -> bool:
    """stdout, or something that exists and is neither file nor directory."""
    return path == STDIO or (os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path))


def _copy_out(spool: BinaryIO, path: str) -> None:
    spool.seek(0)
    try:
        if path == STDIO:
            shutil.copyfileobj(spool, sys.stdout.buffer)
            sys.stdout.buffer.flush()
            return
        with open(path, "wb") as file:
            shutil.copyfileobj(spool, file)
    except BrokenPipeError:
        raise  # the reader has had enough, which is no error
    except OSError as exc:
        raise LocalVQEError(_refusal("stdout" if path == STDIO else path, exc)) from exc


def _refusal(name: str, exc: Exception) -> str:
    detail = str(getattr(exc, "strerror", None) or getattr(exc, "error_string", None) or exc).rstrip(".")
    if detail in ("", "System error"):  # libsndfile does not say what the system said
        detail = "the system refused; is the disk full?"
    return f"could not write {name}: {detail}"
