"""What is refused before a runtime sees it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_model import narrow_config, random_gguf

from localvqe_cli.errors import ModelError
from localvqe_cli.onnx_file.format import PART_KEY
from localvqe_cli.onnx_file.reader import OPERATORS, read
from localvqe_cli.onnx_file.writer import export_onnx

onnx = pytest.importorskip("onnx")
pytest.importorskip("torch")


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("onnx")
    random_gguf(folder / "model.gguf", narrow_config(1))
    return export_onnx(folder / "model.gguf").output.read_bytes()


def _drop_key(model: Any) -> None:
    row = next(row for row in model.metadata_props if row.key == "localvqe.dmax")
    model.metadata_props.remove(row)


def _not_ours(model: Any) -> None:
    row = next(row for row in model.metadata_props if row.key == PART_KEY)
    model.metadata_props.remove(row)


def _other_width(model: Any) -> None:
    next(row for row in model.metadata_props if row.key == "localvqe.n_fft").value = "1024"


def _operator(model: Any) -> None:
    model.graph.node[0].op_type = "NonZero"


def _domain(model: Any) -> None:
    model.opset_import.add(domain="com.microsoft", version=1)


def _elsewhere(model: Any) -> None:
    model.graph.initializer[0].external_data.add(key="location", value="/etc/passwd")
    model.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL


def _huge(model: Any) -> None:
    big = onnx.numpy_helper.from_array(np.array([1 << 30, 256], np.int64), "big")
    model.graph.initializer.append(big)
    model.graph.node.append(onnx.helper.make_node("Expand", ["mic", "big"], ["bomb"]))


def _product(model: Any) -> None:
    big = onnx.numpy_helper.from_array(np.array([1 << 15, 256], np.int64), "big")
    model.graph.initializer.append(big)
    model.graph.node.append(onnx.helper.make_node("Expand", ["mic", "big"], ["bomb"]))


def _places(model: Any) -> None:
    conv = next(node for node in model.graph.node if node.op_type == "Conv")
    conv.attribute[0].ints[0] = 1 << 40


def _lie(model: Any) -> None:
    model.graph.initializer[0].dims[0] += 1


def _subgraph(model: Any) -> None:
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("then_branch", model.graph))


def _signal(model: Any) -> None:
    model.graph.input[0].name = "microphone"


def _shape(model: Any) -> None:
    model.graph.output[-1].type.tensor_type.shape.dim[-1].dim_value += 1


def _opset(model: Any) -> None:
    model.opset_import[0].version = 11


DAMAGE: dict[Callable[[Any], None], str] = {
    _drop_key: "missing key localvqe.dmax",
    _not_ours: "export --format onnx",
    _other_width: "n_fft is 1024",
    _operator: "operator NonZero",
    _domain: "operators of its own",
    _elsewhere: "in another file",
    _huge: "places beyond",
    _product: "size",
    _lie: "another number of values",
    _places: "larger than in any",
    _subgraph: "graphs within",
    _signal: "valid graph",
    _shape: "valid graph|shape",
    _opset: "opset 11",
}


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda f: f.__name__)
def test_a_foreign_graph_is_refused_in_one_line(damage: Callable[[Any], None], valid: bytes, tmp_path: Path) -> None:
    model = onnx.ModelProto()
    model.ParseFromString(valid)
    damage(model)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=DAMAGE[damage]) as refused:
        read(path)
    assert str(refused.value).startswith(str(path))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"GGUF\x03\0\0\0", b"\x00" * 100, b"not a model at all\n"])
def test_what_is_no_onnx_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.onnx: "):
        read(path)
    with pytest.raises(ModelError, match="cannot be read"):
        read(tmp_path / "absent.onnx")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no such pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.onnx")
    with pytest.raises(ModelError, match="not a regular file"):
        read(tmp_path / "model.onnx")


def test_every_operator_that_is_allowed_is_written(valid: bytes, tmp_path: Path) -> None:
    """The list must not grow beyond what blocks need."""
    from localvqe_cli.config import FrontendConfig, ResidualConfig

    used = set()
    for version, stages in ((1, {}), (2, {}), (3, {"frontend": FrontendConfig(), "residual": ResidualConfig()})):
        stages |= {"frontend": FrontendConfig(gain_hidden=2)} if stages else {}
        random_gguf(tmp_path / "model.gguf", narrow_config(version, **stages))
        for half in (False, True):
            path = export_onnx(tmp_path / "model.gguf", half=half, force=True).output
            used |= {node.op_type for node in onnx.load(path).graph.node}
    quantized = {"QuantizeLinear", "DequantizeLinear"}  # tests/cli/test_onnx_cli.py has such a file
    assert used | quantized == OPERATORS
