"""The speech codec against vectors that an independent implementation has made: every intermediate result, to 2e-5."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from localvqe_cli.evaluation.codec import score_signals
from localvqe_cli.families import LFSCConfig
from localvqe_cli.lfsc import nemo
from localvqe_cli.lfsc.chunks import decode_chunks, encode_chunks
from localvqe_cli.lfsc.reference import ReferenceCodec
from localvqe_cli.lfsc.weight_norm import SPELLINGS, plain_weights

TOLERANCE = 2e-5
FRAME = LFSCConfig().samples_per_frame


class Golden:
    """The vectors, and the reference with their weights."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.found = nemo.read(folder / "tiny.nemo")
        weights = {name: torch.from_numpy(array) for name, array in self.found.weights.items()}
        self.network = ReferenceCodec(self.found.config, weights)

    def load(self, name: str) -> NDArray[np.float32]:
        return np.load(self.folder / f"{name}.npy")

    def clip(self, name: str) -> NDArray[np.float32]:
        """An input, filled up to whole frames."""
        sound = self.load(name)
        return np.pad(sound, (0, -len(sound) % FRAME))

    def encode(self, sound: NDArray[np.float32]) -> NDArray[np.int32]:
        return self.network.quantize(self.network.encode(torch.from_numpy(sound))).numpy()

    def decode(self, tokens: NDArray[np.int32]) -> NDArray[np.float32]:
        return self.network.decode(self.network.dequantize(torch.from_numpy(tokens))).numpy()


@pytest.fixture(scope="module")
def codec(shared_codec: Path) -> Golden:
    return Golden(shared_codec)


def test_every_intermediate_result_is_the_golden_one(codec: Golden) -> None:
    compared = {}

    def compare(name: str, value: torch.Tensor) -> None:
        if (codec.folder / f"{name}.npy").exists():
            expected = codec.load(name)
            # Some are kept for their beginning only.
            found = value.numpy().reshape((*expected.shape[:-1], -1))[..., : expected.shape[-1]]
            compared[name] = float(np.abs(found - expected).max())

    network = codec.network
    tokens = network.quantize(network.encode(torch.from_numpy(codec.clip("input_22050")), compare))
    assert np.array_equal(tokens.numpy(), codec.load("tokens"))
    codes = network.dequantize(tokens)
    assert np.abs(codes.numpy() - codec.load("dequantized")).max() < 1e-6
    network.decode(codes, compare)
    assert len(compared) >= 18, compared
    assert max(compared.values()) < TOLERANCE, compared


@pytest.mark.parametrize("name", ["short", "exact"])
def test_a_clip_of_few_frames_and_one_of_whole_frames(codec: Golden, name: str) -> None:
    sound = torch.from_numpy(codec.clip(f"{name}_input"))
    encoded = codec.network.encode(sound)
    assert np.abs(encoded.numpy() - codec.load(f"{name}_encoded")).max() < TOLERANCE
    tokens = codec.network.quantize(encoded).numpy()
    assert np.array_equal(tokens, codec.load(f"{name}_tokens"))
    assert np.abs(codec.decode(tokens) - codec.load(f"{name}_audio")).max() < TOLERANCE


def test_the_values_of_every_code(codec: Golden) -> None:
    codes = codec.load("fsq_codes")
    tokens = torch.arange(len(codes), dtype=torch.int32).repeat(codec.found.config.groups, 1)
    values = codec.network.dequantize(tokens).numpy().reshape(codec.found.config.groups, 4, -1)
    for group in values:
        np.testing.assert_allclose(group.T, codes, atol=1e-7)


def test_both_spellings_of_weight_norm_give_the_same_weights(codec: Golden) -> None:
    state = torch.load(codec.folder / "state.pt", weights_only=True)
    state = state.get("state_dict", state)
    (old_gain, old_direction), (new_gain, new_direction) = SPELLINGS
    renamed = {name.replace(old_gain, new_gain).replace(old_direction, new_direction): v for name, v in state.items()}
    assert set(renamed) != set(state)
    for spelling in (state, renamed):
        weights, _ = plain_weights(codec.found.config, spelling)
        assert list(weights) == list(codec.found.weights)
        assert all(np.array_equal(weights[name], codec.found.weights[name]) for name in weights)


def test_what_training_has_left_is_left_out_and_said(codec: Golden) -> None:
    assert any("discriminator" in note for note in codec.found.notes)


def test_in_chunks_the_codec_computes_what_it_computes_of_the_whole(codec: Golden) -> None:
    config, sound = codec.found.config, codec.load("input_22050")
    blocks = np.array_split(sound, 7)
    tokens = np.concatenate(list(encode_chunks(config, blocks, codec.encode, chunk=11)), axis=1)
    assert np.array_equal(tokens, codec.load("tokens"))
    whole = codec.decode(codec.load("tokens"))
    decoded = np.concatenate(list(decode_chunks(config, tokens, codec.decode, chunk=11)))
    assert np.abs(decoded - whole).max() < 1e-5


@pytest.mark.parametrize(
    ("key", "one", "other"),
    [
        ("input against metric_noisy", "metric_noisy", "input_22050"),
        ("lfsc input against golden audio", "audio", "input_22050"),
    ],
)
def test_scores_are_the_golden_ones(codec: Golden, key: str, one: str, other: str) -> None:
    expected = json.loads((codec.folder / "metrics.json").read_text())[key]
    sound = codec.load(other)
    found = score_signals(sound, codec.load(one)[: len(sound)], codec.found.config.sample_rate)
    assert found["mel_distance"] == pytest.approx(expected["mel_l1"], abs=1e-5)
    assert found["stft_distance"] == pytest.approx(expected["stft"], abs=1e-5)
    assert found["si_sdr_db"] == pytest.approx(expected["si_sdr"], abs=1e-5)
