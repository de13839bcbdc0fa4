#!/usr/bin/env bash
# Builds the library with the Vulkan backend, on Debian 12, and holds it against the golden vectors.
# usage: native/tests/vulkan.sh [arguments of tools/check_backend.py] (needs the developers' environment, 15 minutes)
#
# Without a GPU it runs on lavapipe, Mesa's Vulkan on the processor. ggml wants newer headers than Debian 12 has: they are
# taken from Debian 13 into the build folder, through an apt list of their own; nothing of the system changes.
set -euo pipefail
cd "$(dirname "$0")/../.."
build="${BUILD_DIR:-build/vulkan}"
python="${PYTHON:-.venv-dev/bin/python}"
mirror="${DEBIAN_MIRROR:-http://deb.debian.org/debian}"

missing=()
command -v glslc >/dev/null || missing+=(glslc)
[ -e /usr/include/vulkan/vulkan.h ] || missing+=(libvulkan-dev)
compgen -G "/usr/share/vulkan/icd.d/*.json" >/dev/null || missing+=(mesa-vulkan-drivers)
if [ ${#missing[@]} -gt 0 ]; then
  echo "the Vulkan backend needs: apt-get install ${missing[*]}" >&2
  exit 2
fi

headers="$PWD/$build/headers"
if [ ! -e "$headers/usr/include/vulkan/vulkan.hpp" ]; then
  apt="$PWD/$build/apt"
  mkdir -p "$headers" "$apt/lists/partial" "$apt/archives/partial"
  keys=/usr/share/keyrings/debian-archive-keyring.gpg
  echo "deb [signed-by=$keys] $mirror trixie main" > "$apt/sources.list"
  options=(-q -o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
           -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt" -o APT::Sandbox::User=root)
  apt-get "${options[@]}" update
  (cd "$apt" && apt-get "${options[@]}" download libvulkan-dev spirv-headers)
  for package in "$apt"/*.deb; do
    dpkg -x "$package" "$headers"
  done
fi

# In front of the system's own, which the compiler would look into first.
export CPLUS_INCLUDE_PATH="$headers/usr/include" C_INCLUDE_PATH="$headers/usr/include"
cmake -S native -B "$build" -DCMAKE_BUILD_TYPE=Release -DLOCALVQE_BACKENDS=vulkan \
  -DVulkan_INCLUDE_DIR="$headers/usr/include" -DCMAKE_PREFIX_PATH="$headers/usr" ${CMAKE_ARGS:-} >/dev/null
cmake --build "$build" -j"$(nproc)" --target localvqe

# ggml leaves devices out that are no GPU unless they are named.
export GGML_VK_VISIBLE_DEVICES="${GGML_VK_VISIBLE_DEVICES:-0}"
LOCALVQE_LIBRARY="$PWD/$build/liblocalvqe.so" PYTHONPATH=tests "$python" tools/check_backend.py vulkan "$@"
