"""Reading a PyTorch checkpoint that anybody may have made: only tensors and plain values, never code.

Needs torch, which is imported when a file is read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .config import DEFAULT_DMAX, ModelConfig
from .errors import CheckpointError, ModelError, UsageError
from .tensor_check import printable, shape_problems
from .tensors import ALIGN_SMOOTH, ENCODER_BASIS, TEMPERATURE, state_dict_shapes
from .torch_file import float_tensor, regular_file, stored_tensor, unpacked_size, unpickle

if TYPE_CHECKING:
    import torch

__all__ = ["Checkpoint", "load", "read", "resembles_checkpoint"]

#: Published checkpoints have 5 to 60 MB, optimizer state included.
MAX_FILE_BYTES = 1 << 30
# Largest growth of the process while torch loads: the file, and as much again for what is made of it.
_LOADING_BYTES = 2 * MAX_FILE_BYTES

_CONTAINERS = ("model_state_dict", "model")
_CONFIG_ENTRY = "model_config"
_VERSION_ENTRIES = ("version", "arch_version")
_SPELLINGS = {"bottleneck.A.log_rate": "bottleneck.A_log_rate", "bottleneck.A.theta": "bottleneck.A_theta"}
_MASK_CONSTANTS = {"mask.v_real": (1.0, -0.5, -0.5), "mask.v_imag": (0.0, 0.75**0.5, -(0.75**0.5))}
# "localvqe-v1.2-1.3M.pt" is of the v1.2 line; not preceded by a letter or digit, so "conv1.pt" is of none.
_LINE_IN_NAME = re.compile(r"(?<![a-z0-9])v(1(?:\.[0-9]+)?)(?![0-9])", re.IGNORECASE)
_ARCHITECTURE_OF_LINE = {"1": 1, "1.0": 1, "1.1": 2, "1.2": 3, "1.3": 3}


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose tensors have been held against its config.

    Attributes:
        config: the hyperparameters.
        state: name -> CPU tensor under the names of tensors.py; floating point is float32.
        notes: what had to be assumed, one line each.
    """

    config: ModelConfig
    state: dict[str, torch.Tensor]
    notes: tuple[str, ...] = ()


def load(
    path: str | os.PathLike[str], *, dmax: int | None = None, arch: int | None = None
) -> tuple[ModelConfig, dict[str, torch.Tensor]]:
    """Config and state dict of a checkpoint; see :func:`read`."""
    found = read(path, dmax=dmax, arch=arch)
    return found.config, found.state


def read(path: str | os.PathLike[str], *, dmax: int | None = None, arch: int | None = None) -> Checkpoint:
    """Read a checkpoint and check every tensor in it.

    The state dict stands at the top level, under ``model`` or under ``model_state_dict``. What its
    ``model_config`` does not say is inferred: widths and kernel from the shapes, version 1 from
    BatchNorm tensors. Versions 2 and 3 have the same tensors, so without a config one of them must be
    given, unless the file is named like a published one. dmax is in no shape either: without a
    config it is ``dmax``, else the version's default, with a note.

    Args:
        path: the file; only tensors and plain Python values are unpickled.
        dmax: lags the AlignBlock can see, in frames (2..512).
        arch: architecture version 1, 2 or 3.

    Raises:
        CheckpointError: the file is no checkpoint, would run code, or its tensors are missing,
            unknown, misshapen, not finite or in contradiction with its config.
        UsageError: ``dmax`` or ``arch`` contradicts what the checkpoint says.
        MissingExtraError: torch is not installed.
    """
    _check_file(path)
    content = unpickle(path, str(path), limit=_LOADING_BYTES)
    try:
        state = _normalise_names(_find_state_dict(content))
        raw = _stated_config(content)
        config, notes = _determine_config(Path(path), raw, state, dmax, arch)
        problems = shape_problems(_shapes(state), state_dict_shapes(config))
        if problems:
            raise CheckpointError(problems[0])
        return Checkpoint(config, _plain_tensors(state), notes)
    except ModelError as exc:
        raise CheckpointError(f"{path}: {exc}") from exc


def resembles_checkpoint(path: str | os.PathLike[str]) -> bool:
    """True if a file starts the way PyTorch's zip archives and old pickles do; False also if it cannot be read."""
    try:
        if not os.path.isfile(path):
            return False
        with open(path, "rb") as stream:
            magic = stream.read(4)
    except (OSError, ValueError):
        return False
    return magic == b"PK\x03\x04" or magic[:2] == b"\x80\x02"


# -- the file ---------------------------------------------------------------------------------


def _check_file(path: str | os.PathLike[str]) -> None:
    """Refuse, before torch sees it, whatever cannot be a checkpoint."""
    size, magic = regular_file(path, "a PyTorch checkpoint")
    if magic == b"GGUF":
        raise CheckpointError(f"{path}: is a GGUF file already, expected a PyTorch checkpoint")
    size = max(size, unpacked_size(path, str(path)))
    if size > MAX_FILE_BYTES:
        raise CheckpointError(f"{path}: has {size} bytes, more than the limit of {MAX_FILE_BYTES >> 20} MiB")


# -- its content ------------------------------------------------------------------------------


def _find_state_dict(content: Any) -> dict[str, torch.Tensor]:
    import torch

    if not isinstance(content, Mapping):
        raise CheckpointError(f"holds a {type(content).__name__}, expected a state dict")
    inner = next((content[key] for key in _CONTAINERS if isinstance(content.get(key), Mapping)), content)
    wrong = [key for key, value in inner.items() if not (isinstance(key, str) and isinstance(value, torch.Tensor))]
    if inner is not content and wrong:
        raise CheckpointError(f"entry {printable(str(wrong[0]))} of the state dict is not a tensor")
    return {key: value for key, value in inner.items() if isinstance(key, str) and isinstance(value, torch.Tensor)}


def _stated_config(content: Mapping[str, Any]) -> Mapping[str, Any]:
    raw = content.get(_CONFIG_ENTRY)
    if raw is None:
        return {}
    if not isinstance(raw, Mapping):
        raise CheckpointError(f"{_CONFIG_ENTRY} is a {type(raw).__name__}, expected a dictionary")
    return raw


def _normalise_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Names of tensors.py, whatever wrapper or spelling the checkpoint was saved with."""
    out: dict[str, torch.Tensor] = {}
    for name, tensor in state.items():
        plain = name.replace("_orig_mod.", "")
        while plain.startswith("module."):
            plain = plain.removeprefix("module.")
        plain = _SPELLINGS.get(plain, plain)
        if plain in out:
            raise CheckpointError(f"tensor {printable(plain)} appears twice, under different spellings")
        out[plain] = tensor
    temperature = out.get(TEMPERATURE)
    if temperature is not None and temperature.numel() == 1:
        out[TEMPERATURE] = temperature.reshape(())
    return out


def _shapes(state: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


# -- its config -------------------------------------------------------------------------------


def _determine_config(
    path: Path, raw: Mapping[str, Any], state: Mapping[str, torch.Tensor], dmax: int | None, arch: int | None
) -> tuple[ModelConfig, tuple[str, ...]]:
    shapes = _shapes(state)
    if raw.get("network") is False:
        return ModelConfig.from_mapping(raw), ()
    if ENCODER_BASIS not in shapes:
        raise CheckpointError(f"holds no LocalVQE model: there is no tensor {ENCODER_BASIS}")
    notes: list[str] = []
    version = _determine_version(path, raw, shapes, arch, notes)
    inferred = _infer_geometry(shapes, version)
    # Spelled like a checkpoint's own entries, so that those override what they state.
    try:
        config = ModelConfig.from_mapping({**inferred.to_mapping(), **raw})
    except RuntimeError as exc:  # a tensor where a number belongs
        raise CheckpointError(f"{_CONFIG_ENTRY} holds a value of the wrong kind") from exc
    _require_agreement(config, inferred)
    if "dmax" in raw:
        if dmax is not None and dmax != config.dmax:
            raise UsageError(f"--dmax {dmax} contradicts {path}, whose {_CONFIG_ENTRY} says {config.dmax}")
        return config, tuple(notes)
    if dmax is None:
        dmax = DEFAULT_DMAX[version]
        notes.append(f"the checkpoint does not state dmax; {dmax}, the default of version {version}, is assumed")
    return replace(config, dmax=dmax), tuple(notes)


def _determine_version(
    path: Path, raw: Mapping[str, Any], shapes: Mapping[str, Any], arch: int | None, notes: list[str]
) -> int:
    """Architecture version: the config's, else what the tensors allow narrowed by ``arch`` or the file name."""
    batch_norm = any(name.endswith(".bn.running_mean") for name in shapes)
    possible = (1,) if batch_norm else (2, 3)
    norm = "BatchNorm" if batch_norm else "no BatchNorm"
    stated = next((raw[key] for key in _VERSION_ENTRIES if key in raw), None)
    if stated is not None:
        version = ModelConfig.from_mapping({"version": stated}).version
        if version not in possible:
            raise CheckpointError(f"{_CONFIG_ENTRY} says version {version}, but the tensors hold {norm}")
        if arch is not None and arch != version:
            raise UsageError(f"--arch {arch} contradicts {path}, whose {_CONFIG_ENTRY} says {version}")
        return version
    if arch is not None:
        if arch not in DEFAULT_DMAX:
            raise UsageError(f"--arch is {arch}, expected 1, 2 or 3")
        if arch not in possible:
            raise UsageError(f"--arch {arch} contradicts {path}, whose tensors hold {norm}")
        return arch
    if len(possible) == 1:
        return possible[0]
    line = _LINE_IN_NAME.search(path.name)
    guess = _ARCHITECTURE_OF_LINE.get(line[1]) if line else None
    if line and guess in possible:
        notes.append(f"the checkpoint does not state its version; the file name says {line[0]}, architecture {guess}")
        return guess
    raise CheckpointError(
        "has no config, and versions 2 and 3 have the same tensors; say --arch 2 (v1.1) or --arch 3 (v1.2, v1.3)"
    )


def _infer_geometry(shapes: Mapping[str, tuple[int, ...]], version: int) -> ModelConfig:
    """Everything the shapes show; dmax and c are left at their defaults."""

    def dimension(name: str, axis: int, dims: int) -> int:
        if name not in shapes:
            raise CheckpointError(f"missing tensor {name}")
        if len(shapes[name]) != dims:
            raise CheckpointError(f"tensor {name} has {len(shapes[name])} dimensions, expected {dims}")
        return shapes[name][axis]

    def widths(side: str, stages: int) -> tuple[int, ...]:
        first = dimension(f"{side}1.conv.weight", 1, 4)
        return (first, *(dimension(f"{side}{i}.conv.weight", 0, 4) for i in range(1, stages + 1)))

    return ModelConfig(
        version=version,
        mic_channels=widths("mic_enc", 5),
        far_channels=widths("far_enc", 2),
        n_fft=dimension(ENCODER_BASIS, 2, 3),
        align_hidden=dimension(f"{ALIGN_SMOOTH}.weight", 1, 4),
        bottleneck_hidden=dimension("bottleneck.input_proj.weight", 0, 2),
        kernel_size_h=dimension("mic_enc1.conv.weight", 2, 4),
        kernel_size_w=dimension("mic_enc1.conv.weight", 3, 4),
        dmax=DEFAULT_DMAX[version],
    )


def _require_agreement(config: ModelConfig, inferred: ModelConfig) -> None:
    visible = ("mic_channels", "far_channels", "align_hidden", "bottleneck_hidden", "kernel_size_h", "kernel_size_w")
    for name in visible:
        stated, found = getattr(config, name), getattr(inferred, name)
        if stated != found:
            raise CheckpointError(f"{_CONFIG_ENTRY} says {name} {stated}, but the tensors have {found}")


# -- its values -------------------------------------------------------------------------------


def _plain_tensors(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Contiguous CPU tensors, floating point as float32, every value finite."""
    import torch

    out = {}
    for name, tensor in state.items():
        if name.endswith(".num_batches_tracked"):
            out[name] = stored_tensor(tensor, name)
        else:
            out[name] = float_tensor(tensor, name)
    for name, values in _MASK_CONSTANTS.items():
        if name in out and not torch.allclose(out[name], torch.tensor(values), atol=1e-4):
            raise CheckpointError(
                f"tensor {name} is not the cube-root-of-unity basis; the mask cannot be computed with it"
            )
    return out
