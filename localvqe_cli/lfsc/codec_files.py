"""From files to files: sound to tokens, tokens to sound, and both at once. In flat memory but for the tokens, 2.5 MB an
hour."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..atomic import check_output
from ..audio import STDIO, AudioInput, ReadStats, Resampler, choose_format, open_output
from ..errors import AudioError, UsageError
from .chunks import joined
from .codec import Codec
from .tokens import TokenFile, read_tokens, token_suffix, write_tokens

__all__ = ["CodecResult", "decode_file", "encode_file", "paired_output", "roundtrip_file"]

Samples = NDArray[np.float32]
StrPath = str | os.PathLike[str]
#: Called with the seconds done and the seconds in all, None where unknown.
Progress = Callable[[float, float | None], None]

#: Of decoded sound: what a file of tokens was made of is not known.
_SUBTYPE = "PCM_16"


@dataclass
class CodecResult:
    """What became of one file.

    Attributes:
        input, output: the files.
        seconds: length of the sound.
        rate: sampling rate of the sound file, Hz.
        frames: columns of tokens.
        samples: length at the codec's rate.
        wall_seconds: time the work took.
        warnings, notes: what the user should know, a line each.
    """

    input: str
    output: str
    seconds: float = 0.0
    rate: int = 0
    frames: int = 0
    samples: int = 0
    wall_seconds: float = 0.0
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, object]:
        """JSON-ready form."""
        return asdict(self)


def encode_file(
    codec: Codec, sound: StrPath, output: StrPath, *, force: bool = False, progress: Progress | None = None
) -> CodecResult:
    """Write the tokens of a sound file of any format, rate and number of channels, which are averaged.

    Args:
        codec: the codec.
        sound: the file, ``-`` for stdin.
        output: a name in ``.npz`` or ``.safetensors``.
        force: replace an existing file.
        progress: told how far it is.

    Raises:
        AudioError: the sound cannot be read or used. UsageError: the output cannot be written.
    """
    source, target = os.fspath(sound), os.fspath(output)
    token_suffix(target)
    check_output(target, force=force, inputs=[] if source == STDIO else [source])
    started, result = time.monotonic(), CodecResult(source, target)
    with AudioInput(source) as audio:
        counted = _Counted(codec, audio, result, progress)
        tokens = joined(codec.encode_blocks(counted.blocks()))
        counted.finish()
    config = codec.config
    content = TokenFile(tokens, result.samples, codec.sample_rate, codec.samples_per_frame, config.levels)
    write_tokens(target, content)
    result.frames = tokens.shape[1]
    result.wall_seconds = time.monotonic() - started
    return result


def decode_file(
    codec: Codec, tokens: StrPath, output: StrPath, *, force: bool = False, progress: Progress | None = None
) -> CodecResult:
    """Write the sound of a file of tokens, at the codec's rate, 16 bits where the format has them.

    Args:
        codec: the codec that made them.
        tokens: the file.
        output: a sound file, ``-`` for stdout.
        force: replace an existing file.
        progress: told how far it is.

    Raises:
        AudioError: the tokens cannot be read, or are those of another codec. UsageError: the output cannot be written.
    """
    source, target = os.fspath(tokens), os.fspath(output)
    token_suffix(source)
    if target != STDIO:
        check_output(target, force=force, inputs=[source])
    started, result = time.monotonic(), CodecResult(source, target)
    content = read_tokens(source)
    _require_same_codec(source, codec, content)
    form = choose_format(target, _Decoded(content.samples))
    try:
        with open_output(target, codec.sample_rate, form) as file:
            for block in codec.decode_blocks(content.tokens, content.samples):
                file.write(block)
                result.samples += len(block)
                if progress is not None:
                    progress(result.samples / codec.sample_rate, content.seconds)
    except AudioError as exc:
        raise AudioError(f"{source}: {exc}") from exc
    result.frames, result.rate = content.tokens.shape[1], codec.sample_rate
    result.seconds = content.seconds
    result.wall_seconds = time.monotonic() - started
    return result


def roundtrip_file(
    codec: Codec, sound: StrPath, output: StrPath, *, force: bool = False, progress: Progress | None = None
) -> CodecResult:
    """Write what a sound file is after encoding and decoding, in its own rate, length and encoding; mono.

    Args:
        codec, sound, force, progress: as for :func:`encode_file`.
        output: a sound file, ``-`` for stdout.

    Raises:
        AudioError: the sound cannot be read or used. UsageError: the output cannot be written.
    """
    source, target = os.fspath(sound), os.fspath(output)
    if target != STDIO:
        check_output(target, force=force, inputs=[] if source == STDIO else [source])
    started, result = time.monotonic(), CodecResult(source, target)
    with AudioInput(source) as audio:
        form = choose_format(target, audio)
        with open_output(target, audio.rate, form) as file:
            counted = _Counted(codec, audio, result, progress)
            tokens = joined(codec.encode_blocks(counted.blocks()))
            counted.finish()
            left = counted.stats.frames
            for block in _back(codec, tokens, result.samples, audio.rate):
                file.write(block[:left])
                left -= min(left, len(block))
            if left:
                file.write(np.zeros(left, np.float32))  # what two roundings of the length have lost
    result.frames = tokens.shape[1]
    result.wall_seconds = time.monotonic() - started
    return result


@dataclass(frozen=True)
class _Decoded:
    frames: int
    subtype: str = _SUBTYPE


class _Counted:
    """A sound file at the codec's rate; fills in a result."""

    def __init__(self, codec: Codec, audio: AudioInput, result: CodecResult, progress: Progress | None) -> None:
        self.stats = ReadStats()
        self._codec, self._audio, self._result, self._progress = codec, audio, result, progress

    def blocks(self) -> Iterator[Samples]:
        """What is left after resampling, block by block."""
        resampler = Resampler(self._audio.rate, self._codec.sample_rate)
        for block in self._audio.blocks(self.stats):
            yield self._count(resampler.push(block))
            if self._progress is not None:
                self._progress(self.stats.frames / self._audio.rate, self._audio.seconds)
        yield self._count(resampler.finish())
        if not self._result.samples:
            raise AudioError(f"{self._audio.name}: too short, nothing is left of it at {self._codec.sample_rate} Hz")

    def finish(self) -> None:
        """After the last block."""
        stats, audio, result = self.stats, self._audio, self._result
        result.rate, result.seconds = audio.rate, stats.frames / audio.rate
        if stats.bad_samples:
            result.warnings.append(
                f"{stats.bad_samples} samples NaN, infinite or beyond 1e6 times full scale: replaced by zeros"
            )
        if stats.silent:
            result.notes.append("the sound is silent")
        if audio.mixes_down:
            result.notes.append(f"{audio.channels} channels were mixed to one")

    def _count(self, block: Samples) -> Samples:
        self._result.samples += len(block)
        return block


def _back(codec: Codec, tokens: NDArray[np.int32], samples: int, rate: int) -> Iterator[Samples]:
    """Decoded sound at another rate."""
    resampler = Resampler(codec.sample_rate, rate)
    for block in codec.decode_blocks(tokens, samples):
        yield resampler.push(block)
    yield resampler.finish()


def _require_same_codec(path: str, codec: Codec, content: TokenFile) -> None:
    config = codec.config
    for what, stated, expected in (
        ("codebooks", content.tokens.shape[0], config.groups),
        ("levels", content.levels, config.levels),
        ("samples per frame", content.samples_per_frame, config.samples_per_frame),
        ("sampling rate", content.sample_rate, config.sample_rate),
    ):
        if stated != expected:
            raise AudioError(f"{path}: tokens of another codec, {what} {stated} where {codec.path} has {expected}")


def paired_output(source: str, output: str | None, suffix: str) -> str:
    """Where the result of one of many files goes: its name with another ending, in ``output`` or beside it.

    Raises:
        UsageError: stdin has no name to make one of.
    """
    if source == STDIO:
        raise UsageError("stdin has no name; say where the result goes with -o")
    path = Path(source)
    folder = path.parent if output is None else Path(output)
    return str(folder / f"{path.stem}{suffix}")
