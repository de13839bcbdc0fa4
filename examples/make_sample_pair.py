#!/usr/bin/env python3
"""Make the sample pair: one microphone recording, the far-end reference that was playing, and the clean answer.

Two synthetic voices hold a call. The far-end voice leaves a small, overdriven loudspeaker, crosses a simulated room and
arrives at the microphone as echo; the near-end voice crosses the same room; a fan and the mains hum run throughout.
First the far end talks alone, then both at once, then the near end alone, so that one short clip shows all three jobs
of the model: removing echo, noise and reverberation.

    apt-get install espeak-ng            # the voices; everything else comes with: pip install 'localvqe[dev]'
    python examples/make_sample_pair.py

The same seed and the same espeak-ng release give the same files, sample for sample.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

Signal = NDArray[np.float64]

RATE = 16_000
DURATION_S = 6.5
SEED = 2026
SPEED_OF_SOUND = 343.0

# What happens when, in seconds; examples/README.md tells the reader the same.
SCENES = {"far end alone": (0.0, 2.2), "doubletalk": (2.2, 4.4), "near end alone": (4.4, DURATION_S)}

# From a sample leaving the reference to its direct sound reaching the microphone: playback buffer plus time of flight.
ECHO_DELAY_S = 0.060

NEAR_LEVEL_DBFS = -26.0  # reverberant near-end speech at the microphone, RMS while talking
SIGNAL_TO_ECHO_DB = 1.0
SIGNAL_TO_NOISE_DB = 20.0
REFERENCE_LEVEL_DBFS = -22.0
# The hum's share of the noise; low enough that the fan is what one hears.
HUM_BELOW_FAN_DB = 8.0

# Reflections up to here help intelligibility and stay in the target; later ones are the reverberation to remove.
EARLY_S = 0.050


@dataclass(frozen=True)
class Sentence:
    """One utterance: the espeak-ng voice that says it, when it starts, and the time by which it must be over."""

    voice: str
    pitch: int
    text: str
    start_s: float
    end_s: float


FAR_END = (
    Sentence("en-us+f2", 48, "Good morning, can you hear me?", 0.15, 2.10),
    Sentence("en-us+f2", 48, "The parcel will come on Thursday.", 2.25, 4.25),
)
NEAR_END = (
    Sentence("en-gb", 38, "Yes, your voice is very clear.", 2.35, 4.35),
    Sentence("en-gb", 38, "I will put the kettle on for us.", 4.55, 6.45),
)


@dataclass(frozen=True)
class Room:
    """A shoebox room with equally absorbing walls; positions in metres from one corner."""

    size: tuple[float, float, float] = (4.2, 3.3, 2.6)
    reverberation_s: float = 0.35
    microphone: tuple[float, float, float] = (1.60, 1.30, 0.95)
    loudspeaker: tuple[float, float, float] = (1.95, 1.58, 0.95)
    talker: tuple[float, float, float] = (2.02, 1.88, 1.25)


@dataclass(frozen=True)
class Pair:
    """The three signals that are written, mono float at 16 kHz, all of the same length, and two of their parts."""

    mic: Signal
    reference: Signal
    target: Signal
    echo: Signal
    noise: Signal


# -- speech -------------------------------------------------------------------------------------------------------


def speak(sentence: Sentence, folder: Path) -> Signal:
    """Synthesize one sentence at 16 kHz, peak-normalised, without the silence around it."""
    path = folder / "utterance.wav"
    command = ["espeak-ng", "-v", sentence.voice, "-p", str(sentence.pitch), "-s", "165", "-w", str(path)]
    subprocess.run([*command, sentence.text], check=True)
    samples, rate = soundfile.read(path, dtype="float64")
    speech: Signal = soxr.resample(samples, rate, RATE, quality="VHQ")
    loud = np.flatnonzero(np.abs(speech) > 0.01 * np.abs(speech).max())
    speech = speech[loud[0] : loud[-1] + 1]
    allowed = sentence.end_s - sentence.start_s
    if len(speech) > allowed * RATE:
        raise SystemExit(f"'{sentence.text}' takes {len(speech) / RATE:.2f} s, only {allowed:.2f} s are left for it")
    speech /= np.abs(speech).max()
    return speech


def track(sentences: tuple[Sentence, ...], folder: Path) -> Signal:
    """One voice's sentences at their places in an otherwise silent track."""
    out = np.zeros(round(DURATION_S * RATE))
    for sentence in sentences:
        speech = speak(sentence, folder)
        start = round(sentence.start_s * RATE)
        out[start : start + len(speech)] += speech
    return out


# -- acoustics ----------------------------------------------------------------------------------------------------


def loudspeaker(signal: Signal) -> Signal:
    """A small driver: no bass, no top, and a cone that runs out of travel, more in one direction than the other."""
    moving = sosfilt(butter(2, 220, "highpass", fs=RATE, output="sos"), signal)
    drive = 1.6 / (np.sqrt(np.mean(moving[moving != 0] ** 2)) * 4 + 1e-12)
    bias = 0.2
    clipped = np.tanh(drive * moving + bias) - np.tanh(bias)
    heard: Signal = sosfilt(butter(2, [150, 6500], "bandpass", fs=RATE, output="sos"), clipped)
    return heard


def room_response(room: Room, source: tuple[float, float, float], seed: int) -> Signal:
    """Impulse response from ``source`` to the microphone by the image method.

    Every wall mirrors the source; each mirror image is a delayed, weakened copy. The images are moved by a few
    centimetres at random, because a perfect shoebox rings in a way that no real room does. Index 0 is the instant of
    emission, so the direct sound sits at distance / speed of sound.
    """
    size, microphone, origin = (np.asarray(p, dtype=float) for p in (room.size, room.microphone, source))
    length = round(room.reverberation_s * RATE)
    reach = length / RATE * SPEED_OF_SOUND

    # Eyring's formula turned round: how much one wall reflects, given how long the room rings.
    volume = size.prod()
    surface = 2 * (size[0] * size[1] + size[1] * size[2] + size[2] * size[0])
    absorption = 1 - np.exp(-24 * np.log(10) / SPEED_OF_SOUND * volume / (surface * room.reverberation_s))
    reflection = np.sqrt(1 - absorption)

    # Along one axis the images sit at 2kL + x and 2kL - x, after |2k| and |2k - 1| bounces.
    def axis(i: int) -> tuple[Signal, NDArray[np.int64]]:
        k = np.arange(-int(reach / (2 * size[i])) - 1, int(reach / (2 * size[i])) + 2)
        positions = np.concatenate([2 * k * size[i] + origin[i], 2 * k * size[i] - origin[i]])
        return positions - microphone[i], np.concatenate([np.abs(2 * k), np.abs(2 * k - 1)])

    (x, bx), (y, by), (z, bz) = (axis(i) for i in range(3))
    distance = np.sqrt(x[:, None, None] ** 2 + y[None, :, None] ** 2 + z[None, None, :] ** 2).ravel()
    bounces = (bx[:, None, None] + by[None, :, None] + bz[None, None, :]).ravel()
    jitter = np.random.default_rng(seed).uniform(-0.04, 0.04, distance.shape)
    distance = np.where(bounces > 0, np.maximum(distance + jitter, 0.05), distance)

    response = np.zeros(length)
    taps = np.arange(-20, 21)
    for first in range(0, len(distance), 20_000):  # in slices, to keep the tap table small
        arrival = distance[first : first + 20_000] / SPEED_OF_SOUND * RATE
        gain = reflection ** bounces[first : first + 20_000] / (4 * np.pi * distance[first : first + 20_000])
        nearest = np.rint(arrival).astype(int)
        offset = taps[None, :] - (arrival - nearest)[:, None]
        # A Hann-windowed sinc puts each image at its true, fractional instant.
        pulse = np.sinc(offset) * (0.5 + 0.5 * np.cos(np.pi * np.clip(offset / 20.5, -1, 1)))
        index = nearest[:, None] + taps[None, :]
        inside = (index >= 0) & (index < length)
        response += np.bincount(index[inside], (gain[:, None] * pulse)[inside], length)
    # All images arrive with the same sign, so their sum rumbles far below the lowest mode of a room this size.
    without_rumble: Signal = sosfilt(butter(4, 70, "highpass", fs=RATE, output="sos"), response)
    return without_rumble


def flight_samples(room: Room, source: tuple[float, float, float]) -> float:
    """Time from ``source`` to the microphone along the direct path, in samples."""
    return float(np.linalg.norm(np.subtract(source, room.microphone))) / SPEED_OF_SOUND * RATE


def early_part(response: Signal, direct: float) -> Signal:
    """The response up to EARLY_S after the direct sound, ended by a 5 ms fade."""
    fade = round(0.005 * RATE)
    stop = round(direct + EARLY_S * RATE)
    window = np.zeros_like(response)
    window[: stop - fade] = 1.0
    window[stop - fade : stop] = 0.5 + 0.5 * np.cos(np.pi * np.arange(fade) / fade)
    return response * window


def convolve(signal: Signal, response: Signal) -> Signal:
    """Linear convolution cut to the length of ``signal``."""
    n = len(signal) + len(response)
    return np.fft.irfft(np.fft.rfft(signal, n) * np.fft.rfft(response, n), n)[: len(signal)]


def fan(n: int, rng: np.random.Generator) -> Signal:
    """Air turbulence that falls off above 300 Hz, a faint blade tone, and a slow wobble of the speed."""
    frequency = np.fft.rfftfreq(n, 1 / RATE)
    shape = (frequency > 40) / np.sqrt(1 + (frequency / 300) ** 2)
    air = np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) * shape, n)
    time = np.arange(n) / RATE
    blades = np.sin(2 * np.pi * 118 * time + 0.6 * np.sin(2 * np.pi * 0.7 * time))
    return (air / rms(air) + 0.25 * blades) * (1 + 0.1 * np.sin(2 * np.pi * 0.35 * time))


def mains_hum(n: int, rng: np.random.Generator) -> Signal:
    """50 Hz and the harmonics that a badly grounded input picks up."""
    time = np.arange(n) / RATE
    partials = {50: 1.0, 100: 0.5, 150: 0.6, 250: 0.3, 350: 0.2, 450: 0.1}
    return sum((a * np.sin(2 * np.pi * f * time + rng.uniform(0, 2 * np.pi)) for f, a in partials.items()), np.zeros(n))


# -- levels and mixing --------------------------------------------------------------------------------------------


def rms(signal: Signal) -> float:
    return float(np.sqrt(np.mean(signal**2)))


def decibels(ratio: float) -> float:
    return float(20 * np.log10(ratio + 1e-12))


def at_level(signal: Signal, level_db: float, active: NDArray[np.bool_] | slice = slice(None)) -> Signal:
    """``signal`` scaled so that its RMS over the ``active`` samples is ``level_db`` (dB re full scale)."""
    return signal * (10 ** (level_db / 20) / rms(signal[active]))


def simulate(near: Signal, far: Signal, seed: int, room: Room | None = None) -> Pair:
    """Everything after the voices: loudspeaker, room, noise and levels.

    Args:
        near: dry near-end speech, (N,).
        far: what the far end sends, (N,); becomes the reference.
        seed: fixes the room's irregularities and the noise.
    """
    room = room or Room()
    n = len(near)
    rng = np.random.default_rng(seed)

    reference = at_level(far, REFERENCE_LEVEL_DBFS, far != 0)
    near_response = room_response(room, room.talker, seed)
    near_target = convolve(near, early_part(near_response, flight_samples(room, room.talker)))
    near_mic = convolve(near, near_response)

    # The playback buffer supplies what the flight through the room leaves of the documented delay.
    buffer = round(ECHO_DELAY_S * RATE - flight_samples(room, room.loudspeaker))
    played = np.concatenate([np.zeros(buffer), loudspeaker(reference)])[:n]
    echo = convolve(played, room_response(room, room.loudspeaker, seed + 1))

    talking = near != 0
    gain = 10 ** (NEAR_LEVEL_DBFS / 20) / rms(near_mic[talking])
    echo = at_level(echo, NEAR_LEVEL_DBFS - SIGNAL_TO_ECHO_DB, far != 0)
    hum = at_level(mains_hum(n, rng), -HUM_BELOW_FAN_DB)
    noise = at_level(at_level(fan(n, rng), 0.0) + hum, NEAR_LEVEL_DBFS - SIGNAL_TO_NOISE_DB)
    return Pair(gain * near_mic + echo + noise, reference, gain * near_target, echo, noise)


# -- files --------------------------------------------------------------------------------------------------------


def write(path: Path, signal: Signal) -> None:
    """16-bit mono; the container follows the suffix. Refuses to clip."""
    peak = np.abs(signal).max()
    if peak > 0.99:
        raise SystemExit(f"{path.name} would clip (peak {decibels(peak):+.1f} dBFS); lower the levels")
    soundfile.write(path, np.rint(signal * 32767).astype(np.int16), RATE, subtype="PCM_16")
    print(f"{path}: RMS {decibels(rms(signal)):.1f} dBFS, peak {decibels(peak):.1f} dBFS, {path.stat().st_size} bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent, help="folder to write to")
    parser.add_argument("--seed", type=int, default=SEED, help="fixes the noise and the room (default: %(default)s)")
    options = parser.parse_args()
    if shutil.which("espeak-ng") is None:
        sys.exit("espeak-ng is not installed; on Debian: apt-get install espeak-ng")

    with tempfile.TemporaryDirectory() as name:
        near, far = track(NEAR_END, Path(name)), track(FAR_END, Path(name))
    pair = simulate(near, far, options.seed)

    options.output.mkdir(parents=True, exist_ok=True)
    write(options.output / "sample_mic.wav", pair.mic)
    write(options.output / "sample_ref.wav", pair.reference)
    write(options.output / "sample_target.flac", pair.target)


if __name__ == "__main__":
    main()
