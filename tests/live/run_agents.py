"""The voice-agent plug-ins against the real packages, in a virtual environment of their own:

python -m tests.live.run_agents [ARGUMENTS OF PYTEST]

The packages do not go into the one that you develop in: Pipecat wants another soundfile than constraints.txt pins, and
the two bring some hundred others. The engine is the one that this Python has. Needs Python 3.11 and PyPI.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import tomllib

from localvqe_cli.engine import library_path

REPOSITORY = Path(__file__).resolve().parents[2]
TESTS = ("test_agents.py", "test_livekit.py", "test_pipecat.py")


def main() -> int:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    packages = [*project["dependencies"], *extras["livekit"], *extras["pipecat"], "pytest"]
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / ("Scripts" if os.name == "nt" else "bin") / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
        shown = subprocess.run([python, "-m", "pip", "freeze"], capture_output=True, text=True, check=True).stdout
        print(*[line for line in shown.splitlines() if line.startswith(("livekit", "pipecat"))], sep="\n", flush=True)
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "LOCALVQE_LIBRARY": str(library_path())}
        tests = [str(Path(__file__).with_name(name)) for name in TESTS]
        # Skipping is what the tests do where the packages are missing; here that would be a failure.
        subprocess.run([python, "-c", "import localvqe.livekit, localvqe.pipecat"], env=environment, check=True)
        return subprocess.run([python, "-m", "pytest", *tests, *sys.argv[1:]], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
