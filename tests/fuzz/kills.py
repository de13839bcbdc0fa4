#!/usr/bin/env python
"""Kill commands at random moments, and see that nothing half-written is left under a final name and the next run works.

    python tests/fuzz/kills.py --kills 200                      # kill -9, round robin over the verbs
    python tests/fuzz/kills.py --kills 20 --verbs export eval   # some of them
    python tests/fuzz/kills.py --kills 500 --verbs enhance-list # many files on two processes, any of them killed

Verbs whose extra or engine is missing are named and left out.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
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


_LISTED = 8


@dataclass(frozen=True)
class Verb:
    """A command, its outputs, and what tells that an output is whole.

    Where it works in a ``folder`` of its own, any of its processes is killed, it goes on in there until all outputs are
    made, and begins again in an empty one.
    """

    arguments: list[str]
    outputs: list[Path]
    whole: Callable[[Path], object]
    again: str = "--force"
    program: tuple[str, ...] = ("-m", "localvqe_cli")
    folder: Path | None = None


def verbs(folder: Path, server: ModelServer) -> dict[str, Verb]:
    """Every verb that writes, on inputs that take a second or so; the server is where models come from."""
    import numpy as np
    import soundfile as sf
    from make_model import narrow_config, random_gguf, random_state, save_checkpoint
    from training_data import make_manifest

    import localvqe
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
    for index in range(_LISTED):
        for side in ("mic", "ref"):
            samples = 0.1 * rng.standard_normal(16000 * (1 + 5 * index % 6))
            sf.write(folder / f"l{index}_{side}.wav", samples, 16000)
    many = folder / "many.tsv"
    many.write_text("id\tmic\tref\n" + "".join(f"{i}\tl{i}_mic.wav\tl{i}_ref.wav\n" for i in range(_LISTED)))
    alone, shared = folder / "alone", folder / "shared"
    localvqe.enhance_files(many, output=alone, model=model, align="off")
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
        "enhance-list": Verb(
            ["enhance", "-m", str(model), "--pairs", str(many), "-o", str(shared), "-j", "2", "--align", "off"],
            [*(shared / f"{i}_enhanced.wav" for i in range(_LISTED)), shared / "results.tsv"],
            lambda path: _require(_as_alone(path, alone)),
            "--resume",
            folder=shared,
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


def _as_alone(path: Path, alone: Path) -> bool:
    """Equal to what one process makes; of a table, every row once and with the digest of its file."""
    if path.suffix != ".tsv":
        return path.read_bytes() == (alone / path.name).read_bytes()
    rows = [line.split("\t") for line in path.read_text().splitlines()[1:]]
    digests = {row[0]: row[5] for row in rows if not row[4]}
    files = {name: hashlib.sha256((alone / f"{name}_enhanced.wav").read_bytes()).hexdigest() for name in digests}
    return digests == files and len({row[0] for row in rows}) == len(rows)


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
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        cwd=folder,
        start_new_session=True,
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
                findings += _kill(verb_name, verb, folder, server.mirror, after, rng)
                done[verb_name] = done.get(verb_name, 0) + 1
        for verb_name, verb in table.items():  # the next run works
            process = _start(verb, folder, server.mirror)
            output, _ = process.communicate()
            if process.returncode:
                findings.append(
                    f"{verb_name}: the run after the kills ended with {process.returncode}: {output[-300:]}"
                )
            findings += _damage(verb_name, verb)
            findings += [f"{verb_name}: {path.name} is missing" for path in verb.outputs if not path.exists()]
    return done, findings


def _kill(name: str, verb: Verb, folder: Path, mirror: str, after: float, rng: random.Random) -> list[str]:
    """One kill after so many seconds, half of them with an older output in place that must survive or be replaced."""
    if verb.folder is not None:
        if all(path.exists() for path in verb.outputs):
            shutil.rmtree(verb.folder)
    elif verb.again != "--resume" and rng.random() < 0.5:
        for path in verb.outputs:
            path.unlink(missing_ok=True)
    process = _start(verb, folder, mirror)
    with suppress(subprocess.TimeoutExpired):  # it may be quicker than when it was timed
        process.wait(after)
    victims = _session(process.pid) if verb.folder is not None else [process.pid]
    with suppress(ProcessLookupError, IndexError):
        os.kill(rng.choice(victims), signal.SIGKILL)
    process.communicate()  # the end of all its processes, since each has its stdout
    return _damage(name, verb)


def _session(leader: int) -> list[int]:
    """The processes of a session, but for the one that does nothing but tidy up after the others."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.getsid(int(entry.name)) == leader and b"resource_tracker" not in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return sorted(found)


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
