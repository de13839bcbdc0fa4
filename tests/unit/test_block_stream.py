"""Streams in blocks of one size at any rate: what comes out, how late, and what they refuse."""

from __future__ import annotations

import gc
import math
import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from localvqe_cli.audio.live_resample import LiveResampler
from localvqe_cli.block_stream import BlockStream
from localvqe_cli.engine import Enhancer
from localvqe_cli.errors import AudioError, LocalVQEError, UsageError

ENHANCER = Enhancer("kalman")  # gives back what has no echo
RNG = np.random.default_rng(16)
RATES = (8000, 11025, 22050, 32000, 44100, 47952, 48000, 96000)


@pytest.fixture
def enhancer() -> Enhancer:
    return ENHANCER


def noise(n: int) -> np.ndarray:
    return (0.1 * RNG.standard_normal(n)).astype(np.float32)


def tones(rate: int, seconds: float = 0.7) -> np.ndarray:
    """(n,) float32 of what every rate can hold and a model without echo leaves alone."""
    time = np.arange(int(seconds * rate)) / rate
    return (0.05 * sum(np.sin(2 * np.pi * f * time + f) for f in (210, 555, 1333, 2810, 3300))).astype(np.float32)


def run(stream: BlockStream, mic: np.ndarray, ref: np.ndarray | None = None) -> np.ndarray:
    """Everything the stream gives for whole blocks of the signals, and the flush."""
    out = []
    for start in range(0, mic.size - stream.block + 1, stream.block):
        piece = slice(start, start + stream.block)
        out.append(stream.process(mic[piece], None if ref is None else ref[piece]))
        assert out[-1].shape == (stream.block,)
        assert out[-1].dtype == np.float32
    return np.concatenate([*out, stream.flush()])


@pytest.mark.parametrize("block", [1, 37, 160, 256, 480, 512, 1000])
def test_at_the_models_rate_the_output_is_the_clips_later_by_the_latency(enhancer: Enhancer, block: int) -> None:
    mic, ref = noise(4000 // block * block), noise(4000 // block * block)
    stream = enhancer.stream(block=block)
    out = run(stream, mic, ref)
    assert stream.latency_samples == 512 - math.gcd(block, 256)
    assert out.size == mic.size + stream.latency_samples
    assert not out[: stream.latency_samples].any()
    np.testing.assert_array_equal(out[stream.latency_samples :], enhancer.enhance(mic, ref))


@pytest.mark.parametrize("rate", RATES)
def test_at_another_rate_the_signal_comes_back_later_by_the_latency(enhancer: Enhancer, rate: int) -> None:
    block = rate // 100
    mic = tones(rate)
    mic = mic[: mic.size // block * block]
    stream = enhancer.stream(block=block, rate=rate)
    out = run(stream, mic)
    assert (stream.rate, stream.block) == (rate, block)
    assert out.size == mic.size + stream.latency_samples
    assert not out[: stream.latency_samples].any()
    inner = slice(rate // 50, -rate // 50)
    error = out[stream.latency_samples :] - mic
    assert 10 * np.log10(np.mean(mic[inner] ** 2) / np.mean(error[inner] ** 2)) > 80
    assert stream.latency_samples <= math.ceil(0.042 * rate)  # a hop, a hop's wait, and the filters of both ways


def test_an_impulse_comes_back_at_the_latency(enhancer: Enhancer) -> None:
    for rate in (16000, 44100, 48000):
        mic = np.zeros(rate // 2, np.float32)
        mic[rate // 7] = 0.5
        stream = enhancer.stream(block=160, rate=rate)
        assert np.abs(run(stream, mic)).argmax() == rate // 7 + stream.latency_samples


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
def test_the_output_does_not_depend_on_the_block(enhancer: Enhancer, rate: int) -> None:
    mic, ref = noise(rate // 4), noise(rate // 4)
    found = []
    for block in (160, 480, 37):
        stream = enhancer.stream(block=block, rate=rate)
        found.append(run(stream, mic, ref)[stream.latency_samples :][: rate // 5])
    np.testing.assert_allclose(found[1], found[0], atol=1e-6)
    np.testing.assert_allclose(found[2], found[0], atol=1e-6)


def test_the_reference_is_resampled_as_the_mic_is(enhancer: Enhancer) -> None:
    rate, block = 48000, 480
    far = tones(rate, 4.0) + 0.3 * noise(4 * rate)
    echo = 0.5 * far
    out = run(enhancer.stream(block=block, rate=rate), echo, far)
    last = slice(3 * rate, 4 * rate)
    # Noise above 8 kHz would be lost anyway, so the louder tones are what is compared.
    assert 10 * np.log10(np.mean(tones(rate, 4.0)[last] ** 2 * 0.25) / np.mean(out[last] ** 2)) > 15


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 1500), st.integers(320, 2000).map(lambda steps: 25 * steps))
@example(37, 48001)
def test_any_block_at_any_rate_is_served_at_once(block: int, rate: int) -> None:
    stream = ENHANCER.stream(block=block, rate=rate)
    silence = np.zeros(block, np.float32)
    for _ in range(min(150, 20000 // block + 2)):
        assert stream.process(silence).shape == (block,)
    assert stream.flush().shape == (stream.latency_samples,)


def test_integers_are_scaled_and_give_float32(enhancer: Enhancer) -> None:
    mic = (20000 * np.sin(np.arange(4800))).astype(np.int16)
    out = run(enhancer.stream(block=480), mic)
    np.testing.assert_array_equal(out, run(enhancer.stream(block=480), mic / 32768.0))


def test_reset_starts_anew(enhancer: Enhancer) -> None:
    mic, ref = noise(4800), noise(4800)
    stream = enhancer.stream(block=480, rate=48000)
    first = run(stream, mic, ref)
    stream.process(ref[:480], mic[:480])
    stream.reset()
    np.testing.assert_array_equal(run(stream, mic, ref), first)


def test_a_block_of_another_size_is_refused_and_changes_nothing(enhancer: Enhancer) -> None:
    mic = noise(960)
    stream, other = enhancer.stream(block=480), enhancer.stream(block=480)
    for size in (0, 1, 479, 481, 960):
        with pytest.raises(AudioError, match=rf"^the stream takes blocks of 480 samples, and this one has {size}$"):
            stream.process(noise(size))
    with pytest.raises(AudioError, match="mic has 480 samples and ref 479"):
        stream.process(noise(480), noise(479))
    np.testing.assert_array_equal(run(stream, mic), run(other, mic))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"block": 0}, "block is 0, expected 1 to 1048576"),
        ({"block": 160.0}, "block is 160.0, expected a whole number"),
        ({"block": 160, "rate": 7999}, "rate is 7999, expected 8000 to 192000"),
        ({"block": 160, "rate": "48k"}, "rate is '48k', expected a whole number"),
        ({"rate": 48000}, "a stream at 48000 Hz needs its block"),
        ({"block": 160, "max_hops": 8}, "max_hops is of streams without block"),
    ],
)
def test_unusable_numbers_are_refused(enhancer: Enhancer, arguments: dict[str, object], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        enhancer.stream(**arguments)  # type: ignore[call-overload]


def test_a_closed_stream_says_so() -> None:
    with Enhancer().stream(block=160) as stream:
        stream.process(np.zeros(160, np.float32))
    for call in (lambda: stream.process(np.zeros(160, np.float32)), stream.flush, stream.reset):
        with pytest.raises(UsageError, match="this stream was closed"):
            call()
    stream.close()


def test_loud_floats_warn_once_and_name_the_caller() -> None:
    stream = Enhancer().stream(block=160)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            stream.process(np.full(160, 2000.0))
    assert [item.filename for item in caught] == [__file__]


def test_after_a_failure_it_is_in_step_again(enhancer: Enhancer, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = enhancer.stream(block=160)
    mic = noise(1600)
    want = run(stream, mic)
    stream.reset()
    stream.process(mic[:160])
    with monkeypatch.context() as patch:
        patch.setattr(stream._stream, "process", lambda *_: (_ for _ in ()).throw(LocalVQEError("the engine stopped")))
        with pytest.raises(LocalVQEError, match="the engine stopped"):
            stream.process(mic[160:320])
    np.testing.assert_array_equal(run(stream, mic), want)


def test_memory_does_not_grow(enhancer: Enhancer) -> None:
    stream = enhancer.stream(block=441, rate=44100)
    block = noise(441)
    for _ in range(50):
        stream.process(block, block)
    tracemalloc.start()
    try:
        stream.process(block, block)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(400):
            stream.process(block, block)
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 20_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("rates", [(48000, 16000), (16000, 44100), (8000, 16000), (16000, 16000)])
def test_a_resampler_says_what_is_ready(rates: tuple[int, int]) -> None:
    resampler = LiveResampler(*rates)
    fed = got = 0
    for size in (1, 700, 31, 0, 160, 5):
        fed += size
        got += len(resampler.push(np.zeros(size, np.float32)))
        assert got == max(0, resampler.ready(fed))


def test_what_the_lower_rate_cannot_hold_is_gone() -> None:
    time = np.arange(48000) / 48000
    for tone in (8400, 12000, 20000):
        out = LiveResampler(48000, 16000).push(np.sin(2 * np.pi * tone * time).astype(np.float32))
        assert np.abs(out[200:]).max() < 2e-4
