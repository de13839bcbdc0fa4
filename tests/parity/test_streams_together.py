"""Live streams that go through the engine in one call give the bits that each would give alone."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest
from engine_runs import BACKENDS, by_hop, signals
from make_model import V13, narrow_config, random_gguf, random_quantized_gguf, random_state

from localvqe import AudioError, Enhancer, UsageError
from localvqe_cli import engine, export, gguf_file
from localvqe_cli.config import FrontendConfig, ModelConfig, ResidualConfig
from localvqe_cli.engine import Stream
from localvqe_cli.errors import LocalVQEError

HOP = 256
PARTS = {"frontend": FrontendConfig(gain_hidden=5), "residual": ResidualConfig()}
CONFIGS = {
    "version 1": ModelConfig(version=1),
    "version 2": ModelConfig(version=2),
    "large layers": V13,
    "front-end": narrow_config(3, **PARTS),
    "no network": narrow_config(3, network=False, **PARTS),
}


@pytest.fixture(scope="module", params=[*CONFIGS, "int16"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.gguf"
    if request.param == "int16":
        random_quantized_gguf(path, ModelConfig(version=2), "Q8_0", seed=1)
    else:
        random_gguf(path, CONFIGS[request.param], seed=1)
    return path


def calls(n: int, hops: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, hops, 256) of each signal, of n calls that have nothing in common."""
    pairs = [signals(hops * HOP / 16000, seed=seed) for seed in range(n)]
    mic, ref = (np.stack([pair[side].reshape(-1, HOP) for pair in pairs]) for side in (0, 1))
    return mic, ref


@pytest.mark.parametrize(("n", "threads"), [(1, 1), (3, 1), (3, 2)])
def test_bits_are_those_of_each_alone(model: Path, n: int, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALVQE_OVERSUBSCRIBE", "1")
    mic, ref = calls(n, 8)
    mic[0, 1, 7] = np.nan
    check_against_each_alone(model, mic, ref, threads)


@pytest.mark.parametrize("threads", [1, 2])
def test_more_than_one_run_takes(tmp_path: Path, threads: int) -> None:
    random_gguf(tmp_path / "m.gguf", narrow_config(3))
    check_against_each_alone(tmp_path / "m.gguf", *calls(70, 3), threads)


def check_against_each_alone(model: Path, mic: np.ndarray, ref: np.ndarray, threads: int) -> None:
    n, hops, _ = mic.shape
    want = [by_hop(Enhancer(model), mic[i].ravel(), ref[i].ravel()).reshape(-1, HOP) for i in range(n)]
    enhancer = Enhancer(model, threads=threads)
    streams = [enhancer.stream() for _ in range(n)]
    for hop in range(hops):
        found = enhancer.process_streams(streams, mic[:, hop], ref[:, hop])
        np.testing.assert_array_equal(found, np.stack([own[hop] for own in want]))


def test_calls_come_and_go(model: Path) -> None:
    mic, ref = calls(4, 10)
    want = [by_hop(Enhancer(model), mic[i].ravel(), ref[i].ravel()) for i in range(4)]
    enhancer = Enhancer(model)
    streams = [enhancer.stream(max_hops=1 + i) for i in range(4)]
    found: list[list[np.ndarray]] = [[] for _ in streams]
    rng = np.random.default_rng(0)
    while any(len(own) < 10 for own in found):
        some = [i for i in rng.permutation(4)[: rng.integers(1, 5)] if len(found[i]) < 10]
        if len(some) == 1:  # alone, which is the same stream
            (i,) = some
            found[i].append(streams[i].process(mic[i, len(found[i])], ref[i, len(found[i])]))
        elif some:
            at = [(i, len(found[i])) for i in some]
            hops = (np.stack([side[i, hop] for i, hop in at]) for side in (mic, ref))
            out = enhancer.process_streams([streams[i] for i in some], *hops)
            for i, own in zip(some, out, strict=True):
                found[i].append(own)
    for own, alone in zip(found, want, strict=True):
        np.testing.assert_array_equal(np.concatenate(own), alone)


def test_what_is_kept_beside_the_output(model: Path) -> None:
    """Taps, delay and calibration are those of the stream, and profiling counts its own time."""
    mic, ref = calls(3, 6)
    enhancer = Enhancer(model)
    alone, together = ([enhancer.stream() for _ in range(3)] for _ in range(2))
    for stream in (*alone, *together):
        stream.set_observing(True)
    together[2].set_profiling(True)
    for hop in range(6):
        enhancer.process_streams(together, mic[:, hop], ref[:, hop])
        for i, stream in enumerate(alone):
            stream.process(mic[i, hop], ref[i, hop])
    for here, there in zip(alone, together, strict=True):
        assert here.delay_ms() == there.delay_ms()
        for name, value in here.taps().items():
            np.testing.assert_array_equal(there.taps()[name], value)
        if enhancer.config.network:
            name = "mic_enc2.conv.weight"
            np.testing.assert_array_equal(here.input_power(name), there.input_power(name))
    assert sum(together[2].profile().values()) > 0
    assert not any(together[1].profile().values())


@pytest.mark.parametrize("backend", BACKENDS)
def test_other_backends_take_them_too(tmp_path: Path, backend: str) -> None:
    random_gguf(tmp_path / "m.gguf", narrow_config(2))
    mic, ref = calls(2, 4)
    enhancer = Enhancer(tmp_path / "m.gguf", backend=backend)
    alone, together = ([enhancer.stream() for _ in range(2)] for _ in range(2))
    for hop in range(4):
        found = enhancer.process_streams(together, mic[:, hop], ref[:, hop])
        want = [stream.process(mic[i, hop], ref[i, hop]) for i, stream in enumerate(alone)]
        np.testing.assert_array_equal(found, want)


def test_one_that_runs_away_is_silenced_alone(tmp_path: Path) -> None:
    config = narrow_config(3)
    tensors = export.fold(config, random_state(config))
    tensors["bottleneck.a_real"] = np.full_like(tensors["bottleneck.a_real"], 1e20)
    gguf_file.write(tmp_path / "wild.gguf", config, tensors)
    enhancer = Enhancer(tmp_path / "wild.gguf")
    streams = [enhancer.stream() for _ in range(3)]
    mic, ref = calls(3, 30)
    streams[1].process(mic[1, 0], ref[1, 0])  # so it has heard more than the others, and runs away first
    status: list[int] = []
    for hop in range(1, 30):
        code, out, status = raw(streams, mic[:, hop], ref[:, hop])
        assert code == 0
        assert np.isfinite(out).all()
        if any(status):
            assert not out[1].any()
            break
    assert status == [0, -3, 0]
    text = engine._library().localvqe_last_error
    assert [b"run away" in text(stream._ctx) for stream in streams] == [False, True, False]
    with pytest.raises(LocalVQEError, match="run away"):  # noqa: PT012
        for hop in range(30):
            enhancer.process_streams(streams, mic[:, hop], ref[:, hop])


def raw(streams: list[Stream], mic: np.ndarray, ref: np.ndarray) -> tuple[int, np.ndarray, list[int]]:
    """What the C function returns, its output and the status of each stream."""
    n = len(streams)
    out = np.full((n, HOP), 9.0, np.float32)
    handles = (ctypes.c_size_t * n)(*(stream._ctx for stream in streams))
    rows = [(engine._FLOATS * n)(*(engine._address(row, 0) for row in x)) for x in (mic.copy(), ref.copy(), out)]
    status = (ctypes.c_int * n)()
    code = engine._library().localvqe_process_streams_f32(handles, n, *rows, status)
    return int(code), out, list(status)


def test_misuse_is_refused_before_anything_is_processed(tmp_path: Path) -> None:
    random_gguf(tmp_path / "m.gguf", narrow_config(2))
    enhancer, other = (Enhancer(tmp_path / "m.gguf") for _ in range(2))
    a, b, stranger = enhancer.stream(), enhancer.stream(), other.stream()
    lib = engine._library()
    x = np.zeros((2, HOP), np.float32)
    for streams, why in (([a, a], b"stream 1 is there twice"), ([a, stranger], b"stream 1 is of another model")):
        code, out, _ = raw(streams, x, x)
        assert code == -2
        assert why in lib.localvqe_last_error(a._ctx)
        assert (out == 9.0).all()
    assert raw([a, b], x, x)[0] == 0  # nothing stays behind
    assert lib.localvqe_last_error(a._ctx) == b""
    handles = (ctypes.c_size_t * 2)(a._ctx, b._ctx)
    rows = (engine._FLOATS * 2)(*(engine._address(row, 0) for row in x))
    good = (handles, 2, rows, rows, rows, (ctypes.c_int * 2)())
    assert lib.localvqe_process_streams_f32(*good) == 0
    for at in (0, 2, 3, 4, 5):
        assert lib.localvqe_process_streams_f32(*good[:at], None, *good[at + 1 :]) == -1
    for at in (2, 3, 4):
        holes = (engine._FLOATS * 2)(rows[0], None)
        assert lib.localvqe_process_streams_f32(*good[:at], holes, *good[at + 1 :]) == -1
    assert lib.localvqe_process_streams_f32((ctypes.c_size_t * 2)(a._ctx, 0), *good[1:]) == -1
    for n in (0, -1, -(2**31)):
        assert lib.localvqe_process_streams_f32(handles, n, *good[2:]) == -2


def test_python_says_what_is_wrong(tmp_path: Path) -> None:
    random_gguf(tmp_path / "m.gguf", narrow_config(2))
    enhancer = Enhancer(tmp_path / "m.gguf")
    a, b = enhancer.stream(), enhancer.stream()
    x = np.zeros((2, HOP), np.float32)
    for shape in ((2, 255), (1, HOP), (2 * HOP,)):
        with pytest.raises(AudioError, match="expected a hop of each stream"):
            enhancer.process_streams([a, b], np.zeros(shape))
    with pytest.raises(AudioError, match="same type"):
        enhancer.process_streams([a, b], x, x.astype(np.int16))
    with pytest.raises(UsageError, match="twice"):
        enhancer.process_streams([a, a], x)
    with pytest.raises(UsageError, match="no streams"):
        enhancer.process_streams([], x[:0])
    with pytest.raises(UsageError, match="stream 1 is not one"):
        enhancer.process_streams([a, Enhancer(tmp_path / "m.gguf").stream()], x)
    with pytest.raises(UsageError, match="stream 0 is not one"):
        enhancer.process_streams([enhancer.stream(block=256), a], x)  # type: ignore[list-item]
    b.process(np.zeros(10), None)
    with pytest.raises(UsageError, match="stream 1 waits"):
        enhancer.process_streams([a, b], x)
    b.reset()
    whole = (x + 0.25, (x + 0.25) * 32768)
    results = [
        enhancer.process_streams([enhancer.stream(), enhancer.stream()], mic)
        for mic in (whole[0], whole[1].astype(np.int16))
    ]
    np.testing.assert_array_equal(*results)
    b.close()
    with pytest.raises(UsageError, match="closed"):
        enhancer.process_streams([a, b], x)


def test_the_noise_gate_is_that_of_each_stream(tmp_path: Path) -> None:
    random_gguf(tmp_path / "m.gguf", narrow_config(2))
    mic, ref = calls(2, 6)
    enhancer = Enhancer(tmp_path / "m.gguf", noise_gate=-10.0)
    quiet, open_ = enhancer.stream(), enhancer.stream()
    engine._library().localvqe_set_noise_gate(open_._ctx, 0, -10.0)
    out = np.stack([enhancer.process_streams([quiet, open_], mic[:, hop], ref[:, hop]) for hop in range(6)])
    assert not out[:, 0].any()
    assert out[1:, 1].any()
