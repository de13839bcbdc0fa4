"""``localvqe live``: a microphone without echo, while a call runs."""

from __future__ import annotations

import json
import math
import sys
import threading
import time
from contextlib import ExitStack
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from ..errors import LocalVQEError, UsageError
from ..live.canceller import Canceller
from ..live.devices import Backend, DeviceLostError, open_backend
from ..live.recorder import Recorder
from ..live.service import install_service, remove_service
from ..live.session import Session
from ..live.status import LiveStatus
from .common import (
    ForceOption,
    ModelOption,
    NoiseGateOption,
    QuietOption,
    StrengthOption,
    check_noise_gate,
    configure_console,
    emit_json,
    is_quiet,
    say,
    warn,
)

__all__ = ["LiveCommand", "live"]

#: What the microphone is called where no other name is given.
DEFAULT_MIC = "localvqe_mic"
_STATUS_SECONDS = 1.0
_MIC_OPTION = "--virtual-mic"


class LiveCommand(TyperCommand):
    """Lets ``--virtual-mic`` stand without a name."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """See click."""
        for index, arg in enumerate(args):
            if arg == _MIC_OPTION and (index + 1 == len(args) or args[index + 1].startswith("-")):
                args = [*args[: index + 1], DEFAULT_MIC, *args[index + 1 :]]
                break
        return super().parse_args(ctx, args)


def live(
    mic: Annotated[
        str | None, typer.Option("--mic", metavar="NAME", help="Microphone; default: the system's default.")
    ] = None,
    far: Annotated[
        str | None,
        typer.Option(
            "--far", metavar="NAME", help="Loudspeaker whose sound is taken out, or its monitor; default: the default."
        ),
    ] = None,
    out: Annotated[
        str | None, typer.Option("--out", metavar="NAME", help="Play the clean microphone into this device.")
    ] = None,
    virtual_mic: Annotated[
        str | None,
        typer.Option(
            _MIC_OPTION,
            metavar="[NAME]",
            help=f"Make a microphone (Linux); what happens without --out, under the name {DEFAULT_MIC}.",
        ),
    ] = None,
    list_devices: Annotated[bool, typer.Option("--list", help="List devices and exit.")] = False,
    model: ModelOption = None,
    strength: StrengthOption = 1.0,
    noise_gate: NoiseGateOption = None,
    record: Annotated[
        str | None, typer.Option("--record", metavar="DIR", help="Write mic.flac, far.flac and out.flac there.")
    ] = None,
    duration: Annotated[
        float | None, typer.Option("--duration", metavar="SECONDS", help="Stop after so long; default: at Ctrl-C.")
    ] = None,
    install: Annotated[
        bool, typer.Option("--install-service", help="Start this with the session from now on (systemd user unit).")
    ] = False,
    remove: Annotated[bool, typer.Option("--remove-service", help="Undo --install-service.")] = False,
    force: ForceOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print events, and a status every second, as JSON.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Make a microphone without echo, while a call runs.

    Listens to a microphone and to what a loudspeaker plays, and gives the microphone without it: as a new microphone
    that any program can choose, or played into a device. Devices that vanish are waited for. Ctrl-C ends it and leaves
    nothing behind.
    """
    configure_console(quiet=quiet)
    check_noise_gate(noise_gate)
    if duration is not None and not 0.0 < duration < math.inf:
        raise UsageError(f"--duration {duration}: give a number of seconds above 0")
    if out is not None and virtual_mic is not None:
        raise UsageError("--out and --virtual-mic are two places for one sound; drop one of them")
    if install or remove:
        _service(install=install, remove=remove)
        return
    backend = open_backend()
    try:
        if list_devices:
            _list(backend, as_json)
            return
        if out is None and not backend.makes_microphones:
            raise UsageError("this system makes no microphones; name a virtual cable with --out (see --list)")
        _check_names(backend, mic, far, out)
        name = out or virtual_mic or DEFAULT_MIC
        with ExitStack() as stack:
            canceller = Canceller(
                backend.rate,
                backend.rate,
                model=model,
                strength=strength,
                noise_gate=noise_gate,
                block=backend.block,
            )
            stack.enter_context(canceller)
            if record is not None:
                canceller.on_hop(stack.enter_context(Recorder(record, force=force)))
            reporter = _Reporter(as_json, name)
            stack.callback(reporter.finish)
            session = Session(backend, canceller, mic=mic, far=far, out=name, virtual=out is None, tell=reporter.event)
            with session:
                code = _watch(session, canceller, reporter, duration)
        if code:
            raise typer.Exit(code)
    except DeviceLostError as exc:
        raise LocalVQEError(str(exc)) from exc
    finally:
        backend.close()


def _watch(session: Session, canceller: Canceller, reporter: _Reporter, duration: float | None) -> int:
    """Report every second until the time is over; returns the exit code. However it ends, what was recorded is kept."""
    end = math.inf if duration is None else time.monotonic() + duration
    try:
        while (left := end - time.monotonic()) > 0.0:
            session.wait(min(left, _STATUS_SECONDS))
            reporter.status(canceller.status(), session)
    except KeyboardInterrupt:  # how a call ends
        return 0
    except SystemExit as exc:  # SIGTERM
        return int(exc.code or 0)
    return 0


class _Reporter:
    """Lines for people on stderr, or for programs on stdout."""

    def __init__(self, as_json: bool, name: str) -> None:
        self._as_json, self._name = as_json, name
        self._lock = threading.Lock()
        self._open_line = False
        self._passed = 0

    def event(self, kind: str, role: str, text: str) -> None:
        """Something happened to a device."""
        with self._lock:
            if self._as_json:
                self._print({"event": kind, "device": role, "text": text})
                return
            self._end_line()
            if kind == "lost":
                warn(f"{_ROLES[role]} is not there ({text}); waiting for it")
            elif kind == "opened" and role == "out":
                say(f"clean microphone: {self._name}")

    def status(self, status: LiveStatus, session: Session) -> None:
        """How the call goes."""
        with self._lock:
            if self._as_json:
                more = {"out_gaps": session.out_gaps, "out_lag_ms": session.out_lag_ms}
                self._print({"event": "status", **status.to_dict(), **more})
            elif not is_quiet():
                if status.times_passed_through > self._passed:
                    self._end_line()
                    warn("the model does not keep up; the microphone is passed through for a while")
                if sys.stderr.isatty():
                    print(f"\r{_line(status):<78}", end="", file=sys.stderr, flush=True)
                    self._open_line = True
            self._passed = status.times_passed_through

    def finish(self) -> None:
        """Leave the terminal with a line of its own."""
        with self._lock:
            self._end_line()

    def _end_line(self) -> None:
        if self._open_line:
            print(file=sys.stderr)
            self._open_line = False

    def _print(self, fields: dict[str, object]) -> None:
        print(json.dumps(fields, ensure_ascii=False), flush=True)


_ROLES = {"mic": "the microphone", "far": "the loudspeaker", "out": "the output"}


def _line(status: LiveStatus) -> str:
    """The status on a line of at most 78 characters."""

    def number(value: float | None, unit: str) -> str:
        return f"-- {unit}" if value is None else f"{value:.0f} {unit}"

    text = (
        f"mic {number(status.mic_dbfs, 'dB')}  far {number(status.far_dbfs, 'dB')}  out {number(status.out_dbfs, 'dB')}"
        f"  echo -{number(status.attenuation_db, 'dB')}  at {number(status.delay_ms, 'ms')}"
        f"  {status.drift_ppm:+.0f} ppm  load {100 * status.load:.0f}%"
    )
    dropouts = status.far_gaps + status.mic_losses + status.far_losses
    return (f"{text}  {dropouts} gaps" if dropouts else text)[:78]


def _list(backend: Backend, as_json: bool) -> None:
    found = backend.devices()
    if as_json:
        emit_json([vars(device) for device in found])
        return
    for kind, title in (("mic", "Microphones (--mic)"), ("far", "Far ends (--far)"), ("out", "Outputs (--out)")):
        print(f"{title}:")
        for device in found:
            if device.kind == kind:
                print(f"  {device.name}" + ("  (default)" if device.is_default else "") + f"  {device.description}")


def _check_names(backend: Backend, mic: str | None, far: str | None, out: str | None) -> None:
    """A name that no device has now is rather mistyped than unplugged."""
    found = backend.devices()
    for option, name, kinds in (("--mic", mic, "mic far"), ("--far", far, "far out mic"), ("--out", out, "out")):
        if name is not None and not any(device.name == name and device.kind in kinds for device in found):
            raise UsageError(f"{option} {name}: there is no such device; see localvqe live --list")


def _service(*, install: bool, remove: bool) -> None:
    if install and remove:
        raise UsageError("--install-service contradicts --remove-service; drop one of them")
    dropped = ("--install-service", "--remove-service")
    if install:
        path, runs = install_service([arg for arg in sys.argv[1:] if arg not in dropped])
        say(
            f"{path}: written"
            + (" and started; it starts with every session" if runs else "; the next session starts it")
        )
    else:
        path = remove_service()
        say(f"{path}: stopped and removed")
