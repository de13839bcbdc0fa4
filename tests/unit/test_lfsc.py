"""The speech codec: its sizes, its blocks against plain loops, its quantizer, and how far it looks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from make_codec import NARROW, random_codec, random_weights
from numpy.typing import NDArray

from localvqe_cli.errors import AudioError, LocalVQEError, ModelError, UsageError
from localvqe_cli.families import LFSCConfig
from localvqe_cli.families.lfsc_tensors import lfsc_shapes
from localvqe_cli.lfsc.chunks import decode_chunks, encode_chunks
from localvqe_cli.lfsc.codec import Codec
from localvqe_cli.lfsc.reference import ReferenceCodec

Array = NDArray[Any]


@pytest.fixture(scope="module")
def network() -> ReferenceCodec:
    """In double precision, so that what differs differs for a reason."""
    weights = random_weights(NARROW)
    return ReferenceCodec(NARROW, {name: torch.from_numpy(array).double() for name, array in weights.items()})


def noise(count: int, seed: int = 0) -> Array:
    return 0.1 * np.random.default_rng(seed).standard_normal(count)


def test_the_published_codec_has_its_published_size() -> None:
    config = LFSCConfig()
    assert sum(math.prod(shape) for shape in lfsc_shapes(config).values()) == 112_664_609
    assert config.samples_per_frame == 1024
    assert config.codes == 2016
    assert round(config.bits_per_second) == 1891
    assert (config.least_frames, config.encoder_context, config.decoder_context) == (4, 6, 13)
    assert max(map(len, lfsc_shapes(config))) < 64  # what GGUF allows
    assert config.summary() == "speech codec, 22050 Hz, 21.5 frames/s, 8 codebooks of 2016, 1.89 kbit/s"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"version": 2}, "version 2"),
        ({"encoder_rates": (2, 2)}, "samples a frame"),
        ({"encoder_rates": ()}, "entries"),
        ({"encoder_rates": (1, 8)}, "encoder_rates is 1"),
        ({"decoder_kernels": (3, 4)}, "odd"),
        ({"decoder_channels": 6}, "halved"),
        ({"encoder_channels": 0}, "encoder_channels is 0"),
        ({"levels": (64,) * 6}, "32 bits"),
        ({"sample_rate": 1}, "sample_rate"),
        ({"encoder_channels": 256, "encoder_rates": (2,) * 8, "decoder_rates": (16, 16)}, "8192 channels"),
        ({"encoder_rates": (16,) * 4, "decoder_rates": (16,) * 4}, "at most 16384"),
    ],
)
def test_numbers_that_make_no_codec(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(ModelError, match=word):
        replace(NARROW, **changes)


def test_keys_name_every_number() -> None:
    fields = NARROW.gguf_fields()
    assert LFSCConfig.from_gguf_fields({key: value for key, _, value in fields}) == NARROW
    assert ("lfsc.encoder.rates", "arr[u32]", [2, 4]) in fields


# -- blocks against plain loops ---------------------------------------------------------------


def mirrored(x: Array, index: int) -> Array:
    last = x.shape[1] - 1
    index = -index if index < 0 else index
    return x[:, 2 * last - index if index > last else index]


def convolved(x: Array, weight: Array, bias: Array, stride: int, dilation: int, pad: int) -> Array:
    kernel = weight.shape[2]
    count = (x.shape[1] + 2 * pad - (kernel - 1) * dilation - 1) // stride + 1
    out = np.zeros((weight.shape[0], count))
    for t in range(count):
        for j in range(kernel):
            out[:, t] += weight[:, :, j] @ mirrored(x, t * stride + j * dilation - pad)
    return out + bias[:, None]


@pytest.mark.parametrize(("stride", "dilation", "pad"), [(1, 1, None), (1, 3, None), (4, 1, 2), (5, 1, 3)])
def test_a_convolution_mirrors_its_input(stride: int, dilation: int, pad: int | None) -> None:
    rng = np.random.default_rng(3)
    kernel = 2 * stride if stride > 1 else 5
    weight, bias, x = rng.standard_normal((4, 3, kernel)), rng.standard_normal(4), rng.standard_normal((3, 40))
    one = ReferenceCodec(NARROW, {"a.weight": torch.from_numpy(weight), "a.bias": torch.from_numpy(bias)})
    found = one._convolve("a", torch.from_numpy(x), stride=stride, dilation=dilation, pad=pad)
    expected = convolved(x, weight, bias, stride, dilation, (kernel - 1) // 2 * dilation if pad is None else pad)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("rate", [2, 3, 8])
def test_lengthening_takes_two_values_for_each(rate: int) -> None:
    rng = np.random.default_rng(4)
    pad = (rate + 1) // 2
    weight, bias, x = rng.standard_normal((4, 3, 2 * rate)), rng.standard_normal(4), rng.standard_normal((3, 9))
    one = ReferenceCodec(NARROW, {"a.weight": torch.from_numpy(weight), "a.bias": torch.from_numpy(bias)})
    found = one._lengthen("a", torch.from_numpy(x), rate).numpy()
    expected = np.tile(bias[:, None], (1, 9 * rate))
    for u in range(9):
        for j in range(2 * rate):
            if 0 <= u * rate + j - pad < 9 * rate:
                expected[:, u * rate + j - pad] += weight[:, :, j] @ x[:, u]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_every_code_survives_the_quantizer(network: ReferenceCodec) -> None:
    """The value that the decoder gets, put back where the encoder would have to put it, is that code again."""
    tokens = torch.arange(NARROW.codes, dtype=torch.int32).repeat(NARROW.groups, 1)
    codes = network.dequantize(tokens).reshape(NARROW.groups, len(NARROW.levels), -1)
    levels = torch.tensor(NARROW.levels, dtype=torch.float64)[:, None]
    scale, offset = (levels - 1) / 2 * 0.999, torch.where(levels % 2 == 0, 0.5, 0.0)
    steps = codes * torch.floor(levels / 2)
    z = torch.atanh(((steps + offset) / scale).clamp(-0.9999, 0.9999)) - torch.tan(offset / scale)
    assert torch.equal(network.quantize(z.reshape(NARROW.code_channels, -1)), tokens)
    assert len({tuple(column) for column in codes[0].T.tolist()}) == NARROW.codes


# -- how far it looks -------------------------------------------------------------------------


def test_a_frame_depends_on_its_context_and_no_more(network: ReferenceCodec) -> None:
    frame, frames, middle = NARROW.samples_per_frame, 60, 30
    before = noise(frame * frames)
    for reach, changes in ((NARROW.encoder_context, False), (NARROW.encoder_context - 1, True)):
        after = before.copy()
        after[: (middle - reach) * frame] += 0.5
        after[(middle + reach + 1) * frame :] += 0.5
        a, b = (network.encode(torch.from_numpy(x))[:, middle] for x in (before, after))
        assert bool((a != b).any()) == changes


def test_a_sound_depends_on_its_context_and_no_more(network: ReferenceCodec) -> None:
    frame, middle = NARROW.samples_per_frame, 30
    rng = np.random.default_rng(0)
    before = rng.standard_normal((NARROW.code_channels, 60))
    for reach, changes in ((NARROW.decoder_context, False), (NARROW.decoder_context - 1, True)):
        after = before.copy()
        after[:, : middle - reach] += 5.0
        after[:, middle + reach + 1 :] += 5.0
        a, b = (network.decode(torch.from_numpy(x))[middle * frame : (middle + 1) * frame] for x in (before, after))
        assert bool((a != b).any()) == changes


def test_a_clip_needs_so_many_frames_and_no_more(network: ReferenceCodec) -> None:
    frame, least = NARROW.samples_per_frame, NARROW.least_frames
    network.decode(network.encode(torch.from_numpy(noise(least * frame))))
    with pytest.raises(RuntimeError):
        network.decode(network.encode(torch.from_numpy(noise((least - 1) * frame))))


# -- in chunks --------------------------------------------------------------------------------


@pytest.mark.parametrize("samples", [1, 8 * 4, 8 * 9 - 3, 8 * 40, 8 * 41 + 5, 8 * 100])
@pytest.mark.parametrize("chunk", [1, 7, 20])
def test_chunks_give_what_the_whole_gives(tmp_path: Any, samples: int, chunk: int) -> None:
    codec = Codec(random_codec(tmp_path / "c.gguf"))
    config = codec.config
    sound = noise(samples).astype(np.float32)
    whole = codec.encode(sound)
    assert whole.shape == (config.groups, max(config.least_frames, -(-samples // config.samples_per_frame)))
    parts = list(encode_chunks(config, np.array_split(sound, 3), codec._encode, chunk=chunk))
    assert np.array_equal(np.concatenate(parts, axis=1), whole)
    decoded = codec.decode(whole, samples)
    assert decoded.shape == (samples,)
    blocks = np.concatenate(list(decode_chunks(config, whole, codec._decode, chunk=chunk)))
    np.testing.assert_allclose(blocks[:samples], decoded, atol=1e-6)


def test_a_long_clip_is_never_held(tmp_path: Any) -> None:
    codec = Codec(random_codec(tmp_path / "c.gguf"))
    seen = {"most": 0, "sound": 0}
    inner = codec._encode

    def watched(sound: Array) -> Array:
        seen["most"] = max(seen["most"], sound.size)
        return inner(sound)

    def blocks() -> Iterator[Array]:
        for seed in range(200):
            seen["sound"] += 1000
            yield noise(1000, seed).astype(np.float32)

    list(encode_chunks(codec.config, blocks(), watched, chunk=100))
    assert seen["sound"] == 200_000
    assert seen["most"] <= (100 + 2 * codec.config.encoder_context) * codec.config.samples_per_frame


# -- what programs call -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> Codec:
    return Codec(random_codec(tmp_path_factory.mktemp("codec") / "mine.gguf"))


def test_tokens_use_their_range(codec: Codec) -> None:
    tokens = codec.encode(noise(4000))
    assert tokens.dtype == np.int32
    assert tokens.min() >= 0
    assert tokens.max() < codec.config.codes
    assert len(np.unique(tokens)) > codec.config.codes // 2


def test_sound_is_taken_as_the_engine_takes_it(codec: Codec) -> None:
    sound = np.round(noise(400) * 32768).astype(np.int16)
    assert np.array_equal(codec.encode(sound), codec.encode(sound / np.float32(32768.0)))


@pytest.mark.parametrize(
    ("sound", "word"),
    [
        (np.zeros(0), "no sound"),
        (np.zeros((2, 8)), "mono"),
        (np.array([0.0, np.nan]), "NaN"),
        (["a"], "expected float"),
    ],
)
def test_what_is_no_sound(codec: Codec, sound: Any, word: str) -> None:
    with pytest.raises(AudioError, match=word):
        codec.encode(sound)


@pytest.mark.parametrize(
    ("tokens", "samples", "word"),
    [
        (np.zeros((2, 8)), None, "whole numbers"),
        (np.zeros((3, 8), int), None, "shape"),
        (np.zeros(8, int), None, "shape"),
        (np.zeros((2, 0), int), None, "no tokens"),
        (np.full((2, 8), 20), None, "expected 0 to 19"),
        (np.full((2, 8), -1), None, "expected 0 to 19"),
        (np.zeros((2, 1), int), None, "at least"),
        (np.zeros((2, 8), int), 65, "at least 9"),
        (np.zeros((2, 8), int), 0, "1 or more"),
    ],
)
def test_what_are_no_tokens(codec: Codec, tokens: Any, samples: int | None, word: str) -> None:
    with pytest.raises(AudioError, match=word):
        codec.decode(tokens, samples)


def test_weights_that_run_away_are_named(tmp_path: Any) -> None:
    from localvqe_cli import gguf_file

    weights = random_weights(NARROW)
    for name in weights:
        weights[name] = weights[name] * np.float32(1e12)
    gguf_file.write(tmp_path / "loud.gguf", NARROW, weights)
    codec = Codec(tmp_path / "loud.gguf")
    with pytest.raises(LocalVQEError, match="grow beyond bounds"):
        codec.encode(noise(400))
    with pytest.raises(LocalVQEError, match="grow beyond bounds"):
        codec.decode(np.zeros((2, 8), int))


def test_a_file_of_another_family_is_named(tmp_path: Any, codec: Codec) -> None:
    from localvqe_cli import gguf_file
    from localvqe_cli.models import DEFAULT_MODEL

    with pytest.raises(ModelError, match="holds a LocalVQE model, expected a speech codec"):
        Codec(DEFAULT_MODEL)
    with pytest.raises(ModelError, match="holds a speech codec, expected a LocalVQE model"):
        _ = gguf_file.read(codec.path).config
    with pytest.raises(ModelError, match="run localvqe export"):
        Codec(tmp_path / "a.nemo")
    with pytest.raises(UsageError, match="threads"):
        Codec(codec.path, threads=0)
