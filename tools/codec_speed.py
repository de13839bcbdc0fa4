"""How fast the speech codec is at its published size, with random weights: the engine, PyTorch, and the floor.

python tools/codec_speed.py FOLDER [--seconds 8] [--type F32|F16|Q8_0]

The weights (451 MB as F32) are made in FOLDER and stay there. The floor is the codec's multiply-adds over the peak of
one core, measured beside it. Times are the process's own, on one thread.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from make_codec import random_codec  # noqa: E402

from localvqe_cli import gguf_file  # noqa: E402
from localvqe_cli.engine import measure_peak  # noqa: E402
from localvqe_cli.families import LFSCConfig  # noqa: E402
from localvqe_cli.families.lfsc_tensors import convolutions  # noqa: E402
from localvqe_cli.lfsc.codec import Codec  # noqa: E402

_TURNS = 3


def multiply_adds(config: LFSCConfig) -> dict[str, float]:
    """Of encoder and decoder for a second of sound."""
    found = {"encoder": 0.0, "decoder": 0.0}
    per_frame = {"encoder": config.samples_per_frame, "decoder": 1}  # positions
    for conv in convolutions(config):
        side, _, rest = conv.name.partition(".")
        stage, _, part = rest.partition(".")
        positions = per_frame[side]
        if part == "down":
            positions = per_frame[side] = positions // config.encoder_rates[int(stage)]
        out, inner, kernel = conv.shape
        # Of a transposed convolution every input position meets every tap once.
        found[side] += positions * out * inner * kernel * config.sample_rate / config.samples_per_frame
        if part == "up":
            per_frame[side] *= config.decoder_rates[int(stage)]
    return found


def quickest(body: Callable[[], object]) -> float:
    """Processor seconds of the quickest of a few turns."""
    times = []
    for _ in range(_TURNS):
        started = time.process_time()
        body()
        times.append(time.process_time() - started)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--type", default="F32", choices=("F32", "F16", "Q8_0"))
    args = parser.parse_args()
    path = args.folder / f"random-{args.type.lower()}.gguf"
    if not path.exists():
        random_codec(path, LFSCConfig(), args.type)
        print(f"{path}: {path.stat().st_size:,} bytes; now run this again, so that making it takes no memory")
        return
    codec = Codec(path)
    config = codec.config
    frames = int(args.seconds * config.sample_rate / config.samples_per_frame)
    seconds = frames * config.samples_per_frame / config.sample_rate
    sound = 0.1 * np.random.default_rng(0).standard_normal(frames * config.samples_per_frame).astype(np.float32)
    tokens = codec.encode(sound)
    codec.decode(tokens)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{path.name}: {seconds:.2f} s of sound, {memory} MiB at most")

    import torch

    from localvqe_cli.lfsc.reference import ReferenceCodec

    torch.set_num_threads(1)
    file = gguf_file.read(path)
    weights = {name: torch.from_numpy(np.asarray(file.array(name), np.float32)) for name in file.tensors}
    network = ReferenceCodec(config, weights)
    peak = measure_peak(1.0)
    work = multiply_adds(config)
    runs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "encoder": (lambda: codec.encode(sound), lambda: network.encode(torch.from_numpy(sound))),
        "decoder": (
            lambda: codec.decode(tokens),
            lambda: network.decode(network.dequantize(torch.from_numpy(tokens))),
        ),
    }
    print(f"peak of one core: {peak / 1e9:.1f} billion multiply-adds a second")
    for side, (ours, theirs) in runs.items():
        floor = work[side] * seconds / peak
        for name, run in (("engine", ours), ("PyTorch", theirs)):
            spent = quickest(run)
            print(f"{side} {name}: {spent / seconds:.3f} s for a second of sound, {spent / floor:.2f} x floor")


if __name__ == "__main__":
    main()
