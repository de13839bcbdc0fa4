"""Is the model in a GGUF file one that this package can run? Every rule of docs/reference/gguf-format.md, checked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from itertools import dropwhile

import numpy as np

from ..config import BASES_KEY, BN_FOLDED_KEY, STANDARD_BASES, ModelConfig
from ..errors import GGUFError, ModelError
from ..families import FAMILIES, Config, Family
from ..tensor_check import names, printable, shape_problems, shape_text
from ..tensors import DECODER_BASIS, ENCODER_BASIS, TEMPERATURE, matrix_shape
from .model import GGUFModel, TensorInfo
from .packed import QUANTIZED_TYPES, has_finite_scales
from .reader import scan

__all__ = ["check", "read", "validate"]

ARCHITECTURE_KEY = "general.architecture"


def read(path: str | os.PathLike[str]) -> GGUFModel:
    """Read and validate a model file: ``config`` is there and there are no problems.

    Raises:
        GGUFError: as :func:`validate`, or the file cannot be opened.
    """
    model = scan(path)
    validate(model)
    return model


def validate(model: GGUFModel) -> None:
    """Raise unless a scanned file keeps every rule of the contract; then ``model.config`` is there.

    Raises:
        GGUFError: the first problem, the path in front, and how many more there are.
    """
    problems = check(model)
    if problems:
        more = len(problems) - 1
        hint = f" (and {more} more; see `localvqe inspect`)" if more else ""
        raise GGUFError(f"{model.path}: {problems[0]}{hint}")


def check(model: GGUFModel) -> list[str]:
    """Hold a scanned file against the contract without raising; fills ``model.stated_config`` and ``model.problems``.

    Returns:
        ``model.problems``: one line each, the most telling first; empty for a usable model.
    """
    if model.problems:  # damage: what was read is not all there is, so nothing can be said to be missing
        return model.problems
    problems = _architecture_problems(model)
    if not problems:
        family = FAMILIES[model.metadata[ARCHITECTURE_KEY]]
        problems = _key_problems(model, family)
        if not problems:
            try:
                model.stated_config = family.read(model.metadata)
            except ModelError as exc:
                problems.append(str(exc))
        problems += _temperature_problems(model)
        if model.stated_config is not None:
            problems += _tensor_problems(model, family, model.stated_config)
    model.problems = problems
    return problems


def _architecture_problems(model: GGUFModel) -> list[str]:
    if ARCHITECTURE_KEY not in model.metadata:
        return [f"has no key {ARCHITECTURE_KEY}; it is no LocalVQE model"]
    found = model.metadata[ARCHITECTURE_KEY]
    if not isinstance(found, str):
        return [f"key {ARCHITECTURE_KEY} has type {model.metadata_types[ARCHITECTURE_KEY]}, expected str"]
    if found not in FAMILIES:
        known = " or ".join(f"'{name}'" for name in FAMILIES)
        return [f"holds a model of architecture '{printable(found)}', expected {known}"]
    return []


def _key_problems(model: GGUFModel, family: Family) -> list[str]:
    """Missing keys in one line, then wrong types and an unfolded BatchNorm, a line each."""
    expected = family.key_types(model.metadata)
    problems = []
    missing = [key for key in expected if key not in model.metadata]
    if missing:
        problems.append(f"missing key{'s' if len(missing) > 1 else ''} {names(missing)}")
    for key, kind in expected.items():
        found = model.metadata_types.get(key, kind)
        if found != kind:
            problems.append(f"key {key} has type {found}, expected {kind}")
    if BN_FOLDED_KEY in expected and model.metadata.get(BN_FOLDED_KEY) is False:
        problems.append(f"key {BN_FOLDED_KEY} is false: BatchNorm was not folded; export it with `localvqe export`")
    return problems


def _temperature_problems(model: GGUFModel) -> list[str]:
    if TEMPERATURE not in model.tensors:
        return []
    return [
        f"holds the tensor {TEMPERATURE}: the softmax temperature was not folded, so the model would run at 1.0; "
        "export it again with `localvqe export`"
    ]


def _tensor_problems(model: GGUFModel, family: Family, config: Config) -> list[str]:
    expected = family.shapes(config)
    if isinstance(config, ModelConfig) and BASES_KEY in model.metadata:
        if model.metadata[BASES_KEY] != STANDARD_BASES:
            stated = printable(str(model.metadata[BASES_KEY]))
            return [f"key {BASES_KEY} is {stated}, expected '{STANDARD_BASES}' or no such key"]
        expected = {name: shape for name, shape in expected.items() if name not in (ENCODER_BASIS, DECODER_BASIS)}
    quantizable = family.quantizable(config)
    stored_as = {name: info.type.name for name, info in model.tensors.items()}
    quantized = {
        name for name in quantizable if stored_as.get(name) in family.types and stored_as[name] in QUANTIZED_TYPES
    }
    _restore_leading_ones(model, {name: shape for name, shape in expected.items() if name not in quantized})
    found = {name: info.shape for name, info in model.tensors.items() if name != TEMPERATURE}
    problems = shape_problems(found, expected | {name: found[name] for name in quantized})
    for name in expected:
        info = model.tensors.get(name)
        if info is None:
            continue
        usable = ("F32", *family.types) if name in quantizable else ("F32",)
        if name in quantized:
            problems += _quantized_problems(model, info, expected[name], family.shape_prefix)
        elif info.type.name not in usable:
            wanted = "F32" if len(usable) == 1 else f"one of {', '.join(usable)}"
            problems.append(f"tensor {name} is stored as {info.type.name}, expected {wanted}")
        elif info.shape == expected[name] and not _is_finite(model, name):
            problems.append(f"tensor {name} holds NaN or infinite values")
    return problems


def _quantized_problems(model: GGUFModel, info: TensorInfo, shape: tuple[int, ...], prefix: str) -> list[str]:
    """What is wrong with a quantized tensor; fills in its original shape if nothing is."""
    matrix = matrix_shape(shape, info.type.block)
    if info.shape != matrix and info.shape != _without_leading_ones(matrix):
        return [
            f"tensor {info.name} has the shape {shape_text(info.shape)} in {info.type.name}, expected "
            f"{matrix} for weights of {shape}"
        ]
    key = prefix + info.name
    if key not in model.metadata:
        return [f"missing key {key}, which a quantized tensor needs"]
    if model.metadata_types[key] != "arr[u32]" or model.metadata[key] != list(shape):
        stated = printable(str(model.metadata[key]))
        return [f"key {key} is {stated} ({model.metadata_types[key]}), expected {list(shape)} (arr[u32])"]
    model.tensors[info.name] = replace(info, shape=matrix, original=shape)
    if not has_finite_scales(model.blocks(info.name), info.type):
        return [f"tensor {info.name} has a block whose scale is NaN or infinite"]
    return []


def _restore_leading_ones(model: GGUFModel, expected: Mapping[str, tuple[int, ...]]) -> None:
    """ggml does not know how many dimensions a tensor has, so writers built on it drop those of size one at the slow
    end: (1, 32, 5, 3) may stand in a file as (32, 5, 3)."""
    for name, shape in expected.items():
        info = model.tensors.get(name)
        if (
            info is not None
            and info.shape != shape
            and _without_leading_ones(info.shape) == _without_leading_ones(shape)
        ):
            model.tensors[name] = replace(info, shape=shape)


def _without_leading_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(dropwhile(lambda size: size == 1, shape))


def _is_finite(model: GGUFModel, name: str) -> bool:
    return bool(np.isfinite(model.array(name)).all())
