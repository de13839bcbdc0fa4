#!/usr/bin/env bash
# Cross-compiles the engine for another processor and runs its native tests and golden vectors in an emulator.
# usage: native/tests/emulate.sh riscv64|ppc64le (needs the Python package with its extra dev, to read the vectors)
# Debian: apt-get install qemu-user g++-riscv64-linux-gnu g++-powerpc64le-linux-gnu
set -euo pipefail
cd "$(dirname "$0")/../.."
processor="${1:-}"
case "$processor" in
  riscv64) machine=riscv64-linux-gnu ;;
  ppc64le) machine=powerpc64le-linux-gnu ;;
  *) echo "usage: native/tests/emulate.sh riscv64|ppc64le" >&2 && exit 2 ;;
esac
emulator=("qemu-$processor" -L "/usr/$machine")
build="${BUILD_DIR:-build/emulate-$processor}"
for tool in "$machine-g++" "qemu-$processor"; do
  command -v "$tool" >/dev/null || { echo "$tool is not installed; the head of $0 names its package" >&2; exit 1; }
done
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# Each model's golden vectors, as files that the example program in C takes.
PYTHONPATH=tests:. python3 - "$work" <<'PY'
import sys
from pathlib import Path

import golden_vectors
import numpy as np
import soundfile

work = Path(sys.argv[1])
for name in golden_vectors.FLOAT:
    vectors, folder = golden_vectors.load_small(name), work / name
    folder.mkdir()
    vectors.model(folder).rename(folder / "model.gguf")
    for side in ("mic", "ref"):
        soundfile.write(folder / f"{side}.wav", getattr(vectors, side), 16000, "PCM_16")
    np.save(folder / "expected.npy", vectors.centred)
PY

models="$(ls "$work"/*/model.gguf | paste -sd';')"
cmake -S native -B "$build" -DCMAKE_BUILD_TYPE=Release -DLOCALVQE_TESTS=ON -DLOCALVQE_TEST_MODELS="$models" \
  -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR="$processor" -DCMAKE_C_COMPILER="$machine-gcc" \
  -DCMAKE_CXX_COMPILER="$machine-g++" -DCMAKE_CROSSCOMPILING_EMULATOR="$(IFS=';' && echo "${emulator[*]}")" \
  ${CMAKE_ARGS:-} >/dev/null
cmake --build "$build" -j"$(nproc)"
ctest --test-dir "$build" --output-on-failure

"$machine-gcc" -std=c99 -O2 examples/c/enhance.c -o "$work/enhance" -Inative/include -L"$build" -llocalvqe \
  -Wl,-rpath,"$(realpath "$build")"
for folder in "$work"/*/; do
  "${emulator[@]}" "$work/enhance" "$folder/model.gguf" "$folder/mic.wav" "$folder/ref.wav" "$folder/out.wav"
done
python3 - "$work" <<'PY'
import sys
from pathlib import Path

import numpy as np
import soundfile

failed = False
for folder in sorted(path.parent for path in Path(sys.argv[1]).glob("*/out.wav")):
    difference = np.abs(soundfile.read(folder / "out.wav")[0] - np.load(folder / "expected.npy")).max()
    print(f"{folder.name}: golden vectors to {difference:.1e}")  # half of a 16-bit step is 1.5e-5
    failed |= not difference < 1e-4
sys.exit(failed)
PY
