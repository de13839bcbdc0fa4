"""The speech codec in the engine against the reference: tokens equal, sound to 1e-4."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from make_codec import NARROW, random_codec

from localvqe_cli import export, gguf_file
from localvqe_cli.engine import CodecEngine, kernels
from localvqe_cli.errors import EngineError, LocalVQEError
from localvqe_cli.lfsc.codec import Codec
from localvqe_cli.lfsc.reference import ReferenceCodec

TOLERANCE = 1e-4

#: Odd rates, channels that fill no vector and more than one panel, windows of several blocks of taps.
CONFIGS = {
    "narrow": NARROW,
    "odd rates": replace(NARROW, encoder_rates=(3, 5), decoder_rates=(5, 3), encoder_channels=3, decoder_channels=20),
    "wide": replace(
        NARROW, encoder_channels=37, decoder_channels=300, encoder_kernels=(3, 11), decoder_kernels=(3, 7, 11)
    ),
    "dilated": replace(NARROW, encoder_dilations=(5, 1), decoder_dilations=(1, 3, 5), groups=3, levels=(8, 7, 6)),
    "one of each": replace(
        NARROW, encoder_rates=(4,), decoder_rates=(4,), encoder_kernels=(1,), decoder_kernels=(1,), groups=1
    ),
}


def reference(path: Path) -> ReferenceCodec:
    """In double precision, with the weights that the file holds."""
    file = gguf_file.read(path)
    weights = {name: torch.from_numpy(np.asarray(file.array(name), np.float64)) for name in file.tensors}
    return ReferenceCodec(file.codec_config, weights)


def compare(path: Path, frames: int, threads: int = 1) -> None:
    config = gguf_file.read(path).codec_config
    engine = CodecEngine(path, config.groups, config.samples_per_frame, threads)
    network = reference(path)
    rng = np.random.default_rng(frames)
    sound = (0.1 * rng.standard_normal(frames * config.samples_per_frame)).astype(np.float32)
    expected = network.quantize(network.encode(torch.from_numpy(sound).double())).numpy()
    found = engine.encode(sound)
    assert found.shape == expected.shape
    # A number that lies on the border of two levels may fall to either side.
    assert (found != expected).mean() < 2e-3
    tokens = rng.integers(0, config.codes, (config.groups, frames)).astype(np.int32)
    whole = network.decode(network.dequantize(torch.from_numpy(tokens))).numpy()
    assert np.abs(whole).max() > 0.01
    assert np.abs(engine.decode(tokens) - whole).max() < TOLERANCE


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("extra", [0, 1, 30])
def test_the_engine_computes_what_the_reference_computes(tmp_path: Path, name: str, extra: int) -> None:
    config = CONFIGS[name]
    compare(random_codec(tmp_path / "c.gguf", config), config.least_frames + extra)


@pytest.mark.parametrize("kind", ["F16", "Q8_0"])
def test_smaller_weights(tmp_path: Path, kind: str) -> None:
    compare(random_codec(tmp_path / "c.gguf", CONFIGS["wide"], kind), 20)


def test_threads_change_nothing(tmp_path: Path) -> None:
    path = random_codec(tmp_path / "c.gguf", CONFIGS["wide"])
    sound = np.random.default_rng(0).standard_normal(8 * 50).astype(np.float32)
    one, three = Codec(path), Codec(path, threads=3)
    tokens = one.encode(sound)
    assert np.array_equal(tokens, three.encode(sound))
    assert np.array_equal(one.decode(tokens), three.decode(tokens))


@pytest.mark.parametrize("name", ["", "short_", "exact_"])
def test_golden_tokens_and_sound(shared_codec: Path, tmp_path: Path, name: str) -> None:
    codec = Codec(export.export(shared_codec / "tiny.nemo", tmp_path / "tiny.gguf").output, threads=2)
    sound = np.load(shared_codec / (f"{name}input.npy" if name else "input_22050.npy"))
    tokens = np.load(shared_codec / f"{name}tokens.npy")
    assert np.array_equal(codec.encode(sound), tokens)
    assert np.abs(codec.decode(tokens) - np.load(shared_codec / f"{name}audio.npy")).max() < TOLERANCE


def test_every_set_of_kernels(tmp_path: Path) -> None:
    path = random_codec(tmp_path / "c.gguf", CONFIGS["wide"])
    program = (
        "import sys, pathlib, test_codec_parity as t;"
        "t.compare(pathlib.Path(sys.argv[1]), 9); print(t.kernels(), end='')"
    )
    for name in ("portable", "wide"):
        environment = os.environ | {
            "LOCALVQE_KERNELS": name,
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1]), *sys.path]),
        }
        done = subprocess.run(
            [sys.executable, "-c", program, str(path)], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == name
    assert kernels()


def test_what_the_engine_refuses(tmp_path: Path) -> None:
    from localvqe_cli.models import DEFAULT_MODEL

    with pytest.raises(EngineError, match="not 'lfsc'"):
        CodecEngine(DEFAULT_MODEL, 8, 1024, 1)
    with pytest.raises(EngineError, match="no such file"):
        CodecEngine(tmp_path / "missing.gguf", 8, 1024, 1)
    path = random_codec(tmp_path / "c.gguf")
    with pytest.raises(EngineError, match="threads is 0"):
        CodecEngine(path, 2, 8, 0)
    engine = CodecEngine(path, 2, 8, 1)
    with pytest.raises(LocalVQEError, match="expected at least 4"):
        engine.encode(np.zeros(24, np.float32))
    with pytest.raises(LocalVQEError, match=r"a token is 20, expected 0\.\.19"):
        engine.decode(np.full((2, 8), 20, np.int32))


class Info(ctypes.Structure):
    """``localvqe_codec_info``."""

    _fields_ = [
        (name, ctypes.c_int)
        for name in (
            *("sample_rate", "samples_per_frame", "codebooks", "codes", "least_frames"),
            *("encode_context", "decode_context"),
        )
    ]


@pytest.mark.parametrize("name", CONFIGS)
def test_the_interface_says_of_a_codec_what_its_config_says(tmp_path: Path, name: str) -> None:
    """These follow from the hyperparameters by formulas that stand in both languages."""
    config = CONFIGS[name]
    engine = CodecEngine(random_codec(tmp_path / "c.gguf", config), config.groups, config.samples_per_frame, 1)
    info = Info()
    describe = engine._lib.localvqe_codec_describe
    describe.argtypes = [ctypes.c_size_t, ctypes.POINTER(Info)]
    assert describe(engine._handle, ctypes.byref(info)) == 0
    assert {field: getattr(info, field) for field, _ in Info._fields_} == {
        "sample_rate": config.sample_rate,
        "samples_per_frame": config.samples_per_frame,
        "codebooks": config.groups,
        "codes": config.codes,
        "least_frames": config.least_frames,
        "encode_context": config.encoder_context,
        "decode_context": config.decoder_context,
    }
    assert describe(0, ctypes.byref(info)) == -1
