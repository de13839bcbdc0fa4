"""Rate conversion: no delay, exact lengths, independence of block lengths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localvqe_cli.audio import Resampler
from localvqe_cli.audio.queue import SampleQueue
from localvqe_cli.audio.resample import PositionReader


def convert(signal: np.ndarray, rates: tuple[int, int], block: int = 10000) -> np.ndarray:
    resampler = Resampler(*rates)
    parts = [resampler.push(signal[i : i + block]) for i in range(0, len(signal), block)]
    return np.concatenate([*parts, resampler.finish()])


def tone(rate: int, seconds: float = 1.0, hz: float = 440.0) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000])
def test_a_tone_keeps_its_phase_there_and_back(rate: int) -> None:
    low = convert(tone(rate), (rate, 16000))
    assert len(low) == 16000
    np.testing.assert_allclose(low[1000:-1000], tone(16000)[1000:-1000], atol=1e-5)
    back = convert(low, (16000, rate))
    np.testing.assert_allclose(back[rate // 8 : -rate // 8], tone(rate)[rate // 8 : -rate // 8], atol=2e-5)


def test_what_the_lower_rate_cannot_hold_is_removed_not_folded() -> None:
    assert np.abs(convert(tone(48000, hz=11000.0), (48000, 16000))[500:-500]).max() < 1e-4


@pytest.mark.parametrize("block", [1, 77, 5000])
def test_block_length_does_not_matter(block: int) -> None:
    signal = tone(11025, 0.5)
    np.testing.assert_array_equal(convert(signal, (11025, 16000), block), convert(signal, (11025, 16000)))


def test_equal_rates_pass_through_untouched() -> None:
    signal = tone(16000)
    np.testing.assert_array_equal(convert(signal, (16000, 16000)), signal)


def test_queue_gives_what_it_got_in_any_portions() -> None:
    signal = np.arange(100, dtype=np.float32)
    queue = SampleQueue(iter(np.split(signal, [3, 3, 50])))
    np.testing.assert_array_equal(queue.take(2), [0, 1])
    np.testing.assert_array_equal(queue.take(60), signal[2:62])
    np.testing.assert_array_equal(queue.take_padded(40), [*signal[62:], 0, 0])
    assert len(queue.take(1)) == 0


@settings(max_examples=20, deadline=None)
@given(
    hertz=st.floats(20.0, 7000.0),
    ppm=st.floats(-1500.0, 1500.0),
    start=st.floats(-50.0, 50.0),
    block=st.integers(1, 5000),
)
def test_a_tone_is_read_between_its_samples(hertz: float, ppm: float, start: float, block: int) -> None:
    tone = np.sin(2 * np.pi * hertz / 16000 * np.arange(8000)).astype(np.float32)
    reader = PositionReader(tone[i : i + block] for i in range(0, len(tone), block))
    positions = start + (1 + 1e-6 * ppm) * np.arange(9000)
    found = np.concatenate([reader.read(positions[i : i + 700]) for i in range(0, 9000, 700)])
    inside = (positions > 24) & (positions < 7975)
    error = found - np.sin(2 * np.pi * hertz / 16000 * positions)
    assert np.sqrt(2 * np.mean(error[inside] ** 2)) < 1e-4  # -80 dB
    assert not found[(positions < -24) | (positions > 8024)].any()
    assert reader.length == 8000


def test_positions_go_back_no_further_than_promised() -> None:
    ramp = np.arange(4000, dtype=np.float32)
    reader = PositionReader([ramp], history=1000)
    reader.read(np.arange(2000.0, 2100.0))
    np.testing.assert_allclose(reader.read(np.arange(1500.0, 1600.0)), ramp[1500:1600], rtol=1e-4)
    assert reader.read(np.zeros(0)).shape == (0,)
