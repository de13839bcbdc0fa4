"""Manifest, corpus, rooms, loudspeakers and noises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from training_data import make_manifest

from localvqe_cli.errors import AudioError, UsageError
from localvqe_cli.geometry import MODEL_RATE as RATE
from localvqe_cli.training import dynamics, echo_path, loudspeaker, noises, rooms, talk
from localvqe_cli.training.corpus import active_rms, load_corpus
from localvqe_cli.training.manifest import read_manifest, select


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_manifest(tmp_path_factory.mktemp("data"))


def test_manifest_by_file_or_folder(manifest: Path) -> None:
    entries = read_manifest(manifest)
    assert entries == read_manifest(manifest.parent)
    assert len(select(entries, "speech", "train")) == 4
    assert all(entry.path.is_file() for entry in entries)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "lists no recordings"),
        ("path\tkind\n", "lists no recordings"),
        ("path\tkind\na.wav\tspeech\n", "no column 'split'"),
        ("path\tkind\tsplit\na.wav\tsinging\ttrain\n", "expected speech or noise or rir"),
        ("path\tkind\tsplit\na.wav\tspeech\ttest\n", "expected train or valid"),
        ("path\tkind\tsplit\n\tspeech\ttrain\n", "has no path"),
    ],
)
def test_bad_manifests(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "manifest.tsv"
    path.write_text(text)
    with pytest.raises(UsageError, match=says):
        read_manifest(tmp_path)


def test_missing_manifest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_manifest(tmp_path)


def test_corpus_keeps_splits_apart_and_decodes_once(manifest: Path, tmp_path: Path) -> None:
    entries = read_manifest(manifest)
    corpus = load_corpus(entries, tmp_path, "train")
    assert [speaker.name for speaker in corpus.speakers] == ["v0", "v1"]
    assert [speaker.name for speaker in load_corpus(entries, tmp_path, "valid").speakers] == ["v2"]
    assert len(corpus.noises) == 1
    assert len(corpus.devices) == 1
    assert np.isclose(np.linalg.norm(corpus.devices[0]), 1.0, atol=1e-5)
    stamps = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    load_corpus(entries, tmp_path, "train")
    assert stamps == {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}


def test_corpus_reads_what_the_file_holds_at_unit_level(manifest: Path, tmp_path: Path) -> None:
    entries = read_manifest(manifest)
    corpus = load_corpus(entries, tmp_path, "train")
    track = corpus.speakers[0].tracks[0]
    wave, _ = soundfile.read(manifest.parent / "voice0-0.wav", dtype="float32")
    got = corpus.read(track)
    assert active_rms(got) == pytest.approx(1.0, abs=1e-3)
    assert np.allclose(got * active_rms(wave), wave, atol=1e-4)
    assert np.array_equal(corpus.read(track, 100, 50), got[100:150])
    assert len(corpus.read(track, track.length - 10, 50)) == 10


def test_corpus_tells_clear_voices_and_anonymous_groups(tmp_path: Path) -> None:
    rows = ["path\tkind\tsplit\tspeaker"]
    for name, speaker, seconds, noise in (
        ("clear", "anna", 2, 0.0),
        ("noisy", "anna", 2, 0.05),
        ("hissing", "bert", 2, 0.1),
        ("long-1", "anonymous, many", 6, 0.0),
        ("long-2", "anonymous, many", 7, 0.0),
        ("short", "anonymous, many", 1, 0.0),
    ):
        wave = 0.3 * np.sin(np.arange(seconds * RATE) * 0.3) * (np.arange(seconds * RATE) % RATE < 0.7 * RATE)
        soundfile.write(tmp_path / f"{name}.wav", wave + noise * rng(1).standard_normal(len(wave)), RATE)
        rows.append(f"{name}.wav\tspeech\ttrain\t{speaker}")
    (tmp_path / "manifest.tsv").write_text("\n".join(rows) + "\n")
    corpus = load_corpus(read_manifest(tmp_path), tmp_path / "cache", "train")
    voices = {speaker.name: len(speaker.tracks) for speaker in corpus.speakers}
    groups = {"anonymous, many": 1, "anonymous, many 0": 1, "anonymous, many 1": 1}
    assert voices == {"anna": 2, "bert": 1, **groups}
    assert {speaker.name: len(speaker.tracks) for speaker in corpus.clear_speakers} == {"anna": 1, **groups}
    for weights in (corpus.speaker_weights, corpus.clear_weights):
        assert weights.sum() == pytest.approx(1.0)


def test_corpus_names_an_unreadable_recording(manifest: Path, tmp_path: Path) -> None:
    entries = read_manifest(manifest)
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF and nothing else")
    with pytest.raises(AudioError, match=r"broken\.wav: cannot be decoded"):
        load_corpus([*entries, type(entries[0])(broken, "noise", "train")], tmp_path / "cache", "train")
    assert not list((tmp_path / "cache").glob("audio-*"))


def test_corpus_without_speech(manifest: Path, tmp_path: Path) -> None:
    entries = [entry for entry in read_manifest(manifest) if entry.kind != "speech"]
    with pytest.raises(UsageError, match="no speech"):
        load_corpus(entries, tmp_path, "train")


def test_active_rms_ignores_pauses() -> None:
    tone = np.sin(np.arange(RATE) * 0.3).astype(np.float32)
    pause = np.zeros(3 * RATE, dtype=np.float32)
    assert active_rms(np.concatenate([tone, pause])) == pytest.approx(2**-0.5, abs=1e-2)
    assert active_rms(pause) == 0.0
    assert active_rms(pause[:0]) == 0.0


# -- rooms ------------------------------------------------------------------------------------


def test_rooms_start_with_the_direct_sound_and_decay() -> None:
    for seed in range(8):
        room = rooms.simulate_room(rng(seed))
        for response in (room.talker, room.speaker, room.moved):
            assert response.shape == (rooms.LENGTH,)
            assert np.isfinite(response).all()
            assert 0.8 < response[0] < 1.2
            power = np.square(response).reshape(8, -1).sum(axis=1)
            assert power[-1] < 0.05 * power[0]


def test_no_room_loses_its_direct_sound() -> None:
    for seed in range(100):  # some of which round its distance down, whatever the CPU
        room = rooms.simulate_room(rng(seed))
        assert min(response[0] for response in (room.talker, room.speaker, room.moved)) > 0.6


def test_early_part_is_the_beginning_and_nothing_after() -> None:
    room = rooms.simulate_room(rng(3))
    split = int(rooms.EARLY_SECONDS * RATE)
    assert np.array_equal(room.early[:split], room.talker[:split])
    assert not room.early[split + int(0.011 * RATE) :].any()
    assert np.abs(room.talker[split + 200 :]).max() > 0


def test_tail_joins_the_image_method_without_a_step() -> None:
    """Around the join both halves have about the same energy, over many rooms."""
    join, width = int(0.05 * RATE), 160
    steps = []
    for seed in range(60):
        power = np.square(rooms.simulate_room(rng(seed)).talker)
        steps.append(10 * np.log10(power[join : join + width].sum() / power[join - width : join].sum()))
    assert -6.0 < np.median(steps) < 2.0  # 10 ms of decay included


def test_rooms_are_cached(tmp_path: Path) -> None:
    first = rooms.load_rooms(tmp_path, 3, 7)
    (path,) = tmp_path.iterdir()
    stamp = path.stat().st_mtime_ns
    second = rooms.load_rooms(tmp_path, 3, 7)
    assert path.stat().st_mtime_ns == stamp
    assert all(np.array_equal(a.talker, b.talker) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0].talker, first[1].talker)


# -- loudspeakers and noises ------------------------------------------------------------------


def test_clippers() -> None:
    x = np.linspace(-2, 2, 101, dtype=np.float32)
    assert np.abs(loudspeaker.hard_clip(x, 0.5)).max() == np.float32(0.5)
    small = np.float32(1e-3) * x
    assert np.allclose(loudspeaker.soft_clip(small, 3.0), small, rtol=1e-4)
    assert np.abs(loudspeaker.soft_clip(x, 4.0)).max() < 0.26


def test_memory_polynomial_against_a_loop() -> None:
    x = rng(1).standard_normal(50).astype(np.float32)
    second, third = (rng(n).standard_normal(3).astype(np.float32) for n in (2, 3))
    want = np.array(
        [
            x[n] + sum(second[k] * x[n - k] ** 2 + third[k] * x[n - k] ** 3 for k in range(3) if n >= k)
            for n in range(50)
        ]
    )
    assert np.allclose(loudspeaker.memory_polynomial(x, second, third), want - want.mean(), atol=1e-4)


def test_distortion_keeps_the_level() -> None:
    x = rng(1).standard_normal(8000).astype(np.float32)
    outputs = [loudspeaker.distort(x, rng(seed)) for seed in range(30)]
    assert all(np.sqrt(np.mean(y**2)) == pytest.approx(np.sqrt(np.mean(x**2)), rel=0.02) for y in outputs)
    assert any(not np.allclose(x, y, atol=0.01) for y in outputs)
    assert any(np.array_equal(x, y) for y in outputs)
    assert not loudspeaker.distort(np.zeros(10, dtype=np.float32), rng()).any()


@pytest.mark.parametrize("make", [noises.fan, noises.hum, noises.keyboard, noises.music])
def test_noises_have_unit_level(make: object) -> None:
    for seed in range(5):
        noise = make(rng(seed), RATE)  # type: ignore[operator]
        assert noise.dtype == np.float32
        assert noise.shape == (RATE,)
        assert np.sqrt(np.mean(noise**2)) == pytest.approx(1.0, abs=1e-3)


def test_coloured_noise_has_its_slope() -> None:
    spectrum = np.abs(np.fft.rfft(noises.coloured(rng(), 1 << 16, -6.0))) ** 2
    hz = np.fft.rfftfreq(1 << 16, 1 / RATE)
    low, high = (spectrum[(hz > f) & (hz < 1.1 * f)].mean() for f in (500, 4000))
    assert 10 * np.log10(low / high) == pytest.approx(18.0, abs=1.5)


def test_babble_is_as_long_as_its_shortest_voice() -> None:
    voices = [rng(n).standard_normal(1000 + n).astype(np.float32) for n in range(4)]
    assert noises.babble(rng(), voices).shape == (1000,)


def test_a_loudspeaker_has_little_bass_and_delays_nothing() -> None:
    hz = np.fft.rfftfreq(8192, 1 / RATE).astype(np.float32)
    bass = []
    for seed in range(60):
        gain = loudspeaker.response(rng(seed), hz)
        assert np.isfinite(gain).all()
        power = np.abs(gain) ** 2
        low, middle = (power[(hz > f) & (hz < 2 * f)].mean() for f in (125, 1000))
        bass.append(10 * np.log10(low / middle))
        impulse = np.square(np.fft.irfft(gain))
        assert impulse[:128].sum() + impulse[-32:].sum() > 0.95 * impulse.sum()
        assert impulse[-32:].sum() < 0.2 * impulse.sum()
    assert -30 < np.percentile(bass, 10) < np.median(bass) < -10 < np.percentile(bass, 90)


def test_rattle_adds_a_little_where_it_is_loud() -> None:
    x = rng(1).standard_normal(16000).astype(np.float32) * np.repeat((0.02, 1.0), 8000).astype(np.float32)
    for seed in range(8):
        added = loudspeaker.rattle(x, rng(seed)) - x
        level = 10 * np.log10(np.mean(added**2) / np.mean(x**2))
        assert -45.5 < level < -19.5
        assert np.abs(added[:8000]).max() == 0.0


# -- turns, echo path, gains ------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [1.0, 4.0, 12.0, 30.0])
def test_spurts_are_in_order_and_both_sides_speak(seconds: float) -> None:
    length = int(seconds * RATE)
    for seed in range(100):
        turns = talk.together(rng(seed), length, 0.4, 0.5)
        for spurts in (turns.far, turns.near, talk.alone(rng(seed), length, 0.5)):
            edges = np.array(spurts).ravel()
            assert (np.diff(edges) >= 0).all()
            assert 0 <= edges[0] < edges[-1] <= length
            assert sum(stop - start for start, stop in spurts) >= min(0.24 * length, 1.5 * RATE)


def test_pauses_are_as_long_as_asked_for() -> None:
    def longest(spurts: talk.Spurts) -> int:
        edges = [0, *(edge for spurt in spurts for edge in spurt), 20 * RATE]
        return max(b - a for a, b in zip(edges[::2], edges[1::2], strict=True))

    short, long = (
        np.array([longest(talk.alone(rng(seed), 20 * RATE, share)) for seed in range(200)]) / RATE for share in (0, 1)
    )
    assert np.median(short) < 3.0 < np.median(long)
    assert 11.0 < long.max() < 17.0


def test_reading_between_samples_keeps_what_is_there() -> None:
    x = rng(2).standard_normal(4000).astype(np.float32)
    assert np.allclose(echo_path.read_at(x, np.arange(4000.0)), x, atol=1e-5)
    shifted = echo_path.read_at(x, np.arange(4000.0) - 7.0)
    assert not shifted[:7].any()
    assert np.allclose(shifted[7:], x[:-7], atol=1e-5)


@pytest.mark.parametrize(("hz", "worst"), [(300.0, -75.0), (3000.0, -60.0), (6500.0, -44.0)])
def test_a_drifting_tone_is_the_same_tone_at_another_pitch(hz: float, worst: float) -> None:
    """A resampler that coloured would change the tone as it slides between the samples."""
    time = np.arange(2 * RATE, dtype=np.float64)
    position = time * (1 - 2e-4) - 40.25
    tone = np.sin(2 * np.pi * hz / RATE * time).astype(np.float32)
    got = echo_path.read_at(tone, position)[400:-400]
    want = np.sin(2 * np.pi * hz / RATE * position)[400:-400]
    assert 10 * np.log10(np.mean((got - want) ** 2) / np.mean(want**2)) < worst


def test_drift_and_steps() -> None:
    last = [echo_path.drift(rng(seed), RATE, 200.0)[-1] for seed in range(200)]
    assert 2.5 < max(last) < 3.2001
    assert 0.6 < np.mean(np.abs(last) < 0.6 * 3.2) < 0.98
    for seed in range(50):
        delay = echo_path.steps(rng(seed), 20 * RATE, 800.0, (0.0, 8000.0))
        jumps = np.abs(np.diff(delay))
        assert delay[0] == 800.0
        assert 0.002 * RATE <= jumps.max() <= 0.15 * RATE + 1e-6
        assert 1 <= (jumps > 0).sum() < 10


def test_motion_and_volume_are_within_bounds_and_change() -> None:
    for seed in range(50):
        weights = echo_path.motion(rng(seed), 12 * RATE, 3)
        assert weights.shape == (3, 12 * RATE)
        assert weights.min() >= 0.0
        assert np.allclose(weights.sum(axis=0), 1.0, atol=1e-5)
        assert np.ptp(weights[0]) > 0.25
        assert np.abs(np.diff(weights)).max() < 0.01
        volume = echo_path.volume(rng(seed), 12 * RATE)
        assert volume[0] == pytest.approx(1.0)
        assert np.ptp(volume) > 0.25
        assert 0.0 <= volume.min() < volume.max() < 5.1


def test_gain_control_evens_out_a_step() -> None:
    x = rng(1).standard_normal(12 * RATE).astype(np.float32)
    x[6 * RATE :] *= 0.2
    ratios = []
    for seed in range(20):
        out = x * dynamics.automatic_gain(rng(seed), x)
        ratios.append(20 * np.log10(active_rms(out[4 * RATE : 6 * RATE]) / active_rms(out[10 * RATE :])))
    assert np.median(ratios) < 9.0  # 14 dB before
    assert min(ratios) > -3.0


def test_compressor_lowers_peaks_only() -> None:
    x = rng(1).standard_normal(2 * RATE).astype(np.float32) * np.repeat((0.05, 1.0), RATE).astype(np.float32)
    for seed in range(10):
        factor = dynamics.compressor(rng(seed), x)
        assert 0.0 < factor.min() < factor.max() <= 1.0
        assert factor[: RATE // 2].min() > 0.99
        assert factor[int(1.5 * RATE) :].mean() < 0.995
