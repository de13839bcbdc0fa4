"""Calls of two simulated devices: what is left of the echo, how late the output is, what happens when things fail."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
import tracemalloc
from collections.abc import AsyncIterator
from functools import cache

import numpy as np
import pytest
import soxr
from fake_model import FakeModel
from simulated_call import RATE, Call, Device

from localvqe import AudioError, Enhancer, UsageError
from localvqe.live import Canceller, LiveStatus

STALLS = [(14.0, 0.1), (20.0, 0.1)]


class FakeLiveModel(FakeModel):
    """What a canceller needs of a model beyond what ``enhance`` does."""

    def stream(self, *, max_hops: int = 1):  # type: ignore[no-untyped-def]
        stream = super().stream()
        stream.delay_ms = lambda: (0.0, 1.0)
        stream.close = lambda: None
        return stream


def passing(mic_rate: int = RATE, far_rate: int = RATE, **options: object) -> Canceller:
    return Canceller(mic_rate, far_rate, model=FakeLiveModel(), **options)  # type: ignore[arg-type]


@cache
def left_at(ppm: float) -> tuple[float, LiveStatus]:
    """Attenuation in dB after ten seconds, with late blocks and stalls, and the status at the end."""
    call = Call(26.0, far=Device(ppm=ppm, jitter=0.03, stalls=STALLS), mic=Device(block=256, jitter=0.03))
    canceller = Canceller(RATE, RATE)
    out = call.run(canceller)
    return call.attenuation(out, canceller.latency_samples, 10, 25), canceller.status()


@pytest.mark.parametrize("ppm", [-300.0, 300.0])
def test_a_drifting_clock_costs_less_than_a_decibel(ppm: float) -> None:
    steady, _ = left_at(0.0)
    drifting, status = left_at(ppm)
    assert steady > 38
    assert drifting > steady - 1.0
    assert status.drift_ppm == pytest.approx(ppm, abs=40)
    assert status.attenuation_db is not None
    assert status.attenuation_db > 20
    assert status.delay_ms == pytest.approx(120, abs=25)
    assert status.far_losses == status.mic_losses == 0


@pytest.mark.parametrize("who", ["far", "mic"])
def test_a_device_that_vanishes_and_returns_is_in_step_again(who: str) -> None:
    away = Device(block=256, jitter=0.003, away=[(8.0, 3.0)])
    here = Device(block=256, jitter=0.003)
    call = Call(18.0, **{"mic": here, "far": here, who: away})
    canceller = Canceller(RATE, RATE)
    out = call.run(canceller)
    latency = canceller.latency_samples
    before = call.attenuation(out, latency, 4, 8)
    # A microphone that was away gave fewer samples; in their place the others are where they were.
    missing = 18 * RATE // 256 * 256 - len(out)
    assert missing == (187 * 256 if who == "mic" else 0)
    start = latency + 8 * RATE
    whole = np.concatenate([out[:start], np.zeros(missing, np.float32), out[start:]])
    after = call.attenuation(whole, latency, 14, 17)
    assert before > 35
    assert after > 35
    status = canceller.status()
    assert (status.mic_losses, status.far_losses) == ((1, 0) if who == "mic" else (0, 1))


def test_lost_samples_do_not_shift_what_follows() -> None:
    call = Call(14.0, far=Device(jitter=0.003, away=[(6.0, 0.1)]), mic=Device(block=256, jitter=0.003))
    canceller = Canceller(RATE, RATE)
    assert call.attenuation(call.run(canceller), canceller.latency_samples, 9, 13) > 35
    assert canceller.status().far_losses == 1


def test_another_rate_in_the_middle() -> None:
    call = Call(13.0)
    faster = soxr.resample(call.far_signal, RATE, 48000)
    canceller = Canceller(RATE, RATE)
    out = []
    for i in range(1300):
        if i == 500:
            canceller.change_rates(far_rate=48000)
        far, n = (call.far_signal, 160) if i < 500 else (faster, 480)
        canceller.far(far[i * n : (i + 1) * n], (i + 1) / 100)
        out.append(canceller.mic(call.mic_signal[i * 160 : (i + 1) * 160], (i + 1) / 100))
    assert canceller.far_rate == 48000
    assert call.attenuation(np.concatenate(out), canceller.latency_samples, 7, 12) > 35
    assert canceller.status().far_losses == 0
    canceller.change_rates(mic_rate=48000)
    assert len(canceller.mic(np.zeros(480, np.float32), 13.01)) == 480
    assert canceller.latency_samples in range(3 * 512, 3 * 640)


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
def test_the_output_is_late_by_the_same_whatever_comes(rate: int) -> None:
    """Blocks of any size, far ends that stall, vanish and return: the microphone is never held back by them."""
    rng = np.random.default_rng(3)
    time = np.arange(4 * rate) / rate
    mic = (0.1 * sum(np.sin(2 * np.pi * f * time) for f in (211, 1013, 3301))).astype(np.float32)
    canceller = passing(rate, 16000)
    out, position = [], 0
    while position < len(mic):
        block = mic[position : position + int(rng.integers(1, rate // 20))]
        position += len(block)
        now = position / rate + rng.uniform(0, 0.03)
        if not 1.0 < now < 2.0:
            canceller.far(0.1 * rng.standard_normal(len(block) * 16000 // rate), now + rng.uniform(0, 0.1))
        out.append(canceller.mic(block, now))
        assert len(out[-1]) == len(block)
    late = np.concatenate(out)[canceller.latency_samples :]
    inner = slice(rate // 10, len(late) - rate // 10)
    np.testing.assert_allclose(late[inner], mic[: len(late)][inner], atol=2e-3)
    assert canceller.latency_samples / rate < 0.0365


def test_a_known_block_makes_it_less_late() -> None:
    canceller = passing(block=256)
    assert canceller.latency_samples == 256
    ramp = np.arange(2560, dtype=np.float32) / 2560
    out = np.concatenate([canceller.mic(block, i) for i, block in enumerate(ramp.reshape(10, 256))])
    np.testing.assert_array_equal(out[256:], ramp[:-256])
    with pytest.raises(AudioError, match="takes microphone blocks of 256 samples, and this one has 100"):
        canceller.mic(ramp[:100])


def test_a_model_that_does_not_keep_up_is_left_out_for_a_while() -> None:
    ramp = (np.arange(20 * RATE) % 1000 / 1000).astype(np.float32)
    canceller = Canceller(RATE, RATE, model=FakeLiveModel(lambda mic, ref: -mic), block=256)  # type: ignore[arg-type]
    ticks = itertools.count()
    slow = [False]
    canceller._work_clock = lambda: next(ticks) * (0.02 if slow[0] else 0.001)
    out, passed = [], []
    for i in range(1000):
        slow[0] = 200 <= i < 300
        out.append(canceller.mic(ramp[i * 256 : (i + 1) * 256], i * 0.016))
        passed.append(canceller.status().passed_through)
    assert not any(passed[:200])
    assert 200 < passed.index(True) < 260
    assert sum(passed) == pytest.approx(5.0 / 0.016, abs=2)
    assert not any(passed[-100:])
    assert canceller.status().times_passed_through == 1
    whole = np.concatenate(out)[256:]
    sign = np.where(np.repeat(passed[1:], 256), 1.0, -1.0)[: len(whole)]
    # In step on both sides of the change; the hop in which it happens may have either sign.
    assert (np.abs(whole - sign * ramp[: len(whole)]) > 1e-6).mean() < 0.004


def test_strength_mixes_in_step() -> None:
    ramp = np.arange(2560, dtype=np.float32) / 2560
    half = Canceller(RATE, RATE, model=FakeLiveModel(lambda mic, ref: 0 * mic), strength=0.25)  # type: ignore[arg-type]
    out = np.concatenate([half.mic(block, i) for i, block in enumerate(ramp.reshape(16, 160))])
    late = out[half.latency_samples :]
    np.testing.assert_allclose(late, 0.75 * ramp[: len(late)], atol=1e-6)


def test_two_threads_feed_it_at_once() -> None:
    with Canceller(RATE, RATE) as canceller:
        block = (0.1 * np.random.default_rng(1).standard_normal(160)).astype(np.float32)
        failures: list[BaseException] = []

        def feed(push: object) -> None:
            try:
                for i in range(300):
                    push(block, i * 0.01)  # type: ignore[operator]
            except BaseException as exc:
                failures.append(exc)

        threads = [threading.Thread(target=feed, args=(push,)) for push in (canceller.far, canceller.mic)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            canceller.status()
        assert failures == []
        assert canceller.status().seconds == pytest.approx(3.0)


def test_the_asynchronous_form_gives_a_block_for_a_block() -> None:
    async def blocks(count: int) -> AsyncIterator[np.ndarray]:
        for i in range(count):
            await asyncio.sleep(0)
            yield np.full(160, i / count, np.float32)

    async def call() -> list[np.ndarray]:
        return [clean async for clean in passing().clean(blocks(50), blocks(20))]

    out = asyncio.run(call())
    assert [len(block) for block in out] == 50 * [160]
    np.testing.assert_array_equal(np.concatenate(out)[511:], np.repeat(np.arange(50) / 50, 160).astype("f")[:-511])

    async def broken() -> AsyncIterator[np.ndarray]:
        yield np.zeros((2, 2))

    async def fails() -> None:
        async for _ in passing().clean(blocks(50), broken()):
            pass

    with pytest.raises(AudioError, match="far has 2 dimensions"):
        asyncio.run(fails())


def test_it_hands_out_the_hops_it_works_on() -> None:
    hops: list[tuple[np.ndarray, ...]] = []
    canceller = passing()
    canceller.on_hop(lambda *hop: hops.append(hop))
    ramp = np.arange(1600, dtype=np.float32) / 1600
    canceller.mic(ramp, 1.0)
    mic, far, out = (np.concatenate(parts) for parts in zip(*hops, strict=True))
    np.testing.assert_array_equal(mic, ramp[:1536])
    np.testing.assert_array_equal(out[256:], ramp[:1280])
    assert not far.any()


def test_memory_does_not_grow() -> None:
    canceller = passing(44100, 48000)
    rng = np.random.default_rng(1)
    mic, far = rng.standard_normal(441).astype("f"), rng.standard_normal(480).astype("f")

    def feed(start: int, count: int) -> None:
        for i in range(start, start + count):
            canceller.far(far, i * 0.01)
            canceller.mic(mic, i * 0.01)

    def held() -> int:
        # Of the package alone: the interpreter's own tables grow at any time, by megabytes.
        gc.collect()
        ours = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*localvqe_cli*")])
        return sum(trace.size for trace in ours.traces)

    feed(0, 400)
    tracemalloc.start()
    try:
        feed(400, 1)
        before = held()
        feed(401, 1000)
        assert held() - before < 30_000
    finally:
        tracemalloc.stop()


def test_samples_that_are_no_numbers_do_not_stay() -> None:
    canceller = Canceller(RATE, RATE)
    bad = np.full(160, np.nan, np.float32)
    canceller.far(bad, 0.01)
    canceller.mic(bad, 0.01)
    for i in range(20):
        assert np.isfinite(canceller.mic(np.zeros(160, np.float32), 0.02 + i * 0.01)).all()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"mic_rate": 4000}, "mic_rate is 4000, expected 8000 to 192000"),
        ({"far_rate": "x"}, "far_rate is 'x', expected a whole number"),
        ({"strength": 1.5}, "strength is 1.5, expected 0 to 1"),
        ({"block": 0}, "block is 0, expected 1 to 1048576"),
        ({"model": Enhancer(), "noise_gate": -60.0}, "noise_gate is the model's"),
    ],
)
def test_unusable_arguments_are_refused(arguments: dict[str, object], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        Canceller(**{"mic_rate": 16000, "far_rate": 16000, **arguments})  # type: ignore[arg-type]


def test_a_closed_one_says_so() -> None:
    with Canceller(16000, 16000) as canceller:
        pass
    with pytest.raises(UsageError, match="this Canceller was closed; make a new one"):
        canceller.mic(np.zeros(160, np.float32))
    canceller.close()
