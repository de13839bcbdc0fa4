"""The programs of examples/ in C, C++, Go and Rust, built against the installed package, give what Python gives.

native/tests/install.sh builds them against an installation without Python, by pkg-config and CMake.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import localvqe

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
MODEL = Path(localvqe.Enhancer("denoise").path)
INCLUDE, LIBRARY = localvqe.get_include(), localvqe.get_library_dir()
C_LIKE = ["-I", INCLUDE, "-L", LIBRARY, "-llocalvqe", f"-Wl,-rpath,{LIBRARY}"]
RUST_PATH = ["-C", f"link-arg=-Wl,-rpath,{LIBRARY}"]
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]

#: What builds each program, after the compiler's names in order of preference.
COMMANDS = {
    "c": (("cc", "gcc"), ["-std=c99", *STRICT, str(EXAMPLES / "c/enhance.c"), *C_LIKE, "-o"]),
    "cpp": (("c++", "g++"), ["-std=c++17", *STRICT, str(EXAMPLES / "cpp/enhance.cpp"), *C_LIKE, "-o"]),
    "go": (("go",), ["build", "-o"]),
    "rust": (
        ("rustc",),
        ["--edition=2021", "-Dwarnings", str(EXAMPLES / "rust/enhance.rs"), f"-Lnative={LIBRARY}", *RUST_PATH, "-o"],
    ),
}


@pytest.fixture(scope="module", params=COMMANDS)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each program in turn, built."""
    names, arguments = COMMANDS[request.param]
    compiler = next(filter(None, map(shutil.which, names)), None)
    if compiler is None:
        pytest.skip(f"{names[0]} is not installed")
    if sys.platform == "win32":
        pytest.skip("these commands are for compilers of Unix")
    built = tmp_path_factory.mktemp("programs") / request.param
    environment = {**os.environ, "CGO_CFLAGS": f"-I{INCLUDE}", "CGO_LDFLAGS": f"-L{LIBRARY} -Wl,-rpath,{LIBRARY}"}
    done = subprocess.run(
        [compiler, *arguments, str(built)], cwd=EXAMPLES / "go", env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return built


def run(program: Path, *arguments: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60)


def samples(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="int16")[0].astype(np.int32)


def expected(mic: np.ndarray, ref: np.ndarray) -> np.ndarray:
    out = localvqe.Enhancer(MODEL).enhance(mic.astype(np.int16), ref.astype(np.int16))
    return np.clip(np.rint(out * 32768), -32768, 32767).astype(np.int32)


@pytest.mark.parametrize("ref_length", [None, 20001], ids=["whole", "short reference"])
def test_it_gives_what_python_gives(program: Path, tmp_path: Path, ref_length: int | None) -> None:
    mic = samples(EXAMPLES / "sample_mic.wav")[:40000]  # no whole number of hops
    ref = samples(EXAMPLES / "sample_ref.wav")[: ref_length or len(mic)]
    for name, signal in (("mic", mic), ("ref", ref)):
        soundfile.write(tmp_path / f"{name}.wav", signal.astype(np.int16), 16000)
    done = run(program, MODEL, *(tmp_path / f"{name}.wav" for name in ("mic", "ref", "out")))
    assert done.returncode == 0, done.stderr
    out = samples(tmp_path / "out.wav")
    want = expected(mic, np.pad(ref, (0, len(mic) - len(ref))))
    assert out.shape == mic.shape
    assert np.abs(out - want).max() <= 1
    assert np.abs(out - mic).max() > 1000


def test_it_says_in_one_line_what_is_wrong(program: Path, tmp_path: Path) -> None:
    mic, ref, out = EXAMPLES / "sample_mic.wav", EXAMPLES / "sample_ref.wav", tmp_path / "out.wav"
    wrong = {name: tmp_path / f"{name}.wav" for name in ("stereo", "text", "short", "absent")}
    soundfile.write(wrong["stereo"], np.zeros((1000, 2)), 16000, "PCM_16")
    wrong["text"].write_text("no sound at all, but more than twelve bytes")
    wrong["short"].write_bytes(mic.read_bytes()[:1000])
    cases = [(MODEL, bad, ref, bad) for bad in wrong.values()] + [(MODEL, mic, bad, bad) for bad in wrong.values()]
    cases += [(tmp_path / "absent.gguf", mic, ref, tmp_path / "absent.gguf"), (mic, mic, ref, mic)]
    for model, mic_file, ref_file, culprit in cases:
        done = run(program, model, mic_file, ref_file, out)
        assert done.returncode == 1, culprit
        assert str(culprit) in done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
        assert not out.exists()
    assert run(program, MODEL).returncode == 2
    assert run(program, MODEL, mic, ref, tmp_path / "no folder" / "out.wav").returncode == 1
    assert not list(tmp_path.glob("*.part"))
