"""Sound systems behind one small interface."""

from __future__ import annotations

import sys

from .backend import Backend, DeviceInfo, DeviceLostError, Sink, Source
from .pulse import PulseBackend
from .soundcards import SoundCardBackend

__all__ = ["Backend", "DeviceInfo", "DeviceLostError", "Sink", "Source", "open_backend"]


def open_backend() -> Backend:
    """The sound system of this machine.

    Raises:
        MissingExtraError: its library is not installed.
        LocalVQEError: it does not answer.
    """
    if sys.platform.startswith("linux"):
        return PulseBackend()
    return SoundCardBackend()
