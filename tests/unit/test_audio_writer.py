"""Outputs: encodings, containers, and nothing half-written."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from localvqe_cli.audio import AudioInput, ClipMode, OutputFormat, PeakGuard, choose_format, open_output
from localvqe_cli.engine import Enhancer, library_path
from localvqe_cli.errors import LocalVQEError, UsageError


def source(tmp_path: Path, subtype: str = "PCM_16", name: str = "mic.wav", frames: int = 1000) -> AudioInput:
    path = tmp_path / name
    sf.write(path, np.full(frames, 0.25), 16000, subtype=subtype)
    return AudioInput(str(path))


@pytest.mark.parametrize(
    ("subtype", "output", "container", "expected"),
    [
        ("PCM_16", "o.wav", "WAV", "PCM_16"),
        ("PCM_24", "o.WAV", "WAV", "PCM_24"),
        ("FLOAT", "o.wav", "WAV", "FLOAT"),
        ("PCM_U8", "o.wav", "WAV", "PCM_U8"),
        ("ULAW", "o.wav", "WAV", "ULAW"),
        ("PCM_16", "o.flac", "FLAC", "PCM_16"),
        ("FLOAT", "o.flac", "FLAC", "PCM_24"),
        ("DOUBLE", "o.flac", "FLAC", "PCM_24"),
        ("PCM_U8", "o.flac", "FLAC", "PCM_S8"),
        ("PCM_16", "o.ogg", "OGG", "VORBIS"),
        ("PCM_16", "o.opus", "OGG", "OPUS"),
        ("PCM_16", "-", "WAV", "PCM_16"),
    ],
)
def test_encoding_follows_the_mic_where_the_container_can(
    tmp_path: Path, subtype: str, output: str, container: str, expected: str
) -> None:
    form = choose_format(output, source(tmp_path, subtype))
    assert (form.container, form.subtype) == (container, expected)
    assert (form.note is None) == (subtype == expected)


def test_a_flac_mic_gives_a_pcm_wav(tmp_path: Path) -> None:
    assert choose_format("o.wav", source(tmp_path, "PCM_24", "mic.flac")).subtype == "PCM_24"


@pytest.mark.parametrize("output", ["out", "out.txt", "out.raw", "out.wav.bak"])
def test_a_name_that_says_no_format_is_refused(tmp_path: Path, output: str) -> None:
    with pytest.raises(UsageError, match="cannot tell the audio format"):
        choose_format(output, source(tmp_path))


def test_a_wav_beyond_four_gigabytes_becomes_rf64(tmp_path: Path) -> None:
    mic = source(tmp_path)
    mic.frames = 1 << 30
    assert choose_format("o.wav", mic).container == "RF64"


def test_sixteen_bit_samples_survive_unchanged(tmp_path: Path) -> None:
    values = np.arange(-32768, 32768).astype(np.int16)
    sf.write(tmp_path / "mic.wav", values, 16000)
    mic = AudioInput(str(tmp_path / "mic.wav"))
    target = str(tmp_path / "out.wav")
    with open_output(target, 16000, choose_format(target, mic)) as output:
        for block in mic.blocks():
            output.write(block)
    np.testing.assert_array_equal(sf.read(target, dtype="int16")[0], values)


INTEGER_FORMATS = [
    *((c, s) for c in ("WAV", "WAVEX", "RF64", "W64") for s in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32")),
    *(("AIFF", s) for s in ("PCM_U8", "PCM_S8", "PCM_16", "PCM_24", "PCM_32")),
    *((c, s) for c in ("CAF", "AU") for s in ("PCM_S8", "PCM_16", "PCM_24", "PCM_32")),
    *(("CAF", s) for s in ("ALAC_16", "ALAC_20", "ALAC_24")),
    *(("FLAC", s) for s in ("PCM_S8", "PCM_16", "PCM_24")),
]
BITS = {"PCM_U8": 8, "PCM_S8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "ALAC_16": 16, "ALAC_20": 20, "ALAC_24": 24}


def steps(tmp_path: Path, container: str, subtype: str, block: np.ndarray) -> np.ndarray:
    """What is in the file after writing ``block`` (n,): the integers, in steps of the encoding."""
    target = str(tmp_path / "out.bin.wav")
    with open_output(target, 16000, OutputFormat(container, subtype)) as output:
        output.write(block.astype(np.float32))
    return sf.read(target, dtype="int32")[0].astype(np.int64) >> (32 - BITS[subtype])


@pytest.mark.parametrize(("container", "subtype"), INTEGER_FORMATS)
def test_integers_are_rounded_and_clamped(tmp_path: Path, container: str, subtype: str) -> None:
    full = 2 ** (BITS[subtype] - 1)
    values = [3.6, -3.6, 3.4, -3.4, 0.6, -0.6, 0.5, 1.5, -0.5, -1.5, full, -full, 1.3 * full, -1.3 * full]
    expected = [4, -4, 3, -3, 1, -1, 0, 2, 0, -2, full - 1, -full, full - 1, -full]
    np.testing.assert_array_equal(steps(tmp_path, container, subtype, np.array(values) / full), expected)


@pytest.mark.parametrize(("container", "subtype"), INTEGER_FORMATS)
def test_writing_adds_no_offset(tmp_path: Path, container: str, subtype: str) -> None:
    full = 2 ** (BITS[subtype] - 1)
    faint = 1.5 * np.random.default_rng(3).standard_normal(20000)
    written = steps(tmp_path, container, subtype, faint / full)
    assert abs(np.mean(written - faint)) < 0.02
    assert np.abs(written - faint).max() < 0.51


def test_file_and_c_interface_give_the_same_sixteen_bits(tmp_path: Path) -> None:
    enhancer = Enhancer()
    mic = np.random.default_rng(5).integers(-3000, 3000, 4096).astype(np.int16)
    out = np.zeros_like(mic)
    ref = np.roll(mic, 700)
    lib = ctypes.CDLL(str(library_path()))
    lib.localvqe_new.restype = ctypes.c_size_t
    context = ctypes.c_size_t(lib.localvqe_new(str(enhancer.path).encode()))
    shorts = [x.ctypes.data_as(ctypes.POINTER(ctypes.c_int16)) for x in (mic, ref, out)]
    assert lib.localvqe_process_s16(context, *shorts[:2], mic.size, shorts[2]) == 0
    lib.localvqe_free(context)
    stream = enhancer.stream(max_hops=16)
    floats = stream.process(mic / np.float32(32768), ref / np.float32(32768))
    assert np.abs(floats * 32768 % 1 - 0.5).min() < 0.01  # there is something to round
    written = steps(tmp_path, "WAV", "PCM_16", floats)
    np.testing.assert_array_equal(written, out)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32"])
def test_a_rescaled_peak_fits_every_width(tmp_path: Path, subtype: str) -> None:
    signal = np.array([0.1, -2.0, 2.0, 0.5], np.float32)
    target = str(tmp_path / "out.wav")
    with open_output(target, 16000, OutputFormat("WAV", subtype)) as output, PeakGuard(output, ClipMode.RESCALE) as g:
        g.write(signal)
        report = g.finish()
    assert (report.clipped, report.peak) == (2, 2.0)
    out = sf.read(target)[0]
    np.testing.assert_allclose(out, signal * report.gain, atol=0.51 / 2 ** (BITS[subtype] - 1) + 1e-7)
    assert out[1] == -out[2]


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_float_files_are_not_rounded(tmp_path: Path, subtype: str) -> None:
    signal = np.random.default_rng(4).standard_normal(1000).astype(np.float32)
    target = str(tmp_path / "out.wav")
    with open_output(target, 16000, OutputFormat("WAV", subtype)) as output:
        output.write(signal)
    np.testing.assert_array_equal(sf.read(target, dtype="float32")[0], signal)


def test_a_failure_leaves_no_file_and_keeps_the_old_one(tmp_path: Path) -> None:
    mic = source(tmp_path)
    target = tmp_path / "out.wav"
    target.write_bytes(b"before")

    def fail_half_way() -> None:
        with open_output(str(target), 16000, choose_format(str(target), mic)) as output:
            output.write(np.zeros(1000, np.float32))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_half_way()
    assert target.read_bytes() == b"before"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mic.wav", "out.wav"]


def test_a_rate_the_format_cannot_hold_is_refused(tmp_path: Path) -> None:
    form = choose_format("o.mp3", source(tmp_path))
    with (
        pytest.raises(UsageError, match=r"7000 Hz.*another extension"),
        open_output(str(tmp_path / "o.mp3"), 7000, form),
    ):
        pass
    assert not list(tmp_path.glob("*o.*"))


@pytest.mark.parametrize("mode", list(ClipMode))
def test_output_within_range_is_not_touched(tmp_path: Path, mode: ClipMode) -> None:
    signal = np.linspace(-1, 1, 100, dtype=np.float32)
    report, written = guarded(tmp_path, mode, signal)
    np.testing.assert_array_equal(written, signal)
    assert (report.clipped, report.gain, report.peak) == (0, 1.0, 1.0)


def test_rescale_turns_the_whole_file_down(tmp_path: Path) -> None:
    signal = np.array([0.1, -2.0, 1.5, 0.5], np.float32)
    report, written = guarded(tmp_path, ClipMode.RESCALE, signal)
    np.testing.assert_allclose(written, signal / 2, rtol=1e-4)
    assert np.abs(written).max() < 1.0
    assert (report.clipped, report.peak) == (2, 2.0)
    assert report.gain == pytest.approx(0.5, rel=1e-4)


def test_clamp_touches_only_what_is_beyond(tmp_path: Path) -> None:
    report, written = guarded(tmp_path, ClipMode.CLAMP, np.array([0.1, -2.0, 1.5, 0.5], np.float32))
    np.testing.assert_allclose(written, [0.1, -1.0, 1.0, 0.5])
    assert (report.clipped, report.gain) == (2, 1.0)


def test_a_spool_beyond_memory_goes_to_disk_and_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("localvqe_cli.audio.clip._MEMORY_BYTES", 1000)
    signal = np.random.default_rng(0).standard_normal(200_000).astype(np.float32)
    report, written = guarded(tmp_path, ClipMode.RESCALE, signal)
    np.testing.assert_allclose(written, signal * np.float32(report.gain), rtol=1e-6)


def test_no_room_for_the_spool_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write(self, data: object) -> None:
            raise OSError(28, "No space left on device")

        def close(self) -> None: ...

    monkeypatch.setattr("tempfile.SpooledTemporaryFile", lambda max_size: Full())
    with pytest.raises(LocalVQEError, match=r"No space left on device; set TMPDIR"):
        guarded(tmp_path, ClipMode.RESCALE, np.zeros(10, np.float32))


def guarded(tmp_path: Path, mode: ClipMode, signal: np.ndarray):
    target = str(tmp_path / "out.wav")
    mic = source(tmp_path, "FLOAT")
    with open_output(target, 16000, choose_format(target, mic)) as output, PeakGuard(output, mode) as guard:
        for block in np.array_split(signal, 3):
            guard.write(block)
        report = guard.finish()
    return report, sf.read(target, dtype="float32")[0]
