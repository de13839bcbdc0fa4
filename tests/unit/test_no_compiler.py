"""Building without a compiler: a line that says what to install, instead of CMake's page."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

NATIVE = Path(__file__).resolve().parents[2] / "native"


def test_a_missing_compiler_is_one_message_and_is_looked_for_again(tmp_path: Path) -> None:
    cmake = shutil.which("cmake")
    if cmake is None:
        pytest.skip("cmake is not installed")
    environment = {**os.environ, "CXX": str(tmp_path / "no-compiler")}
    command = [cmake, "-S", str(NATIVE), "-B", str(tmp_path / "build")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "C++17" in done.stderr
    assert "apt-get install build-essential" in done.stderr
    assert done.stderr.count("CMake Error") == 1
    assert len(done.stderr.splitlines()) < 12
    # With a compiler, the same folder goes on to the next question: it kept no answer from before.
    if shutil.which("c++") is None:
        pytest.skip("no compiler for the second try")
    environment = {name: value for name, value in os.environ.items() if name not in ("CC", "CXX")}
    again = subprocess.run(
        [*command, f"-DLOCALVQE_GGML_DIR={tmp_path}"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert "No ggml source tree" in again.stderr
