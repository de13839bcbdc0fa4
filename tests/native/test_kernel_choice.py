"""The kernels that this build chooses are the best that the machine has, by what the system says of it.

A compiler whose runtime knows no instruction sets would have the library fall back to the portable set, three times
slower and without a word.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from scripts import load_script

CPUINFO = Path("/proc/cpuinfo")


def _best_of_this_machine() -> str:
    processor = {"arm64": "aarch64", "AMD64": "x86_64"}.get(platform.machine(), platform.machine())
    flags: set[str] = set()
    if processor == "x86_64":
        if not CPUINFO.exists():
            pytest.skip("the system does not list the processor's instructions")
        flags = next(set(line.split()) for line in CPUINFO.read_text().splitlines() if line.startswith("flags"))
    return str(load_script("tools/wheel_run.py").best_kernels(processor, flags))


def test_the_best_kernels_of_this_machine_are_chosen() -> None:
    environment = {key: value for key, value in os.environ.items() if key != "LOCALVQE_KERNELS"}
    probe = "from localvqe_cli import engine; print(engine.kernels())"
    chosen = subprocess.run([sys.executable, "-c", probe], env=environment, capture_output=True, text=True, check=True)
    assert chosen.stdout.strip() == _best_of_this_machine()
