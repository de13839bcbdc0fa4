"""tensors: the two tables of names and shapes. Whole listings are compared in tests/golden."""

from __future__ import annotations

import math
import re

import pytest
from conftest import REPOSITORY
from make_model import V13, narrow_config

from localvqe_cli.config import ModelConfig
from localvqe_cli.tensors import blocks, decoder_output_norms, gguf_shapes, state_dict_shapes

# Buffers and constants, which nobody counts as parameters.
NOT_PARAMETERS = (
    "running_mean",
    "running_var",
    "num_batches_tracked",
    "align.temperature",
    "mask.v_real",
    "mask.v_imag",
)


@pytest.mark.parametrize(
    ("config", "parameters"),
    [(ModelConfig(version=1), 1_290_453), (ModelConfig(version=2), 1_290_845), (V13, 4_814_655)],
)
def test_the_tables_have_the_published_number_of_parameters(config: ModelConfig, parameters: int) -> None:
    shapes = state_dict_shapes(config)
    assert sum(math.prod(s) for name, s in shapes.items() if not name.endswith(NOT_PARAMETERS)) == parameters


def test_channels_follow_the_signal() -> None:
    config = narrow_config(3)
    by_name = {b.name: b for b in blocks(config)}
    assert by_name["mic_enc2"].in_channels == by_name["mic_enc1"].out_channels == 3
    assert by_name["mic_enc3"].in_channels == 4 + 3  # mic and aligned far-end features side by side
    assert [by_name[f"dec{i}"].in_channels for i in (5, 4, 3, 2, 1)] == [7, 6, 5, 4, 3]
    assert [by_name[f"dec{i}"].out_channels for i in (5, 4, 3, 2, 1)] == [6, 5, 4, 3, 27]
    assert state_dict_shapes(config)["dec4.deconv.conv.weight"] == (2 * 5, 6, 4, 4)
    assert state_dict_shapes(config)["bottleneck.input_proj.weight"] == (6, 7 * 8)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_folding_leaves_no_training_state_and_adds_nothing_else(version: int) -> None:
    config = narrow_config(version)
    before, after = state_dict_shapes(config), gguf_shapes(config)
    assert not [n for n in after if "running" in n or "tracked" in n or "A_" in n or "temperature" in n or "mask" in n]
    added = {"bottleneck.a_real", "bottleneck.a_imag"} | {f"{n}.scale" for n, _ in decoder_output_norms(config)}
    assert set(after) - set(before) == added
    assert all(after[name] == before[name] for name in set(after) & set(before))


def test_only_version_1_keeps_a_norm_after_the_pixel_shuffle() -> None:
    assert [name for name, _ in decoder_output_norms(narrow_config(1))] == ["dec5.bn", "dec4.bn", "dec3.bn", "dec2.bn"]
    assert decoder_output_norms(narrow_config(2)) == decoder_output_norms(narrow_config(3)) == []


def test_versions_2_and_3_have_the_same_tensors() -> None:
    assert list(state_dict_shapes(narrow_config(2)).items()) == list(state_dict_shapes(narrow_config(3)).items())


def test_the_format_document_names_every_key_and_tensor() -> None:
    text = (REPOSITORY / "docs" / "reference" / "gguf-format.md").read_text()
    keys = [key for key, _, _ in ModelConfig().gguf_fields() if not re.search(r"\.\d$", key)]
    assert [key for key in keys if f"`{key}`" not in text] == []
    leaves = {
        name.removesuffix(".weight").removesuffix(".bias") for v in (1, 2) for name in gguf_shapes(narrow_config(v))
    }
    leaves = {re.sub(r"^(mic_enc|far_enc|dec)\d", "", leaf) or leaf for leaf in leaves}
    missing = [leaf for leaf in leaves if leaf.replace("bottleneck.", "").split(".bn.")[0] not in text]
    assert missing == []
    assert f"{len(gguf_shapes(narrow_config(1)))} tensors in version 1" in text
    assert f"and {len(gguf_shapes(narrow_config(3)))} in versions 2 and 3" in text
