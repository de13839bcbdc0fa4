"""What an ONNX graph is put together with: constants, operations, and states that one run hands to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper

from .format import NEXT, STATE

__all__ = ["Graph", "Operand", "Weights"]

#: Name of a value in the graph, or numbers, which become a constant.
Operand: TypeAlias = str | ArrayLike
#: Name -> weight in PyTorch shape, as a model file holds it.
Weights: TypeAlias = Mapping[str, NDArray[Any]]

#: From this version of the operators on, the axes of a mean or a maximum are an input, as a sum's have long been.
_AXES_ARE_INPUTS = 18


class Graph:
    """A graph of float32 values that is written node by node. Constants that are equal are kept once.

    Args:
        opset: version of the operators, at least 17.
    """

    def __init__(self, opset: int) -> None:
        self._opset = opset
        self._nodes: list[onnx.NodeProto] = []
        self._weights: set[str] = set()
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._tensors: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[tuple[str, str, tuple[int, ...]]] = []
        #: Name -> shape of every state, in the order of their first use.
        self.states: dict[str, tuple[int, ...]] = {}
        self._kept: dict[str, str] = {}

    # -- values -------------------------------------------------------------------------------

    def input(self, name: str, *shape: int) -> str:
        """A signal that each run is given."""
        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return name

    def output(self, name: str, value: str, *shape: int) -> None:
        """A signal that each run gives."""
        self._outputs.append((name, value, shape))

    def state(self, name: str, *shape: int) -> str:
        """What the run before left under this name with :meth:`keep`; zeros in the first run."""
        self.states[name] = shape
        return name

    def keep(self, name: str, value: str) -> None:
        """Hand ``value`` to the next run's :meth:`state` of this name."""
        self._kept[name] = value

    def constant(self, value: ArrayLike, dtype: Any = np.float32) -> str:
        """Numbers that are part of the graph."""
        array = np.asarray(value, dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = self._constants[key] = f"c{len(self._tensors)}"
            self._tensors.append(numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name))
        return self._constants[key]

    def weight(self, value: ArrayLike) -> str:
        """Learned numbers, which may be kept in half precision."""
        name = self.constant(value)
        self._weights.add(name)
        return name

    # -- operations ---------------------------------------------------------------------------

    def op(self, kind: str, *inputs: Operand, **attributes: Any) -> str:
        """The first output of a node; numbers among ``inputs`` become float32 constants."""
        return self.ops(kind, 1, *inputs, **attributes)[0]

    def ops(self, kind: str, count: int, *inputs: Operand, **attributes: Any) -> list[str]:
        """All outputs of a node that has ``count`` of them."""
        names = [value if isinstance(value, str) else self.constant(value) for value in inputs]
        outputs = [f"{kind.lower()}{len(self._nodes)}" + (f".{i}" if i else "") for i in range(count)]
        self._nodes.append(helper.make_node(kind, names, outputs, name=outputs[0], **attributes))
        return outputs

    def reduce(self, kind: str, value: str, axes: Sequence[int], *, keep: bool = False) -> str:
        """``kind`` is Sum, Mean, Max or Min over ``axes``."""
        if kind == "Sum" or self._opset >= _AXES_ARE_INPUTS:
            return self.op(f"Reduce{kind}", value, self.constant(axes, np.int64), keepdims=int(keep))
        return self.op(f"Reduce{kind}", value, axes=list(axes), keepdims=int(keep))

    def slice(self, value: str, axis: int, start: int, end: int, step: int = 1) -> str:
        """``start`` up to ``end`` of an axis; negative ones count from its end."""
        return self.op("Slice", value, *(self.constant([x], np.int64) for x in (start, end, axis, step)))

    def split(self, value: str, axis: int, *sizes: int) -> list[str]:
        """Pieces of these sizes along an axis."""
        return self.ops("Split", len(sizes), value, self.constant(sizes, np.int64), axis=axis)

    def concat(self, axis: int, *values: Operand) -> str:
        """One behind the other along an axis."""
        return self.op("Concat", *values, axis=axis)

    def reshape(self, value: str, *shape: int) -> str:
        """The same numbers in another shape."""
        return self.op("Reshape", value, self.constant(shape, np.int64))

    def gather(self, value: str, index: Operand, axis: int) -> str:
        """Entries of an axis; numbers as ``index`` are int64."""
        return self.op("Gather", value, index if isinstance(index, str) else self.constant(index, np.int64), axis=axis)

    def flag(self, value: str) -> str:
        """Whether a number is not zero."""
        return self.op("Cast", value, to=TensorProto.BOOL)

    def number(self, value: str) -> str:
        """float32 of a flag or an index."""
        return self.op("Cast", value, to=TensorProto.FLOAT)

    def index(self, value: str) -> str:
        """int64 of a number."""
        return self.op("Cast", value, to=TensorProto.INT64)

    # -- the whole ----------------------------------------------------------------------------

    def finish(self, name: str, metadata: Mapping[str, str], *, packed: bool, half: bool) -> onnx.ModelProto:
        """The model.

        Args:
            name: of the graph.
            metadata: ``metadata_props``.
            packed: one state ``state`` (n,), which holds all of them, instead of one each.
            half: keep weights in half precision; what is computed stays in single.

        Raises:
            onnx.checker.ValidationError: it is no valid graph, which is a mistake of ours.
        """
        before, behind, states, kept = self._packed() if packed else self._separate()
        tensors, casts = self._halved() if half else (self._tensors, [])
        ends = [helper.make_node("Identity", [value], [name]) for name, value, _ in self._outputs]
        signals = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, _, shape in self._outputs]
        graph = helper.make_graph(
            [*casts, *before, *self._nodes, *ends, *behind], name, [*self._inputs, *states], [*signals, *kept], tensors
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self._opset)])
        model.producer_name = "localvqe"
        # The oldest format that has these operators, for runtimes that refuse newer ones unread.
        model.ir_version = 8
        helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model, full_check=True)
        return model

    def _separate(self) -> tuple[list[Any], list[Any], list[Any], list[Any]]:
        def info(name: str, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

        behind = [helper.make_node("Identity", [self._kept[name]], [name + NEXT]) for name in self.states]
        states = [info(name, shape) for name, shape in self.states.items()]
        return [], behind, states, [info(name + NEXT, shape) for name, shape in self.states.items()]

    def _packed(self) -> tuple[list[Any], list[Any], list[Any], list[Any]]:
        sizes = [int(np.prod(shape)) for shape in self.states.values()]
        flat = [f"{name}.flat" for name in self.states]
        before = [helper.make_node("Split", [STATE, self.constant(sizes, np.int64)], flat, axis=0)]
        behind = []
        for (name, shape), piece in zip(self.states.items(), flat, strict=True):
            before.append(helper.make_node("Reshape", [piece, self.constant(shape, np.int64)], [name]))
            behind.append(
                helper.make_node("Reshape", [self._kept[name], self.constant([-1], np.int64)], [f"{piece}{NEXT}"])
            )
        behind.append(helper.make_node("Concat", [f"{piece}{NEXT}" for piece in flat], [STATE + NEXT], axis=0))
        total = [sum(sizes)]
        infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, total) for name in (STATE, STATE + NEXT)]
        return before, behind, [infos[0]], [infos[1]]

    def _halved(self) -> tuple[list[Any], list[Any]]:
        tensors, casts = [], []
        for tensor in self._tensors:
            array = numpy_helper.to_array(tensor)
            if tensor.name not in self._weights:
                tensors.append(tensor)
                continue
            small = f"{tensor.name}.half"
            tensors.append(numpy_helper.from_array(array.astype(np.float16), small))
            casts.append(helper.make_node("Cast", [small], [tensor.name], to=TensorProto.FLOAT))
        return tensors, casts
