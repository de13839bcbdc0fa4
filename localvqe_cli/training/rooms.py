"""A bank of simulated rooms, computed once.

A room is a box. Reflections of the first 50 ms come from the image method, each placed with a windowed sinc; behind
them stands a diffuse tail of decaying noise whose density is the image method's own expectation, so the two join
without a step. Each room holds one talker and one loudspeaker at two places, before and after somebody moves.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..atomic import atomic_output
from ..errors import UsageError
from ..geometry import MODEL_RATE
from .decode import Progress

__all__ = ["EARLY_SECONDS", "LENGTH", "Room", "load_rooms", "simulate_room"]

Samples = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

SOUND = 343.0
#: Samples of every response.
LENGTH = 6400
#: How much of a talker's response counts as early, that is as wanted.
EARLY_SECONDS = 0.05
_IMAGE_SECONDS = 0.05
_SINC_HALF = 16
_HIGHPASS_HZ = 50.0
_FORMAT = 3
#: Decay time of each band, relative to the room's, above these frequencies: air and soft walls damp the highs.
_BANDS = ((0.0, 1.0), (1500.0, 0.9), (4000.0, 0.7))


@dataclass(frozen=True)
class Room:
    """Responses with the direct sound at sample 0 and of unit amplitude, (LENGTH,) each.

    Attributes:
        talker: the near-end speaker's response.
        early: its part up to EARLY_SECONDS, faded out: what the target is made with.
        speaker, moved: the loudspeaker's response before and after a movement.
    """

    talker: Samples
    early: Samples
    speaker: Samples
    moved: Samples


def load_rooms(cache: str | os.PathLike[str], count: int, seed: int, progress: Progress | None = None) -> list[Room]:
    """``count`` rooms from the cache folder, simulated if they are not there yet; ``progress`` hears of that.

    Raises:
        UsageError: the folder cannot be written.
    """
    folder = Path(cache)
    path = folder / f"rooms-{_FORMAT}-{count}-{seed}.npy"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.is_file():
            stacks = []
            for number in range(count):
                if progress is not None:
                    progress("simulating rooms", number, count)
                stacks.append(_stack(simulate_room(np.random.default_rng((seed, number)))))
            bank = np.stack(stacks)
            with atomic_output(path) as target, open(target, "wb") as stream:
                np.save(stream, bank.astype(np.float16))
        stored = np.load(path, mmap_mode="r")
    except OSError as exc:
        raise UsageError(f"cannot use the cache folder {cache}: {exc.strerror or exc}") from exc
    return [Room(*(np.asarray(response, dtype=np.float32) for response in room)) for room in stored]


def simulate_room(rng: np.random.Generator) -> Room:
    """A room of random size, damping and furniture positions."""
    size = rng.uniform((2.2, 2.0, 2.2), (8.0, 6.0, 3.4))
    decay = float(np.clip(np.exp(rng.normal(math.log(0.27), 0.4)), 0.08, 0.8))
    mic = rng.uniform(0.15 * size, 0.85 * size)
    talker = _place(rng, size, mic, math.exp(rng.uniform(math.log(0.25), math.log(2.0))))
    distance = math.exp(
        rng.normal(math.log(0.15), 0.8)
    )  # most loudspeakers are in the device that holds the microphone
    distance = min(max(distance, 0.03), 2.0)
    speaker = _place(rng, size, mic, distance)
    moved = _place(rng, size, mic, float(np.clip(distance * rng.uniform(0.5, 2.0), 0.05, 2.0)))
    walls = _reflection(rng, size, decay)
    near = _response(rng, size, walls, decay, mic, talker)
    split = int(EARLY_SECONDS * MODEL_RATE)
    fade = int(0.01 * MODEL_RATE)
    early = near.copy()
    early[split : split + fade] *= 0.5 + 0.5 * np.cos(np.linspace(0.0, np.pi, fade))
    early[split + fade :] = 0.0
    responses = (near, early, *(_response(rng, size, walls, decay, mic, place) for place in (speaker, moved)))
    return Room(*(response.astype(np.float32) for response in responses))


def _stack(room: Room) -> Samples:
    return np.stack([room.talker, room.early, room.speaker, room.moved])


def _place(rng: np.random.Generator, size: Doubles, mic: Doubles, distance: float) -> Doubles:
    direction = rng.normal(size=3) * (1.0, 1.0, 0.5)
    place: Doubles = mic + distance * direction / np.linalg.norm(direction)
    return np.clip(place, 0.02 * size, 0.98 * size)


def _reflection(rng: np.random.Generator, size: Doubles, decay: float) -> Doubles:
    """Pressure reflection of the six walls, (3, 2), from the decay time by Eyring's formula."""
    volume = float(np.prod(size))
    surface = 2 * float(size[0] * size[1] + size[0] * size[2] + size[1] * size[2])
    reflected = math.exp(-0.161 * volume / (surface * decay))  # mean energy kept at a wall
    spread = rng.uniform(0.6, 1.4, size=(3, 2))
    return np.asarray(reflected ** (0.5 * spread / spread.mean()))


def _images(size: Doubles, walls: Doubles, mic: Doubles, source: Doubles) -> tuple[Doubles, Doubles]:
    """Distances (m) and amplitudes of the mirror sources within reach of the first _IMAGE_SECONDS."""
    reach = SOUND * (_IMAGE_SECONDS + 0.01)
    axes = []
    for axis in range(3):
        order = int(reach / (2 * size[axis])) + 1
        n, mirrored = np.meshgrid(np.arange(-order, order + 1), (0, 1), indexing="ij")
        offset = (1 - 2 * mirrored) * source[axis] + 2 * n * size[axis] - mic[axis]
        gain = walls[axis, 0] ** np.abs(n - mirrored) * walls[axis, 1] ** np.abs(n)
        axes.append((offset.ravel(), gain.ravel()))
    (x, gx), (y, gy), (z, gz) = axes
    distance = np.sqrt(x[:, None, None] ** 2 + y[:, None] ** 2 + z**2).ravel()
    gain = (gx[:, None, None] * gy[:, None] * gz).ravel()
    near = distance < reach
    return distance[near], gain[near] / np.maximum(distance[near], 1e-3)


def _response(
    rng: np.random.Generator, size: Doubles, walls: Doubles, decay: float, mic: Doubles, source: Doubles
) -> Doubles:
    direct = max(float(np.linalg.norm(source - mic)), 0.02)
    distance, gain = _images(size, walls, mic, source)
    # Seconds after the direct sound, whose amplitude becomes 1; the sign of late reflections varies with the furniture.
    # The direct sound's own distance may come out a rounding error shorter, by another order of summation.
    position = np.maximum(distance - direct, 0.0) / SOUND * MODEL_RATE
    sign = np.where((position > 0.004 * MODEL_RATE) & (rng.random(len(position)) < 0.3), -1.0, 1.0)
    early = np.zeros(LENGTH + 2 * _SINC_HALF)
    base = np.floor(position).astype(int)
    inside = (base >= 0) & (base < int(_IMAGE_SECONDS * MODEL_RATE))
    base, fraction, amplitude = base[inside], (position - base)[inside], (gain * sign)[inside] * direct
    taps = np.arange(1 - _SINC_HALF, _SINC_HALF + 1)
    argument = taps - fraction[:, None]
    kernel = np.sinc(argument) * (0.5 + 0.5 * np.cos(np.pi * argument / (_SINC_HALF + 1)))
    np.add.at(early, base[:, None] + taps + _SINC_HALF, kernel * amplitude[:, None])

    time = np.arange(LENGTH) / MODEL_RATE
    start = int(_IMAGE_SECONDS * MODEL_RATE)
    # Mirror sources per second, 4 pi c^3 t^2 / V, times their squared amplitude, (direct / c t)^2.
    density = 4 * np.pi * SOUND / float(np.prod(size)) * direct**2 / MODEL_RATE
    tail = _diffuse(rng, decay) * math.sqrt(density)
    tail[:start] = 0.0
    whole = early[_SINC_HALF : _SINC_HALF + LENGTH] + tail
    whole *= np.minimum(1.0, (time[-1] - time) / 0.02)
    return _highpass(whole)


def _diffuse(rng: np.random.Generator, decay: float) -> Doubles:
    """Noise of unit power at t = 0 that falls by 60 dB in ``decay`` seconds, faster at high frequencies."""
    spectrum = np.fft.rfft(rng.normal(size=LENGTH))
    frequency = np.fft.rfftfreq(LENGTH, 1 / MODEL_RATE)
    time = np.arange(LENGTH) / MODEL_RATE
    out = np.zeros(LENGTH)
    edges = [low for low, _ in _BANDS] + [MODEL_RATE]
    for (low, factor), high in zip(_BANDS, edges[1:], strict=True):
        band = np.fft.irfft(np.where((frequency >= low) & (frequency < high), spectrum, 0.0), LENGTH)
        out += band * 10 ** (-3.0 * time / (decay * factor))
    return out


def _highpass(response: Doubles) -> Doubles:
    """Second-order roll-off below 50 Hz: the image method, all of one sign, piles up energy there."""
    size = 2 * LENGTH
    ratio = np.fft.rfftfreq(size, 1 / MODEL_RATE) / _HIGHPASS_HZ
    s = 1j * ratio
    return np.fft.irfft(np.fft.rfft(response, size) * s * s / (s * s + math.sqrt(2) * s + 1), size)[:LENGTH]
