"""Every recording of a manifest, decoded once into a memory-mapped cache.

Decoding compressed speech anew for every clip would cost more than the rest of the synthesis. The cache is one flat
file of 16-bit samples at 16 kHz beside an index; its name holds a digest of what it was made from, so that a changed
manifest gets a cache of its own. ``decode`` makes it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..geometry import MODEL_RATE
from .decode import FULL_SCALE, Progress, Track, active_rms, decoded
from .manifest import Entry

__all__ = ["Corpus", "Speaker", "active_rms", "load_corpus"]

Samples = npt.NDArray[np.float32]

_MIN_SECONDS = 0.3
#: Speakers are drawn in proportion to (seconds of speech) ** _BALANCE: 1 is by file, 0 by name alone.
_BALANCE = 0.6
#: Speakers whose name begins so are groups of voices that nobody has told apart.
_GROUP = "anonymous"
_ENOUGH_SECONDS = 5.0
#: A recording whose quietest frames are this far below its active level has a voice and little else.
_CLEAR_DB = -28.0


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


def _weights(speakers: Iterable[Speaker]) -> npt.NDArray[np.float64]:
    weights = np.array([sum(t.length for t in s.tracks) / MODEL_RATE for s in speakers]) ** _BALANCE
    return np.asarray(weights / weights.sum())


def load_corpus(
    entries: list[Entry], cache: str | os.PathLike[str], split: str, progress: Progress | None = None
) -> Corpus:
    """The recordings of ``split``, decoded into ``cache`` if they are not there yet; ``progress`` hears of that.

    Raises:
        UsageError: no speech in this split, or the cache cannot be made.
        AudioError: a recording that cannot be read.
        LocalVQEError: the cache cannot be written.
    """
    samples, tracks = decoded(entries, cache, progress)
    voices: dict[str, list[Track]] = {}
    noises: list[Track] = []
    devices: list[Samples] = []
    for entry, track in zip(entries, tracks, strict=True):
        if entry.kind == "rir":  # devices serve both splits: there are too few to hold any back
            devices.append(_impulse_response(samples, track))
        elif entry.split != split or track.level <= 0.0 or track.length < _MIN_SECONDS * MODEL_RATE:
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
    short = tuple(track for track in tracks if track.length < _ENOUGH_SECONDS * MODEL_RATE)
    long = [track for track in tracks if track.length >= _ENOUGH_SECONDS * MODEL_RATE]
    voices = [Speaker(f"{name} {number}", (track,)) for number, track in enumerate(long)]
    return [*voices, Speaker(name, short)] if short else voices


def _impulse_response(samples: npt.NDArray[np.int16], track: Track, seconds: float = 0.25) -> Samples:
    """Direct sound first, at most ``seconds`` long, faded out, of unit energy."""
    response = samples[track.start : track.start + track.length].astype(np.float32)
    if not response.any():
        return response[:0]
    onset = max(0, int(np.argmax(np.abs(response))) - 16)
    response = response[onset : onset + int(seconds * MODEL_RATE)].copy()
    fade = min(len(response), 160)
    response[-fade:] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    unit: Samples = np.divide(response, float(np.linalg.norm(response)), dtype=np.float32)
    return unit
