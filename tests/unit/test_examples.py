"""The sample pair in examples/: it is what its README says, and the script that made it is sound."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
from scripts import load_script

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
AUDIO = ("sample_mic.wav", "sample_ref.wav", "sample_target.flac")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """examples/make_sample_pair.py as a module; importing it makes nothing."""
    return load_script("examples/make_sample_pair.py")


@pytest.fixture(scope="module")
def signals() -> dict[str, np.ndarray]:
    return {Path(name).stem.removeprefix("sample_"): soundfile.read(EXAMPLES / name)[0] for name in AUDIO}


@pytest.fixture(scope="module")
def documented_scenes() -> dict[str, tuple[float, float]]:
    """The table "What happens when" of the README, in seconds."""
    rows = re.findall(r"^\| ([a-z ]+) \| ([\d.]+) \| ([\d.]+) \|", (EXAMPLES / "README.md").read_text(), re.MULTILINE)
    return {name: (float(start), float(end)) for name, start, end in rows}


@pytest.fixture(scope="module")
def documented_delay() -> int:
    """The README's echo delay, in samples at 16 kHz."""
    found = re.search(r"Echo delay: (\d+) ms", (EXAMPLES / "README.md").read_text())
    assert found is not None
    return int(found[1]) * 16


def scene(signal: np.ndarray, span: tuple[float, float]) -> np.ndarray:
    return signal[round(span[0] * 16000) : round(span[1] * 16000)]


def level(signal: np.ndarray) -> float:
    """RMS in dBFS."""
    return float(10 * np.log10(np.mean(signal**2) + 1e-20))


def correlation(mic: np.ndarray, ref: np.ndarray, *, whiten: bool) -> np.ndarray:
    """Cross-correlation at lags 0..4095 samples; whitened (GCC-PHAT) it ignores the loudspeaker's colour."""
    n = 2 * len(mic)
    cross = np.fft.rfft(mic, n) * np.conj(np.fft.rfft(ref, n))
    return np.fft.irfft(cross / (np.abs(cross) + 1e-9) if whiten else cross, n)[:4096]


@pytest.mark.parametrize("name", AUDIO)
def test_format(name: str) -> None:
    info = soundfile.info(EXAMPLES / name)
    assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")


def test_lengths_agree_with_each_other_and_with_the_readme(
    signals: dict[str, np.ndarray], documented_scenes: dict[str, tuple[float, float]]
) -> None:
    end = max(end for _, end in documented_scenes.values())
    assert {name: len(x) for name, x in signals.items()} == dict.fromkeys(signals, round(end * 16000))


def test_audio_stays_under_500_kb() -> None:
    # Only what belongs here: whoever tries the README leaves an enhanced file beside the pair.
    assert sum((EXAMPLES / name).stat().st_size for name in AUDIO) < 500_000


def test_levels_are_those_of_a_call(signals: dict[str, np.ndarray]) -> None:
    assert level(signals["mic"]) == pytest.approx(-26, abs=1.5)
    assert all(np.abs(x).max() < 0.9 for x in signals.values())


def test_readme_and_script_name_the_same_scenes_and_delay(
    script: ModuleType, documented_scenes: dict[str, tuple[float, float]], documented_delay: int
) -> None:
    assert documented_scenes == script.SCENES
    assert documented_delay == round(script.ECHO_DELAY_S * script.RATE)


def test_each_scene_holds_the_voices_it_promises(
    signals: dict[str, np.ndarray], documented_scenes: dict[str, tuple[float, float]]
) -> None:
    talks = {
        who: {name: level(scene(signals[who], span)) > -40 for name, span in documented_scenes.items()}
        for who in ("ref", "target")
    }
    assert talks["ref"] == {"far end alone": True, "doubletalk": True, "near end alone": False}
    assert talks["target"] == {"far end alone": False, "doubletalk": True, "near end alone": True}
    # Silence of one party means silence, or the scene would teach nothing about the other.
    assert level(scene(signals["ref"], documented_scenes["near end alone"])) < -90
    assert level(scene(signals["target"], documented_scenes["far end alone"])) < -90


def test_noise_lies_20_db_below_the_near_end_voice(
    signals: dict[str, np.ndarray], documented_scenes: dict[str, tuple[float, float]]
) -> None:
    before_anyone_talks = level(signals["mic"][: round(0.15 * 16000)])
    while_the_near_end_talks = level(scene(signals["mic"], documented_scenes["near end alone"]))
    assert while_the_near_end_talks - before_anyone_talks == pytest.approx(20, abs=2)


@pytest.mark.parametrize(
    ("whiten", "tolerance"),
    [
        pytest.param(False, 16, id="plain: the loudspeaker's group delay adds up to 1 ms"),
        pytest.param(True, 2, id="whitened"),
    ],
)
def test_echo_arrives_after_the_documented_delay(
    signals: dict[str, np.ndarray],
    documented_scenes: dict[str, tuple[float, float]],
    documented_delay: int,
    whiten: bool,
    tolerance: int,
) -> None:
    span = documented_scenes["far end alone"]
    found = correlation(scene(signals["mic"], span), scene(signals["ref"], span), whiten=whiten)
    assert abs(int(np.argmax(np.abs(found))) - documented_delay) <= tolerance


def test_target_is_in_step_with_the_microphone(
    signals: dict[str, np.ndarray], documented_scenes: dict[str, tuple[float, float]]
) -> None:
    span = documented_scenes["near end alone"]
    mic, target = scene(signals["mic"], span), scene(signals["target"], span)
    found = correlation(mic, target, whiten=False)
    assert int(np.argmax(found)) == 0
    # Late reverberation and noise are missing from the target, so it is close to the microphone but not the same.
    assert 2 < level(target) - level(mic - target) < 20


def test_direct_sound_arrives_after_its_time_of_flight(script: ModuleType) -> None:
    room = script.Room()
    response = script.room_response(room, room.talker, seed=3)
    metres = float(np.linalg.norm(np.subtract(room.talker, room.microphone)))
    assert int(np.argmax(np.abs(response))) == pytest.approx(metres / script.SPEED_OF_SOUND * script.RATE, abs=1)


def test_room_rings_as_long_as_it_says(script: ModuleType) -> None:
    room = script.Room(reverberation_s=0.35)
    energy = np.cumsum(script.room_response(room, room.talker, seed=3)[::-1] ** 2)[::-1]
    decay = 10 * np.log10(energy / energy[0])
    # T20: from -5 to -25 dB, times three.
    seconds = 3 * (np.argmax(decay < -25) - np.argmax(decay < -5)) / script.RATE
    assert seconds == pytest.approx(0.35, rel=0.25)


def test_loudspeaker_distorts_and_carries_no_bass(script: ModuleType) -> None:
    n = 16000
    time = np.arange(n) / n
    spectrum = np.abs(np.fft.rfft(script.loudspeaker(0.3 * np.sin(2 * np.pi * 1000 * time))))
    # Even and odd harmonics: the clipping is lopsided.
    assert spectrum[2000] > 0.01 * spectrum[1000]
    assert spectrum[3000] > 0.01 * spectrum[1000]
    tones = np.sin(2 * np.pi * 60 * time) + np.sin(2 * np.pi * 1000 * time)
    spectrum = np.abs(np.fft.rfft(script.loudspeaker(0.1 * tones)))
    assert spectrum[60] < 0.1 * spectrum[1000]


def test_same_seed_same_pair(script: ModuleType) -> None:
    voices = np.random.default_rng(0).standard_normal((2, 16000)) * 0.1
    small = script.Room(reverberation_s=0.1)  # few images, quick
    first, again, other = (script.simulate(*voices, seed, small) for seed in (1, 1, 2))
    assert np.array_equal(first.mic, again.mic)
    assert not np.allclose(first.mic, other.mic)
    assert np.array_equal(first.reference, other.reference)


def test_refuses_to_write_a_clipped_file(script: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="would clip"):
        script.write(tmp_path / "loud.wav", np.full(100, 1.2))
    assert not list(tmp_path.iterdir())
