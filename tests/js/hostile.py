#!/usr/bin/env python
"""Damaged model files through the WebAssembly loader. The full campaign:

    python tests/js/hostile.py --count 10000

Case N of a seed is always the same bytes, those of ``tests/fuzz/run.py --models``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "fuzz"), str(ROOT / "tests"), str(ROOT), str(Path(__file__).parent)]

import mutate  # noqa: E402
import package  # noqa: E402
import seeds  # noqa: E402
from bad_gguf import CASES, write_case  # noqa: E402
from campaign import one_line  # noqa: E402
from make_model import narrow_config, random_gguf  # noqa: E402

BATCH = 500


@dataclass
class Tally:
    verdicts: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    most_memory: int = 0


def campaign(folder: Path, count: int, seed: int) -> Tally:
    """Every known way to be bad, and ``count`` files damaged by chance."""
    tally = Tally()
    documents = seeds.models(folder)
    good = folder / "built-in.gguf"
    valid = folder / "valid.gguf"
    random_gguf(valid, narrow_config(2), 0)
    known = folder / "known"
    known.mkdir()
    for name in sorted(CASES):
        written, _ = write_case(name, valid, known)
        if written.is_file():
            written.rename(known / f"{name.replace('/', '_')}.case")
    for path in [path for path in known.iterdir() if path.suffix != ".case"]:
        path.unlink()
    _load(good, known, tally)
    for start in range(0, count, BATCH):
        batch = folder / f"batch{start}"
        batch.mkdir()
        for index in range(start, min(start + BATCH, count)):
            content = mutate.damage_gguf(mutate.source(seed, index), documents[index % len(documents)])
            (batch / f"{index}").write_bytes(content)
        _load(good, batch, tally)
        for path in batch.iterdir():
            path.unlink()
    return tally


def _load(good: Path, batch: Path, tally: Tally) -> None:
    *lines, memory = package.run("hostile.mjs", good, batch, timeout=3600).splitlines()
    tally.most_memory = max(tally.most_memory, int(memory.split("\t")[1]))
    for line in lines:
        name, verdict, text = line.split("\t", 2)
        tally.verdicts[verdict] += 1
        if verdict == "finding":
            tally.findings.append(f"{name}: {text}")
        elif verdict == "refused":
            one_line(text)
    assert len(lines) >= len(list(batch.iterdir()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tally = campaign(Path(folder), args.count, args.seed)
    counts = ", ".join(f"{number} {verdict}" for verdict, number in sorted(tally.verdicts.items()))
    print(f"{counts}; {len(tally.findings)} findings; at most {tally.most_memory >> 20} MiB of the engine's memory")
    print(*tally.findings[:20], sep="\n")
    return 1 if tally.findings else 0


if __name__ == "__main__":
    sys.exit(main())
