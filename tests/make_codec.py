"""Speech codecs with random weights, and archives of them, made so that every term matters and levels stay sensible."""

from __future__ import annotations

import io
import json
import math
import os
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from localvqe_cli import gguf_file
from localvqe_cli.families import LFSCConfig
from localvqe_cli.families.lfsc_tensors import convolutions
from localvqe_cli.lfsc.export import stored_as

Array = NDArray[np.float32]

#: The smallest codec that still has every part, with all sizes different; frames of 8 samples.
NARROW = LFSCConfig(
    encoder_channels=2,
    encoder_rates=(2, 4),
    encoder_kernels=(3, 5),
    encoder_dilations=(1, 2),
    decoder_channels=12,
    decoder_rates=(4, 2),
    decoder_kernels=(3, 5),
    decoder_dilations=(1, 3),
    groups=2,
    levels=(5, 4),
)
_CLASSES = "nemo.collections.tts.modules.audio_codec_modules."


def random_weights(config: LFSCConfig, seed: int = 0) -> dict[str, Array]:
    """The tensors of a model file."""
    rng = np.random.default_rng(seed)
    weights: dict[str, Array] = {}
    for conv in convolutions(config):
        taps = 2 * conv.shape[1] if conv.transposed else math.prod(conv.shape[1:])
        scale = 1.2 / math.sqrt(taps)
        if conv.name == "encoder.pre":
            scale *= 20.0  # quiet sound reaches every level
        weights[f"{conv.name}.weight"] = (scale * rng.standard_normal(conv.shape)).astype(np.float32)
        weights[f"{conv.name}.bias"] = (0.1 * rng.standard_normal(conv.shape[0])).astype(np.float32)
    return weights


def random_codec(path: str | os.PathLike[str], config: LFSCConfig = NARROW, kind: str = "F32", seed: int = 0) -> Path:
    """A model file."""
    weights = random_weights(config, seed)
    kept = ("encoder.pre.weight", "decoder.post.weight")
    tensors = {n: w if w.ndim == 1 or n in kept else stored_as(w, kind) for n, w in weights.items()}
    gguf_file.write(path, config, tensors)
    return Path(path)


def archive_config(config: LFSCConfig) -> dict[str, Any]:
    """The configuration in an archive."""
    return {
        "sample_rate": config.sample_rate,
        "samples_per_frame": config.samples_per_frame,
        "audio_encoder": {
            "_target_": f"{_CLASSES}HiFiGANEncoder",
            "down_sample_rates": list(config.encoder_rates),
            "encoded_dim": config.code_channels,
            "base_channels": config.encoder_channels,
            "activation": "lrelu",
            "resblock_kernel_sizes": list(config.encoder_kernels),
            "resblock_dilation_sizes": list(config.encoder_dilations),
        },
        "audio_decoder": {
            "_target_": f"{_CLASSES}HiFiGANDecoder",
            "up_sample_rates": list(config.decoder_rates),
            "input_dim": config.code_channels,
            "base_channels": config.decoder_channels,
            "activation": "lrelu",
            "output_activation": "tanh",
            "resblock_kernel_sizes": list(config.decoder_kernels),
            "resblock_dilation_sizes": list(config.decoder_dilations),
        },
        "vector_quantizer": {
            "_target_": f"{_CLASSES}GroupFiniteScalarQuantizer",
            "num_groups": config.groups,
            "num_levels_per_group": list(config.levels),
        },
    }


def archive_state(config: LFSCConfig, weights: dict[str, Array], spelling: str = "old") -> dict[str, Any]:
    """The weights in an archive: ``old`` or ``new`` weight norm, or ``plain``; with leftovers of training."""
    import torch

    rng = np.random.default_rng(1)
    parts = {
        "old": ("weight_g", "weight_v"),
        "new": ("parametrizations.weight.original0", "parametrizations.weight.original1"),
    }
    state: dict[str, Any] = {}
    for conv in convolutions(config):
        weight = weights[f"{conv.name}.weight"]
        if conv.transposed:
            weight = np.ascontiguousarray(weight.swapaxes(0, 1))
        state[f"{conv.source}.bias"] = torch.from_numpy(weights[f"{conv.name}.bias"])
        if spelling == "plain":
            state[f"{conv.source}.weight"] = torch.from_numpy(weight)
            continue
        gain = np.sqrt(np.square(weight).sum(axis=(1, 2), keepdims=True))
        other = weight * rng.uniform(0.5, 2.0, gain.shape).astype(np.float32)  # a direction has no length
        for part, value in zip(parts[spelling], (gain, other), strict=True):
            state[f"{conv.source}.{part}"] = torch.from_numpy(value)
    bases = [math.prod(config.levels[:i]) for i in range(len(config.levels))]
    for group in range(config.groups):
        for entry, numbers in (("num_levels", config.levels), ("dim_base_index", bases)):
            values = torch.tensor(numbers, dtype=torch.int32).reshape(1, -1, 1)
            state[f"vector_quantizer.fsqs.{group}.{entry}"] = values
    state["discriminator.convs.0.weight"] = torch.zeros(3)
    return state


def member(name: str, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    """A file of an archive."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    return info, content


def pack(members: list[tuple[tarfile.TarInfo, bytes]], mode: str = "w") -> bytes:
    """An archive of members."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:  # type: ignore[call-overload]
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def archive_members(
    config: LFSCConfig = NARROW, *, spelling: str = "old", seed: int = 0, **changes: Any
) -> list[tuple[tarfile.TarInfo, bytes]]:
    """Configuration and weights of a random codec; ``changes`` replace entries of the state, None removes them."""
    import torch

    state = archive_state(config, random_weights(config, seed), spelling) | changes
    weights = io.BytesIO()
    torch.save({name: value for name, value in state.items() if value is not None}, weights)
    # JSON is YAML.
    settings = json.dumps(archive_config(config), indent=1).encode()
    return [member("./model_config.yaml", settings), member("./model_weights.ckpt", weights.getvalue())]


def random_nemo(path: str | os.PathLike[str], config: LFSCConfig = NARROW, **options: Any) -> Path:
    """An archive of a random codec."""
    Path(path).write_bytes(pack(archive_members(config, **options)))
    return Path(path)
