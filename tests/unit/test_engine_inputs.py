"""Which arrays the Python API takes, and what their numbers mean."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from localvqe import Enhancer
from localvqe_cli.errors import AudioError

RNG = np.random.default_rng(11)
FULL = {"int16": 2.0**15, "int32": 2.0**31, "uint8": 2.0**7}


@pytest.fixture(scope="module")
def enhancer() -> Enhancer:
    return Enhancer("kalman")


def pcm(kind: str, n: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    """Noise over the whole range of ``kind`` (n,), and the same in units of full scale, float64."""
    limits = np.iinfo(kind)
    values = RNG.integers(limits.min, limits.max, n, endpoint=True).astype(kind)
    values[:2] = limits.min, limits.max
    return values, (values.astype(np.float64) - (128.0 if kind == "uint8" else 0.0)) / FULL[kind]


@pytest.mark.parametrize("kind", FULL)
@pytest.mark.parametrize("with_ref", [True, False])
def test_integers_are_scaled_by_the_range_of_their_type(enhancer: Enhancer, kind: str, with_ref: bool) -> None:
    (mic, near), (ref, far) = pcm(kind), pcm(kind)
    if not with_ref:
        ref = far = None
    out = enhancer.enhance(mic, ref)
    assert out.dtype == np.float32
    assert np.abs(out).max() < 4.0
    np.testing.assert_array_equal(out, enhancer.enhance(near, far))
    np.testing.assert_array_equal(enhancer.stream().process(mic, ref), enhancer.stream().process(near, far))


def test_integers_of_the_other_byte_order_and_slices_are_the_same_samples(enhancer: Enhancer) -> None:
    mic, _ = pcm("int16")
    want = enhancer.enhance(mic[::2].copy())
    np.testing.assert_array_equal(enhancer.enhance(mic.astype(">i2")[::2]), want)


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_floats_of_any_width_are_in_units_of_full_scale(enhancer: Enhancer, kind: str) -> None:
    mic = (0.1 * RNG.standard_normal(3000)).astype(kind)
    ref = np.zeros(3000, np.float32)
    out = enhancer.enhance(mic, ref)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, mic.astype(np.float32), atol=1e-5)  # it takes echo only


@pytest.mark.parametrize("other", ["float32", "int32", "uint8"])
def test_mic_and_ref_of_different_kinds_are_refused(enhancer: Enhancer, other: str) -> None:
    a, b = np.zeros(512, "int16"), np.zeros(512, other)
    name = "float" if other == "float32" else other
    for call in (enhancer.enhance, enhancer.stream().process):
        with pytest.raises(AudioError, match=rf"^mic holds int16 samples and ref {name}; give both the same type$"):
            call(a, b)
        with pytest.raises(AudioError, match=rf"^mic holds {name} samples and ref int16; "):
            call(b, a)


@pytest.mark.parametrize("kind", ["int8", "uint16", "uint32", "int64", "uint64", "bool", "complex64", "object", "U3"])
@pytest.mark.parametrize("role", ["mic", "ref"])
def test_other_types_are_refused(enhancer: Enhancer, kind: str, role: str) -> None:
    good, bad = np.zeros(512, np.float32), np.zeros(512, kind)
    for call in (enhancer.enhance, enhancer.stream().process):
        with pytest.raises(AudioError, match=rf"^{role} holds .*, expected float samples in \[-1, 1\], or int16") as e:
            call(*((bad, good) if role == "mic" else (good, bad)))
        assert "\n" not in str(e.value)


@pytest.mark.parametrize("bad", [None, 0.5, [[0.0] * 512], [[0.0], [0.0, 1.0]], []])
def test_what_is_no_signal_is_one_line(enhancer: Enhancer, bad: object) -> None:
    with pytest.raises(AudioError, match=r"^mic [^\n]*$"):
        enhancer.enhance(bad)


def test_a_stream_without_a_reference_hears_silence(enhancer: Enhancer) -> None:
    mic = (0.1 * RNG.standard_normal(3000)).astype(np.float32)
    chunks = np.split(mic, [100, 1500])
    out = []
    for silence in (lambda chunk: None, np.zeros_like):
        stream = enhancer.stream()
        out.append(np.concatenate([*(stream.process(c, silence(c)) for c in chunks), stream.flush()]))
    np.testing.assert_array_equal(out[0], out[1])
    np.testing.assert_array_equal(out[0][256:], enhancer.enhance(mic))


@pytest.mark.filterwarnings("ignore:.*beyond 16 times")
@pytest.mark.parametrize("role", [0, 1])
def test_the_engine_limits_levels_to_a_million(enhancer: Enhancer, role: int) -> None:
    signals = (0.1 * RNG.standard_normal((2, 3000))).astype(np.float32)
    bad, limited = signals.copy(), signals.copy()
    bad[role, 1000:1005] = 3e6, -1e30, np.inf, -np.inf, np.nan
    limited[role, 1000:1005] = 1e6, -1e6, 0, 0, 0
    np.testing.assert_array_equal(enhancer.enhance(*bad), enhancer.enhance(*limited))


@pytest.mark.parametrize("role", ["mic", "ref"])
def test_floats_that_look_like_integers_warn_once(role: str) -> None:
    enhancer = Enhancer()
    quiet, loud = np.zeros(512, np.float32), np.full(512, 3000.0)
    pair = (loud, quiet) if role == "mic" else (quiet, loud)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        stream = enhancer.stream()
        stream.process(quiet + np.float32(15.9), quiet)
        stream.process(np.full(512, np.nan), quiet)
        assert not caught
        stream.process(*pair)
        stream.process(*pair)
        enhancer.enhance(*pair)
    assert [w.category for w in caught] == [UserWarning]
    assert str(caught[0].message).startswith(f"{role} has samples beyond 16 times full scale")
    assert caught[0].filename == __file__


def test_enhance_names_its_caller_in_the_warning() -> None:
    with pytest.warns(UserWarning, match="as int16, or divide them by 32768") as caught:
        Enhancer().enhance(np.full(512, -3000.0))
    assert caught[0].filename == __file__


def test_integers_never_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Enhancer().enhance(np.full(512, 30000, np.int16))


def test_the_command_line_prints_no_python_warning(tmp_path: Path) -> None:
    sf.write(tmp_path / "loud.wav", 1000 * RNG.standard_normal(8000), 16000, subtype="FLOAT")
    command = [sys.executable, "-m", "localvqe_cli", "enhance", str(tmp_path / "loud.wav"), "--no-ref", "-o"]
    run = subprocess.run([*command, str(tmp_path / "o.wav")], capture_output=True, text=True, check=True)
    assert "UserWarning" not in run.stderr
