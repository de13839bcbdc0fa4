"""What ``inspect`` finds in a model file or checkpoint, as plain data."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeAlias

from .families import Config

__all__ = ["Description", "FileValue", "Health", "TensorDescription"]

#: A value of a GGUF key.
FileValue: TypeAlias = str | int | float | bool | list[str] | list[int] | list[float] | list[bool]


@dataclass(frozen=True)
class TensorDescription:
    """One tensor.

    Attributes:
        name: tensor name.
        type: how its numbers are stored: F32, Q8_0, float32.
        shape: PyTorch shape.
        nbytes: size in the file.
        min, max, rms: extremes and root mean square of its values; None where not finite, or not read.
        stored_shape, offset: shape and place in a GGUF file; None in a checkpoint.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    nbytes: int
    min: float | None
    max: float | None
    rms: float | None
    stored_shape: tuple[int, ...] | None = None
    offset: int | None = None

    def to_dict(self) -> dict[str, object]:
        """JSON-ready form."""
        out: dict[str, object] = {"name": self.name, "type": self.type, "shape": list(self.shape)}
        if self.stored_shape is not None:
            out["stored_shape"] = list(self.stored_shape)
        out["bytes"] = self.nbytes
        if self.offset is not None:
            out["offset"] = self.offset
        return out | {"min": self.min, "max": self.max, "rms": self.rms}


@dataclass(frozen=True)
class Health:
    """Poles and gains of a model, see ``model_health``. Without a network all numbers are None or 0.

    Attributes:
        largest_pole: modulus of the bottleneck's outermost pole; stable below 1.
        unstable_poles: how many are 1 or more.
        decay_seconds: in which the slowest stable state falls by 60 dB, None if none is stable.
        bottleneck_gain: in the steady state, None if unstable.
        gains: layer -> peak gain.
        warnings: a line each on weights that make the output run away.
    """

    largest_pole: float | None = None
    unstable_poles: int = 0
    decay_seconds: float | None = None
    bottleneck_gain: float | None = None
    gains: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Description:
    """A model file or checkpoint.

    Attributes:
        path: the file.
        format: ``GGUF`` or ``PyTorch checkpoint``.
        nbytes: size of the file.
        problems: why it cannot be used, a line each; empty if it can.
        notes: what had to be assumed about it.
        config: its hyperparameters, None where they cannot be read.
        metadata: the keys of a GGUF file, in its order.
        metadata_types: key -> u8 .. u64, i8 .. i64, f32, f64, bool, str, arr[...].
        tensor_count, parameters, tensor_bytes: totals.
        types: storage type -> how many tensors have it.
        tensors: every tensor, None where they were not asked for.
        deep: what examining the weights found, None where it was not asked for or the file cannot be used.
        format_version, alignment: of a GGUF file.
    """

    path: Path
    format: str
    nbytes: int
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    config: Config | None
    metadata: dict[str, FileValue]
    metadata_types: dict[str, str]
    tensor_count: int
    parameters: int
    tensor_bytes: int
    types: dict[str, int]
    tensors: tuple[TensorDescription, ...] | None = None
    deep: Health | None = None
    format_version: int | None = None
    alignment: int | None = None

    @property
    def usable(self) -> bool:
        """The engine can load it, or ``export`` can convert it."""
        return not self.problems

    def to_dict(self) -> dict[str, object]:
        """JSON-ready form; numbers that are not finite are None."""
        out: dict[str, object] = {"path": str(self.path), "format": self.format}
        if self.format_version is not None:
            out |= {"format_version": self.format_version, "alignment": self.alignment}
        out |= {"bytes": self.nbytes, "usable": self.usable, "problems": list(self.problems)}
        if self.notes:
            out["notes"] = list(self.notes)
        out |= {
            "config": None if self.config is None else asdict(self.config),
            "metadata": {
                key: {"type": self.metadata_types[key], "value": _plain(value)} for key, value in self.metadata.items()
            },
            "totals": {
                "tensors": self.tensor_count,
                "parameters": self.parameters,
                "tensor_bytes": self.tensor_bytes,
                "types": dict(self.types),
            },
        }
        if self.tensors is not None:
            out["tensors"] = [tensor.to_dict() for tensor in self.tensors]
        if self.deep is not None:
            out["deep"] = asdict(self.deep)
        return out


def _plain(value: FileValue) -> object:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
