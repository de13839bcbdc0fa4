"""Runs the library of a wheel on golden vectors, by programs of native/tests that are compiled for its machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wheel_targets import Target

__all__ = ["Golden", "best_kernels", "missing", "run"]

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "native" / "tests"))

import golden_floats  # noqa: E402

AVX512 = {"avx512f", "avx512vl", "avx512dq", "avx512bw", "fma"}


class RunError(Exception):
    """A program did not do what it should."""


@dataclass(frozen=True)
class Golden:
    """What came out: the kernels that the library chose, and the worst distance of a sample over all models."""

    kernels: str
    worst: float
    models: int


def best_kernels(processor: str, flags: set[str]) -> str:
    """The set that a library has to choose on a processor with the ``flags`` of /proc/cpuinfo."""
    if processor == "aarch64":
        return "neon"
    if flags >= AVX512:
        return "avx512vnni" if "avx512_vnni" in flags else "avx512"
    return "avx2" if {"avx2", "fma"} <= flags else "portable"


def missing(target: Target) -> Iterator[str]:
    """What is not there to run programs of the target, with what to do, a line each."""
    for path, package in target.files.items():
        if not Path(path).exists():
            yield f"{path} is missing: apt-get install {package}"


def run(target: Target, library: Path, folder: Path, zig: list[str]) -> Golden:
    """Compiles test_golden and test_paths against ``library`` in ``folder``, and runs them there.

    Args:
        zig: the command that is zig.

    Raises:
        RunError: a program cannot be compiled, or failed.
    """
    assert target.runner is not None
    tests = ROOT / "native" / "tests"
    suffix = ".exe" if target.system == "windows" else ""
    shutil.copy(library, folder)
    linked = library.with_name(library.name + ".a") if suffix else library
    for program in ("test_golden", "test_paths"):
        options = ["-target", target.zig, "-std=c++17", "-O2", "-s", f"-I{ROOT / 'native' / 'include'}"]
        options += [] if suffix else ["-Wl,-rpath,$ORIGIN"]
        if "musl" in target.zig:
            options += ["-dynamic"]
        _call(
            [*zig, "c++", *options, str(tests / f"{program}.cpp"), str(linked), "-o", str(folder / (program + suffix))]
        )
    arguments: list[str] = []
    pairs = golden_floats.write(folder)
    for model, vectors in pairs:
        shutil.copy(model, folder)
        arguments += [model.name, vectors.name]
    environment = {
        key: value for key, value in os.environ.items() if key not in ("LOCALVQE_KERNELS", "LOCALVQE_ARITHMETIC")
    }
    environment |= {"WINEDEBUG": "-all"}
    command = [*target.runner, str(folder / f"test_golden{suffix}")]
    said = _call([*command, *arguments], folder, environment)
    _call([*target.runner, str(folder / f"test_paths{suffix}"), pairs[0][0].name], folder, environment)
    kernels = re.search(r"^kernels: (\w+)", said, re.MULTILINE)
    distances = [float(found) for found in re.findall(r"off by ([0-9.e+-]+)", said)]
    if kernels is None or len(distances) != len(pairs):
        raise RunError(f"test_golden said something else: {said[-300:]!r}")
    return Golden(kernels[1], max(distances), len(distances))


def _call(command: list[str], folder: Path | None = None, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        raise RunError(
            f"{' '.join(command[:3])} ... ended with {done.returncode}: {(done.stdout + done.stderr)[-1500:]}"
        )
    return done.stdout
