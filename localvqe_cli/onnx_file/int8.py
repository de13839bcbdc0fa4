"""Convolutions on 8-bit integers: onnxruntime's static quantization, calibrated on recordings."""

from __future__ import annotations

import logging
import math
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from ..errors import MissingExtraError
from ..geometry import HOP
from .format import INT8, MIC, REF, TYPE_KEY, CalibrationPair
from .reader import read
from .session import run_session

__all__ = ["quantized"]

Inputs = dict[str, NDArray[np.float32]]

#: About so many hops are looked at, evenly spread: neighbours tell the same, and onnxruntime keeps them all.
_LOOKED_AT = 600


def quantized(model: onnx.ModelProto, clips: Sequence[CalibrationPair]) -> tuple[onnx.ModelProto, dict[str, float]]:
    """The model with its convolutions quantized: weights by channel, values by tensor, ranges from the clips.

    Returns:
        The model, and clip -> SNR in dB of its output against that of ``model``.

    Raises:
        MissingExtraError: onnxruntime is not installed.
    """
    try:
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    except ImportError as exc:
        raise MissingExtraError("ONNX", "onnx") from exc

    expected: dict[str, NDArray[np.float32]] = {}
    with tempfile.TemporaryDirectory() as folder:
        plain, small = Path(folder) / "plain.onnx", Path(folder) / "int8.onnx"
        plain.write_bytes(model.SerializeToString())

        class Hops(CalibrationDataReader):  # type: ignore[misc]
            def __init__(self) -> None:
                self._all = _hops(plain, clips, expected)

            def get_next(self) -> Inputs | None:
                return next(self._all, None)

        # It logs advice on preprocessing, which a graph of fixed shapes has no use for.
        before = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            quantize_static(
                str(plain),
                str(small),
                Hops(),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                per_channel=True,
                activation_type=QuantType.QInt8,
                weight_type=QuantType.QInt8,
            )
        finally:
            logging.disable(before)
        made = onnx.load(small)
        for tensor in made.graph.initializer:  # some hold their numbers in the other of two ways
            tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor), tensor.name))
        del made.metadata_props[:]
        facts = {row.key: row.value for row in model.metadata_props}
        onnx.helper.set_model_props(made, {**facts, TYPE_KEY: INT8})
        small.write_bytes(made.SerializeToString())
        found: dict[str, NDArray[np.float32]] = {}
        for _ in _hops(small, clips, found):
            pass
    return made, {clip.id: _snr_db(expected[clip.id], found[clip.id]) for clip in clips}


def _snr_db(expected: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    signal = float(np.sum(np.square(expected, dtype=np.float64)))
    error = float(np.sum(np.square(found.astype(np.float64) - expected)))
    return 10.0 * math.log10(max(signal, 1e-30) / max(error, 1e-30))


def _hops(path: Path, clips: Sequence[CalibrationPair], outputs: dict[str, NDArray[np.float32]]) -> Iterator[Inputs]:
    """What the graph is given in every so many hops, states included; ``outputs`` gets each clip's output."""
    file = read(path)
    every = max(1, sum(clip.mic.size // HOP for clip in clips) // _LOOKED_AT)
    session: Any = run_session(file, threads=0)
    for clip in clips:
        states = file.silence()
        hops = []
        for at, start in enumerate(range(0, clip.mic.size - HOP + 1, HOP)):
            here = slice(start, start + HOP)
            inputs = {MIC: clip.mic[None, here], REF: clip.ref[None, here], **states}
            results = session.run(file.results, inputs)
            if at % every == 0:
                yield inputs
            hops.append(results[0][0])
            states = dict(zip(states, results[1:], strict=True))
        outputs[clip.id] = np.concatenate(hops)
