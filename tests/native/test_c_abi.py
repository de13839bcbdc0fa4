"""The C ABI as other languages see it: return codes for every misuse, and a C program that links against it."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bad_gguf import CASES, VARIANTS, write_case, write_variant
from engine_runs import signals
from gguf_document import parse
from make_model import narrow_config, random_gguf, random_state

import localvqe
from localvqe import Enhancer
from localvqe_cli import engine, export, gguf_file
from localvqe_cli.complexity import macs_by_block, macs_per_hop

FLOATS = ctypes.POINTER(ctypes.c_float)
SHORTS = ctypes.POINTER(ctypes.c_int16)


@pytest.fixture(scope="module")
def lib() -> ctypes.CDLL:
    found = list(Path(localvqe.get_library_dir()).glob("liblocalvqe.*"))
    library = ctypes.CDLL(str(found[0]))
    for name in ("new", "options_new", "new_with_options", "model_load", "model_load_memory", "stream_new"):
        getattr(library, f"localvqe_{name}").restype = ctypes.c_size_t
    for name in ("creation_error", "last_error", "version", "kernels", "tap_name"):
        getattr(library, f"localvqe_{name}").restype = ctypes.c_char_p
    return library


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "narrow.gguf"
    random_gguf(path, narrow_config(2), 0)
    return path


@pytest.fixture
def ctx(lib: ctypes.CDLL, model: Path):
    handle = ctypes.c_size_t(lib.localvqe_new(str(model).encode()))
    assert handle.value
    yield handle
    lib.localvqe_free(handle)


def _f(array: np.ndarray) -> object:
    return array.ctypes.data_as(FLOATS)


def _s(array: np.ndarray) -> object:
    return array.ctypes.data_as(SHORTS)


NULL = ctypes.c_size_t(0)


def test_null_handles_return_codes(lib) -> None:
    x = np.zeros(256, np.float32)
    s = np.zeros(256, np.int16)
    assert lib.localvqe_process_f32(NULL, _f(x), _f(x), 256, _f(x)) == -1
    assert lib.localvqe_process_s16(NULL, _s(s), _s(s), 256, _s(s)) == -1
    assert lib.localvqe_process_frame_f32(NULL, _f(x), _f(x), 256, _f(x)) == -1
    assert lib.localvqe_process_frame_s16(NULL, _s(s), _s(s), 256, _s(s)) == -1
    assert lib.localvqe_process_hops_f32(NULL, _f(x), _f(x), 1, _f(x)) == -1
    assert lib.localvqe_set_noise_gate(NULL, 1, ctypes.c_float(-50)) == -1
    assert lib.localvqe_get_noise_gate(NULL, None, None) == -1
    assert lib.localvqe_set_profiling(NULL, 1) == -1
    assert lib.localvqe_current_delay(NULL, None) == -1
    assert lib.localvqe_tap_count(NULL) == -1
    assert lib.localvqe_tap_name(NULL, 0) == b""
    assert lib.localvqe_tap_read(NULL, b"align", _f(x), 256) == -1
    assert lib.localvqe_last_error(NULL) == b"null handle"
    for name in ("sample_rate", "hop_length", "fft_size"):
        assert getattr(lib, f"localvqe_{name}")(NULL) == 0
    for name in ("free", "reset", "options_free", "model_free", "print_profile"):
        getattr(lib, f"localvqe_{name}")(NULL)
    assert lib.localvqe_options_set_threads(NULL, 1) == -1
    assert lib.localvqe_options_set_model_path(NULL, b"x") == -1
    assert lib.localvqe_options_set_backend(NULL, b"cpu") == -1
    assert lib.localvqe_options_set_device(NULL, 0) == -1
    assert lib.localvqe_options_set_precision(NULL, b"auto") == -1
    assert lib.localvqe_new(None) == 0
    assert lib.localvqe_new_with_options(NULL) == 0
    assert lib.localvqe_model_load(None) == 0
    assert lib.localvqe_stream_new(NULL, 1, 1) == 0
    assert b"no model" in lib.localvqe_creation_error()


def test_null_buffers_return_codes(lib, ctx) -> None:
    x = np.zeros(256, np.float32)
    for args in ((None, _f(x), _f(x)), (_f(x), None, _f(x)), (_f(x), _f(x), None)):
        mic, ref, out = args
        assert lib.localvqe_process_f32(ctx, mic, ref, 256, out) == -1
        assert lib.localvqe_process_frame_f32(ctx, mic, ref, 256, out) == -1
        assert lib.localvqe_process_hops_f32(ctx, mic, ref, 1, out) == -1
    assert lib.localvqe_tap_read(ctx, None, _f(x), 256) == -1


@pytest.mark.parametrize("hop", [0, 1, 255, 257, 512, -256, 2**31 - 1, -(2**31)])
def test_wrong_hop_sizes_are_refused(lib, ctx, hop) -> None:
    x = np.zeros(512, np.float32)
    s = np.zeros(512, np.int16)
    assert lib.localvqe_process_frame_f32(ctx, _f(x), _f(x), hop, _f(x)) == -2
    assert lib.localvqe_process_frame_s16(ctx, _s(s), _s(s), hop, _s(s)) == -2
    assert b"256" in lib.localvqe_last_error(ctx)


@pytest.mark.parametrize("n", [0, 1, 255, -1, -(2**31), 2**31 - 1, 2**28 + 1])
def test_impossible_clip_lengths_are_refused(lib, ctx, n) -> None:
    x = np.zeros(512, np.float32)
    s = np.zeros(512, np.int16)
    assert lib.localvqe_process_f32(ctx, _f(x), _f(x), n, _f(x)) == -2
    assert lib.localvqe_process_s16(ctx, _s(s), _s(s), n, _s(s)) == -2
    assert lib.localvqe_last_error(ctx)


@pytest.mark.parametrize("hops", [-1, -(2**31), 2**31 - 1, 2**20 + 1])
def test_impossible_hop_counts_are_refused(lib, ctx, hops) -> None:
    x = np.zeros(512, np.float32)
    assert lib.localvqe_process_hops_f32(ctx, _f(x), _f(x), hops, _f(x)) == -2


def test_no_hops_is_no_work(lib, ctx) -> None:
    x = np.full(256, 7.0, np.float32)
    assert lib.localvqe_process_hops_f32(ctx, _f(x), _f(x), 0, _f(x)) == 0
    assert (x == 7.0).all()


def test_options(lib, model) -> None:
    options = ctypes.c_size_t(lib.localvqe_options_new())
    assert lib.localvqe_new_with_options(options) == 0
    assert b"model path" in lib.localvqe_creation_error()
    assert lib.localvqe_options_set_model_path(options, b"") == -2
    assert lib.localvqe_options_set_model_path(options, None) == -2
    assert lib.localvqe_options_set_model_path(options, str(model).encode()) == 0
    assert [lib.localvqe_options_set_threads(options, n) for n in (-1, 33, 0, 32)] == [-2, -2, 0, 0]
    backends = {b"cpu": 0, b"CPU": 0, b"": 0, b"vulkan": -2, None: -2}
    assert {name: lib.localvqe_options_set_backend(options, name) for name in backends} == backends
    assert [lib.localvqe_options_set_device(options, n) for n in (0, 1, -1)] == [0, -2, -2]
    words = {b"auto": 0, b"f32": 0, b"int16": 0, b"int8": -2, b"": -2, None: -2}
    assert {word: lib.localvqe_options_set_precision(options, word) for word in words} == words
    assert lib.localvqe_options_set_precision(options, b"int16") == 0
    ctx = ctypes.c_size_t(lib.localvqe_new_with_options(options))
    assert ctx.value
    lib.localvqe_options_free(options)
    assert lib.localvqe_sample_rate(ctx) == 16000
    assert lib.localvqe_hop_length(ctx) == 256
    assert lib.localvqe_fft_size(ctx) == 512
    lib.localvqe_free(ctx)


def test_whole_clip_keeps_the_stream_form_and_the_partial_hop(lib, ctx, model) -> None:
    mic, ref = signals(0.5)
    mic, ref = mic[:-77].copy(), ref[:-77].copy()
    want = Enhancer(model).stream()
    expected = np.concatenate([want.process(mic, ref), want.flush()])[: mic.size]
    for _ in range(2):  # every clip starts afresh
        out = np.full(mic.size, 9.0, np.float32)
        assert lib.localvqe_process_f32(ctx, _f(mic), _f(ref), mic.size, _f(out)) == 0
        np.testing.assert_array_equal(out, expected)


def test_16_bit_samples(lib, ctx) -> None:
    mic, ref = signals(0.5)
    mic16, ref16 = ((x * 32768).astype(np.int16) for x in (mic, ref))
    whole = np.empty(mic.size, np.int16)
    assert lib.localvqe_process_s16(ctx, _s(mic16), _s(ref16), mic.size, _s(whole)) == 0
    lib.localvqe_reset(ctx)
    hops = np.empty(mic.size, np.int16)
    for i in range(0, mic.size, 256):
        m, r, o = mic16[i : i + 256], ref16[i : i + 256], hops[i : i + 256]
        assert lib.localvqe_process_frame_s16(ctx, _s(m), _s(r), 256, _s(o)) == 0
    np.testing.assert_array_equal(hops, whole)
    out = np.empty(mic.size, np.float32)
    m32, r32 = ((x / 32768).astype(np.float32) for x in (mic16, ref16))
    assert lib.localvqe_process_f32(ctx, _f(m32), _f(r32), mic.size, _f(out)) == 0
    assert np.abs(whole / 32768 - np.clip(out, -1, 32767 / 32768)).max() <= 0.5 / 32768 + 1e-7


def test_16_bit_output_is_clamped_not_wrapped(lib, ctx) -> None:
    loud = np.where(np.arange(256 * 8) // 40 % 2, 32767, -32768).astype(np.int16)
    silence = np.zeros_like(loud)
    out = np.empty_like(loud)
    assert lib.localvqe_process_s16(ctx, _s(loud), _s(silence), loud.size, _s(out)) == 0
    reference = np.empty(loud.size, np.float32)
    m = (loud / 32768).astype(np.float32)
    assert lib.localvqe_process_f32(ctx, _f(m), _f(np.zeros_like(m)), m.size, _f(reference)) == 0
    over = np.abs(reference) > 1.0
    assert over.any()
    assert (np.sign(out[over]) == np.sign(reference[over])).all()


def test_noise_gate_settings(lib, ctx) -> None:
    enabled, level = ctypes.c_int(7), ctypes.c_float()
    assert lib.localvqe_get_noise_gate(ctx, ctypes.byref(enabled), ctypes.byref(level)) == 0
    assert enabled.value == 0
    assert lib.localvqe_set_noise_gate(ctx, 1, ctypes.c_float(-42.5)) == 0
    lib.localvqe_reset(ctx)
    lib.localvqe_get_noise_gate(ctx, ctypes.byref(enabled), ctypes.byref(level))
    assert (enabled.value, level.value) == (1, -42.5)
    assert lib.localvqe_set_noise_gate(ctx, 1, ctypes.c_float(float("nan"))) == -2


def test_models_outlive_their_handle_while_streams_use_them(lib, model) -> None:
    shared = ctypes.c_size_t(lib.localvqe_model_load(str(model).encode()))
    stream = ctypes.c_size_t(lib.localvqe_stream_new(shared, 1, 4))
    lib.localvqe_model_free(shared)
    x = np.full(1024, 0.1, np.float32)
    assert lib.localvqe_process_hops_f32(stream, _f(x), _f(x), 4, _f(x)) == 0
    assert np.isfinite(x).all()
    lib.localvqe_free(stream)


def test_stream_options_are_checked(lib, model) -> None:
    shared = ctypes.c_size_t(lib.localvqe_model_load(str(model).encode()))
    for threads, hops in ((-1, 1), (33, 1), (1, 0), (1, 65)):
        assert lib.localvqe_stream_new(shared, threads, hops) == 0
        assert lib.localvqe_creation_error()
    lib.localvqe_model_free(shared)


def test_delay_tracks_the_reference(lib, ctx) -> None:
    mic, ref = signals(0.5)
    lib.localvqe_process_hops_f32(ctx, _f(mic), _f(ref), mic.size // 256, _f(mic.copy()))
    confidence = ctypes.c_float()
    frames = lib.localvqe_current_delay(ctx, ctypes.byref(confidence))
    delay = np.empty(4, np.float32)
    assert lib.localvqe_tap_read(ctx, b"delay", _f(delay), 3) == -2
    assert lib.localvqe_tap_read(ctx, b"delay", _f(delay), 4) == 4
    assert frames == 3 - int(delay.argmax())
    assert confidence.value == delay.max()
    assert lib.localvqe_tap_read(ctx, b"no such", _f(delay), 4) == -2


def test_profile_goes_to_stdout(model) -> None:
    script = (
        "import ctypes, sys; import numpy as np\n"
        f"lib = ctypes.CDLL({str(next(Path(localvqe.get_library_dir()).glob('liblocalvqe.*')))!r})\n"
        "lib.localvqe_new.restype = ctypes.c_size_t\n"
        f"ctx = ctypes.c_size_t(lib.localvqe_new({str(model)!r}.encode()))\n"
        "lib.localvqe_print_profile(ctx); lib.localvqe_set_profiling(ctx, 1)\n"
        "x = np.zeros(2560, np.float32); p = x.ctypes.data_as(ctypes.POINTER(ctypes.c_float))\n"
        "lib.localvqe_process_hops_f32(ctx, p, p, 10, p); lib.localvqe_print_profile(ctx)\n"
        "lib.localvqe_list_devices()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=os.environ, check=True)
    assert "no profile" in done.stdout
    assert "over 10 hops" in done.stdout
    rows = [line.split() for line in done.stdout.splitlines()]
    table = {row[0]: [float(cell) for cell in row[1:]] for row in rows if len(row) == 8 and row[0] != "block"}
    total = table.pop("total")
    config = Enhancer(model).config
    for name, macs in macs_by_block(config).items():
        assert table[name][3] == pytest.approx(macs / 1e6, abs=5.1e-4), name
    assert total[3] == pytest.approx(macs_per_hop(config) / 1e6, abs=5.1e-4)
    assert table["bottleneck"][5] > 4 * (config.bottleneck_features * config.bottleneck_hidden) / 1024  # weights
    assert table["align"][6] > 0  # state
    for column in (1, 2, 5, 6):
        assert total[column] == pytest.approx(sum(cells[column] for cells in table.values()), abs=0.06 * len(table))
    assert "CPU" in done.stderr


@pytest.mark.parametrize("name", sorted(CASES))
def test_bad_models_are_refused_with_a_reason(lib, model, name, tmp_path) -> None:
    path, word = write_case(name, model, tmp_path)
    assert lib.localvqe_new(str(path).encode()) == 0
    text = lib.localvqe_creation_error().decode()
    assert str(path) in text
    assert "\n" not in text
    assert word.lower() in text.lower()


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_unusual_models_run(lib, model, name, tmp_path) -> None:
    path = write_variant(name, model, tmp_path)
    mic, ref = signals(0.25)
    same = np.array_equal(Enhancer(path).enhance(mic, ref), Enhancer(model).enhance(mic, ref))
    assert same == (name != "front-end")


@pytest.mark.parametrize("path", ["", "/", "/no/such/model.gguf", "\x01"])
def test_missing_models_are_refused(lib, path) -> None:
    assert lib.localvqe_new(path.encode()) == 0
    assert lib.localvqe_creation_error()


def test_a_model_in_memory_is_the_one_in_the_file(lib, model) -> None:
    mic, ref = signals(0.25)
    content = model.read_bytes()
    from_memory = lib.localvqe_model_load_memory(content, ctypes.c_uint64(len(content)))
    from_file = lib.localvqe_model_load(str(model).encode())
    del content
    outputs = []
    for handle in map(ctypes.c_size_t, (from_memory, from_file)):
        stream = ctypes.c_size_t(lib.localvqe_stream_new(handle, 1, 1))
        lib.localvqe_model_free(handle)
        outputs.append(np.zeros_like(mic))
        assert lib.localvqe_process_hops_f32(stream, _f(mic), _f(ref), mic.size // 256, _f(outputs[-1])) == 0
        lib.localvqe_free(stream)
    assert np.abs(outputs[0]).max() > 0
    np.testing.assert_array_equal(*outputs)


def test_bad_models_in_memory_are_refused_as_in_files(lib, model, tmp_path) -> None:
    for name in sorted(CASES):
        path, _ = write_case(name, model, tmp_path)
        if not path.is_file():
            continue
        content = path.read_bytes()
        assert lib.localvqe_new(str(path).encode()) == 0
        reason = lib.localvqe_creation_error().decode().removeprefix(f"{path}: ")
        assert lib.localvqe_model_load_memory(content, ctypes.c_uint64(len(content))) == 0
        assert lib.localvqe_creation_error().decode() == f"the model in memory: {reason}", name
    assert lib.localvqe_model_load_memory(None, ctypes.c_uint64(5)) == 0
    assert b"no model given" in lib.localvqe_creation_error()


def test_only_the_c_abi_is_exported() -> None:
    nm = shutil.which("nm")
    if nm is None:
        pytest.skip("nm is not installed")
    library = next(Path(localvqe.get_library_dir()).glob("liblocalvqe.*"))
    listing = subprocess.run([nm, "-D", "--defined-only", str(library)], capture_output=True, text=True, check=True)
    # Absolute symbols are the names of versions.
    names = [line.split()[-1] for line in listing.stdout.splitlines() if line.split()[-2] != "A"]
    assert names
    assert [name for name in names if not name.startswith("localvqe_")] == []


PROGRAM = """#include <localvqe_api.h>
#include <stdio.h>
int main(int argc, char ** argv) {
    static float mic[16000], ref[16000], out[16000];
    if (argc < 2 || fread(mic, 4, 16000, stdin) != 16000) return 2;
    uintptr_t ctx = localvqe_new(argv[1]);
    if (!ctx || localvqe_process_f32(ctx, mic, ref, 16000, out) != 0) return 1;
    localvqe_free(ctx);
    return fwrite(out, 4, 16000, stdout) == 16000 ? 0 : 3;
}
"""


def compiled(folder: Path, text: str, *options: str) -> Path:
    """A C program, without warnings, against the installed library."""
    cc = shutil.which("cc") or shutil.which("gcc")
    if cc is None:
        pytest.skip("no C compiler")
    (folder / "program.c").write_text(text)
    library = localvqe.get_library_dir()
    build = [cc, *options, "-Wall", "-Wextra", "-Werror", "program.c", "-o", "program"]
    build += ["-I", localvqe.get_include(), "-L", library, "-llocalvqe", f"-Wl,-rpath,{library}"]
    subprocess.run(build, cwd=folder, check=True)
    return folder / "program"


@pytest.mark.parametrize("standard", ["c99", "c11"])
def test_a_c_program_links_against_the_installed_library(model, tmp_path, standard) -> None:
    program = compiled(tmp_path, PROGRAM, f"-std={standard}", "-pedantic")
    mic = signals(1.1)[0][:16000].copy()
    done = subprocess.run([program, model], input=mic.tobytes(), capture_output=True, check=True)
    got = np.frombuffer(done.stdout, np.float32)
    want = Enhancer(model).stream()
    expected = np.concatenate([want.process(mic, np.zeros_like(mic)), want.flush()])[:16000]
    np.testing.assert_array_equal(got, expected)


#: The calls, types and order of calls that programs for other LocalVQE libraries are written with.
CLIENT = """#include "localvqe_api.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int argc, char ** argv) {
    localvqe_options_t options = localvqe_options_new();
    localvqe_options_set_model_path(options, argc > 1 ? argv[1] : "");
    localvqe_options_set_backend(options, "CPU");
    localvqe_options_set_device(options, 0);
    localvqe_options_set_threads(options, 0);
    localvqe_ctx_t ctx = localvqe_new_with_options(options);
    localvqe_options_free(options);
    if (!ctx) return 1;
    const int hop = localvqe_hop_length(ctx), n = 20 * hop;
    if (localvqe_sample_rate(ctx) != 16000 || localvqe_fft_size(ctx) != 2 * hop) return 2;
    float * buffer = malloc(4 * (size_t) n * sizeof(float));
    float *mic = buffer, *ref = buffer + n, *clip = buffer + 2 * n, *live = buffer + 3 * n;
    for (int i = 0; i < n; i++) {
        ref[i] = 0.2f * (float) ((i * 37) % 101 - 50) / 50.0f;
        mic[i] = i < 500 ? 0.001f * (float) (i % 7) : 0.5f * ref[i - 500] + 0.01f * (float) (i % 5);
    }
    if (localvqe_process_f32(ctx, mic, ref, n, clip) != 0) return 3;
    localvqe_reset(ctx);
    for (int i = 0; i < n; i += hop) {
        if (localvqe_process_frame_f32(ctx, mic + i, ref + i, hop, live + i) != 0) return 4;
    }
    if (memcmp(clip, live, (size_t) n * sizeof(float)) != 0) return 5;
    int16_t *s16 = malloc(3 * (size_t) n * sizeof(int16_t));
    for (int i = 0; i < n; i++) s16[i] = (int16_t) (32767 * mic[i]), s16[n + i] = (int16_t) (32767 * ref[i]);
    if (localvqe_process_s16(ctx, s16, s16 + n, n, s16 + 2 * n) != 0) return 6;
    localvqe_reset(ctx);
    if (localvqe_process_frame_s16(ctx, s16, s16 + n, hop, s16 + 2 * n) != 0) return 7;
    int enabled = 1;
    float level = 0;
    if (localvqe_set_noise_gate(ctx, 1, -50.0f) != 0 || localvqe_get_noise_gate(ctx, &enabled, &level) != 0) return 8;
    if (enabled != 1 || level != -50.0f || strlen(localvqe_last_error(ctx)) != 0) return 9;
    localvqe_print_profile(ctx);
    localvqe_free(ctx);
    free(buffer);
    free(s16);
    return 0;
}
"""


@pytest.mark.parametrize("threads", [None, "2", "many"])
def test_a_program_for_other_localvqe_libraries_runs_unchanged(model, tmp_path, threads) -> None:
    """``GGML_NTHREADS`` included, which such programs are started with."""
    client = compiled(tmp_path, CLIENT, "-std=c99")
    environment = {
        **os.environ,
        "LOCALVQE_OVERSUBSCRIBE": "1",
        **({} if threads is None else {"GGML_NTHREADS": threads}),
    }
    done = subprocess.run([client, model], env=environment, check=False, capture_output=True)
    assert done.returncode == 0, done.returncode
    assert done.stdout.startswith(b"no profile")


THREADS = """
import os, sys
import numpy as np
from localvqe import Enhancer
stream = Enhancer(sys.argv[1], threads=0).stream()
before = len(os.listdir("/proc/self/task"))
kept = [Enhancer(sys.argv[1], threads=0).stream()]
kept[0].process(np.zeros(512, np.float32), np.zeros(512, np.float32))
print(len(os.listdir("/proc/self/task")) - before)
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counts threads as Linux lists them")
@pytest.mark.parametrize(("asked", "started"), [("3", 2), ("1", 0), ("33", 0), ("-1", 0), ("", 0)])
def test_the_environment_says_how_many_workers_where_nobody_asked(model, asked, started) -> None:
    environment = {**os.environ, "LOCALVQE_OVERSUBSCRIBE": "1", "GGML_NTHREADS": asked}
    command = [sys.executable, "-c", THREADS, str(model)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert int(done.stdout) == started


def abi() -> str:
    """Until 1.0 every minor version may break programs."""
    major, minor = localvqe.__version__.split(".")[:2]
    return f"LOCALVQE_{major}" if major != "0" else f"LOCALVQE_0.{minor}"


@pytest.fixture
def program(tmp_path) -> list[str]:
    """How to compile the program; what remains is the library."""
    cc = shutil.which("cc") or shutil.which("gcc")
    if cc is None or sys.platform != "linux":
        pytest.skip("no C compiler, or no versions of symbols")
    (tmp_path / "program.c").write_text(PROGRAM)
    return [cc, "program.c", "-o", "program", "-I", localvqe.get_include(), "-llocalvqe"]


def test_a_program_depends_on_the_version_it_was_linked_with(program, tmp_path) -> None:
    readelf = shutil.which("readelf")
    if readelf is None:
        pytest.skip("readelf is not installed")
    subprocess.run([*program, "-L", localvqe.get_library_dir()], cwd=tmp_path, check=True)
    listing = subprocess.run([readelf, "-V", tmp_path / "program"], capture_output=True, text=True, check=True).stdout
    assert f"Name: {abi()} " in listing[listing.index("File: liblocalvqe.so") :].split("File: ")[1]


def test_a_program_for_another_version_is_told_so(program, model, tmp_path) -> None:
    names = ("new", "process_f32", "free")
    (tmp_path / "other.c").write_text("".join(f"int localvqe_{name}(void) {{ return 0; }}\n" for name in names))
    (tmp_path / "other.map").write_text("LOCALVQE_99 { global: localvqe_*; local: *; };\n")
    build = ["-shared", "-fPIC", "other.c", "-o", "liblocalvqe.so", "-Wl,--version-script=other.map"]
    subprocess.run([program[0], *build], cwd=tmp_path, check=True)
    folder = localvqe.get_library_dir()
    subprocess.run([*program, "-L", ".", f"-Wl,-rpath,{folder}"], cwd=tmp_path, check=True)
    done = subprocess.run([tmp_path / "program", model], input=b"", capture_output=True, check=False)
    assert done.returncode != 0
    assert b"`LOCALVQE_99' not found" in done.stderr


def test_versions_agree(lib) -> None:
    assert lib.localvqe_version().decode() == localvqe.__version__
    assert engine.kernels() == lib.localvqe_kernels().decode()


def test_unknown_kernel_set_is_an_error_not_a_crash(lib, model, monkeypatch) -> None:
    monkeypatch.setenv("LOCALVQE_KERNELS", "quantum")
    assert lib.localvqe_new(str(model).encode()) == 0
    assert b"quantum" in lib.localvqe_creation_error()


def test_text_out_of_a_file_reaches_no_terminal(lib, model, tmp_path) -> None:
    document = parse(model)
    document.set("general.architecture", "\x1b[2J\nspoof")
    path = tmp_path / "a.gguf"
    path.write_bytes(document.dump())
    assert lib.localvqe_model_load(str(path).encode()) == 0
    message = lib.localvqe_creation_error().decode()
    assert message.isprintable()
    assert message.endswith("'?[2J?spoof', not 'localvqe'")


def test_output_that_is_not_finite_becomes_silence_and_a_new_start(lib, tmp_path) -> None:
    config = narrow_config(3)
    tensors = export.fold(config, random_state(config))
    tensors["bottleneck.a_real"] = tensors["bottleneck.a_real"] * np.float32(0) + np.float32(1e20)
    path = tmp_path / "a.gguf"
    gguf_file.write(path, config, tensors)
    handle = ctypes.c_size_t(lib.localvqe_new(str(path).encode()))
    mic, ref = signals(8 * 256 / 16000)
    out = np.full_like(mic, np.nan)
    assert lib.localvqe_process_hops_f32(handle, _f(mic), _f(ref), 8, _f(out)) == -3
    assert b"not finite" in lib.localvqe_last_error(handle)
    assert np.isfinite(out).all()
    again = np.zeros(256, np.float32)
    assert lib.localvqe_process_frame_f32(handle, _f(mic), _f(ref), 256, _f(again)) == 0
    np.testing.assert_array_equal(again, out[:256])
    lib.localvqe_free(handle)
