"""From a checkpoint's state dict to the tensors of a GGUF file, and the file itself.

What training needs and inference does not is folded away: BatchNorm into the convolution before it,
the attention's temperature into its smoothing convolution, the polar form of the S4D poles into
Cartesian numbers. The folding functions are pure and compute in float64.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import gguf_file
from .atomic import check_output
from .checkpoint import read as read_checkpoint
from .config import ModelConfig
from .errors import CheckpointError, UsageError
from .families import Config, family_of
from .lfsc.export import TYPES, export_nemo, is_nemo
from .models import named
from .tensor_check import shape_problems
from .tensors import ALIGN_SMOOTH, TEMPERATURE, blocks, decoder_output_norms, gguf_shapes, state_dict_shapes

__all__ = [
    "ExportSummary",
    "default_output",
    "export",
    "fold",
    "fold_batch_norm",
    "fold_temperature",
    "general_keys",
    "polar_to_cartesian",
    "with_folded_weights",
]

Array = NDArray[np.float64]
State = dict[str, Array]

BATCH_NORM_EPS = 1e-5
_NORM_PARTS = ("weight", "bias", "running_mean", "running_var")
#: Smallest decay rate, so that a pole stays inside the unit circle by a margin (report, eq. 12).
MIN_DECAY_RATE = 0.01


# -- folding ----------------------------------------------------------------------------------


def fold(config: ModelConfig, state: Mapping[str, Any]) -> dict[str, NDArray[np.float32]]:
    """Tensors of the GGUF file for a state dict, in file order (report, 5.1).

    Args:
        config: hyperparameters the state dict agrees with.
        state: name -> array or CPU tensor, exactly those of ``tensors.state_dict_shapes(config)``.

    Returns:
        name -> float32 array in PyTorch shape, exactly those of ``tensors.gguf_shapes(config)``.
        ``state`` is not changed. A temperature of 1.0 means that it was folded before: dividing by
        it changes nothing.

    Raises:
        CheckpointError: a tensor is missing, unknown or misshapen, a running variance is negative,
            the temperature is not a positive number, or a folded value leaves the range of float32.
    """
    arrays: State = {name: np.asarray(value, dtype=np.float64) for name, value in state.items()}
    problems = shape_problems({name: tuple(a.shape) for name, a in arrays.items()}, state_dict_shapes(config))
    if problems:
        raise CheckpointError(f"state dict: {problems[0]}")
    if config.network:
        if config.version == 1:
            arrays = _fold_batch_norms(config, arrays)
        arrays = _fold_align_temperature(arrays)
        arrays = _convert_poles(arrays)
    folded = {}
    for name in gguf_shapes(config):
        with np.errstate(over="ignore"):
            folded[name] = arrays[name].astype(np.float32)
        if not np.isfinite(folded[name]).all():
            raise CheckpointError(f"tensor {name} holds NaN, infinite values or more than float32 can after folding")
    return folded


def with_folded_weights(
    config: ModelConfig, state: Mapping[str, Any], folded: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[np.float64]]:
    """A state dict whose folding gives these weights, all else as in ``state``: what a quantized file computes with.

    Args:
        config, state: as for :func:`fold`.
        folded: name -> weight as a GGUF file holds it, of ``tensors.quantizable_shapes(config)``.
    """
    out: State = {name: np.asarray(value, dtype=np.float64) for name, value in state.items()}
    norms = dict(_folded_norms(config)) if config.version == 1 else {}
    for name, weight in folded.items():
        value = np.asarray(weight, dtype=np.float64)
        if bn := norms.get(name.removesuffix(".weight")):
            scale, _ = _affine(out, bn)
            # A channel whose norm is zero is zero whatever its weights.
            value = value / np.where(scale == 0, 1.0, scale).reshape(-1, *(1,) * (value.ndim - 1))
        out[name] = value
    return out


def fold_batch_norm(
    weight: Array, bias: Array, gamma: Array, beta: Array, mean: Array, variance: Array, eps: float = BATCH_NORM_EPS
) -> tuple[Array, Array]:
    """Weight and bias of the one convolution that equals conv followed by BatchNorm in evaluation mode.

    Args:
        weight: (O, ...) convolution weight, output channels first; bias: (O,).
        gamma, beta, mean, variance: (O,) scale, shift and running statistics of the norm.

    Raises:
        CheckpointError: a variance is negative.
    """
    scale, shift = batch_norm_affine(gamma, beta, mean, variance, eps)
    return weight * scale.reshape(-1, *(1,) * (weight.ndim - 1)), bias * scale + shift


def batch_norm_affine(
    gamma: Array, beta: Array, mean: Array, variance: Array, eps: float = BATCH_NORM_EPS
) -> tuple[Array, Array]:
    """(scale, shift), both (C,), with which BatchNorm in evaluation mode is ``x * scale + shift``."""
    if (variance < 0).any():
        raise CheckpointError("a BatchNorm running variance is negative")
    scale = gamma / np.sqrt(variance + eps)
    return scale, beta - mean * scale


def fold_temperature(weight: Array, bias: Array, temperature: float) -> tuple[Array, Array]:
    """Smoothing-conv weight and bias divided by tau, so that a plain softmax follows (report, 2.4).

    Raises:
        CheckpointError: ``temperature`` is not a positive finite number.
    """
    if not 0.0 < temperature < float("inf"):
        raise CheckpointError(f"{TEMPERATURE} is {temperature:g}, expected a positive number")
    return weight / temperature, bias / temperature


def polar_to_cartesian(log_rate: Array, theta: Array) -> tuple[Array, Array]:
    """Real and imaginary part of the S4D poles, (H,) each (report, eq. 12).

    ``log_rate`` is rho, ``theta`` in radians; the magnitude is exp(-max(softplus(rho), 0.01)).
    """
    rate = np.maximum(np.logaddexp(0.0, log_rate), MIN_DECAY_RATE)
    magnitude = np.exp(-rate)
    return magnitude * np.cos(theta), magnitude * np.sin(theta)


def _norm(arrays: State, name: str) -> tuple[Array, Array, Array, Array]:
    return tuple(arrays[f"{name}.{part}"] for part in _NORM_PARTS)  # type: ignore[return-value]


def _affine(arrays: State, name: str) -> tuple[Array, Array]:
    return batch_norm_affine(*_norm(arrays, name))


def _folded_norms(config: ModelConfig) -> list[tuple[str, str]]:
    """(convolution, norm that follows it) of version 1."""
    pairs = [(f"{b.name}.resblock.conv", f"{b.name}.resblock.bn") for b in blocks(config)]
    return pairs + [(f"{b.name}.conv", f"{b.name}.bn") for b in blocks(config) if not b.decoder]


def _fold_batch_norms(config: ModelConfig, arrays: State) -> State:
    """Version 1: every norm into the conv before it; decN.bn, which follows the pixel shuffle, becomes an affine."""
    out = dict(arrays)

    for conv, bn in _folded_norms(config):
        out[f"{conv}.weight"], out[f"{conv}.bias"] = fold_batch_norm(
            arrays[f"{conv}.weight"], arrays[f"{conv}.bias"], *_norm(arrays, bn)
        )
    for bn, _ in decoder_output_norms(config):
        out[f"{bn}.scale"], out[f"{bn}.bias"] = _affine(arrays, bn)
    return out


def _fold_align_temperature(arrays: State) -> State:
    weight, bias = f"{ALIGN_SMOOTH}.weight", f"{ALIGN_SMOOTH}.bias"
    out = dict(arrays)
    out[weight], out[bias] = fold_temperature(arrays[weight], arrays[bias], float(arrays[TEMPERATURE]))
    return out


def _convert_poles(arrays: State) -> State:
    real, imag = polar_to_cartesian(arrays["bottleneck.A_log_rate"], arrays["bottleneck.A_theta"])
    return {**arrays, "bottleneck.a_real": real, "bottleneck.a_imag": imag}


# -- files ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ExportSummary:
    """What an export did.

    Attributes:
        output: the file written.
        config: the model's hyperparameters.
        temperature: tau of the checkpoint; 1.0 if it had been folded before, None without a network or of a codec.
        tensors, parameters, nbytes: counts of the file written.
        notes: assumptions the user should know of, a line each.
    """

    output: Path
    config: Config
    temperature: float | None
    tensors: int
    parameters: int
    nbytes: int
    notes: tuple[str, ...]


def general_keys(
    name: str | None, license: str | None, meta: Mapping[str, gguf_file.MetadataValue]
) -> dict[str, gguf_file.MetadataValue]:
    """The keys of a new file that are not of its contract: name and licence, then ``meta``.

    Raises:
        UsageError: one of them is among ``meta`` as well.
    """
    out: dict[str, gguf_file.MetadataValue] = {}
    for key, text in (("general.name", name), ("general.license", license)):
        if text is not None:
            if key in meta:
                raise UsageError(f"{key} is given twice")
            out[key] = text
    return {**out, **meta}


def default_output(source: str | os.PathLike[str], type: str = "F32") -> Path:
    """``ckpt.pt`` -> ``ckpt-f32.gguf``, in the same folder."""
    path = Path(source)
    return path.with_name(f"{path.stem}-{type.lower()}.gguf")


def export(
    checkpoint: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    arch: int | None = None,
    dmax: int | None = None,
    type: str = "F32",
    name: str | None = None,
    license: str | None = None,
    meta: Mapping[str, gguf_file.MetadataValue] | None = None,
    force: bool = False,
) -> ExportSummary:
    """Convert a PyTorch checkpoint into an F32 GGUF file, or the ``.nemo`` archive of a speech codec. Needs torch.

    Args:
        checkpoint: its path, or a name from the registry.
        output: the file to write; None is ``CHECKPOINT-f32.gguf`` beside it, or here where a name was given.
        arch: architecture version 1, 2 or 3, where the checkpoint does not say.
        dmax: frames the model looks back, 2..512, where the checkpoint does not say.
        type: what a codec's weights are stored as: F32, F16 or Q8_0; other checkpoints become F32.
        name, license: of the model, kept in the file as ``general.name`` and ``general.license``.
        meta: further GGUF keys to keep in the file, by their whole names.
        force: replace an existing file.

    Raises:
        CheckpointError: the checkpoint cannot be used; UsageError: the output cannot be written or
            an option contradicts the checkpoint; MissingExtraError: torch is not installed.
    """
    source = named(os.fspath(checkpoint))
    beside = default_output(source, type)
    if source != os.fspath(checkpoint):  # a name: not into the cache
        beside = Path(beside.name)
    target = beside if output is None else Path(output)
    metadata = general_keys(name, license, meta or {})
    if is_nemo(source):
        if arch is not None or dmax is not None:
            raise UsageError("--arch and --dmax are of LocalVQE's checkpoints; a codec says all of itself")
        check_output(target, force=force, inputs=[source])
        config, parameters, notes = export_nemo(source, target, type, metadata)
        return _summary(target, config, parameters, notes)
    if type != TYPES[0]:
        raise UsageError(f"--type {type} is of speech codecs; export this one, and then run localvqe quantize")
    loaded = read_checkpoint(source, dmax=dmax, arch=arch)
    check_output(target, force=force, inputs=[source])
    try:
        tensors = fold(loaded.config, loaded.state)
    except CheckpointError as exc:
        raise CheckpointError(f"{source}: {exc}") from exc
    gguf_file.write(target, loaded.config, tensors, metadata)
    temperature = float(loaded.state[TEMPERATURE]) if loaded.config.network else None
    notes = loaded.notes
    if temperature == 1.0:
        notes = (*notes, "the temperature is 1.0: folded before, so left alone")
    return _summary(target, loaded.config, sum(array.size for array in tensors.values()), notes, temperature)


def _summary(
    target: Path, config: Config, parameters: int, notes: tuple[str, ...], temperature: float | None = None
) -> ExportSummary:
    return ExportSummary(
        output=target,
        config=config,
        temperature=temperature,
        tensors=len(family_of(config).shapes(config)),
        parameters=parameters,
        nbytes=target.stat().st_size,
        notes=notes,
    )
