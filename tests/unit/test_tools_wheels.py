"""What tools/wheels.py lets through. Making the wheels takes minutes each, and is a command."""

from __future__ import annotations

import dataclasses
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from scripts import REPOSITORY, load_script

from localvqe_cli import engine


@pytest.fixture(scope="module")
def tools() -> Iterator[None]:
    """The tool's modules find each other."""
    sys.path.insert(0, str(REPOSITORY / "tools"))
    yield
    sys.path.remove(str(REPOSITORY / "tools"))


@pytest.fixture(scope="module")
def wheels(tools: None) -> ModuleType:
    return load_script("tools/wheels.py")


@pytest.fixture(scope="module")
def library(tools: None) -> ModuleType:
    pytest.importorskip("lief", reason="lief, which reads compiled libraries, is not installed")
    return load_script("tools/wheel_library.py")


GOOD: dict[str, dict[str, Any]] = {
    "manylinux_x86_64": {"processor": "x86_64", "needs": {"libc.so.6"}, "glibc": (2, 17), "versions": {"GLIBC_2.17"}},
    "musllinux_aarch64": {"processor": "aarch64", "needs": {"libc.so"}},
    "win_amd64": {"processor": "x86_64", "needs": {"kernel32.dll", "api-ms-win-crt-heap-l1-1-0.dll"}},
    "macosx_arm64": {"processor": "aarch64", "needs": {"/usr/lib/libSystem.B.dylib"}, "macos": (11, 0, 0)},
}
BAD = [
    ("manylinux_x86_64", {"processor": "aarch64"}, "it is for aarch64"),
    ("manylinux_x86_64", {"glibc": (2, 18)}, "it needs glibc 2.18, and the tag says 2.17"),
    ("manylinux_x86_64", {"needs": {"libc.so.6", "libstdc++.so.6"}}, "it needs libstdc++.so.6"),
    ("manylinux_x86_64", {"versions": {"GLIBCXX_3.4.30"}}, "it needs GLIBCXX_3.4.30"),
    ("manylinux_x86_64", {"exports": {"localvqe_new", "ggml_init"}}, "it exports 1 names beside localvqe_*: ggml_init"),
    ("manylinux_x86_64", {"exports": set()}, "it exports nothing"),
    ("manylinux_x86_64", {"symbols": True}, "it is not stripped"),
    ("musllinux_aarch64", {"needs": set()}, "it brings a C library of its own"),
    ("musllinux_aarch64", {"needs": {"libc.so.6"}, "glibc": (2, 17)}, "it needs glibc"),
    ("win_amd64", {"needs": {"libgcc_s_seh-1.dll"}}, "it needs libgcc_s_seh-1.dll"),
    ("macosx_arm64", {"macos": (12, 0, 0)}, "it is for macOS 12.0.0"),
    ("macosx_arm64", {"macos": ()}, "it is for macOS of any version"),
]


@pytest.mark.parametrize("name", GOOD)
def test_what_a_tag_promises_is_let_through(name: str, wheels: ModuleType, library: ModuleType) -> None:
    found = library.Library(exports={"localvqe_new"}, **GOOD[name])
    assert not list(library.problems(wheels.TARGETS[name], found))


@pytest.mark.parametrize(("name", "change", "line"), BAD)
def test_what_it_does_not_promise_is_refused(
    name: str, change: dict[str, Any], line: str, wheels: ModuleType, library: ModuleType
) -> None:
    found = dataclasses.replace(library.Library(exports={"localvqe_new"}, **GOOD[name]), **change)
    assert any(said.startswith(line) for said in library.problems(wheels.TARGETS[name], found))


def test_the_library_of_this_machine_exports_its_own_functions_alone(library: ModuleType) -> None:
    exports = library.read(engine.library_path()).exports
    assert {"localvqe_new", "localvqe_process_frame_f32"} <= exports
    assert all(name.startswith("localvqe_") for name in exports), exports


def test_a_file_that_is_no_library_is_refused(library: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "liblocalvqe.so"
    path.write_bytes(b"not a library")
    with pytest.raises(ValueError, match="is no library"):
        library.read(path)


def _wheel(folder: Path, platform: str, inside: tuple[str, ...], *files: str) -> Path:
    path = folder / f"localvqe-0.1.0-py3-none-{platform}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("localvqe-0.1.0.dist-info/WHEEL", "".join(f"Tag: py3-none-{tag}\n" for tag in inside))
        for name in files:
            archive.writestr(name, b"\x00")
    return path


LIBRARY = "localvqe_cli/lib/liblocalvqe.dll"


def test_a_wheel_of_the_right_name_gives_its_library(wheels: ModuleType, library: ModuleType, tmp_path: Path) -> None:
    path = _wheel(tmp_path, "win_amd64", ("win_amd64",), LIBRARY)
    assert wheels.check_file(wheels.TARGETS["win_amd64"], path, tmp_path / "out") == tmp_path / "out" / LIBRARY


@pytest.mark.parametrize(
    ("platform", "inside", "files", "line"),
    [
        ("linux_x86_64", ("win_amd64",), (LIBRARY,), "is not named for win_amd64"),
        ("win_amd64", ("linux_x86_64",), (LIBRARY,), "says inside that it is for py3-none-linux_x86_64"),
        ("win_amd64", ("win_amd64",), (), "has the libraries none"),
        ("win_amd64", ("win_amd64",), (LIBRARY, "localvqe_cli/lib/other.dll"), "has the libraries"),
        ("win_amd64", ("win_amd64",), ("localvqe_cli/lib/liblocalvqe.so",), "has the libraries liblocalvqe.so"),
    ],
)
def test_another_wheel_is_refused(
    platform: str,
    inside: tuple[str, ...],
    files: tuple[str, ...],
    line: str,
    wheels: ModuleType,
    library: ModuleType,
    tmp_path: Path,
) -> None:
    with pytest.raises(wheels.WheelError, match=line):
        wheels.check_file(wheels.TARGETS["win_amd64"], _wheel(tmp_path, platform, inside, *files), tmp_path / "out")


def test_a_wheel_that_is_too_large_is_refused(
    wheels: ModuleType, library: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import wheel_library

    path = _wheel(tmp_path, "win_amd64", ("win_amd64",), LIBRARY)
    monkeypatch.setattr(wheel_library, "LARGEST", path.stat().st_size)
    with pytest.raises(wheels.WheelError, match="the limit is"):
        wheels.check_file(wheels.TARGETS["win_amd64"], path, tmp_path / "out")


def test_what_is_missing_is_said_with_the_package(
    wheels: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(wheels, "NEEDED", ("no_such_module",))
    assert wheels.main(["macosx_arm64"]) == 2
    assert capsys.readouterr().err == "no_such_module missing: pip install -c constraints.txt no_such_module\n"
    monkeypatch.setattr(wheels, "NEEDED", ())
    absent = dataclasses.replace(wheels.TARGETS["musllinux_aarch64"], files={"/no/loader": "musl:arm64"})
    monkeypatch.setitem(wheels.TARGETS, "musllinux_aarch64", absent)
    assert wheels.main(["musllinux_aarch64"]) == 2
    assert capsys.readouterr().err == "/no/loader is missing: apt-get install musl:arm64\n"


@pytest.mark.parametrize(
    ("processor", "flags", "kernels"),
    [
        ("aarch64", "", "neon"),
        ("riscv64", "", "portable"),
        ("x86_64", "sse2 avx", "portable"),
        ("x86_64", "avx2", "portable"),
        ("x86_64", "avx2 fma", "avx2"),
        ("x86_64", "avx2 fma avx512f", "avx2"),
        ("x86_64", "avx2 fma avx512f avx512vl avx512dq avx512bw", "avx512"),
        ("x86_64", "avx2 fma avx512f avx512vl avx512dq avx512bw avx512_vnni", "avx512vnni"),
    ],
)
def test_the_best_kernels_of_a_processor(processor: str, flags: str, kernels: str, tools: None) -> None:
    assert load_script("tools/wheel_run.py").best_kernels(processor, set(flags.split())) == kernels
