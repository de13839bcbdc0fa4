#!/usr/bin/env python
"""Enhance a list on Dask workers that are killed, and the client too, and see that --resume leaves nothing to wish.

    python tests/fuzz/cluster.py                       # 500 pairs of 2 to 20 s, a worker killed every 20 s
    python tests/fuzz/cluster.py --pairs 5000 --s3     # from and to a server of the S3 protocol on this machine
    python tests/fuzz/cluster.py --pairs 2000 --seconds 1 2 --every 0 --table   # no kills: speed of each way
    python tests/fuzz/cluster.py --list pairs.tsv --every 0 --table             # the same with recordings of your own

Nothing is killed while --every is 0. What a single process makes of the same pairs is what outputs are held against,
bit by bit.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

WAYS = (["--jobs", "1"], ["--jobs", "2"], ["--cluster", "local:2"])


def make_pairs(folder: Path, pairs: int, seconds: tuple[float, float], seed: int) -> Path:
    """A list of noise with an echo of it."""
    import numpy as np
    import soundfile as sf

    rng = np.random.default_rng(seed)
    rows = ["id\tmic\tref"]
    for index in range(pairs):
        length = int(16000 * rng.uniform(*seconds))
        ref = 0.2 * rng.standard_normal(length) * (np.sin(np.arange(length) / 5000) > 0)
        mic = 0.5 * np.concatenate([np.zeros(800), ref])[:length] + 0.01 * rng.standard_normal(length)
        for side, samples in (("mic", mic), ("ref", ref)):
            sf.write(folder / f"{index}_{side}.wav", samples, 16000)
        rows.append(f"{index}\t{index}_mic.wav\t{index}_ref.wav")
    listed = folder / "list.tsv"
    listed.write_text("\n".join(rows) + "\n")
    return listed


def run(listed: str, output: str, *arguments: str) -> tuple[float, float]:
    """Wall and processor seconds of one undisturbed run."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    process = start(listed, output, *arguments)
    _, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{arguments}: exit code {process.returncode}: {errors[-500:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.monotonic() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def start(listed: str, output: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "localvqe_cli", "enhance", "--pairs", listed, "-o", output, *arguments]
    return subprocess.Popen(
        command,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@contextmanager
def scheduler(folder: Path) -> Iterator[tuple[str, list[subprocess.Popen[str]]]]:
    """A scheduler of our own, and two workers that nobody starts again."""
    import distributed

    os.environ["LOCALVQE_CACHE"] = str(folder / "cache")
    with distributed.LocalCluster(n_workers=0, dashboard_address=None, silence_logs=50) as cluster:
        address = cluster.scheduler_address.replace("tcp://", "dask://")
        workers = [start_worker(address) for _ in range(2)]
        try:
            yield address, workers
        finally:
            for worker in workers:
                worker.kill()


def start_worker(address: str) -> subprocess.Popen[str]:
    """A process of Dask's with one thread."""
    options = ["--nthreads", "1", "--no-nanny", "--no-dashboard"]
    return subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_worker", address.replace("dask://", "tcp://"), *options],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def killed(
    listed: str, output: str, address: str, workers: list[subprocess.Popen[str]], every: float, rng: random.Random
) -> dict[str, int]:
    """Run until all is done, with a worker killed now and then, and the client once; how many of each."""
    counts = {"workers_killed": 0, "clients_killed": 0, "runs": 0}
    done = threading.Event()

    def kill_workers() -> None:
        while not done.wait(every):
            number = rng.randrange(len(workers))
            workers[number].kill()
            workers[number].wait()
            workers[number] = start_worker(address)
            counts["workers_killed"] += 1

    killer = threading.Thread(target=kill_workers, daemon=True)
    if every:
        killer.start()
    try:
        while True:
            process = start(listed, output, "--cluster", address, *(["--resume"] if counts["runs"] else []))
            counts["runs"] += 1
            try:
                _, errors = process.communicate(timeout=None if counts["clients_killed"] or not every else 1.5 * every)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                counts["clients_killed"] += 1
                continue
            if process.returncode == 0:
                return counts
            if counts["runs"] > 20:
                raise RuntimeError(f"exit code {process.returncode}: {errors[-500:]}")
    finally:
        done.set()
        if every:
            killer.join()


def findings(alone: dict[str, str], outputs: dict[str, str], table: str) -> list[str]:
    """What is missing, other than it should be, or twice."""
    found = [f"{name}: is missing" for name in sorted(alone.keys() - outputs.keys())]
    found += [f"{name}: differs" for name in sorted(alone.keys() & outputs.keys()) if alone[name] != outputs[name]]
    rows = [line.split("\t") for line in table.splitlines()[1:]]
    digests = {f"{row[0]}_enhanced.wav": row[5] for row in rows}
    if len(digests) != len(rows):
        found.append(f"results.tsv: {len(rows)} rows of {len(digests)} files")
    if digests != alone:
        found.append(f"results.tsv: {sum(digests.get(name) != alone[name] for name in alone)} digests differ")
    return found


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.wav")}


def campaign(args: argparse.Namespace) -> dict[str, Any]:
    rng, every, s3 = random.Random(args.seed), args.every, args.s3
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        listed = args.list or make_pairs(folder, args.pairs, args.seconds, args.seed)
        alone = folder / "alone"
        run(str(listed), str(alone), "--jobs", "1")
        expected = digests(alone)
        sound = sum(float(line.split("\t")[1]) for line in (alone / "results.tsv").read_text().splitlines()[1:])
        pairs = len(expected)
        report: dict[str, Any] = {"pairs": pairs, "seconds_of_sound": round(sound), "findings": []}
        if args.table:
            report["speed"] = [_speed(way, listed, folder / f"way{n}", pairs, sound) for n, way in enumerate(WAYS)]
        where, output = str(listed), str(folder / "shared")
        if s3:
            import s3_server

            server = stack.enter_context(s3_server.serving())
            for path in sorted(folder.glob("*.wav")):
                server.put(f"in/{path.name}", path.read_bytes())
            where, output = server.put("in/list.tsv", listed.read_bytes()), f"s3://{s3_server.BUCKET}/out"
        began = time.monotonic()
        address, workers = stack.enter_context(scheduler(folder))
        report |= killed(where, output, address, workers, every, rng)
        report["wall_seconds"] = round(time.monotonic() - began, 1)
        if s3:
            keys = server.keys("out/")
            waves = [key for key in keys if key.endswith(".wav")]
            made = {key.rpartition("/")[2]: hashlib.sha256(server.get(key)).hexdigest() for key in waves}
            report["findings"] = findings(expected, made, server.get("out/results.tsv").decode())
            left = [key for key in keys if "results.d" in key]
        else:
            report["findings"] = findings(expected, digests(Path(output)), Path(output, "results.tsv").read_text())
            left = [path.name for path in Path(output).iterdir() if path.name.startswith(".") or path.is_dir()]
        report["left_over"] = len(left)
    return report


def _speed(way: list[str], listed: Path, output: Path, pairs: int, sound: float) -> dict[str, Any]:
    wall, processor = run(str(listed), str(output), *way)
    return {
        "way": " ".join(way),
        "wall_seconds": round(wall, 2),
        "processor_seconds": round(processor, 2),
        "files_per_second": round(pairs / wall, 1),
        "times_real_time": round(sound / wall, 1),
        "processor_ms_per_file": round(1000 * processor / pairs, 2),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", type=Path, metavar="FILE", help="instead of generated pairs")
    parser.add_argument("--pairs", type=int, default=500, metavar="N")
    parser.add_argument("--seconds", type=float, nargs=2, default=(2.0, 20.0), metavar=("FROM", "TO"))
    parser.add_argument("--every", type=float, default=20.0, metavar="SECONDS", help="between two kills of a worker")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--s3", action="store_true", help="read from and write to a server of the S3 protocol")
    parser.add_argument("--table", action="store_true", help="time one process, two, and a cluster of two as well")
    args = parser.parse_args()
    if args.list and args.s3:
        parser.error("--s3 takes generated pairs")
    report = campaign(args)
    print(json.dumps(report, indent=1))
    return 1 if report["findings"] else 0


if __name__ == "__main__":
    sys.exit(main())
