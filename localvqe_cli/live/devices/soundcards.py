"""Windows (WASAPI) and macOS (CoreAudio), through the SoundCard library, which hears Windows' loudspeakers as well.

Neither system lets a program make a microphone: the user has a virtual cable, VB-CABLE or BlackHole, and plays into it.
Not run on these systems so far; the library runs on PulseAudio too, where the tests hold this file against it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import numpy as np

from ...audio.resample import FloatArray
from ...errors import LocalVQEError, MissingExtraError, UsageError
from .backend import DeviceInfo, DeviceLostError

__all__ = ["SoundCardBackend"]

_Answer = TypeVar("_Answer")

_RATE = 48000
_BLOCK = 480
#: What the library raises when a device does not do as it should.
_REFUSALS = (RuntimeError, IndexError, OSError, AssertionError, TypeError)
#: What people have.
_CABLES = "VB-CABLE on Windows, BlackHole on macOS"


class _Recorder:
    """A Source."""

    def __init__(self, device: Any) -> None:
        self._name = device.name
        self._context = device.recorder(samplerate=_RATE, channels=1, blocksize=_BLOCK)
        self._stream = self._context.__enter__()

    def read(self) -> FloatArray:
        try:
            return np.asarray(self._stream.record(_BLOCK), np.float32)[:, 0]
        except _REFUSALS as exc:
            raise DeviceLostError(f"{self._name}: {exc}") from exc

    def close(self) -> None:
        self._context.__exit__(None, None, None)


class _Player:
    """A Sink."""

    rate = _RATE

    def __init__(self, device: Any) -> None:
        self._name = device.name
        self._context = device.player(samplerate=_RATE, channels=1, blocksize=_BLOCK)
        self._stream = self._context.__enter__()

    def write(self, samples: FloatArray) -> None:
        try:
            self._stream.play(np.asarray(samples, np.float32)[:, None])
        except _REFUSALS as exc:
            raise DeviceLostError(f"{self._name}: {exc}") from exc

    def close(self) -> None:
        self._context.__exit__(None, None, None)


class SoundCardBackend:
    """See :class:`Backend`. Names are those that the system shows."""

    makes_microphones = False
    rate = _RATE
    block = _BLOCK

    def __init__(self) -> None:
        try:
            import soundcard
        except ImportError as exc:
            raise MissingExtraError("live sound", "live") from exc
        except (OSError, RuntimeError, AssertionError) as exc:
            raise LocalVQEError(f"the sound system does not answer ({exc})") from exc
        self._library: Any = soundcard

    def devices(self) -> list[DeviceInfo]:
        """Microphones, loudspeakers overheard where the system can, loudspeakers."""
        mic, speaker = self._asked(lambda: (self._library.default_microphone().id, self._library.default_speaker().id))
        found = []
        for device in self._asked(lambda: list(self._library.all_microphones(include_loopback=True))):
            overheard = bool(device.isloopback)
            is_default = self._plays_into(speaker, device) if overheard else device.id == mic
            found.append(DeviceInfo("far" if overheard else "mic", device.name, device.name, is_default))
        for device in self._asked(lambda: list(self._library.all_speakers())):
            found.append(DeviceInfo("out", device.name, device.name, False))
        return found

    def open_mic(self, name: str | None) -> _Recorder:
        """A microphone; the default is the system's."""
        if name is None:
            return self._asked(lambda: _Recorder(self._library.default_microphone()))
        return self._asked(lambda: _Recorder(self._microphone(name, overheard=False)))

    def open_far(self, name: str | None) -> _Recorder:
        """What a loudspeaker plays. On macOS, a cable's microphone that hears the same."""
        if name is None and sys.platform == "darwin":
            raise UsageError("--far: macOS lets nobody hear its loudspeaker; name the cable that gets the same sound")
        if name is None:
            speaker = self._asked(lambda: str(self._library.default_speaker().name))
            return self._asked(lambda: _Recorder(self._microphone(speaker, overheard=True)))
        try:
            return self._asked(lambda: _Recorder(self._microphone(name, overheard=True)))
        except DeviceLostError:
            return self.open_mic(name)

    def open_out(self, name: str) -> _Player:
        """A device to play into, such as a cable."""
        return self._asked(lambda: _Player(self._library.get_speaker(name)))

    def virtual_mic(self, name: str) -> AbstractContextManager[str]:
        """Raises UsageError: these systems do not let a program make one."""
        raise UsageError(f"this system makes no microphones; install a cable ({_CABLES}) and name it with --out")

    def close(self) -> None:
        """Nothing is open between calls."""

    def _microphone(self, name: str, *, overheard: bool) -> Any:
        for device in self._library.all_microphones(include_loopback=True):
            # PulseAudio's have another name than their loudspeaker; Windows' have the same.
            names = (device.name, device.name.removeprefix("Monitor of ")) if overheard else (device.name,)
            if bool(device.isloopback) == overheard and name in names:
                return device
        raise DeviceLostError(f"{name}: there is no such device")

    def _plays_into(self, speaker: str, device: Any) -> bool:
        return bool(device.id in (speaker, f"{speaker}.monitor"))

    def _asked(self, ask: Callable[[], _Answer]) -> _Answer:
        try:
            return ask()
        except _REFUSALS as exc:
            raise DeviceLostError(f"the sound system refused: {exc}") from exc
