"""From a checkpoint or a model file to an ONNX file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import gguf_file
from ..atomic import atomic_output, check_output
from ..checkpoint import read as read_checkpoint
from ..config import ModelConfig
from ..errors import CheckpointError, MissingExtraError, UsageError
from ..export import fold, general_keys
from ..models import named
from ..tensors import gguf_shapes
from .format import HALF, OPSETS, PARAMETERS_KEY, PART_KEY, SINGLE, SUFFIX, TYPE_KEY, CalibrationPair, GraphPart

__all__ = ["OnnxSummary", "export_onnx"]


@dataclass(frozen=True)
class OnnxSummary:
    """What an export to ONNX did.

    Attributes:
        output: the file written.
        config: the model's hyperparameters.
        nodes: of the graph.
        parameters: of the model.
        states: name -> shape of each state that goes from run to run, in the graph's order.
        nbytes: size of the file.
        clips: id -> SNR in dB against the graph in floats, of calibration clips; empty where nothing was quantized.
        notes: what the user should know of, a line each.
    """

    output: Path
    config: ModelConfig
    nodes: int
    parameters: int
    states: dict[str, tuple[int, ...]]
    nbytes: int
    clips: dict[str, float]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Source:
    path: str
    config: ModelConfig
    weights: Mapping[str, Any]
    metadata: Mapping[str, str]
    notes: tuple[str, ...]


def export_onnx(
    model: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    part: GraphPart = GraphPart.step,
    packed: bool = False,
    half: bool = False,
    int8: Sequence[CalibrationPair] = (),
    opset: int = OPSETS[0],
    arch: int | None = None,
    dmax: int | None = None,
    name: str | None = None,
    license: str | None = None,
    meta: Mapping[str, gguf_file.MetadataValue] | None = None,
    force: bool = False,
) -> OnnxSummary:
    """Write the step of a model, one hop in and one hop out, as an ONNX file.

    Args:
        model: a GGUF file, quantized ones included; a PyTorch checkpoint; or a name from the registry.
        output: the file to write; None is ``MODEL.onnx`` beside it, or here where a name was given.
        part: the whole model, or what is behind its adaptive filter.
        packed: one state vector instead of one tensor each.
        half: keep the weights in half precision; the arithmetic stays in single.
        int8: recordings to calibrate with, so that the convolutions run on 8-bit integers; none leaves them floats.
        opset: version of the operators, within OPSETS.
        arch, dmax: where a checkpoint does not say, as for :func:`export.export`.
        name, license, meta: keys to keep in the file, as for :func:`export.export`.
        force: replace an existing file.

    Raises:
        ModelError: the model cannot be used; UsageError: the output cannot be written, or there is no such part;
            MissingExtraError: onnx or torch is not installed.
    """
    if not OPSETS[0] <= opset <= OPSETS[1]:
        raise UsageError(f"opset is {opset}, expected {OPSETS[0]} to {OPSETS[1]}")
    if half and int8:
        raise UsageError("weights are kept in half precision or as 8-bit integers, not both")
    more = general_keys(name, license, meta or {})
    source = _read(os.fspath(model), arch, dmax)
    config = source.config
    if part is GraphPart.network and (config.frontend is None or not config.network):
        what = "has no adaptive filter to leave out" if config.network else "is nothing but its adaptive filter"
        raise UsageError(f"{source.path}: {what}; export the whole step")
    target = _default_output(os.fspath(model), source.path) if output is None else Path(output)
    check_output(target, force=force, inputs=[source.path])
    if int8 and not config.network:
        raise UsageError(f"{source.path} has no network: there is nothing in it to quantize")
    try:
        from .model import step
    except ImportError as exc:
        raise MissingExtraError("ONNX", "onnx") from exc
    parameters = sum(array.size for array in source.weights.values())
    rows = {key: _text(value) for key, _, value in config.gguf_fields()}
    kind = HALF if half else SINGLE
    rows |= {PART_KEY: part.value, TYPE_KEY: kind, PARAMETERS_KEY: str(parameters)}
    for key, value in {**source.metadata, **more}.items():
        if key in rows:
            raise UsageError(f"key {key} is the file's own")
        rows[key] = _text(value)
    graph = step(config, source.weights, opset, with_filter=part is GraphPart.step)
    made = graph.finish(f"localvqe_{part.value}", rows, packed=packed, half=half)
    clips: dict[str, float] = {}
    if int8:
        from .int8 import quantized

        made, clips = quantized(made, int8)
    with atomic_output(target) as temporary:
        Path(temporary).write_bytes(made.SerializeToString())
    return OnnxSummary(
        output=target,
        config=config,
        nodes=len(made.graph.node),
        parameters=parameters,
        states=graph.states,
        nbytes=target.stat().st_size,
        clips=clips,
        notes=source.notes,
    )


def _default_output(given: str, path: str) -> Path:
    """``model.gguf`` -> ``model.onnx``, in the same folder, or here for a name."""
    stem = Path(path).stem if path == given else Path(given).name
    return (Path(path).parent if path == given else Path()) / f"{stem}{SUFFIX}"


def _read(model: str, arch: int | None, dmax: int | None) -> _Source:
    path = named(model)
    if _is_gguf(path):
        if arch is not None or dmax is not None:
            raise UsageError(f"{path}: a GGUF file says itself what --arch and --dmax are for")
        return _from_gguf(path)
    loaded = read_checkpoint(path, dmax=dmax, arch=arch)
    try:
        weights = fold(loaded.config, loaded.state)
    except CheckpointError as exc:
        raise CheckpointError(f"{path}: {exc}") from exc
    return _Source(path, loaded.config, weights, {}, tuple(loaded.notes))


def _is_gguf(path: str) -> bool:
    try:
        with open(path, "rb") as stream:
            return stream.read(4) == b"GGUF"
    except OSError:
        return False  # whoever reads it says so


def _from_gguf(path: str) -> _Source:
    file = gguf_file.read(path)
    weights = {name: file.array(name) for name in gguf_shapes(file.config)}
    kept = {
        key: value for key in ("general.name", "general.license") if isinstance(value := file.metadata.get(key), str)
    }
    kinds = sorted({info.type.name for info in file.tensors.values() if info.original is not None})
    text = f"{path} is {'+'.join(kinds)}: its weights are unpacked, which makes them no more precise"
    notes = (text,) if kinds else ()
    return _Source(path, file.config, weights, kept, notes)


def _text(value: gguf_file.MetadataValue) -> str:
    if isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else repr(value)
