"""A live stream allocates nothing once it exists: counted by a C program that puts itself in front of the allocator."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from make_model import narrow_config, random_gguf, random_quantized_gguf

import localvqe

PROGRAM = r"""
#include <localvqe_api.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

extern void * __libc_malloc(size_t);
extern void * __libc_calloc(size_t, size_t);
extern void * __libc_realloc(void *, size_t);
extern void * __libc_memalign(size_t, size_t);

static atomic_long allocations;

void * malloc(size_t n) { atomic_fetch_add(&allocations, 1); return __libc_malloc(n); }
void * calloc(size_t n, size_t m) { atomic_fetch_add(&allocations, 1); return __libc_calloc(n, m); }
void * realloc(void * p, size_t n) { atomic_fetch_add(&allocations, 1); return __libc_realloc(p, n); }
void * aligned_alloc(size_t a, size_t n) { atomic_fetch_add(&allocations, 1); return __libc_memalign(a, n); }
int posix_memalign(void ** p, size_t a, size_t n) {
    atomic_fetch_add(&allocations, 1);
    *p = __libc_memalign(a, n);
    return *p ? 0 : 12;
}

int main(int argc, char ** argv) {
    static float mic[256 * 16], ref[256 * 16], out[256 * 16];
    static int16_t mic16[256], ref16[256], out16[256];
    for (int i = 0; i < 256 * 16; ++i) {
        mic[i] = (float) (i * 7919 % 1000) / 5000.0f;
        ref[i] = (float) (i * 1047 % 1000) / 5000.0f;
    }
    long before = atomic_load(&allocations);
    uintptr_t model = localvqe_model_load(argv[1]);
    uintptr_t ctx = argc == 3 ? localvqe_stream_new(model, atoi(argv[2]), 16) : 0;
    uintptr_t together[3] = {ctx};
    const float * mics[3] = {mic, mic + 256, mic + 512}, * refs[3] = {ref, ref + 256, ref + 512};
    float * outs[3] = {out, out + 256, out + 512};
    int status[3];
    for (int i = 1; i < 3; ++i) together[i] = ctx ? localvqe_stream_new(model, atoi(argv[2]), 1) : 0;
    if (!ctx || !together[1] || !together[2]) return 2;
    long loading = atomic_load(&allocations) - before;
    before = atomic_load(&allocations);
    int failed = 0;
    for (int i = 0; i < 200; ++i) {
        failed |= localvqe_process_frame_f32(ctx, mic, ref, 256, out);
        failed |= localvqe_process_frame_s16(ctx, mic16, ref16, 256, out16);
        failed |= localvqe_process_hops_f32(ctx, mic, ref, 16, out);
        failed |= localvqe_process_streams_f32(together, 3, mics, refs, outs, status);
        if (i % 50 == 49) localvqe_reset(ctx);
    }
    printf("%ld %ld\n", loading, atomic_load(&allocations) - before);
    for (int i = 0; i < 3; ++i) localvqe_free(together[i]);
    localvqe_model_free(model);
    return failed;
}
"""


@pytest.mark.parametrize("quantized", [False, True])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("version", [1, 2, 3])
def test_no_hop_allocates(tmp_path: Path, version: int, threads: int, quantized: bool) -> None:
    cc = shutil.which("cc") or shutil.which("gcc")
    if cc is None or not sys.platform.startswith("linux"):
        pytest.skip("needs a C compiler and glibc")
    if quantized:
        config = narrow_config(version, mic_channels=(2, 12, 16, 9, 16, 8))
        random_quantized_gguf(tmp_path / "m.gguf", config, "Q8_0")
    else:
        random_gguf(tmp_path / "m.gguf", narrow_config(version), 0)
    (tmp_path / "count.c").write_text(PROGRAM)
    folder = localvqe.get_library_dir()
    build = [cc, "-std=c11", "count.c", "-o", "count", "-I", localvqe.get_include()]
    subprocess.run([*build, "-L", folder, "-llocalvqe", f"-Wl,-rpath,{folder}"], cwd=tmp_path, check=True)
    environment = {**os.environ, "LOCALVQE_ARITHMETIC": "int16"}
    done = subprocess.run(
        [tmp_path / "count", "m.gguf", str(threads)], cwd=tmp_path, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    loading, per_hop = map(int, done.stdout.split())
    assert loading > 100  # the counter works
    assert per_hop == 0
