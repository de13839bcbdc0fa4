"""Two clocks: the lag of the echo is followed through a recording, and nothing else is taken for drift."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from echo_scene import RATE, Lag, Samples, heard, speech_like, steady
from hypothesis import given, settings
from hypothesis import strategies as st

from localvqe_cli.audio.drift import DriftTracker
from localvqe_cli.audio.lag_curve import fit_curve
from localvqe_cli.config import FrontendConfig, ModelConfig
from localvqe_cli.signal_path import Alignment, align_reference, find_alignment

CONFIG = ModelConfig(dmax=8, frontend=FrontendConfig())


def follow(mic: Samples, ref: Samples, block: int = RATE) -> DriftTracker:
    tracker = DriftTracker()
    for start in range(0, max(len(mic), len(ref)), block):
        tracker.push(mic[start : start + block], ref[start : start + block])
    tracker.finish()
    return tracker


def aligned(mic: Samples, ref: Samples) -> Alignment:
    return find_alignment([mic], [ref], CONFIG)


def worst_error(found: Alignment, lag: Lag, seconds: float) -> float:
    """Largest deviation of the curve from the truth, in samples, but for a constant: a room has many reflections."""
    assert found.curve is not None
    times = np.arange(0.0, seconds * RATE, RATE / 4)
    off = found.curve.at(times) - lag(times)
    return float(np.abs(off - np.median(off)).max())


@pytest.mark.parametrize(("ppm", "seconds"), [(50, 0.3), (200, -3.0), (1000, 3.0), (-1000, 0.06)])
def test_a_clock_that_differs_is_measured_under_a_talker(ppm: float, seconds: float) -> None:
    far, lag = speech_like(64, seed=1), steady(ppm, seconds)
    found = aligned(heard(far, lag) + speech_like(64, seed=3), far)
    assert found.drift_ppm == pytest.approx(ppm, abs=0.5)
    assert found.delay_ms == pytest.approx(1000 * seconds, abs=1.0)
    assert worst_error(found, lag, 64) < 1.0


@pytest.mark.parametrize("ppm", [0, 5, -20])
def test_clocks_that_agree_leave_the_reference_alone(ppm: float) -> None:
    far = speech_like(60, seed=1)
    found = aligned(heard(far, steady(ppm)) + speech_like(60, seed=3), far)
    assert (found.shift, found.curve) == (0, None)
    assert found.drift_ppm == pytest.approx(ppm, abs=0.5)


def test_a_small_drift_is_taken_out_before_it_leaves_the_models_sight() -> None:
    """No filter minds 28 ppm; but from 0.2 ms on, 2.8 ms are lost in 100 s, and the echo comes first."""
    far, lag = speech_like(100, seed=1), steady(28, 0.0002)
    assert aligned(heard(far, steady(28)), far).curve is None
    assert worst_error(aligned(heard(far, lag), far), lag, 100) < 1.0


def test_a_clock_may_change() -> None:
    def lag(times: np.ndarray) -> np.ndarray:
        return 960 + 1e-6 * np.interp(times / RATE, [0, 40, 80, 120], [0, 0, -300 * 40 * RATE, -100 * 40 * RATE])

    far = speech_like(120, seed=1)
    found = aligned(heard(far, lag) + speech_like(120, seed=3), far)
    assert worst_error(found, lag, 120) < 12.0
    assert found.drift_ppm == pytest.approx(100 / 3, abs=3.0)


def test_a_large_change_is_found_again() -> None:
    def lag(times: np.ndarray) -> np.ndarray:
        return 960 + 1e-6 * np.interp(times / RATE, [0, 70, 120], [0, 0, 1000 * 50 * RATE])

    far = speech_like(120, seed=1)
    assert worst_error(aligned(heard(far, lag), far), lag, 120) < 64.0


@pytest.mark.parametrize("ppm", [0, 200])
def test_a_jump_is_no_drift(ppm: float) -> None:
    """A buffer that ran over: the lag is another from one moment to the next."""

    def lag(times: np.ndarray) -> np.ndarray:
        return steady(ppm)(times) + np.where(times < 60 * RATE, 0.0, 0.1 * RATE)

    far = speech_like(100, seed=1)
    found = aligned(heard(far, lag), far)
    assert found.drift_ppm == pytest.approx(ppm, abs=2.0)
    assert (found.curve is not None) == (ppm != 0)
    if found.curve is not None:
        times = np.delete(np.arange(0.0, 100 * RATE, RATE), slice(56, 64))
        assert np.abs(found.curve.at(times) - lag(times)).max() < 2.0


def test_a_jump_out_of_sight_is_brought_back() -> None:
    def lag(times: np.ndarray) -> np.ndarray:
        return np.where(times < 60 * RATE, 960.0, 1.5 * RATE)

    far = speech_like(100, seed=1)
    found = aligned(heard(far, lag), far)
    assert found.curve is not None
    assert found.drift_ppm == pytest.approx(0.0, abs=2.0)
    times = np.array([5.0, 55.0, 65.0, 95.0]) * RATE
    assert found.curve.at(times) == pytest.approx(lag(times), abs=2.0)
    assert 1000 * found.steady / RATE == pytest.approx(60.0, abs=1.0)


def test_a_speaker_who_walks_is_no_drift() -> None:
    """Half a metre to and fro in ten seconds: up to 900 ppm at times, none in the mean."""

    def lag(times: np.ndarray) -> np.ndarray:
        return 960 + 24 * np.sin(2 * np.pi * times / (10 * RATE))

    far = speech_like(90, seed=1)
    found = aligned(heard(far, lag) + speech_like(90, seed=3), far)
    assert found.curve is None
    assert found.shift == 0


def test_the_lag_goes_on_where_nothing_is_heard() -> None:
    far, lag = speech_like(140, seed=1), steady(300)
    far[40 * RATE : 80 * RATE] = 0.0
    mic = heard(far, lag) + 0.1 * speech_like(140, seed=3)
    mic[110 * RATE :] = 0.1 * speech_like(30, seed=4)  # the loudspeaker is turned off
    found = aligned(mic, far)
    assert worst_error(found, lag, 140) < 2.0


def test_what_is_quiet_at_first_is_found_later() -> None:
    far, lag = speech_like(100, seed=1), steady(-400, 2.5)
    mic = heard(far, lag) + 0.1 * speech_like(100, seed=3)
    mic[: 60 * RATE] = 0.1 * speech_like(60, seed=4)
    found = aligned(mic, far)
    assert worst_error(found, lag, 100) < 1.0


def test_a_stranger_is_not_followed() -> None:
    assert aligned(speech_like(100, seed=10), speech_like(100, seed=20)) == Alignment(unheard=True)


def test_a_beat_is_not_followed_from_one_stroke_to_the_next() -> None:
    beat = np.tile(speech_like(0.25, seed=5), 240)
    assert aligned(0.5 * beat + speech_like(60, seed=6), beat).curve is None


def test_the_reference_is_in_step_after_alignment() -> None:
    far, lag = speech_like(60, seed=1), steady(500, 1.0)
    mic = heard(far, lag)
    echo = heard(align_reference(mic, far, CONFIG), steady(0, 0.048))
    piece = slice(2 * RATE, 57 * RATE)
    assert len(echo) == len(mic)
    assert np.mean((mic - echo)[piece] ** 2) < 0.1 * np.mean(mic[piece] ** 2)  # what is left is half a sample


@settings(max_examples=3, deadline=None)
@given(block=st.integers(900, 200_000))
def test_the_cut_into_blocks_changes_nothing(block: int) -> None:
    far = speech_like(24, seed=1)
    mic = heard(far, steady(400)) + 0.3 * speech_like(24, seed=3)
    assert follow(mic, far, block).points == follow(mic, far).points


@settings(max_examples=10, deadline=None)
@given(mic=st.integers(0, 40_000), ref=st.integers(0, 40_000), loud=st.sampled_from([0.0, 1e-6, 1.0, 1e6]))
def test_any_lengths_will_do(mic: int, ref: int, loud: float) -> None:
    far = speech_like(5, seed=1)
    near = np.float32(loud) * heard(far, steady(0))
    moved = align_reference(near[:mic], far[:ref], CONFIG)
    assert moved.shape == (mic,)
    assert np.isfinite(moved).all()


def test_an_estimate_is_there_while_the_call_goes_on() -> None:
    """As a live call needs it: the lag of now from what was pushed so far."""
    far, lag = speech_like(90, seed=1), steady(200)
    mic = heard(far, lag)
    tracker = DriftTracker()
    assert tracker.line is None
    for start in range(0, len(far), 1600):
        tracker.push(mic[start : start + 1600], far[start : start + 1600])
        if start > 70 * RATE:
            assert tracker.line is not None
            assert tracker.line.at(start) == pytest.approx(float(lag(np.array([start]))[0]), abs=1.0)


def test_memory_is_flat() -> None:
    far = speech_like(20, seed=1)
    mic = heard(np.tile(far, 2), steady(0))[len(far) :]

    def minutes(signal: Samples, count: int) -> Iterator[Samples]:
        for _ in range(3 * count):
            yield signal

    def peak(count: int) -> int:
        tracemalloc.start()
        try:
            find_alignment(minutes(mic, count), minutes(far, count), CONFIG)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(5) < 1.1 * peak(2)


def test_no_points_no_curve() -> None:
    assert fit_curve([]) is None
