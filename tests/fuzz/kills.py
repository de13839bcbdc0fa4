#!/usr/bin/env python
"""Kill commands at random moments, and see that nothing half-written is left under a final name and the next run works.

    python tests/fuzz/kills.py --kills 200                      # kill -9, round robin over the verbs
    python tests/fuzz/kills.py --kills 20 --verbs export eval   # some of them

Verbs whose extra or engine is missing are named and left out.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

from model_server import ModelServer, published, serving  # noqa: E402

_TRAIN = (
    "train --width micro --dmax 8 --batch 2 --seconds 1 --rooms 2 --valid-clips 2 --workers 0 --threads 1 "
    "--precision f32 --minutes 0.03 --save-minutes 0 --valid-minutes 0.01"
)


@dataclass(frozen=True)
class Verb:
    """A command, its outputs, and what tells that an output is whole."""

    arguments: list[str]
    outputs: list[Path]
    whole: Callable[[Path], object]
    again: str = "--force"
    program: tuple[str, ...] = ("-m", "localvqe_cli")


def verbs(folder: Path, server: ModelServer) -> dict[str, Verb]:
    """Every verb that writes, on inputs that take a second or so; the server is where models come from."""
    import numpy as np
    import soundfile as sf
    from make_model import narrow_config, random_gguf, random_state, save_checkpoint
    from training_data import make_manifest

    from localvqe_cli import checkpoint, gguf_file

    rng = np.random.default_rng(0)
    config = narrow_config(2, mic_channels=(2, 17, 21, 9, 33, 11), far_channels=(2, 15, 13))
    model, saved, mic, ref = (folder / name for name in ("in.gguf", "in.pt", "mic.wav", "ref.wav"))
    random_gguf(model, config)
    save_checkpoint(saved, random_state(config), config)
    for path in (mic, ref):
        sf.write(path, 0.1 * rng.standard_normal(16000 * 60), 16000)
    for index in range(4):
        for side in ("mic", "lpb"):
            sf.write(folder / f"c{index}_{side}.wav", 0.1 * rng.standard_normal(16000 * 4), 16000)
    rows = [f"c{i}\tdoubletalk\tc{i}_mic.wav\tc{i}_lpb.wav" for i in range(4)]
    run = folder / "run"
    (folder / "data").mkdir()
    pairs = folder / "pairs.tsv"
    pairs.write_text("\n".join(["id\tscenario\tmic\tref", *rows]) + "\n")
    enhanced, exported, packed, scores = (folder / f"out.{suffix}" for suffix in ("wav", "gguf", "q8.gguf", "csv"))
    weights = rng.bytes(20_000_000)
    entry = published(weights)
    server.files[entry.filename] = weights
    server.seconds = 0.5
    # The one published model of this run is the server's.
    pull = (
        f"from localvqe_cli.models import registry; registry.PUBLISHED = (registry.{entry!r},); "
        "from localvqe_cli.cli import main; main()"
    )
    return {
        "enhance": Verb(
            ["enhance", "-m", str(model), str(mic), str(ref), "-o", str(enhanced)],
            [enhanced],
            lambda path: _require(sf.info(path).frames == 16000 * 60),
        ),
        "export": Verb(["export", str(saved), "-o", str(exported)], [exported], gguf_file.read),
        "quantize": Verb(["quantize", str(model), str(packed), "Q8_0"], [packed], gguf_file.read),
        "eval": Verb(
            ["eval", str(pairs), "-m", str(model), "--metrics", "erle,clipping", "-j", "1", "--csv", str(scores)],
            [scores],
            lambda path: _require(path.read_text().endswith("\n") and path.read_text().count("\n") > 1),
        ),
        "train": Verb(
            [*_TRAIN.split(), "--data", str(make_manifest(folder / "data").parent), "-o", str(run)],
            [run / "last.pt", run / "best.pt"],
            checkpoint.read,
            "--resume",
        ),
        "pull": Verb(
            ["models", "pull", "v9"],
            [folder / "cache" / "models" / entry.filename],
            lambda path: _require(hashlib.sha256(path.read_bytes()).hexdigest() == entry.sha256),
            "",
            ("-c", pull),
        ),
    }


def _require(holds: bool) -> None:
    if not holds:
        raise ValueError("incomplete")


def _start(verb: Verb, folder: Path, mirror: str, first: bool = False) -> subprocess.Popen[str]:
    environment = os.environ | {
        "LOCALVQE_CACHE": str(folder / "cache"),
        "LOCALVQE_MIRROR": mirror,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
    }
    again = [verb.again] if verb.again and not first else []
    command = [sys.executable, *verb.program, *verb.arguments, *again]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, cwd=folder
    )


def campaign(kills: int, seed: int, names: list[str] | None = None) -> tuple[dict[str, int], list[str]]:
    """(kills by verb, findings)."""
    rng = random.Random(seed)
    done: dict[str, int] = {}
    findings: list[str] = []
    with tempfile.TemporaryDirectory() as name, serving() as server:
        folder = Path(name)
        table = {k: v for k, v in verbs(folder, server).items() if names is None or k in names}
        seconds: dict[str, float] = {}
        for verb_name, verb in list(table.items()):
            started = time.monotonic()
            process = _start(verb, folder, server.mirror, first=True)
            output, _ = process.communicate()
            seconds[verb_name] = time.monotonic() - started
            if process.returncode:
                findings.append(f"{verb_name}: does not run at all: {output.strip()[-300:]}")
                del table[verb_name]
        while table and sum(done.values()) < kills:
            for verb_name, verb in table.items():
                if sum(done.values()) >= kills:
                    break
                after = rng.uniform(0.0, seconds[verb_name])
                findings += _kill(verb_name, verb, folder, server.mirror, after, rng.random() < 0.5)
                done[verb_name] = done.get(verb_name, 0) + 1
        for verb_name, verb in table.items():  # the next run works
            process = _start(verb, folder, server.mirror)
            output, _ = process.communicate()
            if process.returncode:
                findings.append(
                    f"{verb_name}: the run after the kills ended with {process.returncode}: {output[-300:]}"
                )
            findings += _damage(verb_name, verb)
    return done, findings


def _kill(name: str, verb: Verb, folder: Path, mirror: str, after: float, fresh: bool) -> list[str]:
    """One kill after so many seconds, half of them with an older output in place that must survive or be replaced."""
    if fresh and verb.again != "--resume":
        for path in verb.outputs:
            path.unlink(missing_ok=True)
    process = _start(verb, folder, mirror)
    with suppress(subprocess.TimeoutExpired):  # it may be quicker than when it was timed
        process.wait(after)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return _damage(name, verb)


def _damage(name: str, verb: Verb) -> list[str]:
    findings = []
    for path in verb.outputs:
        if path.exists():
            try:
                verb.whole(path)
            except Exception as exc:  # whatever the reader says, the file is not whole
                findings.append(f"{name}: {path.name} is there but not whole: {exc}")
    return findings


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--verbs", nargs="+")
    args = parser.parse_args()
    done, findings = campaign(args.kills, args.seed, args.verbs)
    print(json.dumps({"kills": sum(done.values()), "by_verb": done, "findings": findings}, indent=1))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
