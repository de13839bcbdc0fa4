"""From two files to one: length, alignment, rate and level, whatever the inputs."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from fake_model import FakeModel

from localvqe_cli.audio import ClipMode, Job
from localvqe_cli.enhance_files import EnhanceOptions, FileResult, enhance_job
from localvqe_cli.enhance_list import ListRun
from localvqe_cli.errors import AudioError, LocalVQEError


def sound(frames: int, rate: int = 16000, seed: int = 0) -> np.ndarray:
    """Noise below 3 kHz, which every rate from 8 kHz up can hold."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.standard_normal(frames))
    spectrum[np.fft.rfftfreq(frames, 1 / rate) > 3000] = 0
    signal = np.fft.irfft(spectrum, frames)
    return (0.1 * signal / max(np.abs(signal).max(), 1e-9)).astype(np.float32)


class Bench:
    """Writes inputs into a folder and enhances them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.result: FileResult | None = None

    def write(self, name: str, data: np.ndarray, rate: int = 16000, subtype: str | None = None) -> str:
        sf.write(self.folder / name, data, rate, subtype=subtype)
        return str(self.folder / name)

    def enhance(self, mic: str, ref: str | None, model: FakeModel | None = None, **options) -> np.ndarray:
        self.run(mic, ref, model, **options)
        return sf.read(self.folder / "out.wav", dtype="float32")[0]

    def run(self, mic: str, ref: str | None, model: FakeModel | None = None, **options) -> None:
        job = Job("job", mic, ref, str(self.folder / "out.wav"))
        self.result = enhance_job(model or FakeModel(), job, EnhanceOptions(**options))

    @property
    def said(self) -> str:
        assert self.result is not None
        return " | ".join(self.result.warnings + self.result.notes)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize("frames", [256, 257, 511, 1000, 16384, 16384 * 2 + 5])
def test_a_model_that_changes_nothing_gives_the_same_file(bench: Bench, frames: int) -> None:
    mic = bench.write("mic.wav", sound(frames))
    np.testing.assert_array_equal(bench.enhance(mic, None), sf.read(mic, dtype="float32")[0])
    assert bench.result is not None
    assert (bench.result.rate, bench.result.subtype) == (16000, "PCM_16")
    assert bench.result.seconds == frames / 16000
    assert bench.result.realtime_factor == pytest.approx(bench.result.wall_seconds / bench.result.seconds)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("seconds", [0.5, 0.7001])
def test_any_rate_comes_back_in_step_and_in_length(bench: Bench, rate: int, seconds: float) -> None:
    data = sound(round(rate * seconds), rate)
    out = bench.enhance(bench.write("mic.wav", data, rate, "FLOAT"), None)
    assert len(out) == len(data)
    # The ends lack neighbours to interpolate from.
    edge = rate // 50
    np.testing.assert_allclose(out[edge:-edge], data[edge:-edge], atol=1e-4)
    assert sf.info(str(bench.folder / "out.wav")).samplerate == rate


@pytest.mark.parametrize("block_frames", [100, 4321, 1 << 20])
@pytest.mark.parametrize("strength", [1.0, 0.3])
def test_the_block_length_does_not_change_a_bit(bench: Bench, block_frames: int, strength: float) -> None:
    rng = np.random.default_rng(0)
    mic = bench.write("mic.wav", 0.1 * rng.standard_normal((30000, 2)), 44100, "FLOAT")
    ref = bench.write("ref.wav", 0.1 * rng.standard_normal(31000), 48000, "FLOAT")
    model = FakeModel(lambda mic, ref: mic - 0.5 * ref)
    expected = bench.enhance(mic, ref, model, align=70.0, strength=strength)
    found = bench.enhance(mic, ref, model, align=70.0, strength=strength, block_frames=block_frames)
    np.testing.assert_array_equal(found, expected)


def test_strength_mixes_with_the_mic_in_step(bench: Bench) -> None:
    data = sound(24000, 48000)
    mic = bench.write("mic.wav", data, 48000, "FLOAT")
    silent_model = FakeModel(lambda mic, ref: 0 * mic)
    np.testing.assert_array_equal(bench.enhance(mic, None, silent_model, strength=0.0), data)
    np.testing.assert_allclose(bench.enhance(mic, None, silent_model, strength=0.25), 0.75 * data, atol=1e-7)
    assert not bench.enhance(mic, None, silent_model).any()


def test_without_reference_the_model_hears_silence(bench: Bench) -> None:
    out = bench.enhance(bench.write("mic.wav", sound(4000)), None, FakeModel(lambda mic, ref: ref))
    assert not out.any()


@pytest.mark.parametrize(("ref_rate", "channels"), [(16000, 1), (48000, 2), (8000, 1)])
def test_the_reference_reaches_the_model_in_step_with_the_mic(bench: Bench, ref_rate: int, channels: int) -> None:
    data = sound(ref_rate, ref_rate, seed=3)
    ref = bench.write("ref.wav", np.stack([data] * channels, 1), ref_rate, "FLOAT")
    mic = bench.write("mic.wav", sound(16000), subtype="FLOAT")
    out = bench.enhance(mic, ref, FakeModel(lambda mic, ref: ref), align="off")
    expected = np.fft.irfft(np.fft.rfft(data)[:3001], 16000) * (16000 / ref_rate)  # all there is ends at 3 kHz
    np.testing.assert_allclose(out[500:-500], expected[500:-500], atol=1e-4)


@pytest.mark.parametrize("shift_ms", [-50.0, 0.0, 20.0, 5000.0])
def test_a_shift_on_demand_moves_the_reference(bench: Bench, shift_ms: float) -> None:
    data = sound(16000, seed=1)
    ref, mic = bench.write("ref.wav", data, subtype="FLOAT"), bench.write("mic.wav", sound(16000), subtype="FLOAT")
    out = bench.enhance(mic, ref, FakeModel(lambda mic, ref: ref), align=shift_ms)
    shift = int(shift_ms * 16)
    expected = np.concatenate([np.zeros(max(0, shift)), data[max(0, -shift) :], np.zeros(16000)])[:16000]
    np.testing.assert_array_equal(out, expected.astype(np.float32))
    assert ("ms, as asked" in bench.said) == (shift_ms != 0)


@pytest.mark.parametrize(
    ("mic_level", "ref_level", "align", "told"),
    [
        (1.0, 1.0, "auto", True),
        (1.0, 1.0, "off", False),
        (1.0, 1.0, 40.0, False),
        (1.0, 0.0, "auto", False),
        (1.0, 0.03, "auto", False),  # the noise of an idle line: nobody spoke at the far end
        (0.03, 1.0, "auto", False),
    ],
)
def test_an_echo_that_is_not_found_is_said(
    bench: Bench, mic_level: float, ref_level: float, align: str | float, told: bool
) -> None:
    rng = np.random.default_rng(0)
    mic = bench.write("mic.wav", mic_level * 0.1 * rng.standard_normal(64000), subtype="FLOAT")
    ref = bench.write("ref.wav", ref_level * 0.1 * rng.standard_normal(64000), subtype="FLOAT")
    bench.enhance(mic, ref, align=align)
    assert ("no echo of the reference was found from 10 s before to 10 s after it" in bench.said) == told
    assert ("pass --align MS" in bench.said) == told


def test_an_echo_that_is_found_is_not_called_missing(bench: Bench) -> None:
    far = sound(64000)
    bench.enhance(bench.write("mic.wav", 0.5 * far), bench.write("ref.wav", far))
    assert "no echo" not in bench.said


@pytest.mark.parametrize(("delay_ms", "moved_by"), [(-400, -448), (100, 0), (900, 852)])
def test_an_echo_out_of_sight_is_brought_into_it(bench: Bench, delay_ms: int, moved_by: int) -> None:
    far = sound(16000 * 12, seed=5)
    delay = delay_ms * 16
    echo = np.concatenate([np.zeros(max(0, delay), np.float32), far[max(0, -delay) :], np.zeros(40000)])[: len(far)]
    ref = bench.write("ref.wav", far)
    mic = bench.write("mic.wav", 0.5 * echo + 0.2 * sound(len(far), seed=6))
    bench.enhance(mic, ref)
    assert bench.result is not None
    assert bench.result.delay_ms == pytest.approx(delay_ms, abs=1)
    assert bench.result.shift_ms == pytest.approx(moved_by, abs=1)
    assert ("out of the model's sight" in bench.said) == (moved_by != 0)
    bench.enhance(mic, ref, align="off")
    assert (bench.result.delay_ms, bench.result.shift_ms) == (None, 0.0)


def test_a_short_reference_is_padded_and_a_long_one_cut_with_a_note(bench: Bench) -> None:
    mic = bench.write("mic.wav", sound(16000), subtype="FLOAT")
    data = sound(12000, seed=1)
    out = bench.enhance(mic, bench.write("ref.wav", data, subtype="FLOAT"), FakeModel(lambda m, r: r), align="off")
    np.testing.assert_array_equal(out, np.concatenate([data, np.zeros(4000, np.float32)]))
    assert bench.said == "the reference is 0.250 s shorter than the mic: padded with silence"
    bench.enhance(mic, bench.write("ref.wav", sound(20000)), align="off")
    assert bench.said == "the reference is 0.250 s longer than the mic: cut"
    bench.enhance(mic, bench.write("ref.wav", sound(48000, 48000), 48000), align="off")
    assert bench.said == ""


def test_bad_samples_are_replaced_with_a_warning_and_do_no_further_harm(bench: Bench) -> None:
    data = sound(16000)
    data[[100, 8000]] = [np.nan, np.inf]
    ref = sound(16000, seed=1)
    ref[5] = -np.inf
    out = bench.enhance(bench.write("mic.wav", data, subtype="FLOAT"), bench.write("ref.wav", ref, subtype="FLOAT"))
    assert "2 samples of the mic NaN, infinite or beyond 1e6 times full scale: replaced by zeros" in bench.said
    assert "1 sample of the reference NaN, infinite or beyond 1e6 times full scale: replaced by zeros" in bench.said
    good = np.isfinite(data)
    np.testing.assert_array_equal(out[good], data[good])
    assert not out[~good].any()


def test_what_is_odd_about_the_inputs_is_said(bench: Bench) -> None:
    mic = bench.write("mic.wav", np.zeros((16000, 8)))
    (bench.folder / "link.wav").symlink_to(mic)
    bench.enhance(mic, str(bench.folder / "link.wav"))
    for text in ("same file", "the mic is silent", "the reference is silent", "8 channels: mixed to one"):
        assert text in bench.said
    bench.enhance(mic, mic, mic_channel=2, ref_channel=3)
    assert "same file" not in bench.said
    assert "mixed" not in bench.said


def test_a_truncated_mic_is_processed_as_far_as_it_goes_when_asked(bench: Bench) -> None:
    mic = Path(bench.write("mic.wav", sound(16000)))
    mic.write_bytes(mic.read_bytes()[: 44 + 8000])
    with pytest.raises(AudioError, match="truncated"):
        bench.enhance(str(mic), None)
    assert not list(bench.folder.glob("*out*"))
    assert len(bench.enhance(str(mic), None, allow_truncated=True)) == 4000
    assert "the mic ends early: its header promises 1.00 s, 0.25 s are there" in bench.said


@pytest.mark.parametrize(("frames", "rate"), [(1, 16000), (255, 16000), (1, 48000), (767, 48000), (127, 8000)])
@pytest.mark.parametrize("role", ["mic", "ref"])
def test_shorter_than_a_hop_is_refused_without_output(bench: Bench, frames: int, rate: int, role: str) -> None:
    short = bench.write("short.wav", sound(frames, rate), rate)
    good = bench.write("good.wav", sound(16000))
    with pytest.raises(AudioError, match="too short"):
        bench.enhance(*((short, good) if role == "mic" else (good, short)))
    assert not list(bench.folder.glob("*out*"))


@pytest.mark.parametrize("role", ["mic", "ref"])
def test_all_nan_is_refused_without_output(bench: Bench, role: str) -> None:
    bad = bench.write("bad.wav", np.full(16000, np.nan), subtype="FLOAT")
    good = bench.write("good.wav", sound(16000))
    with pytest.raises(AudioError, match=r"bad\.wav: no sample is a finite number"):
        bench.enhance(*((bad, good) if role == "mic" else (good, bad)))
    assert not list(bench.folder.glob("*out*"))


def test_a_model_that_diverges_is_refused_without_output(bench: Bench) -> None:
    with pytest.raises(LocalVQEError, match="not finite"):
        bench.enhance(bench.write("mic.wav", sound(16000)), None, FakeModel(lambda m, r: m * np.float32(np.nan)))
    assert not list(bench.folder.glob("*out*"))


def test_output_beyond_full_scale_is_never_wrapped(bench: Bench) -> None:
    data = sound(16000)
    mic = bench.write("mic.wav", data)
    loud = FakeModel(lambda m, r: 20 * m)
    out = bench.enhance(mic, None, loud)
    np.testing.assert_allclose(out, 10 * data, atol=1e-3)  # 0.1 * 20 scaled back to 1
    assert bench.result is not None
    assert bench.result.peak == pytest.approx(2.0, rel=1e-3)
    assert bench.result.clipped > 0
    assert "whole file scaled by 0.500" in bench.said
    out = bench.enhance(mic, None, loud, clip_mode=ClipMode.CLAMP)
    np.testing.assert_allclose(out, np.clip(20 * data, -1, 1), atol=1e-3)
    assert "clamped" in bench.said


def test_a_batch_goes_on_after_a_bad_file(bench: Bench) -> None:
    good = bench.write("good.wav", sound(4000))
    (bench.folder / "bad.wav").write_text("no audio")
    jobs = [
        Job("a", good, None, str(bench.folder / "a.wav")),
        Job("b", str(bench.folder / "bad.wav"), None, str(bench.folder / "b.wav")),
        Job("c", good, "", str(bench.folder / "c.wav")),
        Job("d", good, good, str(bench.folder / "d.wav")),
    ]
    results = list(ListRun(FakeModel(), jobs, EnhanceOptions()).results())
    assert [r.error is None for r in results] == [True, False, False, True]
    assert "not readable as audio" in str(results[1].error)
    assert "no reference found" in str(results[2].error)
    assert sorted(p.name for p in bench.folder.glob("?.wav")) == ["a.wav", "d.wav"]


def test_progress_reaches_the_end(bench: Bench) -> None:
    job = Job("job", bench.write("mic.wav", sound(40000, 8000), 8000), None, str(bench.folder / "out.wav"))
    seen: list[tuple[float, float | None]] = []
    enhance_job(FakeModel(), job, EnhanceOptions(), lambda done, total: seen.append((done, total)))
    assert seen[-1] == (5.0, 5.0)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.parametrize("rate", [16000, 48000])
def test_memory_does_not_grow_with_length(bench: Bench, monkeypatch: pytest.MonkeyPatch, rate: int) -> None:
    monkeypatch.setattr("localvqe_cli.audio.clip._MEMORY_BYTES", 1 << 16)
    peaks = []
    for seconds in (20, 120):
        data = np.tile(sound(rate, rate), seconds)
        mic, ref = bench.write("mic.wav", data, rate), bench.write("ref.wav", data, rate)
        del data
        tracemalloc.start()
        bench.run(mic, ref, align="off")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + (1 << 20)
