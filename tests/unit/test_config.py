"""config: what a model may be, and its two written forms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from localvqe_cli.config import DEFAULT_DMAX, ModelConfig
from localvqe_cli.errors import ModelError

UNUSUAL = ModelConfig(
    version=3,
    mic_channels=(2, 7, 6, 5, 4, 3),
    far_channels=(2, 9, 8),
    dmax=64,
    align_hidden=11,
    bottleneck_hidden=13,
    power_law_c=0.5,
    kernel_size_h=3,
    kernel_size_w=5,
)


def test_the_published_hyperparameters_are_the_default() -> None:
    config = ModelConfig()
    assert config.mic_channels == (2, 32, 40, 40, 40, 40)
    assert config.far_channels == (2, 32, 40)
    assert (config.dmax, config.align_hidden, config.bottleneck_hidden) == (32, 32, 162)
    assert [config.freqs(stage) for stage in range(6)] == [256, 128, 64, 32, 16, 8]
    assert config.bottleneck_features == 320
    assert config.latency_samples == 256
    assert set(DEFAULT_DMAX) == {1, 2, 3}


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"version": 0}, "version"),
        ({"version": 4}, "version"),
        ({"n_fft": 1024}, "n_fft"),
        ({"hop_length": 128}, "hop_length"),
        ({"n_freq_bins": 257}, "n_freq_bins"),
        ({"sample_rate": 48000}, "sample_rate"),
        ({"dmax": 1}, "dmax"),
        ({"dmax": 513}, "dmax"),
        ({"align_hidden": 0}, "align_hidden"),
        ({"bottleneck_hidden": 4097}, "bottleneck_hidden"),
        ({"kernel_size_h": 0}, "kernel_size_h"),
        ({"kernel_size_w": 9}, "kernel_size_w"),
        ({"mic_channels": (2, 32, 40)}, "mic_channels"),
        ({"mic_channels": (1, 32, 40, 40, 40, 40)}, "mic_channels"),
        ({"mic_channels": (2, 32, 0, 40, 40, 40)}, r"mic_channels\[2\]"),
        ({"far_channels": (2, 32, 40, 40)}, "far_channels"),
        ({"far_channels": (2, 32, 513)}, r"far_channels\[2\]"),
        ({"power_law_c": 0.0}, "power_law_c"),
        ({"power_law_c": 1.01}, "power_law_c"),
        ({"power_law_c": float("nan")}, "power_law_c"),
    ],
)
def test_values_out_of_range_are_refused_by_name(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(ModelError, match=word) as caught:
        replace(ModelConfig(), **changes)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_mapping_gives_the_config_back() -> None:
    assert ModelConfig.from_mapping(UNUSUAL.to_mapping()) == UNUSUAL


def test_the_spellings_found_in_checkpoints_are_understood() -> None:
    raw = {"arch_version": 3, "n_freqs": 256, "kernel_size": [3, 5], "hop": 256, "c": 0.5, "learning_rate": 1e-3}
    config = ModelConfig.from_mapping(raw)
    assert (config.version, config.kernel_size_h, config.kernel_size_w, config.power_law_c) == (3, 3, 5, 0.5)


@pytest.mark.parametrize(
    "raw",
    [
        {"version": "two"},
        {"version": None},
        {"version": 2, "dmax": []},
        {"version": 2, "mic_channels": 40},
        {"version": 2, "mic_channels": ["a"]},
        {"version": 2, "dmax": float("inf")},
    ],
)
def test_values_of_the_wrong_kind_are_a_model_error(raw: dict[str, Any]) -> None:
    with pytest.raises(ModelError):
        ModelConfig.from_mapping(raw)


def test_gguf_fields_give_the_config_back() -> None:
    values = {key: value for key, _, value in UNUSUAL.gguf_fields()}
    assert ModelConfig.from_gguf_fields(values) == UNUSUAL
    assert len(values) == 23
    assert {kind for _, kind, _ in UNUSUAL.gguf_fields()} == {"u32", "f32", "bool"}


@pytest.mark.parametrize(("key", "count"), [("mic_channels", 5), ("mic_channels", 7), ("far_channels", 2)])
def test_another_number_of_stages_is_refused(key: str, count: int) -> None:
    values = {name: value for name, _, value in UNUSUAL.gguf_fields()}
    values[f"localvqe.{key}.count"] = count
    with pytest.raises(ModelError, match=rf"{key}\.count is {count}"):
        ModelConfig.from_gguf_fields(values)


def test_a_mapping_without_a_version_is_refused() -> None:
    with pytest.raises(ModelError, match="arch_version"):
        ModelConfig.from_mapping({"dmax": 32})
