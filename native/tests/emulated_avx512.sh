#!/usr/bin/env bash
# Runs the native tests with the kernel sets of AVX-512 on a machine that has none: under Bochs, which emulates a whole
# computer with an Ice Lake processor. Half an hour. By then all is over or something hangs.
# usage: native/tests/emulated_avx512.sh (needs the Python package with its extra dev)
# Debian: bochs bochs-term bochsbios vgabios linux-image-cloud-amd64 grub-pc-bin grub-common xorriso busybox-static cpio
set -euo pipefail
cd "$(dirname "$0")/../.."
for program in bochs grub-mkrescue xorriso busybox cpio script; do
  command -v "$program" >/dev/null || { sed -n '2,5s/^# //p' "$0" >&2; echo "$program is missing" >&2; exit 2; }
done
kernel="$(find /boot -name 'vmlinuz-*-cloud-amd64' | sort -V | tail -1)"
[ -n "$kernel" ] || { echo "no kernel in /boot: apt-get install linux-image-cloud-amd64" >&2; exit 2; }
sets='avx512vnni avx512'
build="${BUILD_DIR:-build/avx512}"
work="$(mktemp -d)"
finish() {
  pkill -KILL -f "$work/bochsrc" || true
  [ -z "${reader:-}" ] || kill "$reader" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

cmake -S native -B "$build" -DCMAKE_BUILD_TYPE=Release -DLOCALVQE_TESTS=ON ${CMAKE_ARGS:-} >/dev/null
cmake --build "$build" -j"$(nproc)"

# What the emulated machine has on its disk, and what it does.
root="$work/root"
mkdir -p "$root"/{bin,lib,lib64,models,golden,proc,tmp} "$work/vectors" "$work/iso/boot/grub"
cp "$(command -v busybox)" "$root/bin/busybox"
for test in kernels thread_team stream lfsc golden; do
  cp "$build/tests/test_$test" "$root/bin/"
done
cp "$build"/liblocalvqe.so.* "$root/lib/"
ldd "$root"/bin/test_* | grep -oE '/[^ ]+\.so[^ ]*' | sort -u | grep -v liblocalvqe | xargs -I{} cp -L {} "$root/lib/"
cp -L /lib64/ld-linux-x86-64.so.2 "$root/lib64/"
python3 native/tests/random_models.py "$root/models" >/dev/null
mapfile -t golden < <(python3 native/tests/golden_floats.py "$work/vectors")
files=()
for file in "${golden[@]}"; do
  cp "$file" "$root/golden/"
  files+=("/golden/$(basename "$file")")
done
cat > "$root/init" <<INIT
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t tmpfs tmp /tmp
export LD_LIBRARY_PATH=/lib
cd /tmp
run() { echo "-- \$*"; "\$@" || echo "FAILED: \$*"; }
run /bin/test_kernels $sets
run /bin/test_thread_team
for set in $sets; do
  export LOCALVQE_KERNELS=\$set
  echo "== \$set"
  run /bin/test_golden ${files[*]}
  for model in /models/*.gguf; do run /bin/test_stream \$model; done
  for model in /models/codecs/*.gguf; do run /bin/test_lfsc \$model; done
done
echo THE END
while :; do echo; /bin/busybox sleep 1; done
INIT
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) > "$work/iso/boot/initrd"
cp "$kernel" "$work/iso/boot/vmlinuz"
# Without what of an Ice Lake this emulator and this kernel understand differently.
cat > "$work/iso/boot/grub/grub.cfg" <<GRUB
set timeout=0
menuentry tests {
  linux /boot/vmlinuz console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable lpj=100000 nolapic noapic acpi=off \
    maxcpus=0 noxsaves nosmap nosmep noinvpcid nopcid nofsgsbase \
    clearcpuid=xsavec,xsaves,pku,umip,rdpid,fsrm,erms,arch_perfmon,mwait,invpcid_single
  initrd /boot/initrd
}
GRUB
grub-mkrescue -o "$work/disk.iso" "$work/iso" >/dev/null 2>&1
cat > "$work/bochsrc" <<BOCHS
cpu: model=corei7_icelake_u, count=1, ips=100000000
memory: guest=1024, host=1024
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0-master: type=cdrom, path=$work/disk.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$work/serial
log: $work/log
display_library: term
error: action=ignore
BOCHS
echo c > "$work/go"
touch "$work/serial"
TERM=linux script -qfc "bochs -q -f $work/bochsrc -rc $work/go" /dev/null >"$work/screen" 2>&1 </dev/null &
emulator=$!
disown # or its end is reported
# Its screen is another terminal; the machine stops when nobody reads that.
until grep -qao '/dev/pts/[0-9]*' "$work/screen"; do
  kill -0 "$emulator" 2>/dev/null || { cat "$work/screen" >&2; exit 1; }
  sleep 1
done
cat "$(grep -ao '/dev/pts/[0-9]*' "$work/screen" | tail -1)" >/dev/null 2>&1 &
reader=$!
timeout 3600 tail -f --pid="$emulator" "$work/serial" | sed -u '/THE END/q' || true
if ! grep -q 'THE END' "$work/serial" || grep -qE 'FAILED' "$work/serial"; then
  echo "a test failed, or the machine stopped before the last" >&2
  exit 1
fi
