#!/usr/bin/env bash
# Style and static analysis of the C++: .clang-format, .clang-tidy.
# usage: native/tests/lint.sh [--fix-format] (needs clang-format and clang-tidy, which the extra dev brings)
#
# The analysis takes the library without its kernels, which are compiled several times for instructions of their own.
set -euo pipefail
cd "$(dirname "$0")/../.."
build="${BUILD_DIR:-build/lint}"
mapfile -t sources < <(git ls-files 'native/*.cpp' 'native/*.h')
if [ "${1:-}" = --fix-format ]; then
  clang-format -i "${sources[@]}"
  exit
fi
clang-format --dry-run --Werror "${sources[@]}"

# The build of the package has fetched ggml already, where there is one.
ggml="$(compgen -G "$PWD/build/*/ggml-source/*/vendor/ggml" | head -n 1 || true)"
cmake -S native -B "$build" -DCMAKE_EXPORT_COMPILE_COMMANDS=ON -DLOCALVQE_BACKENDS=ggml-cpu \
  ${ggml:+-DLOCALVQE_GGML_DIR="$ggml"} ${CMAKE_ARGS:-} >/dev/null
python3 -I -S -B native/contract "$build/generated" "$build/contract.d"
printf '%s\n' "${sources[@]}" | grep -E '^native/src/.*\.cpp$' | grep -v cpu/kernels/ |
  xargs -P "$(nproc)" -n 4 clang-tidy -p "$build" --quiet
