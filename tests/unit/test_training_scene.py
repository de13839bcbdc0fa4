"""Scenes: deterministic, at the levels they promise, with the right target."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from training_data import make_manifest

from localvqe_cli.geometry import MODEL_RATE as RATE
from localvqe_cli.training.corpus import Corpus, active_rms, load_corpus
from localvqe_cli.training.dataset import SceneDataset, batches
from localvqe_cli.training.manifest import read_manifest
from localvqe_cli.training.rooms import Room, load_rooms
from localvqe_cli.training.scene import SCENARIOS, Scene, SceneMaker, SceneOptions, _between_words

Draw = Callable[..., list[Scene]]


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> tuple[Corpus, list[Room]]:
    folder = tmp_path_factory.mktemp("scene")
    entries = read_manifest(make_manifest(folder))
    return load_corpus(entries, folder / "cache", "train"), load_rooms(folder / "cache", 6, 1)


@pytest.fixture(scope="module")
def draw(material: tuple[Corpus, list[Room]]) -> Draw:
    def make(scenario: str | None = None, count: int = 8, **options: object) -> list[Scene]:
        if scenario is not None:
            options["mix"] = {scenario: 1.0}
        maker = SceneMaker(*material, SceneOptions(**{"seconds": 2.0, **options}))  # type: ignore[arg-type]
        return [maker.make(np.random.default_rng((9, i))) for i in range(count)]

    return make


#: Nothing that changes within a scene, and nothing that is not linear.
STILL = {
    "faint_echo_share": 0.0,
    "drift_share": 0.0,
    "jump_share": 0.0,
    "change_share": 0.0,
    "volume_share": 0.0,
    "agc_share": 0.0,
    "compressor_share": 0.0,
    "clip_share": 0.0,
    "flaw_share": 0.0,
}


def db(x: float) -> float:
    return float(20 * np.log10(x))


def test_the_same_number_is_the_same_clip(material: tuple[Corpus, list[Room]]) -> None:
    maker = SceneMaker(*material, SceneOptions(seconds=1.0, mix={"doubletalk": 1.0}))
    one, two = SceneDataset(maker, 4), SceneDataset(maker, 4)
    for index in (5, 0, 5):
        assert all(np.array_equal(a, b) for a, b in zip(one[index][:3], two[index][:3], strict=True))
    assert not np.array_equal(one[0][0], one[1][0])
    assert not np.array_equal(one[0][0], SceneDataset(maker, 5)[0][0])


def test_workers_change_nothing(material: tuple[Corpus, list[Room]]) -> None:
    dataset = SceneDataset(SceneMaker(*material, SceneOptions(seconds=1.0)), 4)
    plain, helped = batches(dataset, 6, 2, 0), batches(dataset, 6, 2, 2)
    for _ in range(3):
        for a, b in zip(next(plain), next(helped), strict=True):
            assert np.array_equal(a, b)
    helped.close()
    first = next(batches(dataset, 8, 2, 0))
    second = batches(dataset, 6, 2, 0)
    next(second)
    assert np.array_equal(first[0], next(second)[0])


def test_every_scenario_is_well_formed(draw: Draw) -> None:
    for scenario in SCENARIOS:
        for scene in draw(scenario):
            assert scene.scenario == scenario
            for signal in (scene.mic, scene.ref, scene.target, scene.near, scene.echo, scene.noise):
                assert signal.shape == (2 * RATE,)
                assert signal.dtype == np.float32
                assert np.isfinite(signal).all()
            assert max(np.abs(scene.mic).max(), np.abs(scene.ref).max(), np.abs(scene.target).max()) <= 1.0
            speech = scene.target - 10 ** (SceneOptions().noise_kept_db / 20) * scene.noise
            assert (np.abs(speech).max() > 1e-4) == (scenario in ("doubletalk", "nearend"))
            assert bool(scene.echo.any()) == (scenario in ("doubletalk", "farend"))
            assert scene.delay.shape == (2 * RATE // 256 + 1,)
            assert bool((scene.delay >= 0).any()) == bool(scene.echo.any())


def test_the_mix_is_the_mix(draw: Draw) -> None:
    scenarios = [scene.scenario for scene in draw(count=120, seconds=1.0, mix={"farend": 0.75, "noise": 0.25})]
    assert set(scenarios) == {"farend", "noise"}
    assert 70 <= scenarios.count("farend") <= 108


@pytest.mark.parametrize("ser", [-12.0, 0.0, 9.0])
def test_echo_ratio(draw: Draw, ser: float) -> None:
    for scene in draw("doubletalk", ser_db=(ser, ser), **STILL):
        assert db(active_rms(scene.near) / active_rms(scene.echo)) == pytest.approx(ser, abs=0.01)


def test_noise_ratio(draw: Draw) -> None:
    def ratio(scene: Scene) -> float:
        return db(active_rms(scene.near) / np.sqrt(np.mean(scene.noise**2)))

    for scenario in ("nearend", "doubletalk"):
        for scene in draw(scenario, snr_db=(5.0, 5.0), noisy_share=0.0, **STILL):
            assert ratio(scene) == pytest.approx(5.0, abs=0.01)
        noisy = draw(scenario, snr_db=(50.0, 50.0), noisy_share=0.5, noisy_snr_db=(0.0, 10.0), count=40, **STILL)
        assert 10 <= sum(-0.01 <= ratio(scene) <= 10.01 for scene in noisy) <= 30


@pytest.mark.parametrize(
    ("scenario", "level"), [("doubletalk", -40.0), ("farend", -20.0), ("nearend", -20.0), ("noise", -40.0)]
)
def test_level(draw: Draw, scenario: str, level: float) -> None:
    for scene in draw(scenario, level_db=(level, level)):
        assert db(active_rms(scene.near + scene.echo + scene.noise)) == pytest.approx(level, abs=0.01)


def test_clipping_is_all_that_separates_the_microphone_from_its_parts(draw: Draw) -> None:
    clipped = 0
    for scene in draw("doubletalk", count=40, level_db=(-30.0, -5.0), clip_share=0.2):
        sum_of_parts = scene.near + scene.echo + scene.noise
        limit = np.abs(scene.mic).max()
        assert np.allclose(scene.mic, np.clip(sum_of_parts, -limit, limit), atol=1e-6)
        clipped += bool(np.abs(sum_of_parts).max() > limit + 1e-6)
    assert 0 < clipped < 40


def test_target_is_the_early_near_end_at_its_level(draw: Draw) -> None:
    for scene in draw("nearend", level_db=(-25.0, -25.0), **STILL):
        scale = float(np.dot(scene.near, scene.target) / np.dot(scene.target, scene.target))
        assert 0.8 < scale < 1.2  # the late part is hardly correlated with the early one
        shifts = [float(np.dot(np.roll(scene.near, -s), scene.target)) for s in (-8, 0, 8)]
        assert max(shifts) == shifts[1]
        assert active_rms(scene.target) < 1.3 * active_rms(scene.near)


def test_echo_follows_the_reference_by_its_delay(draw: Draw) -> None:
    hits = 0
    scenes = draw("farend", count=16, delay=(0.02, 0.3), **STILL)
    for scene in scenes:
        size = 1 << 16
        cross = np.fft.rfft(scene.echo, size) * np.conj(np.fft.rfft(scene.ref, size))
        lag = int(np.argmax(np.fft.irfft(cross / (np.abs(cross) + 1e-9), size)[: RATE // 2]))
        hits += abs(lag - scene.delay.max()) < 40
    assert hits >= 12  # a device response may be loudest a little later


@pytest.mark.parametrize("share", ["change_share", "jump_share", "drift_share", "volume_share"])
def test_whatever_changes_shows_in_the_echo_alone(draw: Draw, share: str) -> None:
    options = {**STILL, "linear_share": 1.0, "seconds": 6.0}
    still, moving = (draw("farend", **{**options, share: value}) for value in (0.0, 1.0))
    assert all(np.isfinite(scene.echo).all() for scene in moving)
    assert sum(not np.allclose(a.echo, b.echo, atol=1e-3) for a, b in zip(still, moving, strict=True)) >= 7


def test_clock_drift_moves_the_delay_at_a_constant_rate(draw: Draw) -> None:
    options = {**STILL, "seconds": 10.0, "drift_share": 1.0, "drift_ppm": 2000.0}
    rates = []
    for scene in draw("farend", count=20, **options):
        heard = np.flatnonzero(scene.delay >= 0)
        slope, start = np.polyfit(heard, scene.delay[heard], 1)
        assert np.abs(scene.delay[heard] - np.maximum(slope * heard + start, 0)).max() < 40  # an early one stops at 0
        rates.append(slope / 256 * 1e6)
    assert np.abs(rates).max() <= 2001
    assert 300 < np.median(np.abs(rates)) < 1500
    assert min(rates) < 0 < max(rates)


def test_jumps_stay_within_the_delays_allowed(draw: Draw) -> None:
    jumps = 0
    for scene in draw("farend", count=20, **{**STILL, "jump_share": 1.0, "seconds": 5.0, "delay": (0.01, 0.2)}):
        heard = scene.delay[scene.delay >= 0]
        assert 0.01 * RATE - 1 <= heard.min() <= heard.max() <= 0.2 * RATE + 1
        jumps += bool(np.abs(np.diff(heard)).max() >= 0.002 * RATE - 1)
    assert jumps >= 15  # the others were not heard


def test_a_call_has_pauses_on_both_sides(draw: Draw) -> None:
    late = exact = overlaps = alone = 0
    scenes = draw(
        "doubletalk",
        count=24,
        **{**STILL, "seconds": 12.0, "pause_share": 0.5, "snr_db": (60.0, 60.0), "noisy_share": 0.0},
    )
    for scene in scenes:
        frames = [np.abs(x[: 12 * RATE]).reshape(-1, RATE // 10).max(axis=1) for x in (scene.ref, scene.near)]
        far, near = (x > 1e-2 * x.max() for x in frames)
        late += not far[:15].any()
        exact += bool((frames[0] == 0.0).sum() >= 10)
        overlaps += bool((far & near).sum() >= 10)
        alone += bool((far & ~near).sum() >= 10) and bool((near & ~far).sum() >= 10)
        assert far.sum() >= 5
        assert near.sum() >= 5
    assert 3 <= late <= 15
    assert 6 <= exact <= 18
    assert overlaps >= 12
    assert alone >= 12


@pytest.mark.parametrize(("share", "floor"), [(1.0, 0.0), (0.0, 1e-7)])
def test_the_reference_is_silent_or_faintly_noisy_in_pauses(draw: Draw, share: float, floor: float) -> None:
    options = {**STILL, "seconds": 6.0, "pause_share": 1.0, "silent_pause_share": share}
    for scene in draw("farend", **options):
        quietest = np.abs(scene.ref).reshape(-1, 800).max(axis=1).min()
        assert quietest == 0.0 if share else quietest > floor


@pytest.mark.parametrize("share", ["agc_share", "compressor_share"])
def test_gain_control_holds_the_parts_and_the_target_alike(draw: Draw, share: str) -> None:
    options = {**STILL, "snr_db": (80.0, 80.0), "noisy_share": 0.0, "level_db": (-30.0, -30.0), "seconds": 5.0}
    changing = 0
    for plain, held in zip(draw("doubletalk", **options), draw("doubletalk", **{**options, share: 1.0}), strict=True):
        assert np.allclose(held.mic, held.near + held.echo + held.noise, atol=1e-6)
        assert active_rms(held.mic) == pytest.approx(10 ** (-30 / 20), rel=0.01)
        parts = [(getattr(plain, name), getattr(held, name)) for name in ("near", "echo", "target")]
        loud = np.all([np.abs(before) > 1e-2 * np.abs(before).max() for before, _ in parts], axis=0)
        assert loud.sum() > 50
        gains = np.array([after[loud] / before[loud] for before, after in parts])
        assert np.allclose(gains, gains[0], rtol=1e-2)
        changing += bool(np.ptp(gains[0]) > 0.1 * gains[0].mean())
    assert changing >= 4


def test_flaws_of_the_reference(draw: Draw) -> None:
    flawed, plain = (draw("farend", count=60, **{**STILL, "flaw_share": share}) for share in (1.0, 0.0))
    offsets = [abs(a.ref.mean() - b.ref.mean()) > 3e-4 for a, b in zip(flawed, plain, strict=True)]
    assert 5 < sum(offsets) < 50
    assert all(np.abs(scene.ref).max() <= 1.0 for scene in flawed)


def test_a_piece_of_a_recording_begins_and_ends_in_pauses() -> None:
    rng = np.random.default_rng(1)
    talks = np.zeros(200, bool)  # frames of 50 ms: words of 400 ms, pauses of 150
    for first in range(0, 200, 11):
        talks[first : first + 8] = True
    recording = (rng.standard_normal(10 * RATE) * np.repeat(talks, RATE // 20)).astype(np.float32)
    silence = np.zeros(RATE, dtype=np.float32)
    for offset in range(0, 40000, 3001):
        part = _between_words(recording[offset:], 5 * RATE, first=True, last=True)
        assert 3 * RATE < len(part) <= 5 * RATE
        assert np.abs(part[:480]).max() < 1e-3 * np.abs(part).max()
        assert np.abs(part[-480:]).max() < 1e-3 * np.abs(part).max()
    whole = _between_words(np.concatenate([silence, recording, silence]), 20 * RATE, first=False, last=False)
    assert abs(len(whole) - 10 * RATE) < 0.2 * RATE


def test_easy_scenes_come_first(material: tuple[Corpus, list[Room]]) -> None:
    options = SceneOptions(seconds=1.0, mix={"nearend": 1.0})
    easy = SceneOptions(seconds=1.0, mix={"farend": 1.0})
    dataset = SceneDataset(SceneMaker(*material, options), 1, easy=SceneMaker(*material, easy), easy_clips=60)
    assert [dataset.scene(i).scenario for i in range(3)] == ["farend"] * 3
    assert {dataset.scene(i).scenario for i in range(60, 66)} == {"nearend"}
    share = sum(dataset.scene(i).scenario == "farend" for i in range(20, 40)) / 20
    assert 0.2 < share < 0.8
    assert options.easy().ser_db[0] >= -8.0


def test_without_noise_recordings_or_devices(material: tuple[Corpus, list[Room]]) -> None:
    corpus, rooms = material
    bare = Corpus(corpus._samples, corpus.speakers, (), ())
    maker = SceneMaker(bare, rooms, SceneOptions(seconds=1.0))
    for i in range(20):
        assert np.isfinite(maker.make(np.random.default_rng(i)).mic).all()
