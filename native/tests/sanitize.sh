#!/usr/bin/env bash
# Builds the native tests with sanitizers and runs them on random models of every version.
# usage: native/tests/sanitize.sh [address,undefined|thread] (needs the Python package for making the models)
set -euo pipefail
cd "$(dirname "$0")/../.."
sanitizer="${1:-address,undefined}"
build="${BUILD_DIR:-build/sanitize-${sanitizer//,/-}}"
models="$(mktemp -d)"
trap 'rm -rf "$models"' EXIT
python3 native/tests/random_models.py "$models"
cmake -S native -B "$build" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DLOCALVQE_TESTS=ON -DLOCALVQE_SANITIZE="$sanitizer" \
  -DLOCALVQE_TEST_MODELS="$(ls "$models"/*.gguf | paste -sd';')" \
  -DLOCALVQE_TEST_CODECS="$(ls "$models"/codecs/*.gguf | paste -sd';')" ${CMAKE_ARGS:-} >/dev/null
cmake --build "$build" -j"$(nproc)"
# A library with a name of its own for each version that may break programs.
if command -v readelf >/dev/null; then
  readelf -d "$build/liblocalvqe.so" | grep -q 'soname: \[liblocalvqe\.so\.[0-9]' || { echo "no versioned soname" >&2; exit 1; }
fi
TSAN_OPTIONS="${TSAN_OPTIONS:-halt_on_error=1}" UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
  ctest --test-dir "$build" --output-on-failure
