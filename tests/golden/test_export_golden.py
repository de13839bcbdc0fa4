"""Exports of the golden checkpoints against what a correct exporter wrote."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from golden_vectors import CHECKPOINTS, FOREIGN, Vectors, listed

from localvqe_cli import checkpoint, export, gguf_file
from localvqe_cli.config import BASES_KEY
from localvqe_cli.tensors import gguf_shapes, state_dict_shapes

with_checkpoint = pytest.mark.parametrize("vectors", CHECKPOINTS, indirect=True, scope="module")
with_file = pytest.mark.parametrize("vectors", FOREIGN, indirect=True, scope="module")


@with_checkpoint
def test_keys_types_values_and_order_are_those_of_the_listing(vectors: Vectors, golden_model: Path) -> None:
    keys, _ = listed(vectors.listing or "")
    model = gguf_file.read(golden_model)
    assert len(keys) > 20
    assert model.format_version == 3
    assert [(k, model.metadata_types[k]) for k in model.metadata] == [(k, t) for k, t, _ in keys]
    for key, kind, value in keys:
        found = model.metadata[key]
        assert (np.float32(found) if kind == "f32" else found) == value, key


@with_checkpoint
def test_tensors_types_shapes_and_order_are_those_of_the_listing(vectors: Vectors, golden_model: Path) -> None:
    _, tensors = listed(vectors.listing or "")
    model = gguf_file.read(golden_model)
    assert len(tensors) > (80 if vectors.config.network else 5)
    assert [(n, t.type.name, list(reversed(t.shape))) for n, t in model.tensors.items()] == tensors


@with_checkpoint
def test_the_tables_name_what_the_checkpoints_hold(vectors: Vectors, golden_model: Path, tmp_path: Path) -> None:
    config, state = checkpoint.load(vectors.save_checkpoint(tmp_path / "state.pt"))
    assert [(n, tuple(t.shape)) for n, t in state.items()] == list(state_dict_shapes(config).items())
    assert gguf_file.read(golden_model).config == config
    assert list(gguf_shapes(config)) == list(gguf_file.read(golden_model).tensors)


@with_file
def test_values_agree_with_a_file_written_elsewhere(vectors: Vectors, golden_model: Path) -> None:
    assert vectors.foreign is not None
    theirs, ours = gguf_file.read(vectors.foreign), gguf_file.read(golden_model)
    assert ours.config == theirs.config
    assert {**ours.metadata, BASES_KEY: None} == {**theirs.metadata, BASES_KEY: None}
    if BASES_KEY not in theirs.metadata:
        assert ours.tensors == theirs.tensors  # names, types, shapes and byte offsets
    for name in ours.tensors:
        np.testing.assert_allclose(ours.array(name), theirs.array(name), rtol=0, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    "vectors", [name for name in FOREIGN if name.startswith("small-")], indirect=True, scope="module"
)
def test_bytes_are_those_of_the_stored_file(vectors: Vectors, golden_model: Path, tmp_path: Path) -> None:
    assert vectors.foreign is not None
    theirs, ours = gguf_file.read(vectors.foreign), gguf_file.read(golden_model)
    tensors = {}
    for name in theirs.tensors:  # all but the codec's bases
        copied = np.array_equal(theirs.array(name), vectors.state.get(name, np.empty(0)))
        # What was folded may differ in the last bit from one machine's exp() and cos() to another's.
        tensors[name] = (ours if copied else theirs).array(name)
    gguf_file.write(tmp_path / "again.gguf", vectors.config, tensors)
    assert (tmp_path / "again.gguf").read_bytes() == vectors.foreign.read_bytes()


#: No shape of a filter without a network says how it is set: its configuration cannot be left out.
@pytest.mark.parametrize(
    "vectors",
    [name for name in CHECKPOINTS if "filter" not in name],
    indirect=True,
    scope="module",
)
def test_a_checkpoint_without_its_config_gives_the_same_file(
    vectors: Vectors, golden_model: Path, tmp_path: Path
) -> None:
    import torch

    state = {name: torch.from_numpy(np.array(value)) for name, value in vectors.state.items()}
    torch.save(state, tmp_path / "bare.pt")
    config = vectors.config
    # dmax is visible in no shape; the large vectors have their version's.
    dmax = config.dmax if vectors.name.startswith("small-") else None
    bare = export.export(tmp_path / "bare.pt", arch=config.version, dmax=dmax)
    assert bare.output.read_bytes() == golden_model.read_bytes()
