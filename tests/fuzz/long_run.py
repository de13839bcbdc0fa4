#!/usr/bin/env python
"""Hours of audio through one stream, in large chunks, with everything that upsets recursive filters in between.

    python tests/fuzz/long_run.py --hours 24 [--model MODEL]

Every chunk must be finite and within ten times what was fed. After a reset the first minute must come out with the bits
it had at the start, and feeding it hop by hop must give them as well. Memory and time per chunk are compared between
the first and the last tenth.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

import numpy as np  # noqa: E402

from localvqe_cli.engine import Enhancer  # noqa: E402

RATE = 16000
CHUNK = 60 * RATE // 256 * 256
KINDS = ("noise", "silence", "denormal", "dc", "square", "nan bursts", "noise", "loud")


def chunk(kind: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A minute of microphone and reference, (n,) each; the microphone holds an echo."""
    ref = (0.1 * rng.standard_normal(CHUNK)).astype(np.float32)
    mic = (0.5 * np.roll(ref, 800) + 0.05 * rng.standard_normal(CHUNK)).astype(np.float32)
    if kind == "silence":
        mic, ref = np.zeros_like(mic), np.zeros_like(ref)
    elif kind == "denormal":
        mic, ref = mic * np.float32(1e-39), ref * np.float32(1e-39)
    elif kind == "dc":
        mic, ref = np.full_like(mic, 0.9), np.full_like(ref, -0.9)
    elif kind == "square":
        mic, ref = np.sign(mic), np.sign(ref)
    elif kind == "nan bursts":
        mic[:: RATE // 2], ref[100:160] = np.nan, np.inf
    elif kind == "loud":
        mic *= 1e4
    return mic, ref


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=0.1)
    parser.add_argument("--model", help="default: the embedded one")
    args = parser.parse_args()
    enhancer = Enhancer(args.model)
    stream = enhancer.stream(max_hops=enhancer.clip_hops)
    rng = np.random.default_rng(1)
    probe = chunk("noise", rng)
    first = stream.process(*probe)
    seconds, memory, problems = [], [], []
    before = 1.0
    for minute in range(max(10, round(args.hours * 60))):
        # Ten minutes of digital silence at a stretch, once an hour; else each kind in turn.
        kind = "silence" if minute % 60 < 10 else KINDS[minute % len(KINDS)]
        mic, ref = chunk(kind, rng)
        started = time.process_time()
        out = stream.process(mic, ref)
        seconds.append(time.process_time() - started)
        memory.append(int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize())
        fed = max(1.0, float(np.nanmax(np.abs(mic))))
        bound = 10.0 * max(fed, before)  # the output lags: its first hop is of the minute before
        before = fed
        if not np.isfinite(out).all() or np.abs(out).max() > bound:
            problems.append(f"minute {minute} ({kind}): peak {np.abs(out).max():.3g}")
    stream.reset()
    if not np.array_equal(stream.process(*probe), first):
        problems.append("after a reset the first minute comes out differently")
    single = enhancer.stream()
    hops = [single.process(probe[0][i : i + 256], probe[1][i : i + 256]) for i in range(0, 16 * RATE, 256)]
    if not np.array_equal(np.concatenate(hops), first[: 16 * RATE]):
        problems.append("hop by hop the first minute comes out differently")
    tenth = max(1, len(seconds) // 10)
    start, end = np.median(seconds[:tenth]), np.median(seconds[-tenth:])
    print(
        f"{len(seconds) / 60:.1f} h in {sum(seconds):.0f} s; {start:.2f} s a minute at first, {end:.2f} at the end, "
        f"at most {max(seconds):.2f}; resident {memory[tenth] / 2**20:.1f} MiB at the start, "
        f"{memory[-1] / 2**20:.1f} at the end"
    )
    for problem in problems:
        print(f"  {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
