"""The embedded model: what it says about itself and that it passes audio through."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from localvqe_cli import gguf_file
from localvqe_cli.config import ModelConfig
from localvqe_cli.models import resolve
from localvqe_cli.weights.make_default import make_default


def test_it_is_what_the_script_makes(tmp_path: Path) -> None:
    make_default(tmp_path / "again.gguf")
    made, embedded = gguf_file.read(tmp_path / "again.gguf"), gguf_file.read(resolve(None))
    assert made.metadata == embedded.metadata
    for name in embedded.tensors:
        np.testing.assert_allclose(made.array(name), embedded.array(name), atol=1e-6, err_msg=name)


def test_it_says_that_it_is_untrained() -> None:
    model = gguf_file.read(resolve(None))
    assert model.config == ModelConfig(version=2)
    assert model.metadata["general.name"] == "localvqe-passthrough-v2"
    assert "ntrained" in model.metadata["general.description"]


def test_its_mask_is_the_identity_whatever_comes_in() -> None:
    model = gguf_file.read(resolve(None))
    bias = model.array("dec1.deconv.conv.bias")
    assert not model.array("dec1.deconv.conv.weight").any()
    assert np.flatnonzero(bias).tolist() == [7, 34]
    assert bias[[7, 34]].tolist() == [1.0, 1.0]
