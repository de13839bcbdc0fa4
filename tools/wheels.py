#!/usr/bin/env python
"""Make a wheel for a kind of machine, on any Linux machine, and check it:

    pip install -c constraints.txt lief numpy wheel ziglang
    python tools/wheels.py manylinux_x86_64               # into dist/
    python tools/wheels.py win_amd64 --output elsewhere

A wheel is refused, and not written, unless its library is of the kind that its tag says, needs nothing that a machine
of the tag may lack, exports only localvqe_*, is under 3 MB, and where it can be run here matches the golden vectors
with the kernels that are the best for this processor. docs/reference/wheels.md has the list.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from wheel_targets import TARGETS, Target

ROOT = Path(__file__).resolve().parents[1]
NEEDED = ("lief", "numpy", "wheel", "ziglang")


class WheelError(Exception):
    """The wheel cannot be made, or is not what it should be."""


def build(target: Target, folder: Path) -> Path:
    """The wheel in ``folder``, with its tag; what was compiled stays in build/ for the next time."""
    settings = {
        "cmake.define.CMAKE_TOOLCHAIN_FILE": str(ROOT / "native" / "cmake" / "zig" / "toolchain.cmake"),
        "cmake.define.LOCALVQE_ZIG_TARGET": target.zig,
        "cmake.define.LOCALVQE_ZIG": str(_zig()),
        "build-dir": str(ROOT / "build" / "wheels" / target.name),
    }
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--disable-pip-version-check",
        "-w",
        str(folder),
        str(ROOT),
    ]
    command += [f"--config-settings={key}={value}" for key, value in settings.items()]
    # Options for the build of this machine itself are not meant here.
    environment = {
        key: value for key, value in os.environ.items() if key not in ("CMAKE_ARGS", "CFLAGS", "CXXFLAGS", "LDFLAGS")
    }
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment)
    if done.returncode != 0:
        raise WheelError(f"the build failed:\n{(done.stdout + done.stderr)[-6000:]}")
    made = next(folder.glob("localvqe-*.whl"))
    # scikit-build-core names the machine it runs on.
    retag = [sys.executable, "-m", "wheel", "tags", "--remove", f"--platform-tag={target.platform}", str(made)]
    subprocess.run(retag, check=True, capture_output=True)
    return next(folder.glob("localvqe-*.whl"))


def _zig() -> Path:
    found = importlib.util.find_spec("ziglang")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).with_name("zig")


def check_file(target: Target, wheel: Path, folder: Path) -> Path:
    """Unpacks ``wheel`` into ``folder`` and returns its library.

    Raises:
        WheelError: its name, tag or size is not what the target says, or it has no library, or another beside it.
    """
    import wheel_library

    if not wheel.name.endswith(f"-py3-none-{target.platform}.whl"):
        raise WheelError(f"{wheel.name} is not named for {target.platform}")
    if wheel.stat().st_size >= wheel_library.LARGEST:
        raise WheelError(f"{wheel.name} has {wheel.stat().st_size} bytes, and the limit is {wheel_library.LARGEST}")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    tags = [line for path in folder.glob("*.dist-info/WHEEL") for line in path.read_text().splitlines()]
    said = {line.removeprefix("Tag: ") for line in tags if line.startswith("Tag: ")}
    if said != {f"py3-none-{tag}" for tag in target.tags}:
        raise WheelError(f"{wheel.name} says inside that it is for {', '.join(sorted(said))}")
    libraries = [path for path in folder.rglob("*") if path.suffix in (".so", ".dll", ".dylib")]
    if [path.relative_to(folder).as_posix() for path in libraries] != [f"localvqe_cli/lib/{target.library}"]:
        raise WheelError(f"{wheel.name} has the libraries {', '.join(path.name for path in libraries) or 'none'}")
    return libraries[0]


def check(target: Target, wheel: Path) -> str:
    """A line of what was found.

    Raises:
        WheelError: something is not as it should be.
    """
    import wheel_library
    import wheel_run

    with tempfile.TemporaryDirectory() as name:
        library = check_file(target, wheel, Path(name) / "wheel")
        try:
            found = wheel_library.read(library)
        except ValueError as exc:
            raise WheelError(str(exc)) from exc
        wrong = list(wheel_library.problems(target, found))
        if wrong:
            raise WheelError(f"{library.name}: " + "; ".join(wrong))
        line = f"{wheel.name}: {wheel.stat().st_size / 1e6:.2f} MB, library {library.stat().st_size / 1e6:.2f} MB"
        if found.glibc:
            line += f", glibc {'.'.join(map(str, found.glibc))}"
        if found.macos:
            line += f", macOS {'.'.join(map(str, found.macos))}"
        if target.runner is None:
            return f"{line}; compiled only"
        programs = Path(name) / "programs"
        programs.mkdir()
        try:
            golden = wheel_run.run(target, library, programs, [str(_zig())])
        except wheel_run.RunError as exc:
            raise WheelError(str(exc)) from exc
        flags = next((set(row.split()) for row in _cpuinfo() if row.startswith("flags")), set())
        best = wheel_run.best_kernels(target.processor, flags)
        if golden.kernels != best:
            raise WheelError(f"{library.name} chose the kernels {golden.kernels}, and {best} are the best here")
        how = target.runner[0] if target.runner else "itself"
        return (
            f"{line}; run by {how}: {golden.models} models off by at most {golden.worst:.1e}, kernels {golden.kernels}"
        )


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0].rstrip(":"))
    parser.add_argument("target", choices=[*TARGETS, "all"], metavar="TARGET", help=f"{', '.join(TARGETS)}, or all")
    parser.add_argument("--output", type=Path, default=ROOT / "dist", metavar="FOLDER", help="default: dist")
    options = parser.parse_args(arguments)
    absent = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if absent:
        print(f"{', '.join(absent)} missing: pip install -c constraints.txt {' '.join(absent)}", file=sys.stderr)
        return 2
    import wheel_run

    targets = list(TARGETS.values()) if options.target == "all" else [TARGETS[options.target]]
    lacking = [line for target in targets for line in wheel_run.missing(target)]
    if lacking:
        print("\n".join(dict.fromkeys(lacking)), file=sys.stderr)
        return 2
    failed = False
    for target in targets:
        try:
            with tempfile.TemporaryDirectory() as folder:
                made = build(target, Path(folder))
                line = check(target, made)
                options.output.mkdir(parents=True, exist_ok=True)
                shutil.copy(made, options.output / f".{made.name}.part")
                os.replace(options.output / f".{made.name}.part", options.output / made.name)
            print(line, flush=True)
        except WheelError as exc:
            print(f"{target.name}: {exc}", file=sys.stderr)
            failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
