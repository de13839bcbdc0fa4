"""The engine against PyTorch on a speech codec of the published size, with random weights, on one thread.

python tools/codec_speed.py FOLDER [--seconds 3] [--type F32|F16|Q8_0] [--rounds 3]

The weights (451 MB as F32) are made in FOLDER and stay there. Both take turns, since the machine may change; times are
the process's own, the quickest of some rounds. `localvqe bench -m FILE` measures the engine against the floor.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from make_codec import random_codec  # noqa: E402

from localvqe_cli import gguf_file  # noqa: E402
from localvqe_cli.benchmark.codec import noise_clip  # noqa: E402
from localvqe_cli.families import LFSCConfig  # noqa: E402
from localvqe_cli.lfsc.codec import Codec  # noqa: E402
from localvqe_cli.lfsc.reference import ReferenceCodec  # noqa: E402


def spent(body: Callable[[], object]) -> float:
    """Processor seconds."""
    started = time.process_time()
    body()
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--type", default="F32", choices=("F32", "F16", "Q8_0"))
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    path = args.folder / f"random-{args.type.lower()}.gguf"
    if not path.exists():
        random_codec(path, LFSCConfig(), args.type)
    torch.set_num_threads(1)
    codec = Codec(path)
    config = codec.config
    frames = int(args.seconds * config.sample_rate / config.samples_per_frame)
    seconds = frames * config.samples_per_frame / config.sample_rate
    file = gguf_file.read(path)
    network = ReferenceCodec(config, {n: torch.from_numpy(np.asarray(file.array(n), np.float32)) for n in file.tensors})
    sound = noise_clip(config, frames)
    tokens = codec.encode(sound)
    runs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "encode": (lambda: codec.encode(sound), lambda: network.encode(torch.from_numpy(sound))),
        "decode": (
            lambda: codec.decode(tokens),
            lambda: network.decode(network.dequantize(torch.from_numpy(tokens))),
        ),
    }
    for name, pair in runs.items():
        rounds = [[spent(body) for body in pair] for _ in range(args.rounds)]
        ours, theirs = (min(times) / seconds for times in zip(*rounds, strict=True))
        print(f"{name}, {seconds:.2f} s: engine {ours:.3f} s, PyTorch {theirs:.3f} s for a second of sound")


if __name__ == "__main__":
    main()
