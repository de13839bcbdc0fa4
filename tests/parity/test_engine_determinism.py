"""What results may not depend on: threads, chunk sizes, neighbours, the run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from engine_runs import by_clip, by_hop, signals
from make_model import narrow_config, random_gguf, random_state

from localvqe import Enhancer
from localvqe_cli import export, gguf_file
from localvqe_cli.config import FrontendConfig, ModelConfig, ResidualConfig

CONFIGS = {
    "version 1": ModelConfig(version=1),
    "version 2": ModelConfig(version=2),
    "version 3": ModelConfig(version=3),
    "front-end": ModelConfig(version=3, dmax=8, frontend=FrontendConfig(gain_hidden=8), residual=ResidualConfig()),
}


#: The same parts, for what does not depend on how much work there is to share.
NARROW = {
    "version 1": narrow_config(1),
    "version 2": narrow_config(2),
    "version 3": narrow_config(3),
    "front-end": narrow_config(3, frontend=FrontendConfig(gain_hidden=8), residual=ResidualConfig()),
}


@pytest.fixture(scope="module", params=CONFIGS)
def wide(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("wide") / "model.gguf"
    random_gguf(path, CONFIGS[request.param], seed=1)
    return path


@pytest.fixture(scope="module", params=NARROW)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("narrow") / "model.gguf"
    random_gguf(path, NARROW[request.param], seed=1)
    return path


@pytest.mark.parametrize("threads", [1, 2, 3, 4])
def test_bits_do_not_depend_on_threads_or_run(wide, threads, monkeypatch) -> None:
    monkeypatch.setenv("LOCALVQE_OVERSUBSCRIBE", "1")
    mic, ref = signals(0.5 if threads < 3 else 0.1)  # more workers than processors are slow
    want = by_hop(Enhancer(wide), mic, ref)
    enhancer = Enhancer(wide, threads=threads)
    for _ in range(2):
        np.testing.assert_array_equal(by_hop(enhancer, mic, ref), want)
        np.testing.assert_array_equal(by_clip(enhancer, mic, ref), want)


@pytest.mark.parametrize("sizes", [(1, 255, 700), (97,), (5000, 3), (256,)])
def test_any_chunking_gives_the_same_samples(model, sizes) -> None:
    mic, ref = signals(0.5)
    mic, ref = mic[:-100], ref[:-100]  # the last hop is a partial one
    enhancer = Enhancer(model)
    want = enhancer.enhance(mic, ref)
    stream = enhancer.stream(max_hops=3)
    out, start, i = [], 0, 0
    while start < mic.size:
        end = min(start + sizes[i % len(sizes)], mic.size)
        out.append(stream.process(mic[start:end], ref[start:end]))
        assert out[-1].size % 256 == 0
        start, i = end, i + 1
    out.append(stream.flush())
    total = np.concatenate(out)
    assert total.size == mic.size + stream.latency_samples
    np.testing.assert_array_equal(total[256:], want)


def test_reset_forgets_everything(model) -> None:
    mic, ref = signals(0.5)
    stream = Enhancer(model).stream()
    first = stream.process(mic, ref)
    stream.process(mic[:100], ref[:100])
    stream.reset()
    np.testing.assert_array_equal(stream.process(mic, ref), first)


def test_streams_of_one_model_do_not_touch_each_other(tmp_path) -> None:
    random_gguf(tmp_path / "m.gguf", narrow_config(3))
    enhancer = Enhancer(tmp_path / "m.gguf")
    inputs = [signals(2.0, seed=i) for i in range(4)]
    want = [by_hop(enhancer, *pair) for pair in inputs]
    got: list[np.ndarray] = [np.empty(0)] * 4

    def run(i: int) -> None:
        got[i] = by_hop(enhancer, *inputs[i])

    workers = [threading.Thread(target=run, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for a, b in zip(got, want, strict=True):
        np.testing.assert_array_equal(a, b)


#: Frames that convolutions, smoothing, mask and overlap look back, and the bottleneck of ``forgetful`` remembers.
LOOK_BACK = 110
FORGETFUL = {**NARROW, "built-in": None}
#: The sample that is bad.
AT = 8000
Output = Callable[[str, float | None], np.ndarray]


@pytest.fixture(scope="module", params=FORGETFUL)
def forgetful(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Enhancer:
    """A model whose bottleneck forgets in some frames, so that only what was meant to last can leave a trace."""
    config = FORGETFUL[request.param]
    if config is None:
        return Enhancer()
    state = random_state(config, 1)
    state["bottleneck.A_log_rate"] = np.abs(state["bottleneck.A_log_rate"])
    path = tmp_path_factory.mktemp("forgetful") / "model.gguf"
    gguf_file.write(path, config, export.fold(config, state))
    return Enhancer(path)


@pytest.fixture(scope="module")
def heard(forgetful: Enhancer) -> Output:
    """(side, value) -> what comes out where that side has such a sample, or none that is bad; each computed once."""
    signal = dict(zip(("mic", "ref"), signals(4.0 if forgetful.config.frontend is None else 9.0), strict=True))

    @cache
    def output(side: str, value: float | None) -> np.ndarray:
        changed = signal[side].copy()
        if value is not None:
            changed[AT] = value
        return forgetful.enhance(**{**signal, side: changed})

    return output


@pytest.mark.filterwarnings("ignore:.*16 times full scale")
@pytest.mark.parametrize("side", ["mic", "ref"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
def test_one_bad_sample_leaves_no_trace_behind_the_lags(forgetful, heard, bad, side) -> None:
    config, at = forgetful.config, AT
    clean, out = heard("mic", None), heard(side, bad)
    assert np.isfinite(out).all()
    np.testing.assert_array_equal(out[: at - 512], clean[: at - 512])
    # Numbers that are none are silence; the others are limited.
    np.testing.assert_array_equal(out, heard(side, 1e6 if np.isfinite(bad) else 0.0))
    if config.frontend is None:
        behind = at + 256 * (config.dmax + LOOK_BACK)
        assert clean.size - behind > 4000
        np.testing.assert_allclose(out[behind:], clean[behind:], rtol=0, atol=1e-6)
    else:  # it adapts to what it heard, and back: eight seconds later the rest is 20 dB below the output
        trace = out[-16000:] - clean[-16000:]
        # A controller of random weights is in no hurry after a reference of a million.
        share = 1e-1 if config.network and side == "ref" and np.isfinite(bad) else 1e-2
        assert np.sum(trace**2) < share * np.sum(clean[-16000:] ** 2)


def test_silence_is_finite_and_stays_cheap(model) -> None:
    mic, ref = signals(0.5)
    stream = Enhancer(model).stream()
    stream.process(mic, ref)
    for _ in range(40):
        out = stream.process(np.zeros(256 * 50, np.float32), np.zeros(256 * 50, np.float32))
        assert np.isfinite(out).all()
    # Nothing decays into denormals, where every operation would cost a hundred.
    state = out[np.nonzero(out)]
    assert state.size == 0 or np.abs(state).min() > np.finfo(np.float32).tiny


def test_noise_gate_silences_quiet_hops_and_survives_reset(model) -> None:
    mic, ref = signals(0.5)
    plain = by_hop(Enhancer(model), mic, ref).reshape(-1, 256)
    levels = 10 * np.log10((plain.astype(np.float64) ** 2).mean(1) + 1e-20)
    threshold = float(np.sort(levels)[levels.size // 2 - 1 : levels.size // 2 + 1].mean())  # between two hops
    stream = Enhancer(model, noise_gate=threshold).stream()
    stream.process(mic, ref)
    stream.reset()
    gated = stream.process(mic, ref).reshape(-1, 256)
    quiet = levels <= threshold
    assert 0 < quiet.sum() < quiet.size
    assert not gated[quiet].any()
    np.testing.assert_array_equal(gated[~quiet], plain[~quiet])
