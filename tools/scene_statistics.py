"""Are the scenes that a network is trained on like calls? The table of docs/reference/training.md:

    python tools/scene_statistics.py PAIRS.tsv --data MANIFEST --cache DIR [--scenes 60] [--json FILE]

Everything is measured blind, from microphone and reference alone, the same way for recordings and for scenes; nothing
that a scene knows of itself is used. Figures are the 10th, 50th and 90th percentile over clips. Rows of PAIRS whose
scenario begins with "synthetic" are left out. Needs the extras train and eval.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from localvqe_cli.config import FrontendConfig
from localvqe_cli.metrics import TalkType, aecmos
from localvqe_cli.metrics.signals import is_silent
from localvqe_cli.reference.frontend import KalmanFrontend
from localvqe_cli.signal_path import read_at_model_rate
from localvqe_cli.training.corpus import active_rms, load_corpus
from localvqe_cli.training.manifest import read_manifest
from localvqe_cli.training.rooms import load_rooms
from localvqe_cli.training.scene import SceneMaker, SceneOptions

Samples = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Figures = dict[str, float]

RATE, HOP = 16000, 256
SECOND = RATE // HOP
TALK = {"doubletalk": TalkType.DOUBLE, "farend": TalkType.FAR_END, "nearend": TalkType.NEAR_END}
#: Like the recordings: mostly 10 to 12 s.
LENGTHS = {"doubletalk": 11.0, "farend": 12.5, "nearend": 11.0}
#: Hops with a reference this far below its active level are no far-end speech, dB.
FAR_DB = 25.0
NAN = float("nan")

#: key, words, digits.
ROWS = (
    ("mic_db", "microphone, active level, dBFS", 0),
    ("floor_db", "noise floor, dBFS", 0),
    ("tilt", "its tilt, dB per octave", 1),
    ("enr", "echo over noise floor, dB", 0),
    ("snr", "near end over noise floor, dB", 0),
    ("ref_db", "reference, active level, dBFS", 0),
    ("far_share", "far end active, %", 0),
    ("far_pause", "its longest pause, s", 1),
    ("far_late", "it begins after, s", 1),
    ("ref_zero", "reference exactly zero, %", 0),
    ("delay", "delay of the echo, ms", 0),
    ("decay", "decay of the echo path (60 dB), s", 2),
    ("direct", "its first 16 ms over the rest, dB", 1),
    ("drift", "clock drift, size, ppm", 0),
    ("coherent", "echo that is linear over 256 ms, dB", 1),
    ("erle_1", "filter's ERLE in the 2nd second of far end, dB", 1),
    ("erle_5", "in the 6th, dB", 1),
    ("erle_end", "in the last two, dB", 1),
    ("erle_dip", "worst second after the third, dB", 1),
    ("residual", "residual over echo, last half, noise apart, dB", 1),
    ("ner", "near end over echo, dB", 1),
    ("near_share", "near end active, %", 0),
    ("clipped", "clipped samples of the microphone, per mille", 2),
    ("mic_echo", "AECMOS echo, microphone", 2),
    ("mic_deg", "AECMOS degradation, microphone", 2),
    ("out_echo", "AECMOS echo, filter", 2),
    ("out_deg", "AECMOS degradation, filter", 2),
)
WITHOUT = {
    "doubletalk": {"erle_1", "erle_5", "erle_dip", "residual"},
    "farend": {"snr", "ner", "near_share", "mic_deg", "out_deg"},
    "nearend": {
        *("enr", "delay", "decay", "direct", "drift", "coherent", "erle_1", "erle_5", "erle_end", "erle_dip"),
        *("residual", "ner", "mic_echo", "out_echo"),
    },
}


@dataclass
class Clip:
    """Mic and reference, (N,) at 16 kHz; ``group`` is a key of TALK."""

    name: str
    group: str
    mic: Samples
    ref: Samples
    error: Samples = field(default_factory=lambda: np.zeros(0, np.float32))
    echo: Samples = field(default_factory=lambda: np.zeros(0, np.float32))
    figures: Figures = field(default_factory=dict)


# -- clips --------------------------------------------------------------------------------------


def recordings(table: Path) -> list[Clip]:
    """Real pairs of a table; a reference that is too short is padded with zeros."""
    with open(table, encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream, delimiter="\t") if not row["scenario"].startswith("synthetic")]
    clips = []
    for row in rows:
        mic, ref = (read_at_model_rate(str(table.parent / row[name])) for name in ("mic", "ref"))
        ref = np.pad(ref, (0, max(0, len(mic) - len(ref))))[: len(mic)]
        clips.append(Clip(row["id"], row["scenario"].split("-")[0], mic, ref))
    return clips


def scenes(data: Path, cache: Path, count: int, seed: int, options: SceneOptions) -> list[Clip]:
    """``count`` scenes of each group."""
    corpus, rooms = load_corpus(read_manifest(data), cache, "train"), load_rooms(cache, 400, 11)
    clips = []
    for group, seconds in LENGTHS.items():
        maker = SceneMaker(corpus, rooms, replace(options, seconds=seconds, mix={group: 1.0}))
        for number in range(count):
            scene = maker.make(np.random.default_rng((seed, number)))
            clips.append(Clip(f"{group}-{number}", group, scene.mic, scene.ref))
    return clips


@torch.no_grad()
def cancel(clips: list[Clip], batch: int = 64) -> None:
    """Run the adaptive filter over all clips; those of about the same length together."""
    order = sorted(clips, key=lambda clip: len(clip.mic))
    start = 0
    while start < len(order):
        longest = 1.25 * len(order[start].mic)
        some = [clip for clip in order[start : start + batch] if len(clip.mic) <= longest]
        start += len(some)
        size = -(-len(some[-1].mic) // HOP) * HOP
        mic, ref = (
            torch.from_numpy(np.stack([np.pad(getattr(clip, name), (0, size - len(clip.mic))) for clip in some]))
            for name in ("mic", "ref")
        )
        outputs = KalmanFrontend(FrontendConfig(gain_hidden=0))(
            mic.view(len(some), -1, HOP), ref.view(len(some), -1, HOP)
        )
        error, echo = (x.reshape(len(some), -1).numpy() for x in outputs)
        for row, clip in enumerate(some):
            clip.error, clip.echo = (x[row, : len(clip.mic)].copy() for x in (error, echo))


# -- measures -----------------------------------------------------------------------------------


def measure(clip: Clip) -> None:
    """Fill in ``clip.figures``."""
    out = clip.figures
    mic, ref, error, echo = (_power(x) for x in (clip.mic, clip.ref, clip.error, clip.echo))
    out["mic_db"] = _level(clip.mic)
    smooth = np.convolve(mic, np.ones(5) / 5, "same")[2:-2]
    sounding = smooth[smooth > 1e-10]  # a muted stretch is no floor
    floor = float(np.percentile(sounding, 5)) if len(sounding) else 1e-10
    out["floor_db"] = _db(floor)
    out["tilt"] = _tilt(clip.mic, smooth, floor)
    out["clipped"] = 1e3 * _clipped(clip.mic)
    out["ref_db"] = _level(clip.ref)
    out["ref_zero"] = 100.0 * float(np.mean(clip.ref == 0.0))
    has_far = _level(clip.ref) > -75.0
    far = ref > active_rms(clip.ref) ** 2 * 10 ** (-FAR_DB / 10) if has_far else np.zeros(len(ref), bool)
    _far_end(out, far)
    talk = TALK[clip.group]
    out.update(zip(("mic_echo", "mic_deg"), _opinion(clip, clip.mic, talk), strict=True))
    out.update(zip(("out_echo", "out_deg"), _opinion(clip, clip.error, talk), strict=True))
    if clip.group == "nearend":
        out["snr"] = out["mic_db"] - _db(floor)
        near = mic > max(active_rms(clip.mic) ** 2 * 10 ** (-FAR_DB / 10), 4.0 * floor)
        out["near_share"] = 100.0 * float(near.mean())
        return
    if not has_far:
        return
    lag = _lag(clip.mic, clip.ref)
    out["delay"] = 1e3 * lag / RATE
    shifted = np.roll(clip.ref, lag) if lag >= 0 else clip.ref
    shifted[: max(lag, 0)] = 0.0
    heard = _power(shifted) > active_rms(clip.ref) ** 2 * 10 ** (-FAR_DB / 10)
    out["drift"] = abs(_drift(clip.mic, shifted))
    out["coherent"] = _coherent(clip.mic, shifted)
    out["decay"], out["direct"] = _decay(clip.mic, shifted)
    out["enr"] = _level(clip.mic if clip.group == "farend" else clip.echo) - _db(floor)
    which = np.flatnonzero(heard)
    for key, first, last in (("erle_1", 1, 2), ("erle_5", 5, 6)):
        part = which[first * SECOND : last * SECOND]
        out[key] = _ratio(mic, error, part) if len(part) == SECOND else NAN
    out["erle_end"] = _ratio(mic, error, which[-2 * SECOND :])
    settled = which[3 * SECOND :]
    blocks = [settled[i : i + SECOND] for i in range(0, len(settled) - SECOND + 1, SECOND // 4)]
    out["erle_dip"] = min((_ratio(mic, error, block) for block in blocks), default=NAN)
    half = which[len(which) // 2 :]
    before, after = mic[half].mean() - floor, error[half].mean() - floor
    out["residual"] = _db(max(after, 0.1 * floor) / before) if before > 0 else NAN
    if clip.group == "doubletalk":
        out["snr"] = _level(clip.error) - _db(floor)
        out["ner"] = _level(clip.error) - _level(clip.echo)
        left = np.convolve(error, np.ones(5) / 5, "same")
        near = left > np.maximum(0.3 * np.convolve(echo, np.ones(5) / 5, "same"), 6.0 * floor)
        near &= left > active_rms(clip.error) ** 2 * 10 ** (-FAR_DB / 10)
        out["near_share"] = 100.0 * float(near.mean())


def _far_end(out: Figures, far: npt.NDArray[np.bool_]) -> None:
    out["far_share"] = 100.0 * float(far.mean())
    on = np.flatnonzero(far)
    out["far_late"] = float(on[0]) / SECOND if len(on) else NAN
    edges = np.concatenate([[-1], on, [len(far)]])
    out["far_pause"] = (float(np.diff(edges).max()) - 1.0) / SECOND


def _opinion(clip: Clip, output: Samples, talk: TalkType) -> tuple[float, float]:
    part = aecmos.rated_part(talk, len(clip.mic))
    if is_silent(clip.mic[part]) or is_silent(output[part]):
        return NAN, NAN
    return aecmos.score(*(np.clip(x[part], -1.0, 1.0) for x in (clip.mic, clip.ref, output)), talk)


def _power(x: Samples) -> Doubles:
    """Mean square of every hop, (T,)."""
    whole = len(x) // HOP * HOP
    return np.asarray(np.square(x[:whole], dtype=np.float64).reshape(-1, HOP).mean(axis=1))


def _db(power: float) -> float:
    return 10.0 * math.log10(max(power, 1e-12))


def _level(x: Samples) -> float:
    return 2.0 * _db(active_rms(x))


def _ratio(before: Doubles, after: Doubles, part: npt.NDArray[np.int64]) -> float:
    return _db(float(before[part].sum()) / max(float(after[part].sum()), 1e-12)) if len(part) else NAN


def _tilt(mic: Samples, smooth: Doubles, floor: float) -> float:
    """Slope of the spectrum, third octaves from 160 Hz to 6.4 kHz, where it is as quiet as the floor."""
    hops = np.flatnonzero((smooth > 0.2 * floor) & (smooth < 1.6 * floor)) + 2
    frames = np.stack([mic[h * HOP : h * HOP + HOP] for h in hops]) * np.hanning(HOP)
    power = np.square(np.abs(np.fft.rfft(frames, 1024))).mean(axis=0)
    centres = 160.0 * 2 ** (np.arange(17) / 3)
    hz = np.arange(513) * RATE / 1024
    bands = [_db(power[(hz > f * 2 ** (-1 / 6)) & (hz <= f * 2 ** (1 / 6))].mean()) for f in centres]
    return 3.0 * float(np.polyfit(np.arange(17), bands, 1)[0])


def _clipped(mic: Samples) -> float:
    """Share of samples at the largest value, in runs of three and more."""
    top = np.abs(mic) >= 0.998 * np.abs(mic).max()
    runs = top[2:] & top[1:-1] & top[:-2]
    return float(runs.mean())


def _lag(mic: Samples, ref: Samples, longest: float = 0.6) -> int:
    """Lag of the reference in the microphone, by cross-correlation of whitened signals, samples."""
    size = 2 ** math.ceil(math.log2(2 * len(mic)))
    cross = np.fft.rfft(mic, size) * np.conj(np.fft.rfft(ref, size))
    hz = np.arange(len(cross)) * RATE / size
    cross = np.where((hz > 150) & (hz < 7000), cross / (np.abs(cross) + 1e-9), 0.0)
    found = np.abs(np.fft.irfft(cross, size)[: int(longest * RATE)])
    return max(0, int(np.argmax(found)) - 8)


def _transfer(mic: Samples, ref: Samples) -> tuple[npt.NDArray[Any], Doubles, Doubles]:
    """Cross spectrum, and both power spectra, over windows of 256 ms in which the reference is active."""
    size, step = 4096, 1024
    window = np.hanning(size)
    starts = np.arange(0, len(mic) - size, step)
    loud = np.array([np.square(ref[s : s + size]).mean() for s in starts])
    starts = starts[loud > 10 ** (-FAR_DB / 10) * active_rms(ref) ** 2]
    if len(starts) < 8:
        return np.zeros(1), np.ones(1), np.ones(1)
    x, y = (np.fft.rfft(np.stack([z[s : s + size] for s in starts]) * window) for z in (ref, mic))
    return (y * x.conj()).sum(axis=0), np.square(np.abs(x)).sum(axis=0), np.square(np.abs(y)).sum(axis=0)


def _coherent(mic: Samples, ref: Samples) -> float:
    """By how much the best filter of 256 ms that never changes could lower the microphone, dB."""
    cross, far, near = _transfer(mic, ref)
    if len(cross) == 1:
        return NAN
    band = slice(40, 1600)
    left = near[band] * (1.0 - np.square(np.abs(cross[band])) / (far[band] * near[band] + 1e-20))
    return -_db(float(left.sum() / near[band].sum()))


def _drift(mic: Samples, ref: Samples) -> float:
    """Parts per million by which the echo falls behind between the first and the second half of the far end."""
    energy = np.cumsum(np.square(ref, dtype=np.float64))
    middle = int(np.searchsorted(energy, 0.5 * energy[-1]))
    if not 2 * RATE < middle < len(mic) - 2 * RATE:
        return NAN
    spectra, times = [], []
    for part in (slice(0, middle), slice(middle, len(mic))):
        cross, far, near = _transfer(mic[part], ref[part])
        if len(cross) == 1:
            return NAN
        coherence = np.square(np.abs(cross)) / (far * near + 1e-20)
        spectra.append(cross / (np.abs(cross) + 1e-20) * np.maximum(coherence - 0.1, 0.0))
        weight = np.square(ref[part], dtype=np.float64)
        times.append(part.start + float(np.dot(np.arange(len(weight)), weight) / weight.sum()))
    fine = np.fft.irfft(spectra[1] * np.conj(spectra[0]), 4096 * 8)
    search = np.concatenate([fine[-160 * 8 :], fine[: 160 * 8 + 1]])
    lag = (int(np.argmax(search)) - 160 * 8) / 8
    return 1e6 * lag / (times[1] - times[0])


def _decay(mic: Samples, ref: Samples) -> tuple[float, float]:
    """(seconds to fall by 60 dB, the first 16 ms over all later ones in dB) of the filter that explains most.

    Its response is that of the whole clip, so a path that moves looks less direct. What stands before the direct sound
    is the error of the estimate, which is taken off.
    """
    cross, far, _ = _transfer(mic, ref)
    if len(cross) == 1:
        return NAN, NAN
    response = np.fft.fftshift(np.fft.irfft(cross / (far + 1e-4 * far.mean())))
    lost = np.correlate(np.hanning(4096), np.hanning(4096), "same")  # both windows overlap less at larger lags
    response = response / np.maximum(lost / lost.max(), 0.1)
    start = 2048 - 256 + max(0, int(np.argmax(np.abs(response[2048 - 256 : 2048 + 512]))) - 16)
    error = float(np.square(response[start - 5 * HOP : start - HOP]).mean()) * HOP
    parts = np.square(response[start : start + 6 * HOP]).reshape(6, HOP).sum(axis=1) - error
    later = float(parts[1:].clip(0).sum())
    direct = _db(float(parts[0]) / later) if parts[0] > 0 and later > 0 else NAN
    known = parts[: int(np.argmax(np.append(parts < 0.5 * error, True)))]
    if len(known) < 4:
        return NAN, direct
    slope = float(np.polyfit(np.arange(len(known) - 1), 10 * np.log10(known[1:]), 1)[0])
    return -60.0 / slope * HOP / RATE if slope < 0.0 else NAN, direct


# -- table --------------------------------------------------------------------------------------


def spread(values: Iterable[float], digits: int) -> str:
    """ "10th / 50th / 90th percentile" of what is known, or nothing."""
    known = np.array([value for value in values if math.isfinite(value)])
    if not len(known):
        return ""
    text = " / ".join(f"{value:.{digits}f}" for value in np.percentile(known, (10, 50, 90)))
    return text.replace("-0 ", "0 ")


def table(real: list[Clip], drawn: list[Clip]) -> str:
    """Rows of figures; for each group a column for the recordings and one for the scenes."""
    groups = list(TALK)
    names = {"doubletalk": "doubletalk", "farend": "far end", "nearend": "near end"}
    count: Callable[[list[Clip], str], int] = lambda clips, group: sum(clip.group == group for clip in clips)  # noqa: E731
    head = [f"{names[g]}, {count(real, g)} recordings | {count(drawn, g)} scenes" for g in groups]
    lines = ["| | " + " | ".join(head) + " |", "|---" * (1 + 2 * len(groups)) + "|"]
    for key, words, digits in ROWS:
        cells = []
        for group in groups:
            for clips in (real, drawn):
                values = [clip.figures.get(key, NAN) for clip in clips if clip.group == group]
                cells.append("" if key in WITHOUT[group] else spread(values, digits))
        lines.append(f"| {words} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path, nargs="+", help="tables of real pairs: id, scenario, mic, ref")
    parser.add_argument("--data", type=Path, required=True, help="the manifest of the training data")
    parser.add_argument("--cache", type=Path, required=True, help="folder for decoded audio and rooms")
    parser.add_argument("--scenes", type=int, default=60, help="of each group")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--json", type=Path, help="all figures of all clips")
    args = parser.parse_args()
    torch.set_num_threads(1)
    aecmos._known = lru_cache(maxsize=64)(aecmos._known.__wrapped__)
    real = [clip for path in args.pairs for clip in recordings(path)]
    drawn = scenes(args.data, args.cache, args.scenes, args.seed, SceneOptions())
    for clips in (real, drawn):
        cancel(clips)
        for clip in clips:
            measure(clip)
    if args.json:
        content = {
            name: [{"name": c.name, "group": c.group, **c.figures} for c in clips]
            for name, clips in (("recordings", real), ("scenes", drawn))
        }
        args.json.write_text(json.dumps(content))
    print(table(real, drawn))


if __name__ == "__main__":
    main()
