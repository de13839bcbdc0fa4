"""Is the graph in an ONNX file one of ours, and one that is safe to run?

A runtime executes whatever a file asks of it. So before one sees the file, it must use none but the operators that
``model`` writes, keep all its numbers inside itself, and have values of known and modest size; inputs and outputs are
signals and states of the step. What the file says of the model is checked as a GGUF file's keys are.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import ModelConfig
from ..errors import MissingExtraError, ModelError
from ..geometry import HOP
from ..tensor_check import names, printable
from .format import (
    HALF,
    INT8,
    MIC,
    NEXT,
    OPSETS,
    OUT,
    PARAMETERS_KEY,
    PART_KEY,
    REF,
    SINGLE,
    STATE,
    TYPE_KEY,
    GraphPart,
)

__all__ = ["OnnxFile", "read"]

#: What blocks are written with, and what quantizing one adds.
# fmt: off
OPERATORS = frozenset((
    "Add", "And", "ArgMax", "AveragePool", "Cast", "Clip", "Concat", "Conv", "DequantizeLinear", "Div", "Elu",
    "Equal", "Exp", "Expand", "Gather", "Gemm", "Greater", "Identity", "LayerNormalization", "Less", "Log",
    "MatMul", "Max", "Min", "Mod", "Mul", "Not", "Pad", "Pow", "QuantizeLinear", "ReduceMax", "ReduceMean",
    "ReduceMin", "ReduceSum", "Reshape", "Sigmoid", "Slice", "Softmax", "Split", "Sqrt", "Sub", "Tanh", "TopK",
    "Transpose", "Unsqueeze", "Where",
))
# fmt: on
_MAX_BYTES = 512 << 20
_MAX_NODES = 5000
#: Of a value, and of all together, in numbers: 16 and 256 MB.
_MAX_SIZE, _MAX_SIZES = 1 << 22, 1 << 26
#: Of an axis, and of what shapes and places are made of; a slice may also end at the end, however far that is.
_MAX_AXIS, _END = 1 << 20, (1 << 63) - 1
#: Of an attribute, and of a list of places.
_MAX_ATTRIBUTE, _MAX_PLACES = 1 << 12, 1 << 12
_MAX_AXES = 8


@dataclass(frozen=True)
class OnnxFile:
    """A checked file.

    Attributes:
        path: the file.
        content: the graph as it was checked, for a runtime.
        config: the model's hyperparameters.
        part: which part of the model it is.
        metadata: all that it says of itself, as text.
        states: name -> shape of each state.
    """

    path: Path
    content: bytes
    config: ModelConfig
    part: GraphPart
    metadata: dict[str, str]
    states: dict[str, tuple[int, ...]]

    @property
    def results(self) -> list[str]:
        """What a run gives: the signal, and the states for the next run in the order of ``states``."""
        return [OUT, *(name + NEXT for name in self.states)]

    def silence(self) -> dict[str, NDArray[np.float32]]:
        """The states before the first run."""
        return {name: np.zeros(shape, np.float32) for name, shape in self.states.items()}

    @property
    def parameters(self) -> int:
        """Of the model."""
        return int(self.metadata[PARAMETERS_KEY])


def read(path: str | os.PathLike[str]) -> OnnxFile:
    """Read and check a file.

    Raises:
        ModelError: it cannot be read, or is not one that ``localvqe export --format onnx`` has written.
        MissingExtraError: onnx is not installed.
    """
    try:
        import onnx
    except ImportError as exc:
        raise MissingExtraError("ONNX", "onnx") from exc
    content = _content(path)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except Exception as exc:  # protobuf's own, which has no base but this
        raise ModelError(f"{path}: is not an ONNX file") from exc
    metadata = {_said(row.key): _said(row.value) for row in model.metadata_props}
    try:
        config, part = _described(metadata)
        states = _checked(model)
    except _ForeignError as exc:
        raise ModelError(f"{path}: {exc}") from exc
    return OnnxFile(Path(path), model.SerializeToString(), config, part, metadata, states)


def _said(text: str | bytes) -> str:
    """Text of a file; what is no UTF-8 arrives as bytes."""
    return text if isinstance(text, str) else text.decode(errors="replace")


class _ForeignError(Exception):
    """What is wrong, without the path."""


def _content(path: str | os.PathLike[str]) -> bytes:
    try:
        info = os.stat(path)
        if not stat.S_ISREG(info.st_mode):
            raise ModelError(f"{path}: is not a regular file")
        if info.st_size > _MAX_BYTES:
            raise ModelError(f"{path}: has {info.st_size:,} bytes, more than any model of ours; it is none")
        return Path(path).read_bytes()
    except OSError as exc:
        raise ModelError(f"{path}: cannot be read: {exc.strerror or exc}") from exc


def _described(metadata: Mapping[str, str]) -> tuple[ModelConfig, GraphPart]:
    if PART_KEY not in metadata:
        raise _ForeignError("was not written by `localvqe export --format onnx`; only such files say what they are")
    values = {key: _value(text) for key, text in metadata.items()}
    expected = {key for key, _, _ in ModelConfig.resembling(values).gguf_fields()} | {TYPE_KEY, PARAMETERS_KEY}
    if missing := sorted(key for key in expected if key not in metadata):
        raise _ForeignError(f"missing key{'s' if len(missing) > 1 else ''} {names(missing)}")
    try:
        config = ModelConfig.from_gguf_fields(values)
        part = GraphPart(metadata[PART_KEY])
    except (ModelError, ValueError, OverflowError) as exc:
        raise _ForeignError(printable(str(exc), 200)) from exc
    if metadata[TYPE_KEY] not in (SINGLE, HALF, INT8) or not metadata[PARAMETERS_KEY].isdecimal():
        raise _ForeignError(f"key {TYPE_KEY} or {PARAMETERS_KEY} has a value that it cannot have")
    return config, part


def _value(text: str) -> Any:
    """What a key's text stands for; text that is no number stays."""
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text[:32])
        except ValueError:
            continue
    return text


def _checked(model: Any) -> dict[str, tuple[int, ...]]:
    """The states of a graph that is in order."""
    import onnx

    graph = model.graph
    if model.functions or graph.sparse_initializer or len(model.opset_import) != 1 or model.opset_import[0].domain:
        raise _ForeignError("uses operators of its own; no file of ours does")
    opset = model.opset_import[0].version
    if not OPSETS[0] <= opset <= OPSETS[1]:
        raise _ForeignError(f"is of opset {opset}, expected {OPSETS[0]} to {OPSETS[1]}")
    if len(graph.node) > _MAX_NODES:
        raise _ForeignError(f"has {len(graph.node):,} nodes, more than any model of ours")
    foreign = {_said(node.op_type) for node in graph.node if node.op_type not in OPERATORS or node.domain}
    if foreign:
        raise _ForeignError(
            f"uses the operator{'s' if len(foreign) > 1 else ''} {names(sorted(foreign))}; no file of ours does"
        )
    for node in graph.node:
        for attribute in node.attribute:
            _check_attribute(attribute)
    for tensor in graph.initializer:
        _check_tensor(tensor)
    # Nothing that the file says of values in between is believed, and a runtime is not told either.
    del graph.value_info[:]
    _shapes([*graph.input, *graph.output])
    try:
        known = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
        onnx.checker.check_model(model)
    except Exception as exc:  # what these raise on damage is not one family
        first = (str(exc).strip() or "damaged").splitlines()[0]
        raise _ForeignError(f"is no valid graph: {printable(first, 120)}") from exc
    shapes = _shapes([*known.graph.value_info, *graph.input, *graph.output])
    computed = {name for node in graph.node for name in node.output}
    if unknown := sorted(name for name in computed if name not in shapes):
        raise _ForeignError(f"has values of unknown size: {names(unknown)}")
    if sum(math.prod(shape) for shape in shapes.values()) > _MAX_SIZES:
        raise _ForeignError("has values of immodest size")
    return _interface(graph, shapes)


def _check_attribute(attribute: Any) -> None:
    import onnx

    if attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) or attribute.HasField("g"):
        raise _ForeignError("holds graphs within its graph; no file of ours does")
    numbers = onnx.AttributeProto.INT, onnx.AttributeProto.FLOAT, onnx.AttributeProto.INTS
    if attribute.type not in numbers or len(attribute.ints) > 2 * _MAX_AXES:
        raise _ForeignError(f"attribute {printable(_said(attribute.name))} is of a kind that no file of ours has")
    if any(abs(value) > _MAX_ATTRIBUTE for value in (attribute.i, *attribute.ints)):
        raise _ForeignError(f"attribute {printable(_said(attribute.name))} is larger than in any file of ours")


def _check_tensor(tensor: Any) -> None:
    import onnx

    if tensor.external_data or tensor.data_location == onnx.TensorProto.EXTERNAL:
        raise _ForeignError("keeps numbers in another file; no file of ours does")
    kinds = {onnx.TensorProto.FLOAT: 4, onnx.TensorProto.FLOAT16: 2, onnx.TensorProto.INT64: 8}
    kinds |= {onnx.TensorProto.INT8: 1, onnx.TensorProto.INT32: 4}  # of quantized convolutions
    name = printable(_said(tensor.name))
    if tensor.data_type not in kinds:
        raise _ForeignError(f"tensor {name} is of a type that no file of ours has")
    size = math.prod(tensor.dims)
    if min(tensor.dims, default=1) < 0 or len(tensor.dims) > _MAX_AXES or size > _MAX_SIZE:
        raise _ForeignError(f"tensor {name} is larger than any of ours")
    if len(tensor.raw_data) != size * kinds[tensor.data_type]:
        raise _ForeignError(f"tensor {name} has another number of values than its shape says")
    if tensor.data_type == onnx.TensorProto.INT64:
        places = np.frombuffer(tensor.raw_data, "<i8")
        if size > _MAX_PLACES or ((np.abs(places) > _MAX_AXIS) & (places != _END)).any():
            raise _ForeignError(f"tensor {name} holds places beyond any of ours")


def _shapes(values: Any) -> dict[str, tuple[int, ...]]:
    shapes = {}
    for value in values:
        kind = value.type.tensor_type
        dims = [d.dim_value if d.HasField("dim_value") else -1 for d in kind.shape.dim]
        modest = len(dims) <= _MAX_AXES and all(0 <= d <= _MAX_SIZE for d in dims) and math.prod(dims) <= _MAX_SIZE
        if not kind.HasField("shape") or not modest:
            raise _ForeignError(f"has a value of unknown or immodest size: {printable(_said(value.name))}")
        shapes[value.name] = tuple(dims)
    return shapes


def _interface(graph: Any, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    import onnx

    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    if any(value.type.tensor_type.elem_type != onnx.TensorProto.FLOAT for value in [*inputs, *graph.output]):
        raise _ForeignError("has an input or an output that is not float32")
    given, put_out = [value.name for value in inputs], [value.name for value in graph.output]
    states = [name for name in given if name not in (MIC, REF)]
    if {MIC, REF, *states} != {*given} or {OUT, *(name + NEXT for name in states)} != {*put_out}:
        raise _ForeignError(f"its inputs and outputs are not {MIC}, {REF}, {OUT} and states such as {STATE}")
    for name, like in (*((name, (1, HOP)) for name in (MIC, REF, OUT)), *((s + NEXT, shapes[s]) for s in states)):
        if shapes[name] != like:
            raise _ForeignError(f"{printable(name)} has another shape than {like}")
    return {name: shapes[name] for name in states}
