"""The kinds of network that a model file may hold, by its ``general.architecture``, side by side.

Reading, checking, writing and describing files goes by this table, so that a new family is an entry here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..config import ARCHITECTURE, NETWORK_KEY, SHAPE_PREFIX, ModelConfig
from ..tensors import gguf_shapes, quantizable_shapes
from .lfsc_config import LFSC_ARCHITECTURE, LFSC_SHAPE_PREFIX, LFSCConfig
from .lfsc_tensors import lfsc_quantizable_shapes, lfsc_shapes

__all__ = ["FAMILIES", "SHAPE_PREFIXES", "Config", "Family", "LFSCConfig", "family_of"]

Config: TypeAlias = ModelConfig | LFSCConfig

Shapes: TypeAlias = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Family:
    """What is particular to one kind of network.

    Attributes:
        architecture: the value of ``general.architecture``.
        what: a few words for messages.
        config: class of its hyperparameters.
        key_types: from the keys of a file, key -> type of those that it must have.
        read: from the keys of a file, the hyperparameters. Raises ModelError.
        shapes: from hyperparameters, name -> PyTorch shape of every tensor, in file order.
        quantizable: of these, the ones that may be stored otherwise than as F32.
        types: what those may be stored as besides F32.
        shape_prefix: before a quantized tensor's name, the key with its PyTorch shape.
    """

    architecture: str
    what: str
    config: type[Any]
    key_types: Callable[[Mapping[str, Any]], dict[str, str]]
    read: Callable[[Mapping[str, Any]], Config]
    shapes: Callable[[Any], Shapes]
    quantizable: Callable[[Any], Shapes]
    types: tuple[str, ...]
    shape_prefix: str


def _localvqe_keys(values: Mapping[str, Any]) -> dict[str, str]:
    found = {key: kind for key, kind, _ in ModelConfig.resembling(values).gguf_fields()}
    return found | ({NETWORK_KEY: "bool"} if NETWORK_KEY in values else {})


def _lfsc_keys(_: Mapping[str, Any]) -> dict[str, str]:
    return {key: kind for key, kind, _ in LFSCConfig().gguf_fields()}


#: By ``general.architecture``.
FAMILIES: dict[str, Family] = {
    family.architecture: family
    for family in (
        Family(
            architecture=ARCHITECTURE,
            what="LocalVQE model",
            config=ModelConfig,
            key_types=_localvqe_keys,
            read=ModelConfig.from_gguf_fields,
            shapes=gguf_shapes,
            quantizable=quantizable_shapes,
            types=("Q8_0", "Q6_K", "Q5_K", "Q4_K"),
            shape_prefix=SHAPE_PREFIX,
        ),
        Family(
            architecture=LFSC_ARCHITECTURE,
            what="speech codec",
            config=LFSCConfig,
            key_types=_lfsc_keys,
            read=LFSCConfig.from_gguf_fields,
            shapes=lfsc_shapes,
            quantizable=lfsc_quantizable_shapes,
            types=("F16", "Q8_0"),
            shape_prefix=LFSC_SHAPE_PREFIX,
        ),
    )
}
#: Before the names of quantized tensors, of any family.
SHAPE_PREFIXES = tuple(family.shape_prefix for family in FAMILIES.values())


def family_of(config: Config) -> Family:
    """The family that hyperparameters belong to."""
    return next(family for family in FAMILIES.values() if isinstance(config, family.config))
