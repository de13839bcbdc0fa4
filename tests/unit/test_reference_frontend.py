"""The adaptive front-end: what it removes, what it leaves alone, and how it gets out of trouble."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from localvqe_cli.config import FRONTEND_PREFIX, FrontendConfig, ModelConfig
from localvqe_cli.errors import ModelError

torch = pytest.importorskip("torch")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from localvqe_cli.reference.filterbank import split_hops  # noqa: E402
from localvqe_cli.reference.frontend import DelaySearch, KalmanFrontend  # noqa: E402
from localvqe_cli.reference.frontend_gain import GainController  # noqa: E402
from localvqe_cli.reference.history import History  # noqa: E402
from localvqe_cli.reference.kalman import Complex, initial_filter, kalman_step  # noqa: E402

RATE = 16000


def noise(seconds: float, seed: int, level: float = 0.1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(int(seconds * RATE)) * level


def room(delay: int, seed: int = 0, length: int = 1200) -> np.ndarray:
    """A decaying random response of unit energy that starts after ``delay`` samples."""
    tail = np.random.default_rng(seed).standard_normal(length) * np.exp(-np.arange(length) / 200.0)
    return np.concatenate([np.zeros(delay), tail / np.linalg.norm(tail)])


def echo_of(ref: np.ndarray, response: np.ndarray) -> np.ndarray:
    return np.convolve(ref, response)[: len(ref)]


def run(mic: np.ndarray, ref: np.ndarray, config: FrontendConfig | None = None) -> tuple[np.ndarray, np.ndarray]:
    hops = [split_hops(torch.from_numpy(x.astype(np.float32))[None]) for x in (mic, ref)]
    error, echo = KalmanFrontend(config or FrontendConfig())(*hops)
    return error.flatten().numpy()[: len(mic)], echo.flatten().numpy()[: len(mic)]


def run_together(mics: list[np.ndarray], refs: list[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Likewise of pairs of one length, as a batch: the filter takes hop by hop, and so hardly longer for several."""
    hops = [split_hops(torch.from_numpy(np.stack(x).astype(np.float32))) for x in (mics, refs)]
    error, echo = (x.flatten(1).numpy()[:, : len(mics[0])] for x in KalmanFrontend(FrontendConfig())(*hops))
    return list(zip(error, echo, strict=True))


def level(x: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(x)) + 1e-20))


def test_an_echo_disappears_whatever_its_delay() -> None:
    ref = noise(4.0, 1)
    mics = [echo_of(ref, room(delay)) for delay in (0, 300, 3000, 7500)]
    last = slice(3 * RATE, None)
    for mic, (error, echo) in zip(mics, run_together(mics, [ref] * len(mics)), strict=True):
        assert level(error[last]) < level(mic[last]) - 25.0
        np.testing.assert_allclose(error + echo, mic, atol=1e-5)


def test_doubletalk_keeps_the_near_end() -> None:
    ref, near = noise(6.0, 1), noise(6.0, 2, 0.05)
    near[: 2 * RATE] = 0.0
    echo = echo_of(ref, room(2000))  # 6 dB above the near end
    error, _ = run(echo + near, ref)
    last = slice(4 * RATE, None)
    assert level(error[last] - near[last]) < level(echo[last]) - 10.0


def test_without_a_reference_the_microphone_passes_bit_by_bit() -> None:
    mic = noise(1.0, 3).astype(np.float32)
    error, echo = run(mic, np.zeros_like(mic))
    np.testing.assert_array_equal(error, mic)
    assert not echo.any()


def test_a_strangers_reference_does_little_harm() -> None:
    mic, ref = noise(5.0, 4), noise(5.0, 5)
    error, _ = run(mic, ref)
    last = slice(2 * RATE, None)
    assert level(error[last] - mic[last]) < level(mic[last]) - 10.0


def test_a_delay_that_jumps_is_found_again() -> None:
    """Far away, or a hop earlier: by then the echo is at the edge of the filter, and what comes before the edge no
    coefficient can take away."""
    ref = noise(8.0, 1)
    mics = []
    for before, after in ((500, 5500), (2483, 2483 - 256)):
        mics.append(echo_of(ref, room(before)))
        mics[-1][4 * RATE :] = echo_of(ref, room(after))[4 * RATE :]
    for mic, (error, _), down in zip(mics, run_together(mics, [ref, ref]), (20.0, 25.0), strict=True):
        for last in (slice(3 * RATE, 4 * RATE), slice(7 * RATE, None)):
            assert level(error[last]) < level(mic[last]) - down


def test_an_echo_that_stops_is_not_made_up() -> None:
    ref = noise(4.0, 1)
    mic = echo_of(ref, room(500))
    mic[2 * RATE :] = noise(2.0, 6, 1e-4)  # the loudspeaker is switched off
    error, _ = run(mic, ref)
    after = slice(2 * RATE + 512, None)
    assert level(error[after]) < level(mic[after]) + 7.0


def test_a_stream_is_the_clip() -> None:
    ref = noise(1.5, 1)
    hops = [split_hops(torch.from_numpy(x.astype(np.float32))[None]) for x in (echo_of(ref, room(4000)), ref)]
    front = KalmanFrontend(FrontendConfig())
    want = front(*hops)[0]
    history = History()
    pieces = [front(*(h[:, i : i + 7] for h in hops), history)[0] for i in range(0, hops[0].shape[1], 7)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), want, rtol=0, atol=0)
    history.reset()
    torch.testing.assert_close(front(*(h[:, :9] for h in hops), history)[0], want[:, :9], rtol=0, atol=0)


def test_clips_of_a_batch_do_not_touch_each_other() -> None:
    refs = [noise(1.5, 1), noise(1.5, 2)]
    mics = [echo_of(refs[0], room(5000)), echo_of(refs[1], room(200))]
    hops = [split_hops(torch.from_numpy(np.stack(x).astype(np.float32))) for x in (mics, refs)]
    both = KalmanFrontend(FrontendConfig())(*hops)[0].flatten(1).numpy()
    for row in range(2):
        alone, _ = run(mics[row], refs[row])
        np.testing.assert_allclose(both[row, : len(alone)], alone, atol=1e-6)


def test_absurd_levels_stay_finite() -> None:
    ref = noise(0.5, 1, 1.0)
    mic = echo_of(ref, room(100))
    levels = [(for_mic, for_ref) for for_mic in (1e-9, 1e6) for for_ref in (1e-9, 1e6)]
    mics = [np.concatenate([mic * for_mic, mic * 0.1]) for for_mic, _ in levels]
    refs = [np.concatenate([ref * for_ref, ref * 0.1]) for _, for_ref in levels]
    for heard, (error, echo) in zip(mics, run_together(mics, refs), strict=True):
        assert np.isfinite(error).all()
        assert np.isfinite(echo).all()
        assert np.square(error).sum() <= 4.01 * np.square(heard).sum() + 1e-7 * len(heard)


def test_the_configuration_survives_a_checkpoint_and_a_file() -> None:
    config = ModelConfig(frontend=FrontendConfig(partitions=7, lags=20, iterations=1, transition=0.99))
    assert ModelConfig.from_mapping(config.to_mapping()) == config
    assert ModelConfig.from_gguf_fields({key: value for key, _, value in config.gguf_fields()}) == config
    assert config.visible_lags == 20
    assert ModelConfig(dmax=9).visible_lags == 9
    assert not any(key.startswith(FRONTEND_PREFIX) for key, _, _ in ModelConfig().gguf_fields())


@pytest.mark.parametrize("name", [f.name for f in fields(FrontendConfig)])
def test_each_value_has_a_range(name) -> None:
    for wrong in (-1, 1e9, float("nan")):
        with pytest.raises(ModelError, match=name.replace("_", "[_ ]")):
            FrontendConfig(**{name: wrong})


@pytest.mark.parametrize("frontend", [3, {"partitions": "many"}, {"partitions": 0}])
def test_a_strange_front_end_in_a_checkpoint_is_refused(frontend) -> None:
    with pytest.raises(ModelError, match="front"):
        ModelConfig.from_mapping({"arch_version": 3, "frontend": frontend})


# -- pauses -----------------------------------------------------------------------------------


def test_a_pause_of_the_far_end_changes_nothing() -> None:
    """Far end for 4 s, near end alone for 8 s, far end again: its echo is gone in the first half second. The pause is
    silent, or has noise at -75 dBFS in the reference alone, or at -62 and the microphone hears it as well."""
    far, faint = noise(14.0, 1), noise(14.0, 3)
    far[4 * RATE : 12 * RATE] = 0.0
    near = np.zeros_like(far)
    near[int(4.3 * RATE) : 12 * RATE] = noise(7.7, 2, 0.01)
    line = far + faint * np.float32(10 ** (-42 / 20))
    refs = [far, far + faint * np.float32(10 ** (-55 / 20)), line]
    echoes = [echo_of(far, room(2000)), echo_of(far, room(2000)), echo_of(line, room(2000))]
    again, alone = slice(12 * RATE + 2500, 12 * RATE + 10000), slice(6 * RATE, 12 * RATE)
    left = run_together([echo + near for echo in echoes], refs)
    for echo, (error, _) in zip(echoes, left, strict=True):
        assert level(error[again]) < level(echo[again]) - 30.0
        assert level((error - near)[alone]) < level(near[alone]) - 30.0


def test_the_delay_does_not_move_while_the_reference_is_silent() -> None:
    rng = np.random.default_rng(0)
    search = DelaySearch(32, torch.zeros(1, 256))
    far = rng.standard_normal((400, 512)) * np.where(np.arange(400) % 200 < 100, 0.1, 1e-5)[:, None]
    near = rng.standard_normal((400, 512)) * 0.1
    near[5:] += far[:-5]
    moved_at = []
    for t in range(400):
        spectra = [torch.from_numpy(np.fft.rfft(x[t]).astype(np.complex64))[None] for x in (near, far)]
        if search.step(*spectra, torch.from_numpy(far[t, 256:].astype(np.float32))[None]).any():
            moved_at.append(t)
    assert int(search.offset) == 4
    assert all(t % 200 < 100 for t in moved_at)


def test_the_first_syllable_does_not_decide_the_delay() -> None:
    """An onset, against which the smoothed power is tiny, once outweighed a second of agreement."""
    ref = noise(6.0, 1)
    ref[: 2 * RATE] *= 1e-3
    mic = echo_of(ref, room(1000)) + noise(6.0, 2, 0.01)
    front = KalmanFrontend(FrontendConfig())
    history = History()
    hops = [split_hops(torch.from_numpy(x.astype(np.float32))[None]) for x in (mic, ref)]
    offsets = set()
    for t in range(hops[0].shape[1]):
        front(hops[0][:, t : t + 1], hops[1][:, t : t + 1], history)
        offsets.add(int(history.recall_object(front).search.offset))
    assert offsets <= {0, 2, 3}


# -- the learned gain -------------------------------------------------------------------------


def test_a_new_controller_is_the_hand_rule() -> None:
    ref = noise(2.0, 1)
    mic = echo_of(ref, room(800)) + noise(2.0, 2, 0.02)
    by_hand, _ = run(mic, ref)
    untrained, _ = run(mic, ref, FrontendConfig(gain_hidden=4))
    np.testing.assert_allclose(untrained, by_hand, atol=1e-6)


def test_the_controller_sets_the_gain_and_loudness_does_not_matter() -> None:
    torch.manual_seed(0)
    front = KalmanFrontend(FrontendConfig(gain_hidden=4))
    assert front.gain is not None
    torch.nn.init.normal_(front.gain.out.weight, 0.0, 1.0)
    ref = noise(2.0, 1)
    mic = echo_of(ref, room(800)) + noise(2.0, 2, 0.02)
    hops = [split_hops(torch.from_numpy(x.astype(np.float32))[None]) for x in (mic, ref)]
    quiet = front(*(0.1 * h for h in hops))[0].flatten().numpy() * 10.0
    loud = front(*hops)[0].flatten().numpy()
    by_hand, _ = run(mic, ref)
    assert np.abs(loud[: len(by_hand)] - by_hand).max() > 1e-2
    assert level(loud - quiet) < level(loud) - 40.0


def test_long_notes_are_left_to_the_hand_rule() -> None:
    torch.manual_seed(0)
    gain = GainController(3)
    torch.nn.init.normal_(gain.out.weight, 0.0, 1.0)

    def factors(far: np.ndarray) -> torch.Tensor:
        """Of the last of a hop's frames, (2, 257), while everything else that the controller hears stays the same."""
        hops = torch.from_numpy(far.astype(np.float32)).reshape(-1, 256)
        spectra = torch.fft.rfft(torch.cat([hops[:-1], hops[1:]], dim=1))
        other = Complex(torch.randn(1, 257), torch.randn(1, 257))
        state, same = gain.initial(torch.zeros(1, 256)), torch.ones(1, 257)
        with torch.no_grad():
            for t, spectrum in enumerate(spectra[:, None]):
                now = Complex(spectrum.real.contiguous(), spectrum.imag.contiguous())
                *given, state = gain(state, other, other, now, same, same, same, same, torch.tensor([[t == 0]]))
        return torch.cat(given)

    assert float((factors(noise(4.0, 1)) - 1.0).abs().max()) > 0.1
    np.testing.assert_array_equal(factors(np.sin(0.3 * np.arange(4 * RATE))), 1.0)


def test_gradients_reach_the_controller() -> None:
    torch.manual_seed(0)
    config = FrontendConfig(gain_hidden=3, partitions=2)
    gain = GainController(3)
    torch.nn.init.normal_(gain.out.weight, 0.0, 0.3)
    state = initial_filter(config, gain, torch.zeros(1, 256))
    total = torch.zeros(())
    for t in range(4):
        far = Complex(torch.randn(1, 2, 257), torch.randn(1, 2, 257))
        first, adapts = torch.tensor([[t == 0]]), torch.tensor([[True]])
        cut = torch.tensor([[float(t % 2 == 0)], [float(t % 2 == 1)]])
        state, heard = kalman_step(config, gain, state, far, torch.randn(1, 256), first, adapts, cut)
        total = total + heard.error.square().sum()
    total.backward()
    for name, parameter in gain.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 0.0, name


class _Spectra(TorchDispatchMode):
    """Counts the hops that are transformed into a filter's spectra."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.count += func is torch.ops.aten.mm.default and args[1].shape == (256, 2 * 257)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("hidden", "spectra"), [(0, 2), (3, 4)])
def test_no_spectrum_is_computed_twice(hidden: int, spectra: int) -> None:
    """Each update needs the error's; the controller sees the first of them, and those of echo and microphone."""
    config = FrontendConfig(gain_hidden=hidden, partitions=2)
    gain = GainController(hidden) if hidden else None
    state = initial_filter(config, gain, torch.zeros(1, 256))
    far, yes = Complex(torch.randn(1, 2, 257), torch.randn(1, 2, 257)), torch.tensor([[True]])
    with torch.no_grad(), _Spectra() as counted:
        kalman_step(config, gain, state, far, torch.randn(1, 256), yes, yes, torch.tensor([[1.0], [0.0]]))
    assert counted.count == spectra
