"""The quick portion of tests/fuzz/run.py, with fixed seeds. The full one: docs/reference/reliability.md."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import mutate
import seeds

SEED = 20261121


PARTS = {
    "models": 80,
    "audio": 50,
    "checkpoints": 20,
    "manifests": 150,
    "onnx": 25,
    "codecs": 30,
    "archives": 20,
}
#: What runs in one process, and the packages without which there is nothing to try.
TOGETHER = [
    (("models", "audio", "manifests"), ()),
    (("checkpoints", "onnx", "codecs", "archives"), ("torch", "onnx", "onnxruntime", "yaml")),
]


@pytest.mark.parametrize(("parts", "needed"), TOGETHER, ids=["light", "torch"])
def test_nothing_gets_through(parts: tuple[str, ...], needed: tuple[str, ...]) -> None:
    """In a process of its own: one that has computed with threads, as this one may have, cannot be forked safely."""
    for package in needed:
        pytest.importorskip(package)
    counts = [f"--{name}={count if name in parts else 0}" for name, count in PARTS.items()]
    command = [sys.executable, str(Path(__file__).with_name("run.py")), *counts, f"--seed={SEED}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {part for names, _ in TOGETHER for part in names} == set(PARTS)
    for part in parts:
        (line,) = (line for line in done.stdout.splitlines() if line.startswith(f"{part}: {PARTS[part]} cases"))
        for verdict in ("accepted", "refused"):
            found = re.search(rf"(\d+) {verdict}", line)
            assert found is not None, line
            assert int(found.group(1)) > 0


def test_a_case_is_always_the_same(tmp_path: Path) -> None:
    document = seeds.models(tmp_path)[0]
    first, again = (mutate.damage_gguf(mutate.source(1, 5), document) for _ in range(2))
    assert first == again
    assert first != mutate.damage_gguf(mutate.source(1, 6), document)


HARNESS = """
import os, campaign

def case(index):
    if index == 3:
        os.abort()
    if index == 5:
        raise ValueError("escaped")
    return "fine"

tally = campaign.Tally()
campaign.run(case, 0, 8, tally)
print(*tally.findings, tally.verdicts["fine"], sep="\\n")
"""


def test_the_harness_sees_crashes_and_errors_that_escape() -> None:
    """Likewise in a process of its own, whose size is not that of all tests before it."""
    command = [sys.executable, "-c", HARNESS]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent)
    crash, escape, fine = done.stdout.splitlines()
    assert "case 3" in crash
    assert "-6" in crash
    assert "escaped" in escape
    assert fine == "6"
