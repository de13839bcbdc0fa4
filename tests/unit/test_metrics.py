"""Every metric against an independent computation or a published value."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from eval_data import voice

from localvqe_cli.evaluation import read_source
from localvqe_cli.evaluation.scenario import talk_type
from localvqe_cli.metrics import FIELDS, GROUPS, ClipSignals, Failure, TalkType, Undefined
from localvqe_cli.metrics import aecmos as aecmos_metric
from localvqe_cli.metrics.convergence import convergence_s
from localvqe_cli.metrics.erle import blind_erle_db, erle_db
from localvqe_cli.metrics.level import level_db
from localvqe_cli.metrics.mel import log_mel
from localvqe_cli.metrics.sisdr import si_sdr_db
from localvqe_cli.signal_path import read_at_model_rate

RATE = 16000
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def noise(seconds: float, seed: int, level: float = 0.1) -> np.ndarray:
    return (level * np.random.default_rng(seed).standard_normal(int(seconds * RATE))).astype(np.float32)


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """mic, ref and target of the repository's own sample."""
    read = [sf.read(EXAMPLES / name, dtype="float32")[0] for name in ("sample_mic.wav", "sample_ref.wav")]
    target, _ = sf.read(EXAMPLES / "sample_target.flac", dtype="float32")
    return read[0], read[1], target


def score(group: str, **signals: object) -> dict[str, object]:
    return dict(GROUPS[group].compute(ClipSignals(**signals)))  # type: ignore[arg-type]


# -- ERLE -------------------------------------------------------------------------------------


def written_out_blind_erle(mic: np.ndarray, ref: np.ndarray, out: np.ndarray) -> float:
    """The report's formula, frame by frame, with nothing shared with the implementation."""
    count = min(len(mic), len(ref), len(out))
    mic_rms, ref_rms, mic_energy, out_energy = [], [], [], []
    start = 0
    while start + 512 <= count:
        x, r, y = (np.asarray(s[start : start + 512], np.float64) for s in (mic, ref, out))
        mic_rms.append(np.sqrt(np.mean(x**2)))
        ref_rms.append(np.sqrt(np.mean(r**2)))
        mic_energy.append(np.sum(x**2))
        out_energy.append(np.sum(y**2))
        start += 256
    p75 = np.percentile(ref_rms, 75)
    chosen = [f for f in range(len(ref_rms)) if ref_rms[f] > p75 and mic_rms[f] < 2.0 * ref_rms[f]]
    return float(10 * np.log10(sum(mic_energy[f] for f in chosen) / sum(out_energy[f] for f in chosen)))


@pytest.mark.parametrize("lengths", [(40000, 40000, 40000), (40100, 39000, 39999)])
def test_blind_erle_is_the_reports_formula(lengths: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(3)
    loudness = np.repeat(rng.uniform(0.01, 1.0, 200), 256)[:40960].astype(np.float32)
    ref = (noise(2.56, 1) * loudness)[: lengths[1]]
    mic = noise(2.56, 2, 0.12)[: lengths[0]]
    out = (mic * np.repeat(rng.uniform(0.05, 0.9, 200), 256)[: len(mic)]).astype(np.float32)[: lengths[2]]
    assert blind_erle_db(mic, ref, out) == pytest.approx(written_out_blind_erle(mic, ref, out), abs=1e-9)


def test_blind_erle_leaves_out_near_end_speech_and_quiet_far_end() -> None:
    ref = noise(4.0, 1)
    ref[: 2 * RATE] *= 0.01  # the far end is quiet in the first half
    echo = 0.5 * ref
    mic, out = echo.copy(), 0.1 * echo
    mic[3 * RATE :] += noise(1.0, 2, 1.0)  # near-end speech, 20 dB above the reference, which is kept
    out[3 * RATE :] = mic[3 * RATE :]
    assert blind_erle_db(mic, ref, out.astype(np.float32)) == pytest.approx(20.0, abs=0.2)
    assert erle_db(mic, out.astype(np.float32)) == pytest.approx(0.0, abs=0.1)


def test_plain_erle_is_the_model_cards_ratio() -> None:
    mic, out = noise(1.0, 1), noise(1.5, 2, 0.01)
    wanted = 10 * np.log10(np.mean(mic.astype(float) ** 2) / np.mean(out[:RATE].astype(float) ** 2))
    assert erle_db(mic, out) == pytest.approx(wanted)
    assert erle_db(mic, (0.1 * mic).astype(np.float32)) == pytest.approx(20.0, abs=1e-4)


def test_erle_without_a_value_says_why() -> None:
    mic, silence = noise(1.0, 1), np.zeros(RATE, np.float32)
    assert erle_db(mic, silence) == Undefined("the output is silent, so the ratio is infinite")
    assert erle_db(silence, mic) == Undefined("the mic is silent")
    # A silent or constant reference is nowhere above its own percentile.
    assert isinstance(blind_erle_db(mic, silence, mic), Undefined)
    assert isinstance(blind_erle_db(mic, np.full(RATE, 0.5, np.float32), mic), Undefined)
    assert isinstance(blind_erle_db(mic[:511], mic[:511], mic[:511]), Undefined)


# -- opinion scores ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("talk", "seconds", "rated"),
    [
        (TalkType.FAR_END, 10, (5, 10)),
        (TalkType.FAR_END, 40, (20, 40)),
        (TalkType.NEAR_END, 40, (0, 40)),
        (TalkType.DOUBLE, 15, (0, 15)),
        (TalkType.DOUBLE, 35, (25, 35)),
        (TalkType.DOUBLE, 17, (16, 17)),
    ],
)
def test_the_rated_part(talk: TalkType, seconds: int, rated: tuple[int, int]) -> None:
    part = aecmos_metric.rated_part(talk, seconds * RATE)
    assert (part.start, part.stop) == (rated[0] * RATE, rated[1] * RATE)


def direct_aecmos(mic: np.ndarray, ref: np.ndarray, out: np.ndarray, talk: TalkType) -> tuple[float, float]:
    speechmos = pytest.importorskip("speechmos.aecmos", reason="the extra eval is not installed")
    found = speechmos.run({"lpb": ref, "mic": mic, "enh": out}, sr=RATE, talk_type=talk.value)
    return found["echo_mos"], found["deg_mos"]


@pytest.mark.parametrize("talk", TalkType)
def test_aecmos_equals_a_direct_call(pair: tuple[np.ndarray, ...], talk: TalkType) -> None:
    mic, ref, _ = pair
    ref = ref[:-777]  # cut to the shortest, not padded
    out = (0.5 * mic).astype(np.float32)
    part = slice(len(ref) // 2 if talk is TalkType.FAR_END else 0, len(ref))
    wanted = direct_aecmos(mic[part], ref[part], out[part], talk)
    found = score("aecmos", mic=mic, ref=ref, enhanced=out, talk=talk)
    assert (found["aecmos_echo"], found["aecmos_deg"]) == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("seed", range(6))
def test_aecmos_of_any_sound_equals_a_direct_call(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # From a single window to more than the 20 s that are looked at; loud, faint, and silent for a while.
    seconds = (513 / RATE, 0.5, 3.0, 7.7001, 20.0, 21.5)[seed]
    mic, ref, out = (
        np.clip(noise(seconds, 10 * seed + k, 10.0 ** rng.uniform(-4, 0)), -1, 1).astype(np.float32) for k in range(3)
    )
    ref[: len(ref) // 3] = 0.0
    for talk in TalkType:
        found = aecmos_metric.score(mic, ref, out, talk)
        assert found == pytest.approx(direct_aecmos(mic, ref, out, talk), abs=1e-4)


def test_aecmos_of_recordings_equals_a_direct_call(eval_dev: Path) -> None:
    clips = read_source(str(eval_dev / "pairs.tsv")) + read_source(str(eval_dev / "long.tsv"))
    for clip in clips[::4]:
        talk = talk_type(clip.scenario)
        assert talk is not None
        assert clip.ref is not None
        mic, ref = (read_at_model_rate(path) for path in (clip.mic, clip.ref))
        length = min(len(mic), len(ref))
        part = aecmos_metric.rated_part(talk, length)
        mic, ref = (np.clip(x[part], -1, 1) for x in (mic, ref))
        out = (0.1 * mic + 0.001 * ref).astype(np.float32)
        assert aecmos_metric.score(mic, ref, out, talk) == pytest.approx(direct_aecmos(mic, ref, out, talk), abs=1e-4)


def test_the_spectrogram_is_librosas() -> None:
    librosa = pytest.importorskip("librosa", reason="the extra eval is not installed")
    for length in (513, 1024, 1025, 16000):
        sound = noise(length / RATE, length)
        power = librosa.feature.melspectrogram(y=sound, sr=RATE, n_fft=513, hop_length=256, n_mels=160)
        wanted = (librosa.power_to_db(power, ref=np.max) + 40) / 40
        np.testing.assert_allclose(log_mel(sound), wanted.T, atol=2e-6)


def test_a_changed_mic_is_not_taken_for_the_one_before(pair: tuple[np.ndarray, ...]) -> None:
    pytest.importorskip("onnxruntime", reason="the extra eval is not installed")
    mic, ref, _ = (x[: 4 * RATE].copy() for x in pair)
    before = aecmos_metric.score(mic, ref, mic, TalkType.DOUBLE)
    mic[:] = noise(4.0, 1)  # in place: the same array
    after = aecmos_metric.score(mic, ref, mic, TalkType.DOUBLE)
    assert after != before
    assert after == pytest.approx(direct_aecmos(mic, ref, mic, TalkType.DOUBLE), abs=1e-4)


def test_dnsmos_equals_a_direct_call(pair: tuple[np.ndarray, ...]) -> None:
    speechmos = pytest.importorskip("speechmos.dnsmos", reason="the extra eval is not installed")
    mic, ref, _ = pair
    long = np.tile(mic, 3)[: 11 * RATE]
    wanted = speechmos.run(long, RATE)
    found = score("dnsmos", mic=long, ref=ref, enhanced=long)
    for key, theirs in (("dnsmos_sig", "sig_mos"), ("dnsmos_bak", "bak_mos"), ("dnsmos_ovrl", "ovrl_mos")):
        assert found[key] == pytest.approx(wanted[theirs], abs=1e-3)


def test_opinion_scores_with_reservations(pair: tuple[np.ndarray, ...]) -> None:
    speechmos = pytest.importorskip("speechmos.dnsmos", reason="the extra eval is not installed")
    mic, ref, _ = pair
    short = mic[: 3 * RATE]
    ovrl = score("dnsmos", mic=short, ref=ref, enhanced=short)["dnsmos_ovrl"]
    assert isinstance(ovrl, Failure)
    assert "shorter than DNSMOS' window" in ovrl.reason
    assert ovrl.value == pytest.approx(speechmos.run(short, RATE)["ovrl_mos"], abs=1e-3)
    silence = np.zeros_like(mic)
    assert isinstance(score("dnsmos", mic=mic, ref=ref, enhanced=silence)["dnsmos_sig"], Undefined)
    # speechmos itself would give a silent output a score, since it scales each spectrum to its own maximum.
    silent = score("aecmos", mic=mic, ref=ref, enhanced=silence, talk=TalkType.DOUBLE)
    assert isinstance(silent["aecmos_echo"], Undefined)
    assert isinstance(score("aecmos", mic=mic, ref=ref, enhanced=mic)["aecmos_echo"], Failure)
    tiny = score("aecmos", mic=mic[:1000], ref=ref, enhanced=mic, talk=TalkType.FAR_END)["aecmos_deg"]
    assert isinstance(tiny, Failure)
    assert "shorter than AECMOS' window" in tiny.reason
    # Beyond full scale speechmos refuses; the samples are flattened instead.
    loud = score("aecmos", mic=mic, ref=ref, enhanced=(20 * mic).astype(np.float32), talk=TalkType.DOUBLE)
    assert isinstance(loud["aecmos_echo"], float)


# -- with a clean target ----------------------------------------------------------------------


def test_si_sdr_by_its_geometry() -> None:
    target = np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE).astype(np.float32)
    other = np.cos(2 * np.pi * 200 * np.arange(RATE) / RATE).astype(np.float32)  # orthogonal, same power
    mixture = (target + 0.1 * other).astype(np.float32)
    assert si_sdr_db(mixture, target) == pytest.approx(20.0, abs=1e-3)
    assert si_sdr_db((-7.0 * mixture + 0.5).astype(np.float32), target) == pytest.approx(20.0, abs=1e-2)
    found = score("sisdr", mic=(target + other).astype(np.float32), ref=other, enhanced=mixture, target=target)
    assert found["si_sdr_improvement_db"] == pytest.approx(20.0, abs=1e-3)
    assert si_sdr_db(target, target) == Undefined("the output is the target itself, so the ratio is infinite")
    assert isinstance(si_sdr_db(np.zeros_like(target), target), Undefined)


# -- near-end level ---------------------------------------------------------------------------


def phase_shifted(samples: np.ndarray, late: int) -> np.ndarray:
    """``samples`` late by that many, and through an all-pass that turns the low frequencies most, as high-passes do."""
    spectrum = np.fft.rfft(samples, len(samples) + RATE)
    angle = np.pi / (1.0 + np.arange(len(spectrum)) * RATE / (len(samples) + RATE) / 300.0)
    return np.roll(np.fft.irfft(spectrum * np.exp(1j * angle)), late)[: len(samples)].astype(np.float32)


def test_the_level_is_that_of_the_speech_not_of_the_energy() -> None:
    near, echo = voice(1, 8.0), voice(2, 8.0, 0.2)
    mic = near + echo
    for wanted, out in (
        (0.0, mic),
        (0.0, near),
        (-6.02, 0.5 * near),
        (-6.02, 0.5 * near + 0.8 * echo),  # louder than the speech itself
        (-6.02, 0.5 * near + 0.1 * voice(3, 8.0)),
        (6.02, 2.0 * near),
        (-6.02, phase_shifted(0.5 * near + 0.1 * echo, 320)),
        (-20.0, 0.01 * near),  # gone is gone
    ):
        found = level_db(mic, out.astype(np.float32), near)
        assert found == pytest.approx(wanted, abs=0.3)


def test_the_level_is_held_against_what_the_mic_has_of_the_target() -> None:
    """Sets exist whose target is a clean recording of another level than its part in the mic."""
    near, echo = voice(1, 8.0), voice(2, 8.0)
    out = (0.5 * near + 0.2 * echo).astype(np.float32)
    for scale in (0.3, 3.0):
        assert level_db(near + echo, out, scale * near) == pytest.approx(-6.02, abs=0.3)


def test_a_swallowed_second_counts_and_pauses_do_not() -> None:
    near = voice(1, 8.0)
    near[4 * RATE :] *= 1e-3  # a pause, whose level is not the speech's
    out = near.copy()
    out[: 2 * RATE] = 0.0
    out[4 * RATE :] = 0.0
    assert level_db(near, out, near) == pytest.approx(-20.0 / 2, abs=1.0)


def test_a_level_without_a_value_says_why() -> None:
    near, silence = voice(1, 4.0), np.zeros(4 * RATE, np.float32)
    assert level_db(near, near, silence) == Undefined("the target is silent")
    assert level_db(near, silence, near) == Undefined("the output is silent")
    assert level_db(voice(2, 4.0), near, voice(3, 4.0)) == Undefined("the mic holds nothing of the target")
    assert level_db(near[:4000], near, near) == Undefined("shorter than a block of 256 ms")
    assert level_db(near[: RATE // 2], near, near) == Undefined("less than 1.0 s of near-end speech")


# -- convergence ------------------------------------------------------------------------------


def echoing(seconds: float, pause: tuple[float, float] = (2.0, 3.0)) -> np.ndarray:
    """Echo with a pause, over noise 40 dB below it."""
    echo = noise(seconds, 1)
    echo[int(pause[0] * RATE) : int(pause[1] * RATE)] = 0.0
    return echo + noise(seconds, 2, 0.001)


def test_convergence_counts_seconds_of_echo() -> None:
    mic = echoing(10.0)
    gain = np.where(np.arange(mic.size) < 5 * RATE, 1.0, 0.1).astype(np.float32)
    # Four of the first five seconds hold echo; of the half second that is looked at, nine tenths must be quiet.
    assert convergence_s(mic, gain * mic) == pytest.approx(4.0 + 0.45, abs=0.1)
    assert convergence_s(mic, 0.1 * mic) == pytest.approx(0.0, abs=0.02)
    late = np.concatenate([np.zeros(320, np.float32), gain * mic])[: mic.size]
    assert convergence_s(mic, late) == pytest.approx(4.0 + 0.45, abs=0.15)
    # 10 dB that do not hold for a second are none.
    relapse = gain * mic
    relapse[int(5.9 * RATE) : 7 * RATE] *= 10.0
    assert convergence_s(mic, relapse) == pytest.approx(6.0 + 0.45, abs=0.15)


def test_a_convergence_without_a_value_says_why() -> None:
    mic = echoing(10.0)
    assert convergence_s(mic, 0.5 * mic) == Undefined("the output does not stay 10 dB below the mic for 1 s")
    late = np.where(np.arange(mic.size) < 9.5 * RATE, mic, 0.1 * mic).astype(np.float32)
    assert convergence_s(mic, late) == Undefined("the output does not stay 10 dB below the mic for 1 s")
    noisy = mic + noise(10.0, 3, 0.05)
    assert convergence_s(noisy, 0.01 * noisy) == Undefined("the echo is less than 15 dB above the noise")
    assert convergence_s(mic[:RATE], 0.1 * mic[:RATE]) == Undefined("the echo is less than 15 dB above the noise")
    short = echoing(0.9, (0.0, 0.1))
    assert convergence_s(short, short) == Undefined("less than 1 s of echo")
    assert isinstance(convergence_s(np.zeros_like(mic), mic), Undefined)
    talking = score("convergence", mic=mic, ref=mic, enhanced=0.1 * mic, talk=TalkType.DOUBLE)
    assert isinstance(talking["convergence_s"], Undefined)
    alone = score("convergence", mic=mic, ref=mic, enhanced=0.1 * mic, talk=TalkType.FAR_END)
    assert isinstance(alone["convergence_s"], float)


def test_pesq_of_the_target_itself_is_the_scales_end(pair: tuple[np.ndarray, ...]) -> None:
    pytest.importorskip("pesq", reason="the extra pesq is not installed")
    mic, ref, target = pair
    clean = score("pesq", mic=mic, ref=ref, enhanced=target, target=target)["pesq"]
    assert clean == pytest.approx(4.644, abs=1e-3)  # P.862.2's mapping of a raw 4.5
    worse = score("pesq", mic=mic, ref=ref, enhanced=mic, target=target)["pesq"]
    assert isinstance(worse, float)
    assert 1.0 < worse < 3.0
    short = score("pesq", mic=mic, ref=ref, enhanced=mic[:3000], target=target)["pesq"]
    assert isinstance(short, Failure)


def test_stoi_of_the_target_itself_is_one(pair: tuple[np.ndarray, ...]) -> None:
    pytest.importorskip("pystoi", reason="the extra pesq is not installed")
    mic, ref, target = pair
    assert score("stoi", mic=mic, ref=ref, enhanced=target, target=target)["stoi"] == pytest.approx(1.0, abs=1e-6)
    worse = score("stoi", mic=mic, ref=ref, enhanced=mic, target=target)["stoi"]
    assert isinstance(worse, float)
    assert 0.2 < worse < 0.99
    speech = slice(40000, 43000)  # a fifth of a second
    short = score("stoi", mic=mic, ref=ref, enhanced=mic[speech], target=target[speech])["stoi"]
    assert isinstance(short, Failure)


# -- of the output alone ----------------------------------------------------------------------


@pytest.mark.parametrize("late", [0, 160, -80])
def test_delay_of_a_shifted_output(late: int) -> None:
    mic = noise(4.0, 5)
    out = np.roll(0.3 * mic, late)
    assert score("delay", mic=mic, ref=mic, enhanced=out)["delay_ms"] == pytest.approx(1000 * late / RATE, abs=0.1)


def test_delay_is_not_guessed() -> None:
    assert isinstance(score("delay", mic=noise(4, 1), ref=noise(4, 2), enhanced=noise(4, 3))["delay_ms"], Undefined)


def test_clipped_samples_are_counted() -> None:
    out = np.array([0.5, 1.0, -1.0, -1.5, 0.9999, 32767 / 32768], np.float32)
    assert score("clipping", mic=out, ref=out, enhanced=out)["clipped"] == 4.0


def test_the_table_of_fields_is_what_the_groups_compute(pair: tuple[np.ndarray, ...]) -> None:
    mic, ref, target = pair
    for group in GROUPS.values():
        if group.installed:
            found = score(group.name, mic=mic, ref=ref, enhanced=mic, target=target, talk=TalkType.DOUBLE)
            assert tuple(sorted(found)) == tuple(sorted(group.fields))
    assert len({item.key for item in FIELDS}) == len(FIELDS)
