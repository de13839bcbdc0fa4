"""Audio inputs: any format libsndfile reads, from a file, a URL, a pipe or stdin, as mono float32 blocks."""

from __future__ import annotations

import copy
import io
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import numpy as np
import soundfile

from ..errors import AudioError, UsageError
from ..file_window import FileWindow
from ..storage import is_remote
from ..storage.remote import fetch
from .header import promised_wav_frames, unclosed_wav
from .resample import FloatArray

__all__ = ["STDIO", "AudioInput", "ReadStats"]

#: The file name that means standard input or output.
STDIO = "-"

RATE_RANGE = (1000, 1_000_000)  # Hz; outside it the header is damaged, not unusual
_BLOCK_VALUES = 1 << 17  # samples times channels held at once, 0.5 MB
_LENGTH_UNKNOWN = 1 << 62  # libsndfile's answer for FLAC written into a pipe
# The engine's limit (native/src/host/front.cpp): it would flatten what is louder without a word.
_ABSURD = 1e6
# One step of 16-bit PCM: what is no louder than this is silence with dither.
_SILENCE = 1.0 / 32768.0


@dataclass
class ReadStats:
    """What one pass over an input found, counted at the file's own rate.

    Attributes:
        frames: frames read.
        bad_samples: NaN, infinite or beyond 1e6 times full scale, replaced by zeros.
        samples: samples looked at (frames times the channels in use).
        peak: largest absolute value after mixing down.
    """

    frames: int = 0
    bad_samples: int = 0
    samples: int = 0
    peak: float = 0.0

    @property
    def silent(self) -> bool:
        """Nothing louder than one step of 16-bit PCM."""
        return self.peak <= _SILENCE


class AudioInput:
    """One readable audio file; :meth:`blocks` may be called again for another pass.

    Attributes:
        name: the path as the user gave it, or ``stdin``.
        rate: sampling rate in Hz.
        channels: channels in the file.
        frames: frames the header promises, None where it does not say.
        subtype: libsndfile's name of the sample encoding, for example ``PCM_16``.
        container: libsndfile's name of the file format, for example ``WAV``.
        channel: the one in use, from 1; None averages all.
        mixes_down: several channels become one by averaging.

    Raises:
        AudioError: missing, not audio, empty, truncated, or of an unusable rate.
        UsageError: ``channel`` names one that the file does not have.
        RemoteError: the storage of a URL cannot be reached, or refuses.
    """

    def __init__(self, path: str, channel: int | None = None, *, allow_truncated: bool = False) -> None:
        """Open ``path`` (``-`` is stdin); ``channel`` counts from 1, None averages all.

        ``allow_truncated`` accepts what a crashed recorder leaves: a WAV that holds less than its header promises, or
        one whose header says that it is empty although samples follow; then all that follows is taken.
        """
        self.path = path
        self.name = "stdin" if path == STDIO else path
        self._spool = _spool_stream(path, self.name)
        self._owns_spool = True
        unclosed = self._close_header()
        with self._open() as file:
            self.rate = int(file.samplerate)
            self.channels = int(file.channels)
            self.subtype = str(file.subtype)
            self.container = str(file.format)
            self.frames: int | None = int(file.frames) if file.frames < _LENGTH_UNKNOWN else None
        if not RATE_RANGE[0] <= self.rate <= RATE_RANGE[1]:
            raise AudioError(f"{self.name}: a sampling rate of {self.rate} Hz cannot be right; is the file damaged?")
        if self.frames == 0:
            raise AudioError(f"{self.name}: contains no audio")
        if unclosed and not allow_truncated:
            raise AudioError(
                f"{self.name}: never closed by its recorder, its header promises nothing but {self.seconds:.2f} s are "
                "there; --allow-truncated takes what is there"
            )
        present = self.frames
        self.frames = self._promised_frames()
        if present is not None and self.frames is not None and present < self.frames and not allow_truncated:
            raise AudioError(
                f"{self.name}: truncated, its header promises {self.frames / self.rate:.2f} s but "
                f"{present / self.rate:.2f} s are there; --allow-truncated takes what is there"
            )
        self.channel = self._existing(channel)

    @property
    def seconds(self) -> float | None:
        """Promised length in seconds."""
        return None if self.frames is None else self.frames / self.rate

    @property
    def mixes_down(self) -> bool:
        return self.channels > 1 and self.channel is None

    def again(self, channel: int | None) -> AudioInput:
        """Another channel of the same recording, read apart from this one; a pipe is not drained twice.

        To be closed before this one. Raises UsageError as the constructor does.
        """
        other = copy.copy(self)
        other.channel = self._existing(channel)
        other._owns_spool = False
        return other

    def blocks(self, stats: ReadStats | None = None, block_frames: int | None = None) -> Iterator[FloatArray]:
        """Yield the whole file as mono float32 blocks (n,) at the file's own rate.

        Args:
            stats: filled while reading.
            block_frames: block length; only speed and memory depend on it.

        Raises:
            AudioError: the data is damaged, or no sample in the whole file is a finite number.
        """
        stats = ReadStats() if stats is None else stats
        size = block_frames or max(1, _BLOCK_VALUES // self.channels)
        with self._open() as file:
            while True:
                raw = self._read(file, size, stats.frames)
                if len(raw) == 0:
                    break
                stats.frames += len(raw)
                mono = self._mono(raw, stats)
                stats.peak = max(stats.peak, float(np.abs(mono).max()))
                yield mono
        if stats.frames == 0:
            raise AudioError(f"{self.name}: contains no audio")
        if stats.bad_samples == stats.samples:
            raise AudioError(f"{self.name}: no sample is a finite number up to 1e6; the recording is unusable")

    def __enter__(self) -> AudioInput:
        return self

    def __exit__(self, *_: object) -> None:
        """Release the copy of a piped or remote input, or the file where its header had to be completed."""
        if self._spool is not None and self._owns_spool:
            self._spool.close()

    # -- inside -------------------------------------------------------------------------------

    def _existing(self, channel: int | None) -> int | None:
        if channel is None or 1 <= channel <= self.channels:
            return channel
        has = f"channels 1 to {self.channels}" if self.channels > 1 else "one channel"
        raise UsageError(f"{self.name}: has {has}, so there is no channel {channel}")

    def _close_header(self) -> bool:
        """Whether a WAV was never closed by its recorder; from here on it is read with the size filled in."""
        source = self._spool
        if source is None:
            try:
                source = open(self.path, "rb")  # noqa: SIM115 - closed below, or in __exit__
            except (OSError, ValueError):
                return False  # _open knows what to say
        try:
            closed = unclosed_wav(source)
        except OSError:
            closed = None
        if closed is not None:
            self._spool = cast(BinaryIO, closed)
        elif source is not self._spool:
            source.close()
        return closed is not None

    def _open(self) -> Any:
        try:
            return soundfile.SoundFile(self.path if self._spool is None else _view(self._spool))
        except TypeError as exc:  # soundfile wants a rate for headerless files
            raise AudioError(f"{self.name}: raw audio without a header; convert it to WAV first") from exc
        except (soundfile.SoundFileError, OSError, ValueError) as exc:
            if self._spool is None:
                _require_readable(self.path, self.name)
            detail = str(getattr(exc, "error_string", exc)).rstrip(".")
            raise AudioError(f"{self.name}: not readable as audio ({detail})") from exc

    def _read(self, file: Any, size: int, position: int) -> FloatArray:
        """Up to ``size`` frames, (n, channels)."""
        buffer = np.full((size, self.channels), np.nan, np.float32)
        try:
            block: FloatArray = file.read(out=buffer)
            return block
        except (soundfile.SoundFileError, OSError, RuntimeError) as exc:
            if self.frames is None:
                # A FLAC of unknown length reports its end as an error, after filling the buffer.
                return buffer[: int(np.count_nonzero(~np.isnan(buffer[:, 0])))]
            detail = str(getattr(exc, "error_string", exc)).rstrip(".")
            at = position / self.rate
            raise AudioError(f"{self.name}: damaged, cannot be decoded beyond {at:.2f} s ({detail})") from exc

    def _mono(self, raw: FloatArray, stats: ReadStats) -> FloatArray:
        if self.channel is not None:
            raw = raw[:, self.channel - 1 : self.channel]
        bad = ~(np.abs(raw) <= _ABSURD)  # a NaN compares false
        count = int(np.count_nonzero(bad))
        if count:
            raw = np.where(bad, np.float32(0.0), raw)
        stats.bad_samples += count
        stats.samples += raw.size
        return np.ascontiguousarray(raw[:, 0]) if raw.shape[1] == 1 else raw.mean(axis=1, dtype=np.float32)

    def _promised_frames(self) -> int | None:
        if self.container not in ("WAV", "WAVEX") or self.frames is None:
            return self.frames
        if self._spool is not None:
            return promised_wav_frames(self._spool) or self.frames
        with open(self.path, "rb") as file:
            return promised_wav_frames(file) or self.frames


def _view(file: BinaryIO) -> FileWindow:
    """All of a file, with a position of its own, so that two readers can share what it shows."""
    return FileWindow(file, 0, file.seek(0, io.SEEK_END))


def _require_readable(path: str, name: str) -> None:
    """Replace libsndfile's "System error" by the reason."""
    if os.path.isdir(path):
        raise AudioError(f"{name}: is a directory, not an audio file")
    try:
        with open(path, "rb"):
            pass
    except FileNotFoundError as exc:
        raise AudioError(f"{name}: no such file") from exc
    except (OSError, ValueError) as exc:
        raise AudioError(f"{name}: cannot be opened ({getattr(exc, 'strerror', None) or exc})") from exc


def _spool_stream(path: str, name: str) -> BinaryIO | None:
    """A rewindable copy of stdin, a pipe or an object, on disk under no name; None for an ordinary file."""
    remote = is_remote(path)
    if path != STDIO and not remote:
        try:
            if not stat.S_ISFIFO(os.stat(path).st_mode):
                return None
        except (OSError, ValueError):
            return None
    elif not remote and sys.stdin.isatty():
        raise UsageError("stdin is a terminal; pipe audio into it or name a file")
    spool: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - closed by AudioInput.close
    try:
        if path == STDIO:
            shutil.copyfileobj(sys.stdin.buffer, spool)
        elif remote:
            fetch(path, spool)
        else:
            with open(path, "rb") as pipe:
                shutil.copyfileobj(pipe, spool)
    except BaseException as exc:
        spool.close()
        if isinstance(exc, FileNotFoundError):
            raise AudioError(f"{name}: no such file") from exc
        if isinstance(exc, OSError):
            raise AudioError(f"{name}: cannot be read ({exc.strerror or exc})") from exc
        raise
    if spool.tell() == 0:
        spool.close()
        raise AudioError(f"{name}: contains no audio")
    return spool
