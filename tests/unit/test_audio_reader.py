"""Inputs of every shape: formats, channels, damage, pipes."""

from __future__ import annotations

import io
import os
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from localvqe_cli.audio import AudioInput, ReadStats
from localvqe_cli.errors import AudioError, UsageError

RNG = np.random.default_rng(7)


def noise(frames: int, channels: int = 1) -> np.ndarray:
    return (0.1 * RNG.standard_normal((frames, channels))).astype(np.float32)


def read(path: Path | str, channel: int | None = None, **kwargs) -> tuple[np.ndarray, ReadStats]:
    stats = ReadStats()
    with AudioInput(str(path), channel) as source:
        return np.concatenate(list(source.blocks(stats, **kwargs))), stats


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg", "mp3", "aiff", "au", "caf", "w64"])
def test_reads_the_common_formats(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"a.{extension}"
    sf.write(path, noise(20000), 16000)
    samples, stats = read(path)
    assert stats.frames == len(samples) == 20000
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(0.1, rel=0.15)


@pytest.mark.parametrize("block_frames", [1, 100, 4096])
def test_block_length_does_not_change_the_samples(tmp_path: Path, block_frames: int) -> None:
    path = tmp_path / "a.flac"
    sf.write(path, noise(5000), 16000)
    np.testing.assert_array_equal(read(path, block_frames=block_frames)[0], read(path)[0])


def test_channels_are_averaged_or_picked(tmp_path: Path) -> None:
    path = tmp_path / "eight.wav"
    data = noise(1000, 8)
    sf.write(path, data, 16000, subtype="FLOAT")
    np.testing.assert_allclose(read(path)[0], data.mean(axis=1), atol=1e-7)
    np.testing.assert_array_equal(read(path, channel=3)[0], data[:, 2])
    with pytest.raises(UsageError, match="channels 1 to 8, so there is no channel 9"):
        AudioInput(str(path), 9)


def test_a_mono_file_has_only_one_channel(tmp_path: Path) -> None:
    path = tmp_path / "mono.wav"
    sf.write(path, noise(1000), 16000)
    assert len(read(path, channel=1)[0]) == 1000
    with pytest.raises(UsageError, match="one channel, so there is no channel 2"):
        AudioInput(str(path), 2)


def test_bad_samples_become_zeros_and_are_counted(tmp_path: Path) -> None:
    data = noise(1000)[:, 0]
    data[[3, 500, 501, 999]] = [np.nan, np.inf, -np.inf, 1e30]
    path = tmp_path / "nan.wav"
    sf.write(path, data, 16000, subtype="FLOAT")
    samples, stats = read(path, block_frames=64)
    assert stats.bad_samples == 4
    assert (samples[[3, 500, 501, 999]] == 0).all()
    assert np.isfinite(samples).all()


def test_levels_up_to_a_million_are_samples(tmp_path: Path) -> None:
    path = tmp_path / "loud.wav"
    sf.write(path, np.array([1e6, -1e6, 1.01e6, -1.01e6, 0.5], np.float32), 16000, subtype="FLOAT")
    samples, stats = read(path)
    np.testing.assert_array_equal(samples, np.array([1e6, -1e6, 0, 0, 0.5], np.float32))
    assert (stats.bad_samples, stats.samples, stats.peak) == (2, 5, 1e6)


@pytest.mark.parametrize("value", [np.nan, 3e6])
def test_a_file_without_a_usable_sample_is_refused(tmp_path: Path, value: float) -> None:
    path = tmp_path / "bad.wav"
    sf.write(path, np.full(1000, value, np.float32), 16000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"no sample is a finite number up to 1e6"):
        read(path)


def test_silence_is_recognised_with_dither(tmp_path: Path) -> None:
    path = tmp_path / "quiet.wav"
    sf.write(path, RNG.integers(-1, 2, 1000).astype(np.int16), 16000)
    assert read(path)[1].silent
    sf.write(path, np.full(1000, 2, np.int16), 16000)
    assert not read(path)[1].silent


@pytest.mark.parametrize("content", [b"", b"x", b"this is a text file\n" * 50, b"RIFF\x10\0\0\0WAVEfmt "])
def test_what_is_not_audio_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=r"a\.wav: not readable as audio") as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_refusals_name_the_cause(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no such file"):
        AudioInput(str(tmp_path / "missing.wav"))
    with pytest.raises(AudioError, match="is a directory"):
        AudioInput(str(tmp_path))
    raw = tmp_path / "a.raw"
    raw.write_bytes(bytes(1000))
    with pytest.raises(AudioError, match="without a header"):
        AudioInput(str(raw))


def test_an_empty_wav_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.wav"
    sf.write(path, np.zeros(0), 16000)
    with pytest.raises(AudioError, match="contains no audio"):
        AudioInput(str(path))


@pytest.mark.parametrize("rate", [1, 999, 1_000_001, 2_000_000_000])
def test_an_impossible_rate_is_refused(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "a.wav"
    sf.write(path, noise(1000), 16000)
    content = bytearray(path.read_bytes())
    content[24:28] = struct.pack("<I", rate)
    path.write_bytes(content)
    with pytest.raises(AudioError, match=r"sampling rate|not readable"):
        AudioInput(str(path))


def test_a_truncated_wav_keeps_what_is_there_and_knows_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    sf.write(path, noise(16000), 16000)
    path.write_bytes(path.read_bytes()[:16044])
    with pytest.raises(AudioError, match=r"promises 1.00 s but 0.50 s are there; --allow-truncated"):
        AudioInput(str(path))
    with AudioInput(str(path), allow_truncated=True) as source:
        assert source.frames == 16000
        stats = ReadStats()
        assert sum(len(block) for block in source.blocks(stats)) == stats.frames == 8000


def unclosed(path: Path, riff: int, subtype: str = "PCM_16", channels: int = 1) -> np.ndarray:
    """A WAV of 0.5 s at 16 kHz as a crashed recorder leaves it, a chunk before the samples; returns these, averaged."""
    sf.write(path, noise(8000, channels), 16000, subtype=subtype)
    whole = sf.read(path, dtype="float32", always_2d=True)[0].mean(axis=1, dtype=np.float32)
    content = path.read_bytes()
    at = content.index(b"data")
    head = content[:4] + struct.pack("<I", riff) + content[8:at] + b"junk" + struct.pack("<I", 3) + b"odd\0data"
    path.write_bytes(head + bytes(4) + content[at + 8 :])
    return whole


@pytest.mark.parametrize("riff", [0, 8, 36, 16036])
@pytest.mark.parametrize(("subtype", "channels"), [("PCM_16", 1), ("PCM_24", 2), ("FLOAT", 1), ("ULAW", 1)])
def test_a_wav_that_was_never_closed_is_taken_when_asked(
    tmp_path: Path, riff: int, subtype: str, channels: int
) -> None:
    path = tmp_path / "a.wav"
    expected = unclosed(path, riff, subtype, channels)
    with pytest.raises(AudioError, match=r"a\.wav: .* promises nothing but 0.50 s are there; --allow-truncated takes"):
        AudioInput(str(path))
    with AudioInput(str(path), allow_truncated=True) as source:
        assert source.frames == 8000
        for size in (8000, 77):
            np.testing.assert_array_equal(np.concatenate(list(source.blocks(block_frames=size)))[:8000], expected)


def test_an_unclosed_wav_may_end_within_a_frame_and_come_through_a_pipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.wav"
    expected = unclosed(path, 36)
    path.write_bytes(path.read_bytes()[:-1001])
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
    for name in (str(path), "-"):
        with AudioInput(name, allow_truncated=True) as source:
            assert source.frames == 7499
            np.testing.assert_array_equal(np.concatenate(list(source.blocks())), expected[:7499])


def test_unclosed_silence_is_audio(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    unclosed(path, 0)
    path.write_bytes(path.read_bytes()[:56] + bytes(16000))
    with AudioInput(str(path), allow_truncated=True) as source:
        stats = ReadStats()
        assert sum(map(len, source.blocks(stats))) == 8000
        assert stats.silent


@pytest.mark.parametrize("tail", [b"", b"\1", b"LIST\4\0\0\0INFO", b"LIST\4\0\0\0INFOid3 \3\0\0\0abc"])
@pytest.mark.parametrize("allow", [True, False])
def test_an_empty_wav_with_chunks_behind_stays_empty(tmp_path: Path, tail: bytes, allow: bool) -> None:
    path = tmp_path / "a.wav"
    sf.write(path, np.zeros(0), 16000)
    path.write_bytes(path.read_bytes() + tail)
    with pytest.raises(AudioError, match=r"a\.wav: contains no audio"):
        AudioInput(str(path), allow_truncated=allow)


def test_a_truncated_flac_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    sf.write(path, noise(64000), 16000)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(AudioError, match=r"damaged, cannot be decoded beyond"):
        read(path)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000])
def test_a_wav_written_into_a_pipe_promises_nothing_false(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.wav"
    sf.write(path, noise(1000), 16000)
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = struct.pack("<I", size)
    path.write_bytes(content)
    with AudioInput(str(path)) as source:
        assert source.frames == 1000


def test_a_flac_of_unknown_length_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    sf.write(path, noise(30000), 16000)
    expected = read(path)[0]
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # STREAMINFO's 36-bit sample count
    content[22:26] = bytes(4)
    path.write_bytes(content)
    with AudioInput(str(path)) as source:
        assert source.frames is None
    np.testing.assert_array_equal(read(path, block_frames=7000)[0], expected)


def test_stdin_can_be_read_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.wav"
    sf.write(path, noise(1000), 16000)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
    with AudioInput("-") as source:
        assert source.name == "stdin"
        first, second = (np.concatenate(list(source.blocks())) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, read(path)[0])


def test_empty_stdin_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    with pytest.raises(AudioError, match="stdin: contains no audio"):
        AudioInput("-")


def test_a_named_pipe_is_read(tmp_path: Path) -> None:
    path, pipe = tmp_path / "a.wav", tmp_path / "pipe"
    sf.write(path, noise(1000), 16000)
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(path.read_bytes()))
    writer.start()
    samples, _ = read(pipe)
    writer.join()
    np.testing.assert_array_equal(samples, read(path)[0])
