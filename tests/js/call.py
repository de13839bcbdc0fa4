#!/usr/bin/env python
"""A call through the canceller in a headless Chromium, whose microphone is the sample pair's. The full one:

    python tests/js/call.py --seconds 20 --model denoise

Fails where the audio thread fell behind, went silent or rested the model.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT), str(Path(__file__).parent)]

import pages  # noqa: E402
from browser import Page  # noqa: E402

SCRIPT = Path(__file__).with_suffix(".js")
BLOCK = 128
RATE = 48000
#: Of sound, by which the audio clock may seem to lag, since it advances by a device's buffer at a time.
BUFFER_SECONDS = 0.1


def call(page: Page, seconds: float, model: str) -> dict[str, Any]:
    """What came of it: see call.js."""
    result: dict[str, Any] = json.loads(page.run(f"({SCRIPT.read_text()})({seconds}, {json.dumps(model)})"))
    return result


def findings(result: dict[str, Any]) -> list[str]:
    """What a caller would have heard."""
    found = list(result["said"])
    if result["wall"] - result["sound"] > BUFFER_SECONDS:
        found.append(f"{result['sound']:.2f} s of sound in {result['wall']:.2f} s")
    if result["underruns"]:
        found.append(f"{result['underruns']} underruns")
    if result["rested"]:
        found.append("the model rested")
    if result["longestSilence"][1] > result["longestSilence"][0] + 8:
        found.append(f"{result['longestSilence'][1]} blocks of silence")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--model", default="default", choices=["default", "denoise"])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, pages.demo(Path(folder)) as page:
        result = call(page, args.seconds, args.model)
    print(json.dumps(result, indent=1))
    found = findings(result)
    print(*(found or ["no underrun"]), sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
