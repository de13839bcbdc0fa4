"""The delay search: finds an echo, ignores everything else, moves the reference only when it must."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from echo_scene import RATE, in_room, speech_like

from localvqe_cli.audio import estimate_delay, reference_shift
from localvqe_cli.audio.align import SEARCH_SECONDS
from localvqe_cli.config import ModelConfig
from localvqe_cli.signal_path import Alignment, find_alignment, read_at_model_rate

# Which of a room's strong reflections gives the highest peak depends on the frequency band.
REFLECTIONS_MS = 15
# The correlation finds no delay in these: no echo in the near-end ones, almost none in the other.
WITHOUT_ECHO = {
    "doubletalk-with-movement-06",
    "nearend-singletalk-01",
    "nearend-singletalk-02",
    "nearend-singletalk-03",
}


def recording(delay_ms: float, seconds: float = 12.0, echo: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    ref = speech_like(seconds, seed=1)
    wet = in_room(ref, 2)
    delay = int(delay_ms * RATE / 1000)
    moved = np.zeros_like(wet)
    if delay >= 0:
        moved[delay:] = wet[: len(wet) - delay]
    else:
        moved[:delay] = wet[-delay:]
    return (echo * moved + speech_like(seconds, seed=3)).astype(np.float32), ref


def aligned(mic: np.ndarray, ref: np.ndarray) -> Alignment:
    return find_alignment([mic], [ref], ModelConfig())


@pytest.mark.parametrize(
    ("delay_ms", "shift_ms"), [(-7000, -7048), (-2900, -2948), (-300, -348), (100, 0), (900, 852), (3000, 2952)]
)
def test_the_shift_brings_the_echo_into_the_models_sight(delay_ms: float, shift_ms: float) -> None:
    found = aligned(*recording(delay_ms, seconds=20.0))
    assert found.delay_ms == pytest.approx(delay_ms, abs=REFLECTIONS_MS)
    assert found.shift_ms == pytest.approx(shift_ms, abs=REFLECTIONS_MS)
    assert found.curve is None


def test_what_is_not_certain_shifts_nothing() -> None:
    for talk in range(3):
        found = aligned(speech_like(12, seed=10 + talk), speech_like(12, seed=20 + talk))
        assert found == Alignment(unheard=True)
    assert aligned(np.zeros(16000, np.float32), speech_like(1, seed=1)) == Alignment()


def test_an_echo_after_minutes_of_silence_is_found() -> None:
    mic, ref = recording(900, seconds=30.0)
    pause = speech_like(100, seed=8), 1e-4 * speech_like(100, seed=9)
    late = [np.concatenate(parts) for parts in zip(pause, (mic, ref), strict=True)]
    assert aligned(*late).shift_ms == pytest.approx(852, abs=REFLECTIONS_MS)


@pytest.mark.parametrize("delay_ms", [-1500, -300, -20, 0, 40, 480, 900, 1800])
def test_finds_the_echo_under_a_talker(delay_ms: float) -> None:
    found = estimate_delay(*recording(delay_ms))
    assert found is not None
    assert found.trusted
    assert found.delay_ms == pytest.approx(delay_ms, abs=1)


def test_strangers_have_no_trusted_delay() -> None:
    for seed in range(4):
        found = estimate_delay(speech_like(12, seed=10 + seed), speech_like(12, seed=20 + seed))
        assert found is not None
        assert not found.trusted


def test_a_periodic_reference_gives_no_trusted_delay() -> None:
    """Every period of a beat fits as well as the next, so no peak stands alone."""
    beat = np.tile(speech_like(0.25, seed=5), 48)
    found = estimate_delay(0.5 * beat + speech_like(12, seed=6), beat)
    assert found is not None
    assert not found.trusted


def test_silence_has_no_delay() -> None:
    silence, sound = np.zeros(RATE, np.float32), speech_like(1, seed=0)
    assert estimate_delay(silence, sound) is None
    assert estimate_delay(sound, silence) is None


def test_very_short_signals_are_no_trouble() -> None:
    found = estimate_delay(speech_like(0.05, seed=0), speech_like(0.02, seed=1))
    assert found is None or not found.trusted


@pytest.mark.parametrize(
    ("delay_ms", "dmax", "shift_ms"),
    [
        (0, 32, 0),
        (-1, 32, 0),
        (-5, 32, -53),
        (-300, 32, -348),
        (100, 32, 0),
        (464, 32, 0),
        (465, 32, 417),
        (900, 32, 852),
        (900, 64, 0),
        (1500, 64, 1452),
    ],
)
def test_moves_the_reference_only_when_the_echo_is_out_of_sight(delay_ms: float, dmax: int, shift_ms: float) -> None:
    assert reference_shift(delay_ms, dmax) == shift_ms * RATE // 1000
    # After the shift the echo is where the model looks, with room on both sides.
    if shift_ms:
        assert delay_ms - shift_ms == 48


def pairs(eval_dev: Path) -> list[dict[str, str]]:
    with open(eval_dev / "pairs.tsv", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_real_recordings_are_left_alone(eval_dev: Path) -> None:
    """The devices' own delays all lie in the model's window; what has no echo must not be trusted."""
    for row in pairs(eval_dev):
        mic, ref = (read_at_model_rate(str(eval_dev / row[role])) for role in ("mic", "ref"))
        found = estimate_delay(*(signal[: SEARCH_SECONDS * RATE] for signal in (mic, ref)))
        assert found is not None
        assert found.trusted == (row["id"] not in WITHOUT_ECHO), row["id"]
        if found.trusted:
            assert found.delay_ms == pytest.approx(float(row["gcc_phat_delay_ms"]), abs=REFLECTIONS_MS), row["id"]
            assert reference_shift(found.delay_ms, 32) == 0
        moved = aligned(mic, ref)
        assert (moved.shift, moved.curve) == (0, None), row["id"]
        assert (moved.drift_ppm is not None) == (row["id"] not in WITHOUT_ECHO), row["id"]


@pytest.mark.parametrize("shift_ms", [-400, 800])
def test_a_real_reference_that_was_moved_is_found(eval_dev: Path, shift_ms: int) -> None:
    import soundfile as sf

    shift = shift_ms * RATE // 1000
    for name, delay_ms in (("doubletalk-03", 40.6), ("farend-singletalk-02", 35.4), ("synthetic-doubletalk-01", 48.2)):
        mic, _ = sf.read(eval_dev / f"{name}_mic.flac", dtype="float32")
        ref, _ = sf.read(eval_dev / f"{name}_ref.flac", dtype="float32")
        moved = ref[shift:] if shift > 0 else np.concatenate([np.zeros(-shift, np.float32), ref])
        found = estimate_delay(mic, moved)
        assert found is not None
        assert found.trusted
        assert found.delay_ms == pytest.approx(delay_ms + shift_ms, abs=REFLECTIONS_MS)
