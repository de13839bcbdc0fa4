"""Decoding into the cache: what is done stays done, whatever happens in between."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from localvqe_cli.errors import AudioError
from localvqe_cli.training import decode
from localvqe_cli.training.decode import Track, decoded
from localvqe_cli.training.manifest import Entry, read_manifest

COUNT = 9
KILLED = """
import os, signal, sys
from localvqe_cli.training import decode
from localvqe_cli.training.manifest import read_manifest
decode._SAVE_SECONDS = 0.0
inside, left = decode._read_audio, int(sys.argv[3])
def read(entry):
    global left
    if left == 0:
        os.kill(os.getpid(), getattr(signal, sys.argv[4]))
    left -= 1
    return inside(entry)
decode._read_audio = read
decode.decoded(read_manifest(sys.argv[1]), sys.argv[2])
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(5)
    rows = []
    for number in range(COUNT):
        soundfile.write(folder / f"{number}.wav", 0.1 * rng.standard_normal(1000 + 100 * number), 16000)
        rows.append(f"{number}.wav\tspeech\ttrain\tv{number}")
    (folder / "manifest.tsv").write_text("path\tkind\tsplit\tspeaker\n" + "\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def entries(data: Path) -> list[Entry]:
    return read_manifest(data)


@pytest.fixture(scope="module")
def whole(entries: list[Entry], tmp_path_factory: pytest.TempPathFactory) -> tuple[np.ndarray, list[Track]]:
    return decoded(entries, tmp_path_factory.mktemp("whole"))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The recordings that were decoded, by name."""
    names: list[str] = []
    inside = decode._read_audio

    def read(entry: Entry) -> np.ndarray:
        names.append(entry.path.name)
        return inside(entry)

    monkeypatch.setattr(decode, "_read_audio", read)
    return names


def files(cache: Path) -> list[str]:
    return sorted(path.suffix if path.name.startswith("audio-") else path.name for path in cache.iterdir())


def same(found: tuple[np.ndarray, list[Track]], expected: tuple[np.ndarray, list[Track]]) -> bool:
    return found[1] == expected[1] and np.array_equal(found[0], expected[0])


@pytest.mark.parametrize("kill", ["SIGKILL", "SIGINT"])
def test_a_killed_run_is_gone_on_with(
    data: Path, entries: list[Entry], whole: tuple, reads: list[str], tmp_path: Path, kill: str
) -> None:
    cache = tmp_path / "cache"
    command = [sys.executable, "-c", KILLED, str(data), str(cache), "4", kill]
    assert subprocess.run(command, capture_output=True, check=False).returncode == -getattr(signal, kill)
    assert files(cache) == ["decoding.i16", "decoding.jsonl"]  # nothing that could be taken for a whole cache
    seen: list[tuple[str, float, float]] = []
    assert same(decoded(entries, cache, lambda *told: seen.append(told)), whole)
    assert reads == [f"{number}.wav" for number in range(4, COUNT)]
    assert files(cache) == [".i16", ".json"]
    sizes = [entry.path.stat().st_size for entry in entries]
    assert seen[0] == ("decoding recordings", sum(sizes[:4]), sum(sizes))
    assert [done for _, done, _ in seen] == [sum(sizes[:number]) for number in range(4, COUNT)]
    assert same(decoded(entries, cache), whole)
    assert len(reads) == COUNT - 4


def test_a_bad_recording_costs_only_what_comes_behind_it(
    data: Path, entries: list[Entry], whole: tuple, reads: list[str], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF and nothing else")
    with pytest.raises(AudioError, match=r"broken\.wav: cannot be decoded"):
        decoded([*entries[:6], Entry(broken, "noise", "train"), *entries[6:]], tmp_path / "cache")
    reads.clear()
    assert same(decoded(entries, tmp_path / "cache"), whole)
    assert reads == ["6.wav", "7.wav", "8.wav"]


def test_a_recording_that_has_changed_is_decoded_anew(
    data: Path, entries: list[Entry], reads: list[str], tmp_path: Path
) -> None:
    copies = [Entry(Path(shutil.copy(entry.path, tmp_path)), "speech", "train") for entry in entries]
    stop_at(copies, tmp_path / "cache", 5)
    soundfile.write(copies[2].path, np.full(777, 0.25), 16000)
    reads.clear()
    samples, tracks = decoded(copies, tmp_path / "cache")
    assert reads == [f"{number}.wav" for number in range(2, COUNT)]
    track = tracks[2]
    assert track.length == 777
    assert set(samples[track.start : track.start + 777]) == {round(0.25 * 32767)}


def stop_at(entries: list[Entry], cache: Path, count: int) -> None:
    """Decode ``count`` recordings, then stop as Ctrl-C does."""
    inside: Callable[[Entry], np.ndarray] = decode._read_audio

    def read(entry: Entry) -> np.ndarray:
        if entry.path.name == f"{count}.wav":
            raise KeyboardInterrupt
        return inside(entry)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode, "_read_audio", read)
        with pytest.raises(KeyboardInterrupt):
            decoded(entries, cache)


@given(name=st.sampled_from(["decoding.i16", "decoding.jsonl"]), cut=st.floats(0.0, 1.0), tail=st.binary(max_size=40))
def test_what_a_crash_of_the_machine_leaves_is_never_trusted(
    entries: list[Entry],
    whole: tuple,
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    cut: float,
    tail: bytes,
) -> None:
    cache = tmp_path_factory.mktemp("cut")
    stop_at(entries, cache, 5)
    path = cache / name
    content = path.read_bytes()
    keep = int(cut * len(content))
    # Of the samples only the end can be lost: each line is written after its samples are on the disk.
    path.write_bytes(content[:keep] if name == "decoding.i16" else content[:keep] + tail)
    assert same(decoded(entries, cache), whole)


def test_an_end_between_the_last_two_steps(
    entries: list[Entry], whole: tuple, reads: list[str], tmp_path: Path
) -> None:
    """Killed once the index had its name and the samples had not."""
    replace = decode.os.replace

    def refuse(source: str, target: str) -> None:
        if str(target).endswith(".i16"):
            raise KeyboardInterrupt
        replace(source, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode.os, "replace", refuse)
        with pytest.raises(KeyboardInterrupt):
            decoded(entries, tmp_path)
    reads.clear()
    assert same(decoded(entries, tmp_path), whole)
    assert reads == []
    assert files(tmp_path) == [".i16", ".json"]
