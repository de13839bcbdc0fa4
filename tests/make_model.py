"""Models with random but well-behaved weights, made without torch, for tests of any configuration.

Every term matters in such a model (norms around 1, S4D inputs and outputs of std 0.3, tau 0.1), yet
signals keep a sensible level throughout and the mask is near the identity, so that a wrong sign, a
swapped axis or a lost term moves the output by much more than rounding.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from localvqe_cli import export, gguf_file
from localvqe_cli.bases import standard_bases
from localvqe_cli.config import ModelConfig
from localvqe_cli.tensors import FRONTEND_GAIN, TEMPERATURE, state_dict_shapes

Array = NDArray[Any]

TAU = 0.1
#: The widths of v1.3 (architecture version 3), 4.8 million parameters.
V13 = ModelConfig(
    version=3,
    mic_channels=(2, 112, 32, 104, 96, 152),
    far_channels=(2, 64, 32),
    dmax=64,
    align_hidden=32,
    bottleneck_hidden=256,
)
# Channels of dec1's bias that make an identity mask: kernel tap 7, basis 0, in both halves of the band.
_IDENTITY = (7, 27 + 7)


def narrow_config(version: int, **changes: Any) -> ModelConfig:
    """The smallest model that still has every part, with all widths different; 2.1 MB, nearly all of it bases."""
    small: dict[str, Any] = {
        "mic_channels": (2, 3, 4, 5, 6, 7),
        "far_channels": (2, 5, 3),
        "dmax": 4,
        "align_hidden": 3,
        "bottleneck_hidden": 6,
    }
    return ModelConfig(version=version, **(small | changes))


def random_state(config: ModelConfig, seed: int = 0) -> dict[str, Array]:
    """A state dict as a checkpoint holds it: float32 arrays in PyTorch shapes and order."""
    rng = np.random.default_rng(seed)
    bases = standard_bases(config)
    state: dict[str, Array] = {}
    for name, shape in state_dict_shapes(config).items():
        value = bases[name] if name in bases else _draw(rng, name, shape)
        state[name] = value if name.endswith("num_batches_tracked") else np.asarray(value, np.float32).reshape(shape)
    if config.network:
        state["dec1.deconv.conv.bias"][list(_IDENTITY)] += np.float32(1.0)
    return state


def random_gguf(path: str | os.PathLike[str], config: ModelConfig, seed: int = 0) -> dict[str, Array]:
    """Write :func:`random_state`, folded, as a GGUF file; returns the state dict."""
    state = random_state(config, seed)
    gguf_file.write(path, config, export.fold(config, state))
    return state


def random_quantized_gguf(
    path: str | os.PathLike[str], config: ModelConfig, kind: str, seed: int = 0
) -> dict[str, Array]:
    """The same with every tensor that may be quantized stored as ``kind``; needs the engine, for its formats."""
    from localvqe_cli.quantization.formats import pack
    from localvqe_cli.tensors import quantizable_shapes

    state = random_state(config, seed)
    tensors = export.fold(config, state)
    packed = {name: pack(tensors[name], kind) for name in quantizable_shapes(config)}
    gguf_file.write(path, config, {**tensors, **packed})
    return state


def save_checkpoint(path: str | os.PathLike[str], state: dict[str, Array], config: ModelConfig | None = None) -> None:
    """Write a state dict the way training does (needs torch); without ``config``, no ``model_config``."""
    import torch

    content: dict[str, Any] = {"model_state_dict": {k: torch.from_numpy(np.array(v)) for k, v in state.items()}}
    if config is not None:
        content["model_config"] = config.to_mapping()
    torch.save(content, path)


def _draw(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> Array:
    leaf = name.rsplit(".", 1)[-1]
    if name.startswith(f"{FRONTEND_GAIN}."):
        return rng.normal(0.0, 0.3, shape)
    owner = name.split(".")[-2]
    if name == TEMPERATURE:
        return np.asarray(TAU)
    if name == "mask.v_real":
        return np.array([1.0, -0.5, -0.5])
    if name == "mask.v_imag":
        return np.array([0.0, 1.0, -1.0]) * np.sqrt(0.75)
    if leaf == "num_batches_tracked":
        return np.asarray(100, np.int64)
    if leaf == "running_mean":
        return rng.normal(0.0, 0.2, shape)
    if leaf == "running_var":
        return rng.uniform(0.5, 2.0, shape)
    if leaf == "A_log_rate":
        return rng.uniform(-6.0, 2.0, shape)
    if leaf == "A_theta":
        return np.linspace(0.0, np.pi, shape[0])
    if owner == "bottleneck":
        return rng.uniform(0.5, 1.5, shape) if leaf == "D" else rng.normal(0.0, 0.3, shape)
    if owner in ("bn", "norm", "skip_norm"):
        return rng.uniform(0.5, 1.5, shape) if leaf == "weight" else rng.normal(0.0, 0.1, shape)
    if leaf == "bias":
        return rng.normal(0.0, 0.05, shape)
    if name == "dec1.deconv.conv.weight":  # small, so that the mask stays near the identity
        return rng.normal(0.0, 0.1 / np.sqrt(np.prod(shape[1:])), shape)
    return rng.normal(0.0, np.sqrt(0.7 / np.prod(shape[1:])), shape)
