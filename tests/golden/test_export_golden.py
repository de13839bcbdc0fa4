"""Exports of the golden checkpoints against what a correct exporter wrote."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import GOLDEN_VERSIONS

from localvqe_cli import checkpoint, export, gguf_file
from localvqe_cli.tensors import gguf_shapes, state_dict_shapes

TYPES = {"UINT32": "u32", "FLOAT32": "f32", "BOOL": "bool", "STRING": "str"}


@pytest.fixture(scope="module", params=GOLDEN_VERSIONS)
def exported(
    request: pytest.FixtureRequest, golden: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """(folder of golden files, our export of its checkpoint)."""
    folder = golden / request.param
    output = tmp_path_factory.mktemp("export") / f"{request.param}.gguf"
    export.export(folder / "state.pt", output)
    return folder, output


def listed(folder: Path) -> tuple[list[tuple[str, str, object]], list[tuple[str, str, list[int]]]]:
    """(key, type, value) and (tensor, type, ne) of a listing, in order."""
    keys, tensors = [], []
    for line in (folder / "gguf_listing.txt").read_text().splitlines():
        if found := re.fullmatch(r"(\S+) : \['(\w+)'\] = (.*)", line):
            name, kind, value = found.groups()
            if not name.startswith("GGUF."):
                keys.append((name, TYPES[kind], value if kind == "STRING" else ast.literal_eval(value)))
        elif found := re.fullmatch(r"(\S+) (\w+) (\[.*\])", line):
            tensors.append((found[1], found[2], ast.literal_eval(found[3])))
    return keys, tensors


def test_keys_types_values_and_order_are_those_of_the_listing(exported: tuple[Path, Path]) -> None:
    folder, output = exported
    keys, _ = listed(folder)
    model = gguf_file.read(output)
    assert model.format_version == 3
    assert [(k, model.metadata_types[k]) for k in model.metadata] == [(k, t) for k, t, _ in keys]
    for key, kind, value in keys:
        found = model.metadata[key]
        assert np.float32(found) == np.float32(value) if kind == "f32" else found == value, key


def test_tensors_types_shapes_and_order_are_those_of_the_listing(exported: tuple[Path, Path]) -> None:
    folder, output = exported
    _, tensors = listed(folder)
    model = gguf_file.read(output)
    assert len(tensors) > 80
    assert [(n, t.type.name, list(reversed(t.shape))) for n, t in model.tensors.items()] == tensors


def test_the_tables_name_what_the_checkpoints_hold(exported: tuple[Path, Path]) -> None:
    folder, output = exported
    config, state = checkpoint.load(folder / "state.pt")
    assert [(n, tuple(t.shape)) for n, t in state.items()] == list(state_dict_shapes(config).items())
    assert gguf_file.read(output).config == config
    assert list(gguf_shapes(config)) == list(gguf_file.read(output).tensors)


def test_values_agree_with_a_file_that_someone_else_wrote(golden: Path, tmp_path: Path) -> None:
    theirs = gguf_file.read(golden / "v1" / "model-f32.gguf")
    ours = gguf_file.read(export.export(golden / "v1" / "state.pt", tmp_path / "ours.gguf").output)
    assert ours.config == theirs.config
    assert ours.metadata == theirs.metadata
    assert ours.tensors == theirs.tensors  # names, types, shapes and byte offsets
    for name in theirs.tensors:
        np.testing.assert_allclose(ours.array(name), theirs.array(name), rtol=0, atol=1e-6, err_msg=name)


def test_a_checkpoint_without_its_config_gives_the_same_file(exported: tuple[Path, Path], tmp_path: Path) -> None:
    import torch

    folder, output = exported
    state = torch.load(folder / "state.pt", weights_only=True)["model_state_dict"]
    torch.save(state, tmp_path / "bare.pt")
    arch = gguf_file.read(output).config.version
    bare = export.export(tmp_path / "bare.pt", arch=arch)
    assert bare.output.read_bytes() == output.read_bytes()
