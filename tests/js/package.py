"""The npm package in bindings/js, for tests: whether it is built, and Node to run it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "bindings" / "js"
DEMO = REPOSITORY / "build" / "demo"
OLDEST_NODE = 20

Samples = NDArray[np.float32]


@cache
def require() -> str:
    """Node's path; skips the test where Node or a fresh build of the package is missing. Found out once."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is not installed")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    found = re.match(r"v(\d+)", version)
    if found is None or int(found[1]) < OLDEST_NODE:
        pytest.skip(f"Node {version} is older than {OLDEST_NODE}")
    check = subprocess.run([node, str(PACKAGE / "assemble.mjs"), "--check"], capture_output=True, text=True)
    if check.returncode:
        pytest.skip(check.stdout.strip() or check.stderr.strip())
    return node


def run(script: str, *arguments: object, timeout: float = 120) -> str:
    """What a script of bindings/js/test prints."""
    command = [require(), str(PACKAGE / "test" / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def process(folder: Path, model: object, mic: Samples, ref: Samples) -> tuple[Samples, dict[str, Any]]:
    """The stream's output, one hop late, of a whole number of hops; and what the script says of it."""
    for name, samples in (("mic", mic), ("ref", ref)):
        (folder / f"{name}.f32").write_bytes(samples.astype("<f4").tobytes())
    paths = [folder / f"{name}.f32" for name in ("mic", "ref", "out")]
    said = json.loads(run("process.mjs", model, *paths))
    return np.frombuffer(paths[2].read_bytes(), "<f4"), said
