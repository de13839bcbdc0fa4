"""What a live call needs of a sound system."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from ...audio.resample import FloatArray

__all__ = ["Backend", "DeviceInfo", "DeviceLostError", "Kind", "Sink", "Source"]

#: What a device is good for: ``mic`` hears the room, ``far`` hears what a loudspeaker plays, ``out`` takes sound.
Kind = Literal["mic", "far", "out"]


class DeviceLostError(Exception):
    """A device is not there (any more), in a few words; it may come back."""


@dataclass(frozen=True)
class DeviceInfo:
    """A device by the name that ``--mic``, ``--far`` and ``--out`` take."""

    kind: Kind
    name: str
    description: str
    is_default: bool


class Source(Protocol):
    """An open device that gives sound."""

    def read(self) -> FloatArray:
        """Wait for the next block, (block,) at the backend's rate. Raises DeviceLostError."""

    def close(self) -> None: ...


class Sink(Protocol):
    """An open device that takes sound."""

    @property
    def rate(self) -> int: ...

    def write(self, samples: FloatArray) -> None:
        """Hand over (n,) samples in [-1, 1]; waits where the device has enough of them. Raises DeviceLostError."""

    def close(self) -> None: ...


class Backend(Protocol):
    """A sound system. A name of None is its default device; every method but ``close`` may raise DeviceLostError."""

    @property
    def makes_microphones(self) -> bool:
        """Whether :meth:`virtual_mic` works; where it does not, it raises UsageError."""

    @property
    def rate(self) -> int:
        """Of all sources, in Hz."""

    @property
    def block(self) -> int:
        """Samples of every block of a source."""

    def devices(self) -> list[DeviceInfo]: ...

    def open_mic(self, name: str | None) -> Source: ...

    def open_far(self, name: str | None) -> Source: ...

    def open_out(self, name: str) -> Sink: ...

    def virtual_mic(self, name: str) -> AbstractContextManager[str]:
        """A microphone that other programs can choose, while the context lasts; gives the name of its ``out``."""

    def close(self) -> None: ...
