#!/usr/bin/env bash
# Builds the native tests with sanitizers and runs them on random models of every version.
# usage: native/tests/sanitize.sh [address,undefined|thread] (needs the Python package for making the models)
set -euo pipefail
cd "$(dirname "$0")/../.."
sanitizer="${1:-address,undefined}"
build="${BUILD_DIR:-build/sanitize-${sanitizer//,/-}}"
models="$(mktemp -d)"
trap 'rm -rf "$models"' EXIT
PYTHONPATH=tests python3 - "$models" <<'PY'
import sys
from pathlib import Path

from make_model import narrow_config, random_gguf, random_quantized_gguf

from localvqe_cli.config import FrontendConfig, ResidualConfig

for version in (1, 2, 3):
    random_gguf(Path(sys.argv[1]) / f"v{version}.gguf", narrow_config(version), version)
random_gguf(Path(sys.argv[1]) / "odd.gguf", narrow_config(3, mic_channels=(2, 17, 21, 9, 33, 5), dmax=70, kernel_size_w=3), 4)
random_gguf(Path(sys.argv[1]) / "frontend.gguf", narrow_config(3, frontend=FrontendConfig(partitions=3, lags=9)), 5)
parts = {"frontend": FrontendConfig(partitions=3, lags=9, gain_hidden=5), "residual": ResidualConfig()}
for name, network in (("gain", True), ("alone", False)):
    random_gguf(Path(sys.argv[1]) / f"{name}.gguf", narrow_config(3, network=network, **parts), 6)
for kind in ("Q8_0", "Q4_K"):
    config = narrow_config(2, mic_channels=(2, 17, 21, 9, 33, 11), far_channels=(2, 15, 13), kernel_size_w=3)
    random_quantized_gguf(Path(sys.argv[1]) / f"{kind}.gguf", config, kind)
PY
cmake -S native -B "$build" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DLOCALVQE_TESTS=ON -DLOCALVQE_SANITIZE="$sanitizer" \
  -DLOCALVQE_TEST_MODELS="$(ls "$models"/*.gguf | paste -sd';')" ${CMAKE_ARGS:-} >/dev/null
cmake --build "$build" -j"$(nproc)"
# A library with a name of its own for each version that may break programs.
if command -v readelf >/dev/null; then
  readelf -d "$build/liblocalvqe.so" | grep -q 'soname: \[liblocalvqe\.so\.[0-9]' || { echo "no versioned soname" >&2; exit 1; }
fi
TSAN_OPTIONS="${TSAN_OPTIONS:-halt_on_error=1}" UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
  ctest --test-dir "$build" --output-on-failure
