#!/usr/bin/env bash
# Builds what the npm package needs beside its sources, into bindings/js/dist: the engine as WebAssembly, the models, the
# worklet as one file. And the demo page with all of that, into build/demo. Equal sources give equal bytes.
# usage: bindings/js/build.sh (Debian 12: apt-get install cmake ninja-build emscripten node-acorn)
set -euo pipefail
cd "$(dirname "$0")/../.."
build="${BUILD_DIR:-build/wasm}"

command -v emcmake >/dev/null || { echo "Emscripten is not installed (Debian: apt-get install emscripten node-acorn)" >&2; exit 2; }
# Debian's Emscripten does not find Debian's acorn by itself.
if [ -d /usr/share/nodejs/acorn ]; then
  export NODE_PATH="/usr/share/nodejs${NODE_PATH:+:$NODE_PATH}"
fi

# The build of the package has fetched ggml already, where there is one.
ggml="$(compgen -G "$PWD/build/*/ggml-source/*/vendor/ggml" | head -n 1 || true)"
emcmake cmake -S native -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release ${ggml:+-DLOCALVQE_GGML_DIR="$ggml"} \
  ${CMAKE_ARGS:-} >/dev/null
cmake --build "$build" --target localvqe -j"$(nproc)"
node bindings/js/assemble.mjs "$build/localvqe.wasm"
