"""Install a wheel as a user does, in a fresh environment and without building anything, and clean the sample pair.

usage: python tools/try_wheel.py WHEEL | FOLDER WITH ONE WHEEL
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
EXAMPLES = REPOSITORY / "examples"

#: Runs in the new environment, away from the repository: what comes out is what the installed engine made.
CHECK = """
import sys
import localvqe, numpy, soundfile
from localvqe_cli import engine
mic, ref, out = (soundfile.read(path)[0] for path in sys.argv[1:])
assert out.shape == mic.shape, (out.shape, mic.shape)
far_end_alone = slice(16000, 32000)  # the second second of the pair: nobody speaks but the far end
taken = 10 * numpy.log10(numpy.mean(mic[far_end_alone] ** 2) / numpy.mean(out[far_end_alone] ** 2))
print(f"{localvqe.__version__}, kernels {engine.kernels()}: {taken:.1f} dB of the echo and noise are gone")
assert taken > 6, "the echo is still there"
"""


def find(place: Path) -> Path:
    """The wheel at or in ``place``; exits with a line where there is not exactly one."""
    wheels = sorted(place.glob("*.whl")) if place.is_dir() else [place] if place.is_file() else []
    if len(wheels) != 1:
        sys.exit(f"{place}: expected one wheel, found {len(wheels)}")
    return wheels[0].resolve()


def main() -> None:
    parser = argparse.ArgumentParser(description="Install a wheel in a fresh environment and clean the sample pair.")
    parser.add_argument("wheel", type=Path, help="the file, or a folder with one wheel")
    wheel = find(parser.parse_args().wheel)
    # A path that people have, and that has broken installers.
    with tempfile.TemporaryDirectory(prefix="a wheel für ") as name:
        folder = Path(name)
        venv.create(folder / "venv", with_pip=True)
        scripts = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
        python, out = str(scripts / "python"), folder / "clean.wav"
        pair = [EXAMPLES / "sample_mic.wav", EXAMPLES / "sample_ref.wav"]
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", wheel], check=True)
        subprocess.run([scripts / "localvqe", "enhance", *pair, "-o", out], cwd=folder, check=True)
        subprocess.run([python, "-c", CHECK, *pair, out], cwd=folder, check=True)


if __name__ == "__main__":
    main()
