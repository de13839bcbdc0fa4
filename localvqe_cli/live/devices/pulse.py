"""PulseAudio, and PipeWire by its PulseAudio interface: devices, streams, and microphones of our own making."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

from ...errors import LocalVQEError, MissingExtraError, UsageError
from ...geometry import HOP, MODEL_RATE
from .backend import DeviceInfo, DeviceLostError
from .pulse_stream import PulseStream

__all__ = ["PulseBackend"]

_MONITOR = ".monitor"
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,60}")
#: Marks the modules that we loaded, and who did.
_OWNER = "localvqe.pid"
#: Seconds for a server to answer everything that is asked at a time; its library would wait for ever for one that is
#: still starting, or has hung.
_PATIENCE = 10.0
_STEP = 0.002


class PulseBackend:
    """See :class:`Backend`. Every call asks the server anew, since that may have been restarted."""

    makes_microphones = True
    rate = MODEL_RATE
    block = HOP

    def __init__(self) -> None:
        try:
            import pulsectl
        except ImportError as exc:
            raise MissingExtraError("live sound", "live") from exc
        except OSError as exc:  # it loads the client library at once
            text = f"PulseAudio's client library is missing ({exc}); Debian: apt-get install libpulse0"
            raise LocalVQEError(text) from exc
        self._pulsectl: Any = pulsectl
        try:
            with self._server():
                pass
        except DeviceLostError as exc:
            raise LocalVQEError(f"{exc}; start it, or run this in the session of the desktop") from exc

    def devices(self) -> list[DeviceInfo]:
        """Microphones, monitors of loudspeakers, loudspeakers."""
        with self._server() as server:
            sources, sinks, info = server.source_list(), server.sink_list(), server.server_info()
        mic, speaker = info.default_source_name, info.default_sink_name
        found = [
            DeviceInfo("mic", source.name, source.description, source.name == mic)
            for source in sources
            if not source.name.endswith(_MONITOR)
        ]
        for sink in sinks:
            far = f"Monitor of {sink.description}"
            found.append(DeviceInfo("far", sink.name + _MONITOR, far, sink.name == speaker))
            found.append(DeviceInfo("out", sink.name, sink.description, False))
        return found

    def open_mic(self, name: str | None) -> PulseStream:
        """A microphone; the default is the server's."""
        return PulseStream(self._there(name or self._default("mic")), "microphone", plays=False)

    def open_far(self, name: str | None) -> PulseStream:
        """What a loudspeaker plays; ``name`` is its own or its monitor's."""
        name = self._there(name or self._default("far"))
        if name in {found.name for found in self.devices() if found.kind == "out"}:
            name += _MONITOR
        return PulseStream(name, "far end", plays=False)

    def open_out(self, name: str) -> PulseStream:
        """A device to play into."""
        return PulseStream(self._there(name), "clean microphone", plays=True)

    @contextmanager
    def virtual_mic(self, name: str) -> Iterator[str]:
        """A sink that nobody hears, and its monitor under ``name`` as a microphone."""
        if not _NAME.fullmatch(name):
            raise UsageError(f"--virtual-mic {name}: use letters, digits, dots, dashes and underscores, 60 at most")
        sink = f"{name}_sink"
        owner = f"{_OWNER}={os.getpid()}"
        with self._server() as server:
            self._sweep(server, name, sink)
            if any(source.name == name for source in server.source_list()):
                raise UsageError(f"--virtual-mic {name}: there is a microphone of that name; choose another")
            modules = [
                server.module_load(
                    "module-null-sink",
                    f"sink_name={sink} rate=16000 channels=1"
                    f" sink_properties='device.description=\"{name}-(internal)\" {owner}'",
                )
            ]
            try:
                modules.append(
                    server.module_load(
                        "module-remap-source",
                        f"source_name={name} master={sink}{_MONITOR} channels=1"
                        f" source_properties='device.description=\"{name}\" {owner}'",
                    )
                )
            except self._pulsectl.PulseError as exc:
                self._unload(server, modules)
                raise LocalVQEError(f"the sound server made no microphone {name} ({exc})") from exc
        try:
            yield sink
        finally:
            with suppress(DeviceLostError), self._server() as server:
                self._unload(server, reversed(modules))

    def close(self) -> None:
        """Nothing is open between calls."""

    @contextmanager
    def _server(self) -> Iterator[Any]:
        try:
            server = _bounded(self._pulsectl)("localvqe")
        except self._pulsectl.PulseError as exc:
            raise DeviceLostError("no PulseAudio or PipeWire server answers") from exc
        try:
            with server:
                yield server
        except self._pulsectl.PulseError as exc:
            raise DeviceLostError(f"the sound server refused: {exc}") from exc

    def _there(self, name: str) -> str:
        """``name``, of a device that is there: PipeWire would open another in place of one that is missing."""
        if name not in {device.name for device in self.devices()}:
            raise DeviceLostError(f"{name}: there is no such device")
        return name

    def _default(self, kind: str) -> str:
        """Of that kind; never one that we made, or we would hear ourselves."""
        found = [device for device in self.devices() if device.kind == kind]
        ours = self._ours()
        others = [device for device in found if device.name.removesuffix(_MONITOR) not in ours]
        for device in sorted(others, key=lambda device: not device.is_default):
            return device.name
        raise DeviceLostError(f"there is no {'microphone' if kind == 'mic' else 'loudspeaker'}")

    def _ours(self) -> set[str]:
        with self._server() as server:
            every = [*server.source_list(), *server.sink_list()]
            return {device.name for device in every if _OWNER in device.proplist}

    def _sweep(self, server: Any, name: str, sink: str) -> None:
        """Unload what a process that was killed has left under these names."""
        marks = (f"source_name={name} ", f"sink_name={sink} ")
        for module in reversed(server.module_list()):
            argument = module.argument or ""
            owner = re.search(rf"{re.escape(_OWNER)}=(\d+)", argument)
            if owner and any(mark in argument for mark in marks):
                if _is_running(int(owner[1])):
                    raise UsageError(f"--virtual-mic {name}: another localvqe has it; choose another name")
                self._unload(server, [module.index])

    def _unload(self, server: Any, modules: Any) -> None:
        for module in modules:
            with suppress(self._pulsectl.PulseError):
                server.module_unload(module)


@cache
def _bounded(library: Any) -> Any:
    """The library's connection, in which nothing waits longer than :data:`_PATIENCE` from its beginning."""

    class Bounded(library.Pulse):  # type: ignore[misc]
        def __init__(self, name: str) -> None:
            self._end = time.monotonic() + _PATIENCE
            super().__init__(name)

        def _pulse_iterate(self, block: bool = True) -> None:
            """What the library calls again and again while it waits."""
            self._pulse_poll(_STEP)
            if time.monotonic() > self._end:
                raise library.PulseError(f"no answer for {_PATIENCE:g} seconds")

    return Bounded


def _is_running(pid: int) -> bool:
    if pid == os.getpid():
        return False  # ours of before the server was restarted, or a number that was used again
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
