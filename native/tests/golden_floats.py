"""The golden vectors of tests/golden/data in the form that test_golden.cpp reads; needs numpy alone.

python native/tests/golden_floats.py FOLDER     # writes them, and prints the program's arguments, one a line
"""

from __future__ import annotations

import hashlib
import sys
import wave
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "golden" / "data"
#: As EXCERPT in tests/golden_vectors.py.
EXCERPT = slice(51200, 51200 + 62 * 256)


def _samples(path: Path) -> np.ndarray:
    """A mono file of 16-bit samples, (n,), in [-1, 1)."""
    with wave.open(str(path), "rb") as sound:
        if (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) != (1, 2, 16000):
            raise ValueError(f"{path} is not mono, 16 bits, 16 kHz")
        return np.frombuffer(sound.readframes(sound.getnframes()), "<i2").astype("<f4") / np.float32(32768)


def write(folder: Path) -> list[tuple[Path, Path]]:
    """Writes a file of floats per model, mic, ref and output one after another; returns (model, that file)."""
    mic, ref = (_samples(ROOT / "examples" / f"sample_{side}.wav")[EXCERPT] for side in ("mic", "ref"))
    digest = hashlib.sha256(mic.tobytes() + ref.tobytes()).hexdigest()
    pairs = []
    for model in sorted(DATA.glob("*.gguf")):
        with np.load(model.with_suffix(".npz")) as content:
            if str(content["input"]) != digest:
                raise ValueError(f"{model.name} was not made of this part of the sample pair")
            want = content["stream"][: mic.size].astype("<f4")
        path = folder / f"{model.stem}.f32"
        np.concatenate([mic, ref, want]).astype("<f4").tofile(path)
        pairs.append((model, path))
    return pairs


if __name__ == "__main__":
    for model, vectors in write(Path(sys.argv[1])):
        print(model, vectors, sep="\n")
