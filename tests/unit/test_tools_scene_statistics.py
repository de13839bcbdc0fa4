"""The statistics of scenes and recordings, on signals whose figures are known."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from scripts import load_script

from localvqe_cli.training import echo_path

RATE = 16000


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    pytest.importorskip("speechmos")
    return load_script("tools/scene_statistics.py")


def noise(seed: int, seconds: float) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(int(seconds * RATE))).astype(np.float32)


def room(seconds_to_60_db: float) -> np.ndarray:
    time = np.arange(3000) / RATE
    return np.random.default_rng(8).standard_normal(3000) * 10 ** (-3.0 * time / seconds_to_60_db)


def test_delay_and_drift(tool: ModuleType) -> None:
    ref = noise(1, 12.0)
    assert tool._lag(np.roll(ref, 700), ref) == 692  # eight samples to spare
    for ppm in (0.0, 60.0, -150.0):
        mic = echo_path.read_at(ref, np.arange(len(ref)) * (1 - 1e-6 * ppm) - 20.0)
        assert tool._drift(mic + noise(2, 12.0) * np.float32(0.1), ref) == pytest.approx(ppm, abs=4.0)


@pytest.mark.parametrize("decay", [0.15, 0.4])
def test_decay_of_the_path(tool: ModuleType, decay: float) -> None:
    ref = noise(1, 20.0)
    mic = np.convolve(ref, room(decay))[: len(ref)].astype(np.float32)
    found, direct = tool._decay(mic, ref)
    assert found == pytest.approx(decay, rel=0.3)
    share = 10 ** (-6.0 * 0.016 / decay)
    assert direct == pytest.approx(10 * np.log10((1 - share) / share), abs=1.5)


def test_linear_share(tool: ModuleType) -> None:
    ref = noise(1, 12.0)
    assert tool._coherent(ref + noise(2, 12.0) * np.float32(0.3), ref) == pytest.approx(10.9, abs=1.0)
    assert tool._coherent(noise(2, 12.0), ref) < 0.5


def test_figures_of_a_clip(tool: ModuleType) -> None:
    far = np.ones(12 * RATE, dtype=np.float32)
    far[4 * RATE : 7 * RATE] = 0.0
    ref = noise(1, 12.0) * far
    echo = np.float32(0.5) * np.roll(ref, 800)
    clip = tool.Clip("a", "farend", echo + np.float32(0.01) * noise(2, 12.0), ref)
    tool.cancel([clip])
    tool.measure(clip)
    figures = clip.figures
    assert figures["ref_db"] == pytest.approx(-20.0, abs=0.5)
    assert figures["floor_db"] == pytest.approx(-60.0, abs=1.0)
    assert figures["enr"] == pytest.approx(34.0, abs=1.0)
    assert figures["far_share"] == pytest.approx(75.0, abs=1.0)
    assert figures["far_pause"] == pytest.approx(3.0, abs=0.1)
    assert figures["ref_zero"] == pytest.approx(25.0, abs=0.1)
    assert abs(figures["tilt"]) < 0.6
    assert figures["erle_end"] > 15.0
    assert 1.0 <= figures["out_echo"] <= 5.0
    table = tool.table([clip], [clip])
    assert "| delay of the echo, ms |  |  | 50 / 50 / 50 |" in table


def test_clipping_is_found_in_runs(tool: ModuleType) -> None:
    x = noise(3, 1.0)
    assert tool._clipped(x) == 0.0
    assert tool._clipped(np.clip(x, -0.1, 0.1)) > 0.01
