"""The tests of ``localvqe live`` on PulseAudio, on PipeWire instead:

python -m tests.live.run_pipewire [ARGUMENTS OF PYTEST]
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from pipewire_daemon import VARIABLE, PipeWireDaemon


def main() -> int:
    if missing := PipeWireDaemon.missing():
        print(f"missing: {', '.join(missing)}; Debian: apt-get install {PipeWireDaemon.packages}", file=sys.stderr)
        return 2
    os.environ[VARIABLE] = "pipewire"
    return int(pytest.main([str(Path(__file__).with_name("test_pulse.py")), *sys.argv[1:]]))


if __name__ == "__main__":
    sys.exit(main())
