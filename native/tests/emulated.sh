#!/usr/bin/env bash
# Compiles the native tests for another kind of machine with zig, and runs all of them under an emulator, with every
# kernel set that the machine has. 15 minutes for the first time on two cores, and 10 for each later.
# usage: native/tests/emulated.sh aarch64|x86_64|windows|riscv64|ppc64le ... (needs the Python package with its extra dev)
#   aarch64  NEON                           qemu-user libc6-arm64-cross
#   x86_64   portable, without AVX          qemu-user
#   windows  every set of this processor    wine wine64
#   riscv64  portable; by Debian's GCC      qemu-user g++-riscv64-linux-gnu
#   ppc64le  portable; by Debian's GCC      qemu-user g++-powerpc64le-linux-gnu
set -euo pipefail
cd "$(dirname "$0")/../.."
[ $# -gt 0 ] || { sed -n '2,9s/^# //p' "$0" >&2; exit 2; }
needs() { # FILE PACKAGE
  [ -e "$1" ] || { echo "$1 is missing: apt-get install $2" >&2; exit 2; }
}
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
mkdir "$work/models" "$work/vectors"
python3 native/tests/random_models.py "$work/models"
golden="$(python3 native/tests/golden_floats.py "$work/vectors" | paste -sd';')"
for machine in "$@"; do
  case "$machine" in
    aarch64)
      target=aarch64-linux-gnu.2.17 emulator='qemu-aarch64;-L;/usr/aarch64-linux-gnu' sets='neon wide'
      needs /usr/bin/qemu-aarch64 qemu-user
      needs /usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1 libc6-arm64-cross ;;
    x86_64)
      target=x86_64-linux-gnu.2.17 emulator='qemu-x86_64;-cpu;qemu64' sets='portable wide'
      needs /usr/bin/qemu-x86_64 qemu-user ;;
    riscv64)
      target=riscv64-linux-gnu emulator='qemu-riscv64;-L;/usr/riscv64-linux-gnu' sets='portable wide'
      needs /usr/bin/qemu-riscv64 qemu-user
      needs /usr/bin/riscv64-linux-gnu-g++ g++-riscv64-linux-gnu ;;
    ppc64le)
      target=powerpc64le-linux-gnu emulator='qemu-ppc64le;-L;/usr/powerpc64le-linux-gnu' sets='portable wide'
      needs /usr/bin/qemu-ppc64le qemu-user
      needs /usr/bin/powerpc64le-linux-gnu-g++ g++-powerpc64le-linux-gnu ;;
    windows)
      target=x86_64-windows-gnu emulator=wine sets='portable wide'
      for set in avx2 avx512f avx512_vnni; do
        if grep -qw "$set" /proc/cpuinfo; then
          case "$set" in avx512f) sets+=' avx512' ;; avx512_vnni) sets+=' avx512vnni' ;; *) sets+=" $set" ;; esac
        fi
      done
      needs /usr/bin/wine wine
      needs /usr/lib/wine/wine64 wine64 ;;
    *) echo "$machine is not known; choose aarch64, x86_64, windows, riscv64 or ppc64le" >&2; exit 2 ;;
  esac
  build="${BUILD_DIR:-build/emulated}-$machine"
  compiler=(-DCMAKE_TOOLCHAIN_FILE="$PWD/native/cmake/zig/toolchain.cmake" -DLOCALVQE_ZIG_TARGET="$target")
  if [[ "$machine" == riscv64 || "$machine" == ppc64le ]]; then
    compiler=(-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR="$machine" -DCMAKE_C_COMPILER="$target-gcc"
              -DCMAKE_CXX_COMPILER="$target-g++")
  fi
  cmake -S native -B "$build" -DCMAKE_BUILD_TYPE=Release -DLOCALVQE_TESTS=ON \
    "${compiler[@]}" \
    -DCMAKE_CROSSCOMPILING_EMULATOR="$emulator" -DLOCALVQE_TEST_GOLDEN="$golden" \
    -DLOCALVQE_TEST_MODELS="$(ls "$work"/models/*.gguf | paste -sd';')" \
    -DLOCALVQE_TEST_CODECS="$(ls "$work"/models/codecs/*.gguf | paste -sd';')" ${CMAKE_ARGS:-} >/dev/null
  cmake --build "$build" -j"$(nproc)"
  rest=()
  for set in $sets; do
    echo "== $machine, $set"
    # Only a hang takes so long, whatever the emulator.
    LOCALVQE_KERNELS="$set" WINEDEBUG=-all ctest --test-dir "$build" --output-on-failure --timeout 1200 "${rest[@]}"
    rest=(-E '^kernels$') # that test goes through the sets by itself
  done
done
