"""What an ONNX file of ours says of itself beside the graph, each name once."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "HALF",
    "INT8",
    "MIC",
    "NEXT",
    "OPSETS",
    "OUT",
    "PARAMETERS_KEY",
    "PART_KEY",
    "REF",
    "SINGLE",
    "STATE",
    "SUFFIX",
    "TYPE_KEY",
    "CalibrationPair",
    "GraphPart",
]

SUFFIX = ".onnx"
#: Signals of a step, (1, 256) each.
MIC, REF, OUT = "mic", "ref", "out"
#: The one state of a graph whose states are packed, and what follows the name of each where they are put out.
STATE, NEXT = "state", ".next"
#: Versions of the operators that a graph can be written in, and the one that most runtimes have.
OPSETS = (17, 23)

#: Which part of the model the graph is, how its weights are kept, and how many parameters the model has.
PART_KEY = "localvqe.onnx.part"
TYPE_KEY = "localvqe.onnx.type"
PARAMETERS_KEY = "localvqe.onnx.parameters"
SINGLE, HALF, INT8 = "F32", "F16", "INT8"


class CalibrationPair(Protocol):
    """A pair to calibrate with: equally long signals (n,) at 16 kHz."""

    @property
    def id(self) -> str: ...

    @property
    def mic(self) -> NDArray[np.float32]: ...

    @property
    def ref(self) -> NDArray[np.float32]: ...


class GraphPart(str, Enum):
    """Of a model: all of it, or what comes behind the adaptive filter."""

    step = "step"
    network = "network"
