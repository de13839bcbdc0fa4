"""Every recording of a manifest, decoded once into a memory-mapped cache.

Decoding compressed speech anew for every clip would cost more than the rest of the synthesis. The cache is one flat
file of 16-bit samples at 16 kHz beside an index; its name holds a digest of what it was made from, so that a changed
manifest gets a cache of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..atomic import atomic_output
from ..errors import AudioError, UsageError
from .manifest import Entry

__all__ = ["RATE", "Corpus", "Speaker", "active_rms", "load_corpus"]

Samples = npt.NDArray[np.float32]

RATE = 16000
FULL_SCALE = 32767.0
_FRAME = 320
#: Frames more than this far below the loudest one are pauses.
_ACTIVE_DB = -30.0
_MIN_SECONDS = 0.3
#: Speakers are drawn in proportion to (seconds of speech) ** _BALANCE: 1 is by file, 0 by name alone.
_BALANCE = 0.6
#: Speakers whose name begins so are groups of voices that nobody has told apart.
_GROUP = "anonymous"
_ENOUGH_SECONDS = 5.0
_FORMAT = 2
#: A recording whose quietest frames are this far below its active level has a voice and little else.
_CLEAR_DB = -28.0


@dataclass(frozen=True)
class Track:
    """One recording inside the cache: samples [start, start + length), active RMS ``level``, its quietest frames
    ``floor_db`` against that."""

    start: int
    length: int
    level: float
    floor_db: float = -120.0


@dataclass(frozen=True)
class Speaker:
    """One voice, or one group of unknown voices."""

    name: str
    tracks: tuple[Track, ...]


class Corpus:
    """The recordings of one split.

    Attributes:
        speakers: voices, at least one.
        speaker_weights: probability of each.
        clear_speakers, clear_weights: the same of the recordings with little noise, for voices that a model has to
            keep; of all where none is.
        noises: noise recordings, possibly none.
        devices: impulse responses of loudspeakers and devices, unit energy, possibly none.
    """

    def __init__(
        self,
        samples: npt.NDArray[np.int16],
        speakers: Iterable[Speaker],
        noises: Iterable[Track],
        devices: Iterable[Samples],
    ) -> None:
        self._samples = samples
        self.speakers = tuple(speakers)
        self.noises = tuple(noises)
        self.devices = tuple(devices)
        if not self.speakers:
            raise UsageError("the manifest lists no speech for this split")
        self.speaker_weights = _weights(self.speakers)
        clear = [Speaker(s.name, tuple(t for t in s.tracks if t.floor_db < _CLEAR_DB)) for s in self.speakers]
        self.clear_speakers = tuple(speaker for speaker in clear if speaker.tracks) or self.speakers
        self.clear_weights = _weights(self.clear_speakers)

    def read(self, track: Track, offset: int = 0, length: int | None = None) -> Samples:
        """A stretch of a recording at unit active RMS, (length,) or shorter where it ends."""
        stop = track.length if length is None else min(track.length, offset + length)
        stretch = self._samples[track.start + offset : track.start + stop]
        return np.multiply(stretch, 1.0 / (FULL_SCALE * track.level), dtype=np.float32)


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


def _weights(speakers: Iterable[Speaker]) -> npt.NDArray[np.float64]:
    weights = np.array([sum(t.length for t in s.tracks) / RATE for s in speakers]) ** _BALANCE
    return np.asarray(weights / weights.sum())


def _floor_db(samples: Samples, level: float) -> float:
    """Power of the quietest frames, the 5th percentile, against the active one; -120 at least."""
    count = len(samples) // _FRAME
    if not count or level <= 0.0:
        return -120.0
    power = np.square(samples[: count * _FRAME].reshape(count, -1)).mean(axis=1)
    return float(10.0 * np.log10(max(float(np.percentile(power, 5.0)) / level**2, 1e-12)))


def load_corpus(entries: list[Entry], cache: str | os.PathLike[str], split: str) -> Corpus:
    """The recordings of ``split``, decoded into ``cache`` if they are not there yet.

    Raises:
        UsageError: no speech in this split, or the cache cannot be written.
        AudioError: a recording that cannot be read.
    """
    folder = Path(cache)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise UsageError(f"cannot make the cache folder {cache}: {exc.strerror or exc}") from exc
    stem = folder / f"audio-{_digest(entries)}"
    index = _read_index(stem)
    if index is None:
        index = _decode(entries, stem)
    size = sum(int(length) for _, length, *_ in index)
    samples = np.memmap(stem.with_suffix(".i16"), dtype=np.int16, mode="r", shape=(max(size, 1),))

    voices: dict[str, list[Track]] = {}
    noises: list[Track] = []
    devices: list[Samples] = []
    for entry, (start, length, level, floor) in zip(entries, index, strict=True):
        track = Track(int(start), int(length), float(level), float(floor))
        if entry.kind == "rir":  # devices serve both splits: there are too few to hold any back
            devices.append(_impulse_response(samples, track))
        elif entry.split != split or track.level <= 0.0 or track.length < _MIN_SECONDS * RATE:
            continue
        elif entry.kind == "noise":
            noises.append(track)
        else:
            voices.setdefault(entry.speaker or entry.path.parent.name, []).append(track)
    speakers = [speaker for name, tracks in sorted(voices.items()) for speaker in _speakers(name, tracks)]
    return Corpus(samples, speakers, noises, [d for d in devices if d.size])


def _speakers(name: str, tracks: list[Track]) -> list[Speaker]:
    """One voice; or, of an anonymous group, one for every recording that is long enough to be a scene's only one."""
    if not name.startswith(_GROUP):
        return [Speaker(name, tuple(tracks))]
    short = tuple(track for track in tracks if track.length < _ENOUGH_SECONDS * RATE)
    long = [track for track in tracks if track.length >= _ENOUGH_SECONDS * RATE]
    voices = [Speaker(f"{name} {number}", (track,)) for number, track in enumerate(long)]
    return [*voices, Speaker(name, short)] if short else voices


def _digest(entries: list[Entry]) -> str:
    digest = hashlib.sha256(f"format {_FORMAT}".encode())
    for entry in entries:
        try:
            size = entry.path.stat().st_size
        except OSError as exc:
            raise AudioError(f"{entry.path}: cannot be read: {exc.strerror or exc}") from exc
        digest.update(f"\n{entry.kind}\t{entry.path.name}\t{size}".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]


def _read_index(stem: Path) -> list[tuple[int, int, float, float]] | None:
    try:
        index = json.loads(stem.with_suffix(".json").read_text())
        size = stem.with_suffix(".i16").stat().st_size
    except (OSError, ValueError):
        return None
    return index if size == 2 * max(1, sum(length for _, length, *_ in index)) else None


def _decode(entries: list[Entry], stem: Path) -> list[tuple[int, int, float, float]]:
    index: list[tuple[int, int, float, float]] = []
    start = 0
    with atomic_output(stem.with_suffix(".i16")) as target, open(target, "wb") as stream:
        for entry in entries:
            samples = _read_audio(entry)
            stream.write(np.round(samples * FULL_SCALE).astype(np.int16).tobytes())
            level = active_rms(samples)
            index.append((start, len(samples), level, _floor_db(samples, level)))
            start += len(samples)
        if not start:
            stream.write(b"\0\0")
    with atomic_output(stem.with_suffix(".json")) as target:
        target.write_text(json.dumps(index))
    return index


def _read_audio(entry: Entry) -> Samples:
    """The recording in mono at 16 kHz, within full scale."""
    import soundfile

    try:
        samples, rate = soundfile.read(entry.path, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as exc:
        raise AudioError(f"{entry.path}: cannot be decoded: {exc}") from exc
    mono = samples.mean(axis=1)
    if rate != RATE:
        import soxr

        mono = soxr.resample(mono, rate, RATE).astype(np.float32)
    if not np.isfinite(mono).all():
        raise AudioError(f"{entry.path}: holds samples that are not finite")
    peak = float(np.abs(mono).max(initial=0.0))
    scaled: Samples = np.divide(mono, max(peak, 1.0), dtype=np.float32)
    return scaled


def _impulse_response(samples: npt.NDArray[np.int16], track: Track, seconds: float = 0.25) -> Samples:
    """Direct sound first, at most ``seconds`` long, faded out, of unit energy."""
    response = samples[track.start : track.start + track.length].astype(np.float32)
    if not response.any():
        return response[:0]
    onset = max(0, int(np.argmax(np.abs(response))) - 16)
    response = response[onset : onset + int(seconds * RATE)].copy()
    fade = min(len(response), 160)
    response[-fade:] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    unit: Samples = np.divide(response, float(np.linalg.norm(response)), dtype=np.float32)
    return unit
