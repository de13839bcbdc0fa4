"""The gain behind the adaptive filter: against a plain rewriting, as a stream, and what it must not do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from localvqe_cli.config import FrontendConfig, ModelConfig, ResidualConfig
from localvqe_cli.errors import ModelError

torch = pytest.importorskip("torch")

from localvqe_cli.reference import LocalVQE  # noqa: E402
from localvqe_cli.reference.history import History  # noqa: E402
from localvqe_cli.reference.residual_echo import ResidualEcho  # noqa: E402

HOPS = 900  # longer than the memory of the background


def signals(seed: int = 0, hops: int = HOPS) -> tuple[torch.Tensor, torch.Tensor]:
    """Error and echo, (1, hops, 256): noise whose level changes, and an echo that comes and goes."""
    rng = np.random.default_rng(seed)
    level = np.repeat(rng.uniform(0.001, 0.1, hops), 256)
    error = rng.standard_normal(hops * 256) * level
    echo = rng.standard_normal(hops * 256) * level * np.repeat(rng.integers(0, 2, hops), 256)
    return tuple(torch.from_numpy(x.astype(np.float32)).reshape(1, hops, 256) for x in (error, echo))  # type: ignore


@dataclass
class Known:
    """What every configuration's gain is made of, (hops, 257) each, and mean levels, (hops,)."""

    power: np.ndarray  # of the error, in each frame
    background: np.ndarray
    share: np.ndarray  # of the error in the echo
    leak: np.ndarray  # before its bounds
    stands_out: np.ndarray  # the error over the background, both over all bins


@pytest.fixture(scope="module")
def known() -> Known:
    """Of :func:`signals`, by loops."""
    error, echo = (x.flatten().double().numpy() for x in signals())
    window = np.sin(np.pi * (np.arange(512) + 0.5) / 512)

    def powers(x: np.ndarray) -> np.ndarray:
        x = np.concatenate([np.zeros(256), x])
        return np.array([abs(np.fft.rfft(x[i : i + 512] * window)) ** 2 for i in range(0, len(x) - 511, 256)])

    def latest(x: np.ndarray, t: int) -> np.ndarray:
        return x[max(0, t - 4) : t + 1].sum(axis=0) / 5

    error_power, echo_power = powers(error), powers(echo)
    smooth, background, share, shares, leak = (np.empty_like(error_power) for _ in range(5))
    stands_out = np.empty(len(error_power))
    near = np.array([[float(abs(f - g) <= 4) for g in range(257)] for f in range(257)])
    near /= near.sum(axis=1, keepdims=True)  # mean over the bins beside each
    for t, power in enumerate(error_power):
        smooth[t] = power if t == 0 else 0.9 * smooth[t - 1] + 0.1 * power
        first = 50 * max(0, t // 50 - 15)  # the present block of fifty and the fifteen before it
        background[t] = smooth[first : t + 1].min(axis=0)
        left, taken = latest(error_power, t), latest(echo_power, t)
        share[t] = (left + 1e-12) / (taken + 1e-12)
        shares[t] = np.where(taken > background[t], np.minimum(1.0, share[t]), 1.0)
        first = 16 * max(0, t // 16 - 7)
        leak[t] = np.exp(near @ np.log(shares[first : t + 1].min(axis=0)))
        stands_out[t] = (left.mean() + 1e-12) / (background[t].mean() + 1e-12)
    return Known(error_power, background, share, leak, stands_out)


def plain(known: Known, config: ResidualConfig) -> np.ndarray:
    """The gain of every frame by loops, (hops, 257)."""
    gains = np.empty_like(known.power)
    speech = np.zeros(257)
    for t, (power, background) in enumerate(zip(known.power, known.background, strict=True)):
        least = config.leak_background / known.stands_out[t]
        leak = np.maximum(known.leak[t], np.clip(least, config.leak_least, config.leak_most))
        floor = np.minimum(1.0, np.sqrt(config.noise_fill * background / (power + 1e-12)))
        gains[t] = np.maximum(1.0 / (1.0 + (config.overestimate * leak / known.share[t]) ** 2), floor)
        ratio = gains[t] ** 2 * power / (1.5 * (background + 1e-12))
        stands_out = 0.98 * speech + 0.02 * np.maximum(ratio - 1.0, 0.0)
        kept = np.maximum(10 ** (-config.noise_reduction / 20), stands_out / (1.0 + stands_out))
        gains[t], speech = gains[t] * kept, kept**2 * ratio
    return gains


@pytest.mark.parametrize(
    "config",
    [
        ResidualConfig(),
        ResidualConfig(overestimate=8.0, leak_least=0.3, leak_most=0.3, noise_fill=0.4),
        ResidualConfig(overestimate=1000.0, leak_background=0.0, noise_fill=0.0),
        ResidualConfig(overestimate=10.0, leak_least=1e-4, leak_most=1.0, leak_background=0.2, noise_fill=4.0),
        ResidualConfig(noise_reduction=0.0),
        ResidualConfig(noise_reduction=20.0),
    ],
)
def test_it_is_what_the_formula_says(config: ResidualConfig, known: Known) -> None:
    np.testing.assert_allclose(ResidualEcho(config)(*signals())[0][0].numpy(), plain(known, config), atol=2e-5)


def test_a_talker_stays_where_the_filter_leaves_little() -> None:
    """Where the error was a thirtieth of the echo before, a talker as loud as the echo is hardly touched."""
    rng = np.random.default_rng(5)
    echo = 0.1 * rng.standard_normal(256 * 240)
    echo[: 256 * 60] = 0.0
    error = 1e-5 * rng.standard_normal(256 * 240) + 0.03 * echo
    error[256 * 200 :] += 0.1 * rng.standard_normal(256 * 40)
    hops = [torch.from_numpy(x.astype(np.float32)).reshape(1, 240, 256) for x in (error, echo)]
    gain = ResidualEcho(ResidualConfig())(*hops)[0][0]
    assert float(gain[150:200].mean()) < 0.05
    assert float(gain[206:].mean()) > 0.5


def test_a_stream_is_the_clip() -> None:
    error, echo = signals(1, 130)
    stage = ResidualEcho(ResidualConfig())
    want, _ = stage(error, echo)
    history = History()
    pieces = [stage(error[:, i : i + 7], echo[:, i : i + 7], history)[0] for i in range(0, 130, 7)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), want, rtol=0, atol=0)


def test_the_future_does_not_matter() -> None:
    error, echo = signals(2, 60)
    stage = ResidualEcho(ResidualConfig())
    before, _ = stage(error, echo)
    error[:, 40:] *= 30.0
    echo[:, 40:] = 0.0
    torch.testing.assert_close(stage(error, echo)[0][:, :40], before[:, :40], rtol=0, atol=0)


def test_noise_falls_by_what_is_asked_for_and_a_voice_above_it_stays() -> None:
    """Ten seconds of noise, with a sound 30 dB above it in the last but one."""
    rng = np.random.default_rng(6)
    noise = 1e-3 * rng.standard_normal(256 * 625)
    sound = np.where(np.arange(noise.size) // 16000 == 8, 0.045 * rng.standard_normal(noise.size), 0.0)
    error = torch.from_numpy((noise + sound).astype(np.float32)).reshape(1, 625, 256)
    for decibels in (0.0, 4.0, 8.0):
        stage = ResidualEcho(ResidualConfig(noise_reduction=decibels))
        gain, spectrum = stage(error, torch.zeros_like(error))
        out = stage.samples(gain * spectrum, None)[0, 256:].numpy()

        def change(second: int, out: np.ndarray = out) -> float:
            part = slice(16000 * second, 16000 * (second + 1))
            return float(10 * np.log10(np.mean(out[part] ** 2) / np.mean((noise + sound)[part] ** 2)))

        # Peaks of noise pass, so the whole of it falls by less.
        assert -decibels - 0.01 <= change(6) <= -0.5 * decibels + 0.01
        assert change(8) == pytest.approx(0.0, abs=0.2)


def test_a_voice_in_silence_is_left_alone() -> None:
    error, echo = signals(7, 200)
    error[:, ::50] = 0.0
    gain, _ = ResidualEcho(ResidualConfig())(error, 0.0 * echo)
    assert float(gain[0, 60:].where(error.abs().amax(dim=-1)[0, 60:, None] > 0, torch.ones(())).min()) > 0.99


def test_without_an_echo_nothing_changes() -> None:
    residual = ResidualConfig(noise_reduction=0.0)
    config = ModelConfig(version=3, network=False, frontend=FrontendConfig(), residual=residual)
    mic = torch.randn(1, 16000, generator=torch.Generator().manual_seed(0)) * 0.1
    out = LocalVQE(config)(mic, torch.zeros_like(mic))
    torch.testing.assert_close(out, mic, rtol=0, atol=1e-6)


def test_what_is_mostly_echo_falls_to_the_background_and_not_below() -> None:
    rng = np.random.default_rng(3)
    background = 0.001 * rng.standard_normal(256 * 200)
    echo = 0.1 * rng.standard_normal(256 * 200)
    echo[: 256 * 100] = 0.0
    error = background + 0.3 * echo
    hops = [torch.from_numpy(x.astype(np.float32)).reshape(1, 200, 256) for x in (error, echo)]
    stage = ResidualEcho(ResidualConfig(overestimate=1000.0, noise_fill=1.0, noise_reduction=0.0))
    gain, spectrum = stage(*hops)
    out = stage.samples(gain * spectrum, None)[0, 256 * 120 :].numpy()
    assert -10.0 < 10 * np.log10(np.mean(out**2) / np.mean(background**2)) < 3.0
    assert 10 * np.log10(np.mean(error[256 * 120 :] ** 2) / np.mean(out**2)) > 25.0


def test_each_frame_is_transformed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network's place taken by nothing, the spectrum that the gain was found on is the one it is applied to."""
    config = ModelConfig(version=3, network=False, frontend=FrontendConfig(), residual=ResidualConfig())
    transformed, whole = [], ResidualEcho.spectrum
    monkeypatch.setattr(ResidualEcho, "spectrum", lambda *args: transformed.append(args[3]) or whole(*args))
    LocalVQE(config)(torch.zeros(1, 2560), torch.zeros(1, 2560))
    assert transformed == ["error", "echo"]


def test_levels_and_silence_stay_finite() -> None:
    stage = ResidualEcho(ResidualConfig())
    error, echo = signals(4, 20)
    for scale in (0.0, 1e-12, 1e6):
        gain, _ = stage(error * scale, echo * scale)
        assert bool(torch.isfinite(gain).all())
        assert float(gain.min()) >= 0.0
        assert float(gain.max()) <= 1.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"overestimate": -1.0},
        {"noise_fill": 17.0},
        {"version": 1},
        {"noise_fill": float("nan")},
        {"leak_least": 0.0},
        {"leak_least": 0.2, "leak_most": 0.1},
        {"leak_background": float("inf")},
    ],
)
def test_each_value_has_a_range(wrong: dict[str, float]) -> None:
    with pytest.raises(ModelError, match="residual"):
        ResidualConfig(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="residual"):
        ModelConfig.from_mapping({"arch_version": 3, "frontend": {}, "residual": wrong})


def test_it_needs_a_front_end_and_a_model_needs_something() -> None:
    with pytest.raises(ModelError, match="front-end"):
        ModelConfig(residual=ResidualConfig())
    with pytest.raises(ModelError, match="network"):
        ModelConfig(network=False)
