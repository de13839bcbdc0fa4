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

CPUINFO = Path("/proc/cpuinfo")
AVX512 = {"avx512f", "avx512vl", "avx512dq", "avx512bw", "fma"}


def _best_of_this_machine() -> str:
    if platform.machine() in ("aarch64", "arm64"):
        return "neon"
    if platform.machine() not in ("x86_64", "AMD64"):
        return "portable"
    if not CPUINFO.exists():
        pytest.skip("the system does not list the processor's instructions")
    flags = next(set(line.split()) for line in CPUINFO.read_text().splitlines() if line.startswith("flags"))
    if flags >= AVX512:
        return "avx512vnni" if "avx512_vnni" in flags else "avx512"
    return "avx2" if {"avx2", "fma"} <= flags else "portable"


def test_the_best_kernels_of_this_machine_are_chosen() -> None:
    environment = {key: value for key, value in os.environ.items() if key != "LOCALVQE_KERNELS"}
    probe = "from localvqe_cli import engine; print(engine.kernels())"
    chosen = subprocess.run([sys.executable, "-c", probe], env=environment, capture_output=True, text=True, check=True)
    assert chosen.stdout.strip() == _best_of_this_machine()
