"""What must hold for the energy metrics whatever the signals are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localvqe_cli.evaluation.statistics import bootstrap_interval
from localvqe_cli.metrics.aecmos import rated_part
from localvqe_cli.metrics.erle import blind_erle_db, erle_db
from localvqe_cli.metrics.signals import TalkType
from localvqe_cli.metrics.sisdr import si_sdr_db

seeds = st.integers(0, 2**32 - 1)
lengths = st.integers(1024, 6000)
gains = st.floats(0.01, 10.0)


def signals(seed: int, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    loudness = np.repeat(rng.uniform(0.1, 2, (3, length // 100 + 1)), 100, axis=1)[:, :length]
    made = 0.1 * loudness * rng.standard_normal((3, length))
    return tuple(made.astype(np.float32))  # type: ignore[return-value]


@settings(max_examples=40, deadline=None)
@given(seeds, lengths, gains)
def test_turning_the_output_down_adds_to_both_erles(seed: int, length: int, gain: float) -> None:
    mic, ref, out = signals(seed, length)
    quieter = (gain * out).astype(np.float32)
    change = -20 * np.log10(gain)
    assert erle_db(mic, quieter) - erle_db(mic, out) == pytest.approx(change, abs=1e-3)
    before = blind_erle_db(mic, ref, out)
    after = blind_erle_db(mic, ref, quieter)
    # Which frames count depends on mic and reference alone.
    assert isinstance(before, float) == isinstance(after, float)
    if isinstance(before, float):
        assert after - before == pytest.approx(change, abs=1e-3)


@settings(max_examples=40, deadline=None)
@given(seeds, lengths, gains)
def test_si_sdr_does_not_hear_level_or_polarity(seed: int, length: int, gain: float) -> None:
    _, target, out = signals(seed, length)
    before = si_sdr_db(out, target)
    assert isinstance(before, float)
    assert si_sdr_db((-gain * out).astype(np.float32), target) == pytest.approx(before, abs=1e-2)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(TalkType), st.integers(0, 10**7))
def test_the_rated_part_ends_with_the_clip(talk: TalkType, length: int) -> None:
    part = rated_part(talk, length)
    assert part.stop == length
    assert 0 <= part.start <= length
    # Just past 15 s of doubletalk hardly anything is rated: that is the challenge's rule.
    if length >= 16 * 16000:
        assert part.stop - part.start >= 8000


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-50, 50), min_size=2, max_size=60))
def test_the_interval_lies_within_the_values(values: list[float]) -> None:
    found = bootstrap_interval(values)
    assert found is not None
    assert min(values) - 1e-9 <= found[0] <= found[1] <= max(values) + 1e-9
