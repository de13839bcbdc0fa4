#!/usr/bin/env bash
# Installs the engine as a user without Python does, moves what was installed, and builds the programs of examples/
# against it: C, Go and Rust by pkg-config, C++ by CMake. Each must give what `localvqe enhance` gives.
# usage: native/tests/install.sh (needs the Python package, pkg-config; Go and Rust are left out where they are absent)
set -euo pipefail
cd "$(dirname "$0")/../.."
build="${BUILD_DIR:-build/install}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
model="$PWD/localvqe_cli/weights/denoise-q8_0.gguf"
mic=examples/sample_mic.wav ref=examples/sample_ref.wav

fail() {
  echo "$*" >&2
  exit 1
}

command -v pkg-config >/dev/null || fail "pkg-config is not installed (Debian: apt-get install pkg-config)"

cmake -S native -B "$build" -DCMAKE_BUILD_TYPE=Release ${CMAKE_ARGS:-} >/dev/null
cmake --build "$build" -j"$(nproc)"
cmake --install "$build" --prefix "$work/first" >/dev/null
moved="$work/a moved tree"
mv "$work/first" "$moved"
grep -rIl "$work/first" "$moved" && fail "these files name the folder that they were installed to"

# lib, lib64 or lib/<machine>
package="$(dirname "$(find "$moved" -name localvqe.pc)")"
export PKG_CONFIG_PATH="$package"
version="$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)"
[ "$(pkg-config --modversion localvqe)" = "$version" ] || fail "localvqe.pc states another version than pyproject.toml"
libraries="$(dirname "$package")"
eval "cflags=($(pkg-config --cflags localvqe)) libs=($(pkg-config --libs localvqe))"
export LD_LIBRARY_PATH="$libraries" DYLD_LIBRARY_PATH="$libraries"

python3 -m localvqe_cli enhance --force -m "$model" "$mic" "$ref" -o "$work/expected.wav" >/dev/null

# A program must run from here on; its output is compared to the last bit.
check() {
  "$2" "$model" "$mic" "$ref" "$work/$1.wav" || fail "$1: the program failed"
  cmp "$work/expected.wav" "$work/$1.wav" || fail "$1: not what localvqe enhance gives"
  echo "$1: as localvqe enhance"
}

"${CC:-cc}" -std=c99 -Wall -Wextra -Werror examples/c/enhance.c -o "$work/c" "${cflags[@]}" "${libs[@]}"
check c "$work/c"

cmake -S examples/cpp -B "$work/cpp" -DCMAKE_PREFIX_PATH="$moved" >/dev/null
cmake --build "$work/cpp" >/dev/null
check cpp "$work/cpp/enhance"

# The CMake package refuses a program that wants another version.
mkdir "$work/other"
printf 'cmake_minimum_required(VERSION 3.21)\nproject(other NONE)\nfind_package(localvqe 99.0 REQUIRED)\n' \
  >"$work/other/CMakeLists.txt"
if cmake -S "$work/other" -B "$work/other/build" -DCMAKE_PREFIX_PATH="$moved" >"$work/other.log" 2>&1; then
  fail "find_package(localvqe 99.0) was content with $version"
fi
grep -q "version: $version" "$work/other.log" || fail "$(cat "$work/other.log")"

if command -v go >/dev/null; then
  # Go splits flags at every space that is not quoted, where pkg-config has backslashes.
  ln -s "$moved" "$work/tree"
  PKG_CONFIG_PATH="${package/"$moved"/"$work/tree"}"
  (cd examples/go && CGO_CFLAGS="$(pkg-config --cflags localvqe)" CGO_LDFLAGS="$(pkg-config --libs localvqe)" \
    go build -o "$work/go" .)
  check go "$work/go"
else
  echo "go: left out, not installed (Debian: apt-get install golang-go)"
fi
if command -v rustc >/dev/null; then
  rustc --edition 2021 -O examples/rust/enhance.rs -o "$work/rust" "${libs[@]}"
  check rust "$work/rust"
else
  echo "rust: left out, not installed (Debian: apt-get install rustc)"
fi
