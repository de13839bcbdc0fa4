"""The codec's hyperparameters out of the configuration in a ``.nemo`` archive."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..errors import CheckpointError
from ..families import LFSCConfig
from ..tensor_check import printable

__all__ = ["read_config"]

#: Part -> the class that it must be; others of NeMo's codecs compute something else from tensors of the same names.
CLASSES = {
    "audio_encoder": "HiFiGANEncoder",
    "audio_decoder": "HiFiGANDecoder",
    "vector_quantizer": "GroupFiniteScalarQuantizer",
}
#: What a configuration may say and this build computes one value of: entry -> that value.
FIXED: dict[str, dict[str, Any]] = {
    "audio_encoder": {"activation": "lrelu", "pad_mode": "reflect"},
    "audio_decoder": {
        "activation": "lrelu",
        "output_activation": "tanh",
        "pad_mode": "reflect",
        "n_groups_equal_to_out_channels": False,
    },
    "vector_quantizer": {"eps": 1e-3},
}
#: What an entry means that is not there. Not the published values: those are in the file where they differ.
DEFAULTS: dict[str, dict[str, Any]] = {
    "audio_encoder": {
        "base_channels": 32,
        "down_sample_rates": [2, 2, 8, 8],
        "resblock_kernel_sizes": [3, 7, 11],
        "resblock_dilation_sizes": [1, 3, 5],
        "in_kernel_size": 7,
        "out_kernel_size": 7,
    },
    "audio_decoder": {
        "base_channels": 512,
        "up_sample_rates": [8, 8, 2, 2],
        "resblock_kernel_sizes": [3, 7, 11],
        "resblock_dilation_sizes": [1, 3, 5],
        "in_kernel_size": 7,
        "out_kernel_size": 3,
    },
    "vector_quantizer": {},
}


def read_config(document: Any) -> LFSCConfig:
    """The hyperparameters.

    Args:
        document: the configuration as plain values.

    Raises:
        CheckpointError: it is of another network, or an entry is missing or of the wrong kind.
        ModelError: a number is out of range.
    """
    if not isinstance(document, Mapping):
        raise CheckpointError("its configuration is no list of entries")
    parts = {name: _part(document, name) for name in CLASSES}
    encoder, decoder, quantizer = parts.values()
    config = LFSCConfig(
        sample_rate=_integer(document, "sample_rate"),
        encoder_channels=_integer(encoder, "base_channels"),
        encoder_rates=_integers(encoder, "down_sample_rates"),
        encoder_kernels=_integers(encoder, "resblock_kernel_sizes"),
        encoder_dilations=_integers(encoder, "resblock_dilation_sizes"),
        encoder_in_kernel=_integer(encoder, "in_kernel_size"),
        encoder_out_kernel=_integer(encoder, "out_kernel_size"),
        decoder_channels=_integer(decoder, "base_channels"),
        decoder_rates=_integers(decoder, "up_sample_rates"),
        decoder_kernels=_integers(decoder, "resblock_kernel_sizes"),
        decoder_dilations=_integers(decoder, "resblock_dilation_sizes"),
        decoder_in_kernel=_integer(decoder, "in_kernel_size"),
        decoder_out_kernel=_integer(decoder, "out_kernel_size"),
        groups=_integer(quantizer, "num_groups"),
        levels=_integers(quantizer, "num_levels_per_group"),
    )
    for part, entry, computed in (
        (document, "samples_per_frame", math.prod(config.encoder_rates)),
        (encoder, "encoded_dim", config.code_channels),
        (decoder, "input_dim", config.code_channels),
    ):
        stated = _integer(part, entry)
        if stated != computed:
            raise CheckpointError(f"its configuration says {entry} {stated}, but the rest of it makes {computed}")
    return config


def _part(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = document.get(name)
    if not isinstance(part, Mapping):
        raise CheckpointError(f"its configuration has no {name}, so it is none of a speech codec")
    found = str(part.get("_target_", "")).rpartition(".")[2]
    if found != CLASSES[name]:
        raise CheckpointError(f"its {name} is a {printable(found) or 'nothing'}, but only {CLASSES[name]} is supported")
    for entry, expected in FIXED[name].items():
        value = part.get(entry, expected)
        if value != expected:
            shown = printable(str(value))
            raise CheckpointError(f"its {name} has {entry} {shown}, but only {expected} is supported")
    return {**DEFAULTS[name], **part}


def _integer(part: Mapping[str, Any], entry: str) -> int:
    value = part.get(entry)
    if not isinstance(value, int) or isinstance(value, bool):
        raise CheckpointError(f"its configuration has no whole number {entry}")
    return value


def _integers(part: Mapping[str, Any], entry: str) -> tuple[int, ...]:
    values = part.get(entry)
    if not isinstance(values, list) or not all(isinstance(v, int) and not isinstance(v, bool) for v in values):
        raise CheckpointError(f"its configuration has no list of whole numbers {entry}")
    return tuple(values)
