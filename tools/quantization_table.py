"""The table and the plot of docs/reference/quantization.md:

    python tools/quantization_table.py --pairs PAIRS.tsv --work DIR [--plot FILE.png] MODEL...

Each MODEL (an F32 GGUF file or a checkpoint) is quantized to Q8_0 and Q4_K with the pairs as calibration,
and to Q4_K with the built-in policy. Files are kept in DIR and not made again. The table goes to stdout as Markdown,
all figures to DIR/table.json. AECMOS needs speechmos (the eval extra) and a column ``scenario`` in the table of pairs;
it is left out where either is missing. Times are the smallest of several interleaved medians, one thread, hop by hop.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from localvqe import Enhancer
from localvqe_cli import export, gguf_file, models
from localvqe_cli.benchmark import BenchOptions, run_bench
from localvqe_cli.gguf_file import QUANTIZED_TYPES
from localvqe_cli.quantization import quantize
from localvqe_cli.quantization.clips import CalibrationSet, read_clips
from localvqe_cli.quantization.formats import choices, pack
from localvqe_cli.quantization.measure import Bench, snr_db
from localvqe_cli.tensors import DECODER_BASIS, ENCODER_BASIS, quantizable_shapes

ROUNDS = 5
EXCERPT_SECONDS = 4.0
TALK_TYPES = {"doubletalk": "dt", "farend": "st", "nearend": "nst"}


@dataclass
class Row:
    """One line of the table; ``share`` and ``learned`` are sizes against F32, ``learned`` without the codec's bases."""

    model: str
    type: str
    nbytes: int
    learned_bytes: int
    share: float
    learned: float
    snr_db: float | None = None
    worst_snr_db: float | None = None
    ms: float = 0.0
    speed: float = 0.0
    mix: str = ""
    aecmos: dict[str, float] = field(default_factory=dict)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--pairs", required=True, type=Path)
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    recordings = read_clips(arguments.pairs)
    rows: list[Row] = []
    uniform: dict[str, list[tuple[str, int, float]]] = {}
    for model in arguments.models:
        name, source = _source(model, arguments.work)
        rows += _rows(name, source, arguments.pairs, recordings, arguments.work)
        uniform[name] = _uniform(source, recordings)
    (arguments.work / "table.json").write_text(
        json.dumps({"rows": [asdict(row) for row in rows], "uniform": uniform}, indent=2)
    )
    print(_markdown(rows))
    if arguments.plot is not None:
        _draw(rows, uniform, arguments.plot)


def _source(model: str, work: Path) -> tuple[str, Path]:
    """(short name, F32 file)."""
    if model.endswith(".pt"):
        name = Path(model).resolve().parent.name if Path(model).stem == "state" else Path(model).stem
        path = work / f"{name}-f32.gguf"
        if not path.exists():
            export.export(model, path)
        return name, path
    return Path(model).stem.removesuffix("-f32"), models.resolve(model)


def _rows(name: str, source: Path, pairs: Path, recordings: CalibrationSet, work: Path) -> list[Row]:
    paths = {"F32": source}
    for label, kind, calibration in (
        ("Q8_0", "Q8_0", pairs),
        ("Q4_K", "Q4_K", pairs),
        ("Q4_K built-in", "Q4_K", None),
    ):
        paths[label] = work / f"{name}-{label.lower().replace(' ', '-')}.gguf"
        if not paths[label].exists():
            print(f"quantizing {name} to {label}", file=sys.stderr)
            quantize(source, paths[label], kind, calibrate=calibration)
    times = _times(paths)
    before = _outputs(source, recordings)
    rows: list[Row] = []
    for label, path in paths.items():
        file = gguf_file.read(path)
        bases = sum(file.tensors[basis].nbytes for basis in (ENCODER_BASIS, DECODER_BASIS) if basis in file.tensors)
        row = Row(name, label, file.nbytes, file.nbytes - bases, 0.0, 0.0, ms=times[label])
        first = rows[0] if rows else row
        row.share, row.learned = row.nbytes / first.nbytes, row.learned_bytes / first.learned_bytes
        row.speed = row.ms / first.ms
        row.mix = str(file.metadata.get("localvqe.quantization.mix", ""))
        if label != "F32":
            after = _outputs(path, recordings)
            snr = snr_db(np.array([np.sum((y - x) ** 2) / np.sum(x**2) for x, y in zip(before, after, strict=True)]))
            row.snr_db, row.worst_snr_db = float(np.median(snr)), float(snr.min())
        row.aecmos = _aecmos(pairs, recordings, before if label == "F32" else after)
        rows.append(row)
        print(row, file=sys.stderr)
    return rows


def _tensors(path: Path) -> tuple[Any, dict[str, Any]]:
    file = gguf_file.read(path)
    return file.config, {name: file.array(name) for name in file.tensors}


def _times(paths: dict[str, Path]) -> dict[str, float]:
    """Smallest median in ms per hop, the files taking turns so that a busy moment hits all of them."""
    best = dict.fromkeys(paths, float("inf"))
    for _ in range(ROUNDS):
        for label, path in paths.items():
            report = run_bench(str(path), BenchOptions(threads=(1,), modes=("stream",), iters=3))
            best[label] = min(best[label], report.runs[0].p50_ms)
    return best


def _outputs(path: Path, recordings: CalibrationSet) -> list[Any]:
    enhancer = Enhancer(path)
    return [enhancer.enhance(clip.mic, clip.ref) for clip in recordings.clips]


def _aecmos(pairs: Path, recordings: CalibrationSet, outputs: list[Any]) -> dict[str, float]:
    """Mean echo and degradation scores over the pairs; empty where they cannot be had."""
    try:
        from speechmos import aecmos
    except ImportError:
        return {}
    with open(pairs, newline="") as stream:
        scenarios = {row["id"]: row.get("scenario") or "" for row in csv.DictReader(stream, delimiter="\t")}
    scores: dict[str, list[float]] = {"echo_mos": [], "deg_mos": []}
    for clip, output in zip(recordings.clips, outputs, strict=True):
        kind = next((t for word, t in TALK_TYPES.items() if word in scenarios.get(clip.id, "")), None)
        if kind is None:
            return {}
        part = slice(_rated_from(kind, clip.mic.size), None)
        peak = max(1.0, float(np.abs(output).max()))
        sample = {"lpb": clip.ref[part], "mic": np.clip(clip.mic[part], -1, 1), "enh": output[part] / peak}
        found = aecmos.run(sample, sr=16000, talk_type=kind, return_df=False)
        for key, values in scores.items():
            values.append(float(found[key]))
    return {key: float(np.mean(values)) for key, values in scores.items()}


def _rated_from(kind: str, samples: int) -> int:
    """First sample of the part that the challenge rates."""
    if kind == "st":
        return samples // 2
    if kind == "dt" and samples > 15 * 16000:
        return samples - (samples - 15 * 16000) // 2
    return 0


def _uniform(source: Path, recordings: CalibrationSet) -> list[tuple[str, int, float]]:
    """(type, bytes of everything but the bases, median SNR) with one type everywhere it fits, without calibration."""
    config, tensors = _tensors(source)
    bench = Bench(config, tensors, recordings.clips).excerpts(EXCERPT_SECONDS)
    shapes = quantizable_shapes(config)
    rest = sum(a.nbytes for n, a in tensors.items() if n not in shapes and n not in (ENCODER_BASIS, DECODER_BASIS))
    out = []
    for kind in QUANTIZED_TYPES:
        packed = {n: pack(tensors[n], choices(s, kind)[0]) for n, s in shapes.items() if choices(s, kind)[0] != "F32"}
        kept = sum(tensors[n].nbytes for n in shapes if n not in packed)
        size = rest + kept + sum(p.blocks.nbytes for p in packed.values())
        out.append((kind, size, float(np.median(snr_db(bench.noise(packed))))))
    return out


def _markdown(rows: list[Row]) -> str:
    lines = [
        "| model | type | MB | of F32 | without bases | SNR dB, median (worst) | AECMOS echo, other | ms | of F32 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    first = rows[0]
    for row in rows:
        first = row if row.type == "F32" else first
        snr = "" if row.snr_db is None else f"{row.snr_db:.1f} ({row.worst_snr_db:.1f})"
        mos = ""
        if row.aecmos:
            mos = ", ".join(
                f"{row.aecmos[key]:.3f}" if row is first else f"{row.aecmos[key] - first.aecmos[key]:+.3f}"
                for key in ("echo_mos", "deg_mos")
            )
        lines.append(
            f"| {row.model} | {row.type} | {row.nbytes / 1e6:.2f} | {row.share:.2f} | {row.learned:.2f} | {snr} "
            f"| {mos} | {row.ms:.2f} | {row.speed:.2f} |"
        )
    return "\n".join(lines)


def _draw(rows: list[Row], uniform: dict[str, list[tuple[str, int, float]]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7.2, 4.4), layout="constrained")
    markers = {"Q8_0": "o", "Q4_K": "s", "Q4_K built-in": "^"}
    for index, (name, points) in enumerate(uniform.items()):
        colour = f"C{index}"
        axes.plot([size / 1e3 for _, size, _ in points], [snr for *_, snr in points], "--x", color=colour, lw=1, ms=5)
        for row in rows:
            if row.model == name and row.snr_db is not None:
                place = (row.learned_bytes / 1e3, row.snr_db)
                axes.plot(*place, markers[row.type], color=colour, ms=8)
        axes.plot([], [], "-", color=colour, label=name)
    for kind, marker in markers.items():
        axes.plot([], [], marker, color="0.4", ls="", label=kind if "built" in kind else f"{kind}, calibrated")
    axes.plot([], [], "--x", color="0.4", lw=1, ms=5, label="one type everywhere")
    axes.set_xlabel("size without the codec's bases, kB")
    axes.set_ylabel("SNR against F32, dB (median over clips)")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()
