"""Manifest, corpus, rooms, loudspeakers and noises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from training_data import make_manifest

from localvqe_cli.errors import AudioError, UsageError
from localvqe_cli.training import loudspeaker, noises, rooms
from localvqe_cli.training.corpus import RATE, active_rms, load_corpus
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


def test_corpus_names_an_unreadable_recording(manifest: Path, tmp_path: Path) -> None:
    entries = read_manifest(manifest)
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF and nothing else")
    with pytest.raises(AudioError, match=r"broken\.wav: cannot be decoded"):
        load_corpus([*entries, type(entries[0])(broken, "noise", "train")], tmp_path / "cache", "train")
    assert not list((tmp_path / "cache").iterdir())


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
