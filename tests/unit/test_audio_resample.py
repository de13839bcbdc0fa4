"""Rate conversion: no delay, exact lengths, independence of block lengths."""

from __future__ import annotations

import numpy as np
import pytest

from localvqe_cli.audio import Resampler
from localvqe_cli.audio.queue import SampleQueue


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
