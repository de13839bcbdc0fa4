"""Streams of PulseAudio, which PipeWire speaks too, through its library's own simple interface."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache
from typing import Any

import numpy as np

from ...audio.resample import FloatArray
from ...errors import LocalVQEError
from ...geometry import HOP, MODEL_RATE
from .backend import DeviceLostError

__all__ = ["PulseStream"]

_PLAYBACK, _RECORD = 1, 2
_FLOAT32 = 5 if sys.byteorder == "little" else 6
#: Asks the server to run its devices with buffers of this size; the simple interface has no other way to say so.
_LATENCY_VARIABLE, _LATENCY_MS = "PULSE_LATENCY_MSEC", "20"


class _SampleSpec(ctypes.Structure):
    _fields_ = (("format", ctypes.c_int), ("rate", ctypes.c_uint32), ("channels", ctypes.c_uint8))


class PulseStream:
    """One stream of mono float32 at 16 kHz: a Source or a Sink."""

    rate = MODEL_RATE

    def __init__(self, device: str, purpose: str, *, plays: bool) -> None:
        """Raises DeviceLostError where the server or the device is not there."""
        os.environ.setdefault(_LATENCY_VARIABLE, _LATENCY_MS)
        self._name = device
        self._library, self._strerror = _libraries()
        error = ctypes.c_int()
        spec = _SampleSpec(_FLOAT32, self.rate, 1)
        direction = _PLAYBACK if plays else _RECORD
        self._handle = self._library.pa_simple_new(
            None,
            b"LocalVQE",
            direction,
            device.encode(),
            purpose.encode(),
            ctypes.byref(spec),
            None,
            None,
            ctypes.byref(error),
        )
        if not self._handle:
            raise self._lost(error)
        self._block: FloatArray = np.zeros(HOP, np.float32)

    def read(self) -> FloatArray:
        """The next hop, (256,)."""
        self._call(self._library.pa_simple_read, self._block)
        block: FloatArray = self._block.copy()
        return block

    def write(self, samples: FloatArray) -> None:
        """Hand over (n,) samples; waits while the server's buffer is full."""
        self._call(self._library.pa_simple_write, np.ascontiguousarray(samples, np.float32))

    def close(self) -> None:
        """Close it; only this may be called again."""
        handle, self._handle = self._handle, None
        if handle:
            self._library.pa_simple_free(handle)

    def _call(self, function: Any, samples: FloatArray) -> None:
        error = ctypes.c_int()
        if function(self._handle, samples.ctypes.data, samples.nbytes, ctypes.byref(error)) < 0:
            raise self._lost(error)

    def _lost(self, error: ctypes.c_int) -> DeviceLostError:
        return DeviceLostError(f"{self._name}: {self._strerror(error.value).decode(errors='replace')}")


@cache
def _libraries() -> tuple[Any, Any]:
    try:
        simple, base = ctypes.CDLL("libpulse-simple.so.0"), ctypes.CDLL("libpulse.so.0")
    except OSError as exc:
        raise LocalVQEError(
            f"PulseAudio's client library is missing ({exc}); Debian: apt-get install libpulse0"
        ) from exc
    simple.pa_simple_new.restype = ctypes.c_void_p
    simple.pa_simple_new.argtypes = [
        ctypes.c_char_p,
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_char_p,
        ctypes.POINTER(_SampleSpec),
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.POINTER(ctypes.c_int),
    ]
    for name in ("pa_simple_read", "pa_simple_write"):
        function = getattr(simple, name)
        function.restype = ctypes.c_int
        function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.POINTER(ctypes.c_int)]
    simple.pa_simple_free.restype = None
    simple.pa_simple_free.argtypes = [ctypes.c_void_p]
    base.pa_strerror.restype = ctypes.c_char_p
    base.pa_strerror.argtypes = [ctypes.c_int]
    return simple, base.pa_strerror
