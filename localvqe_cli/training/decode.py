"""Recordings into one flat file of samples, in a way that an interruption costs next to nothing.

While it goes on, ``decoding.i16`` grows and ``decoding.jsonl`` vouches for it: a line per recording, written once its
samples are on the disk. A later run, of this manifest or of one that begins with the same recordings, cuts the samples
to what the lines vouch for and goes on there. Only a whole cache gets its name.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from ..atomic import atomic_output
from ..audio import MODEL_RATE
from ..errors import AudioError, LocalVQEError, UsageError
from .manifest import Entry

try:
    import fcntl
except ImportError:  # Windows; two runs at once should not share a cache there
    fcntl = None  # type: ignore[assignment]

__all__ = ["FULL_SCALE", "Progress", "Track", "active_rms", "decoded"]

Samples = npt.NDArray[np.float32]
#: Called with what is being done, how much of it is done, and how much there is.
Progress = Callable[[str, float, float], None]

FULL_SCALE = 32767.0
_FORMAT = 2
_FRAME = 320
#: Frames more than this far below the loudest one are pauses.
_ACTIVE_DB = -30.0
#: Between two assurances: what an interruption may cost. Each waits for the disk.
_SAVE_SECONDS = 1.0


class Track(NamedTuple):
    """One recording among the samples: [start, start + length), active RMS ``level``, its quietest frames
    ``floor_db`` against that."""

    start: int
    length: int
    level: float
    floor_db: float = -120.0


def decoded(
    entries: list[Entry], cache: str | os.PathLike[str], progress: Progress | None = None
) -> tuple[npt.NDArray[np.int16], list[Track]]:
    """Samples of all recordings at 16 kHz, memory-mapped, and where each is; decoded if they are not there yet.

    Raises:
        UsageError: the cache cannot be made.
        AudioError: a recording that cannot be read; what came before it is kept for the next run.
        LocalVQEError: the cache cannot be written.
    """
    folder = Path(cache)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise UsageError(f"cannot make the cache folder {cache}: {exc.strerror or exc}") from exc
    keys = [_key(entry) for entry in entries]
    stem = folder / f"audio-{_digest(keys)}"
    rows = _read_index(stem)
    if rows is None:
        try:
            with _locked(folder):
                rows = _read_index(stem) or _decode(entries, keys, stem, progress)
        except OSError as exc:
            raise LocalVQEError(f"cannot write to the cache folder {cache}: {exc.strerror or exc}") from exc
    size = sum(row.length for row in rows)
    return np.memmap(stem.with_suffix(".i16"), dtype=np.int16, mode="r", shape=(max(size, 1),)), rows


def active_rms(samples: Samples) -> float:
    """RMS over the frames of 20 ms within 30 dB of the loudest; 0 for silence."""
    if not len(samples):
        return 0.0
    count = max(1, len(samples) // _FRAME)
    frames = samples[: count * _FRAME].astype(np.float64).reshape(count, -1)
    power = np.mean(np.square(frames), axis=1)
    loudest = float(power.max())
    if loudest <= 0.0:
        return 0.0
    return float(np.sqrt(power[power >= loudest * 10 ** (_ACTIVE_DB / 10)].mean()))


# -- a whole cache ----------------------------------------------------------------------------


def _key(entry: Entry) -> str:
    try:
        size = entry.path.stat().st_size
    except OSError as exc:
        raise AudioError(f"{entry.path}: cannot be read: {exc.strerror or exc}") from exc
    return f"{entry.kind}\t{entry.path.name}\t{size}"


def _digest(keys: list[str]) -> str:
    digest = hashlib.sha256(f"format {_FORMAT}".encode())
    for key in keys:
        digest.update(f"\n{key}".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]


def _read_index(stem: Path) -> list[Track] | None:
    try:
        rows = [Track(*row) for row in json.loads(stem.with_suffix(".json").read_text())]
        size = stem.with_suffix(".i16").stat().st_size
    except (OSError, ValueError, TypeError):
        return None
    return rows if size == 2 * max(1, sum(row.length for row in rows)) else None


# -- making it --------------------------------------------------------------------------------


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time decode into ``folder``."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        if fcntl is not None:
            with suppress(OSError):  # a filesystem without locks
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _decode(entries: list[Entry], keys: list[str], stem: Path, progress: Progress | None) -> list[Track]:
    data_path, log_path = (stem.with_name(f"decoding.{suffix}") for suffix in ("i16", "jsonl"))
    sizes = [int(key.rpartition("\t")[2]) for key in keys]
    rows, vouched = _vouched(keys, data_path, log_path)
    samples = rows[-1].start + rows[-1].length if rows else 0
    done, total = sum(sizes[: len(rows)]), sum(sizes)
    with _at(log_path, vouched) as log, _at(data_path, 2 * samples) as data:
        saver = _Saver(data, log)
        try:
            for number in range(len(rows), len(entries)):
                if progress is not None:
                    progress("decoding recordings", done, total)
                recording = _read_audio(entries[number])
                data.write(np.round(recording * FULL_SCALE).astype(np.int16).tobytes())
                level = active_rms(recording)
                rows.append(Track(samples, len(recording), level, _floor_db(recording, level)))
                samples += len(recording)
                saver.add(keys[number], rows[-1])
                done += sizes[number]
        except BaseException:
            with suppress(OSError):
                saver.save()
            raise
        if not samples:
            data.write(b"\0\0")
        saver.save()
    # The index before the samples: without them it says nothing, and they are all vouched for.
    with atomic_output(stem.with_suffix(".json")) as target:
        target.write_text(json.dumps(rows))
    os.replace(data_path, stem.with_suffix(".i16"))
    log_path.unlink(missing_ok=True)
    return rows


def _vouched(keys: list[str], data_path: Path, log_path: Path) -> tuple[list[Track], int]:
    """The first recordings of this manifest that an earlier run has left whole, and the bytes of their lines."""
    rows: list[Track] = []
    length = samples = 0
    try:
        lines = log_path.read_bytes().splitlines(keepends=True)
        size = data_path.stat().st_size
    except OSError:
        return rows, 0
    for key, line in zip(keys, lines, strict=False):
        try:
            of, *row = json.loads(line)
            count, level, floor = int(row[0]), float(row[1]), float(row[2])
        except (ValueError, TypeError, IndexError):
            break
        if of != key or not line.endswith(b"\n") or count < 0 or 2 * (samples + count) > size:
            break
        rows.append(Track(samples, count, level, floor))
        samples += count
        length += len(line)
    return rows, length


def _at(path: Path, length: int) -> BinaryIO:
    """The file, cut to its first ``length`` bytes, to go on there."""
    path.touch()
    file = open(path, "r+b")  # noqa: SIM115 - closed by the caller
    file.truncate(length)
    file.seek(length)
    return file


class _Saver:
    """Vouches for recordings once their samples are on the disk."""

    def __init__(self, data: BinaryIO, log: BinaryIO) -> None:
        self._data, self._log = data, log
        self._pending: list[bytes] = []
        self._saved = time.monotonic()

    def add(self, key: str, row: Track) -> None:
        self._pending.append(json.dumps([key, *row[1:]]).encode() + b"\n")
        if time.monotonic() - self._saved >= _SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        self._data.flush()
        os.fsync(self._data.fileno())
        self._log.write(b"".join(self._pending))
        self._log.flush()
        self._pending.clear()
        self._saved = time.monotonic()


def _read_audio(entry: Entry) -> Samples:
    """The recording in mono at 16 kHz, within full scale."""
    try:
        samples, rate = soundfile.read(entry.path, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as exc:
        raise AudioError(f"{entry.path}: cannot be decoded: {exc}") from exc
    mono = samples.mean(axis=1)
    if rate != MODEL_RATE:
        mono = soxr.resample(mono, rate, MODEL_RATE).astype(np.float32)
    if not np.isfinite(mono).all():
        raise AudioError(f"{entry.path}: holds samples that are not finite")
    peak = float(np.abs(mono).max(initial=0.0))
    scaled: Samples = np.divide(mono, max(peak, 1.0), dtype=np.float32)
    return scaled


def _floor_db(samples: Samples, level: float) -> float:
    """Power of the quietest frames, the 5th percentile, against the active one; -120 at least."""
    count = len(samples) // _FRAME
    if not count or level <= 0.0:
        return -120.0
    power = np.square(samples[: count * _FRAME].reshape(count, -1)).mean(axis=1)
    return float(10.0 * np.log10(max(float(np.percentile(power, 5.0)) / level**2, 1e-12)))
