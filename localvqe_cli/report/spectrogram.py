"""A signal as a small picture: time to the right, 0 to 8 kHz upwards, level as colour."""

from __future__ import annotations

import itertools
import struct
import zlib

import numpy as np
import numpy.typing as npt

from ..audio.resample import FloatArray
from ..geometry import FRAME, HOP

__all__ = ["HEIGHT", "spectrogram_png"]

HEIGHT = 128
_WIDTH = 360
#: Levels shown, dB relative to a full-scale sine: the same for every picture, so that they can be compared.
_RANGE_DB = (-100.0, -20.0)
#: Steps of 2.5 dB: more cannot be seen and would double the file.
_SHADES = 33
# From silence to loud; in between, linear in RGB.
_COLOURS = ((8, 8, 24), (50, 20, 90), (130, 35, 110), (215, 70, 70), (250, 150, 60), (255, 240, 190))


def spectrogram_png(samples: FloatArray) -> bytes:
    """A PNG of ``samples`` (n,) at 16 kHz, 128 pixels high and at most 360 wide."""
    levels = _levels_db(samples)
    low, high = _RANGE_DB
    share = np.clip((levels - low) / (high - low), 0.0, 1.0)
    return _png(np.round(share * (_SHADES - 1)).astype(np.uint8)[::-1])


def _levels_db(samples: FloatArray) -> npt.NDArray[np.float64]:
    """(HEIGHT, width) levels, frequency upwards, each the mean power of the bins and frames under a pixel."""
    window = np.hanning(FRAME)
    padded = np.concatenate([samples, np.zeros(max(0, FRAME - samples.size) + HOP, np.float32)])
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP]
    edges = np.linspace(0, len(frames), min(_WIDTH, len(frames)) + 1).astype(int)
    columns = []
    for start, stop in itertools.pairwise(edges):
        spectrum = np.fft.rfft(frames[start:stop] * window, axis=1)[:, 1:]
        power = np.square(np.abs(spectrum) / (0.25 * FRAME)).mean(axis=0)
        columns.append(power.reshape(HEIGHT, -1).mean(axis=1))
    return np.asarray(10.0 * np.log10(np.stack(columns, axis=1) + 1e-12))


def _png(shades: npt.NDArray[np.uint8]) -> bytes:
    """An indexed PNG of (height, width) shades."""
    height, width = shades.shape
    stops = np.linspace(0, _SHADES - 1, len(_COLOURS))
    channels = [np.interp(np.arange(_SHADES), stops, [colour[i] for colour in _COLOURS]) for i in range(3)]
    palette = np.stack(channels, axis=1).round().astype(np.uint8).tobytes()
    lines = np.concatenate([np.zeros((height, 1), np.uint8), shades], axis=1).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"PLTE", palette), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
