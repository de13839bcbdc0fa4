"""What the verbs share: options with one spelling and one meaning, and how they speak.

stdout is for results that another program reads (``--json``, audio); people are told on stderr.
"""

from __future__ import annotations

import json
import math
import sys
from typing import Annotated, Any

import typer

from ..config import MAX_JOBS, MAX_THREADS
from ..errors import UsageError
from .completion import complete_backend, complete_model, complete_precision

__all__ = [
    "BackendOption",
    "DeviceOption",
    "ForceOption",
    "JobsOption",
    "JsonOption",
    "ModelOption",
    "NoiseGateOption",
    "OutputOption",
    "PrecisionOption",
    "QuietOption",
    "StrengthOption",
    "ThreadsOption",
    "VerboseOption",
    "check_noise_gate",
    "configure_console",
    "detail",
    "emit_json",
    "fail",
    "is_own_process",
    "is_quiet",
    "note",
    "own_process",
    "say",
    "warn",
]

ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help="Model file or registry name; default: the embedded model.",
        autocompletion=complete_model,
    ),
]
OutputOption = Annotated[
    str | None, typer.Option("--output", "-o", metavar="PATH", help="Where to write; the default is beside the input.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite existing files.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
ThreadsOption = Annotated[
    int, typer.Option("--threads", "-t", min=1, max=MAX_THREADS, metavar="N", help=f"CPU threads, 1 to {MAX_THREADS}.")
]
JobsOption = Annotated[
    int | None,
    typer.Option("--jobs", "-j", min=1, max=MAX_JOBS, metavar="N", help="Processes for many files. [all cores]"),
]
BackendOption = Annotated[
    str,
    typer.Option(
        "--backend",
        metavar="NAME",
        help="Where the network runs: auto, cpu, ggml, cuda, metal, vulkan.",
        autocompletion=complete_backend,
    ),
]
DeviceOption = Annotated[int, typer.Option("--device", min=0, metavar="N", help="Which one: see localvqe devices.")]
PrecisionOption = Annotated[
    str,
    typer.Option(
        "--precision",
        metavar="NAME",
        help="Numbers of the network: auto, f32, or int16, faster on many CPUs.",
        autocompletion=complete_precision,
    ),
]
StrengthOption = Annotated[
    float, typer.Option("--strength", min=0.0, max=1.0, metavar="0..1", help="Share of the enhanced signal.")
]
NoiseGateOption = Annotated[
    float | None, typer.Option("--noise-gate", max=0.0, metavar="DBFS", help="Mute hops at or below this level.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Print details as well.")]

_QUIET, _NORMAL, _VERBOSE = range(3)
_level = _NORMAL
_own = False


def check_noise_gate(level: float | None) -> None:
    """Raise UsageError unless ``--noise-gate`` is a level, or absent."""
    if level is not None and not math.isfinite(level):
        raise UsageError(f"--noise-gate {level}: give a level in dBFS, for example -60")


def configure_console(*, quiet: bool = False, verbose: bool = False) -> None:
    """Set how much :func:`say`, :func:`note`, :func:`warn` and :func:`detail` print."""
    global _level
    _level = _QUIET if quiet else _VERBOSE if verbose else _NORMAL


def is_quiet() -> bool:
    """True under ``--quiet``."""
    return _level == _QUIET


def own_process() -> None:
    """This process is the command's from its start, not that of a program which calls a verb."""
    global _own
    _own = True


def is_own_process() -> bool:
    """After :func:`own_process`."""
    return _own


def say(text: str) -> None:
    """A plain line on stderr, unless quiet."""
    if _level >= _NORMAL:
        _to_stderr(text)


def note(text: str) -> None:
    """Something done on the user's behalf that they may want to know."""
    say(f"note: {text}")


def warn(text: str) -> None:
    """Something that is probably not what the user meant."""
    say(f"warning: {text}")


def detail(text: str) -> None:
    """A line that only ``--verbose`` shows."""
    if _level >= _VERBOSE:
        _to_stderr(text)


def fail(text: str) -> None:
    """The one line that an error gets, even when quiet."""
    _to_stderr(f"localvqe: error: {text}")


def emit_json(obj: Any) -> None:
    """Print ``obj`` on stdout as JSON; numbers that are not finite become null."""
    print(json.dumps(_finite(obj), indent=2, ensure_ascii=False, default=str))


def _to_stderr(text: str) -> None:
    # File names may hold bytes that are no text; they must not turn a message into a traceback.
    encoding = sys.stderr.encoding or "utf-8"
    line = text.replace("\r", " ").replace("\n", " ")
    print(line.encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr)


def _finite(obj: Any) -> Any:
    if isinstance(obj, dict):
        return {key: _finite(value) for key, value in obj.items()}
    if isinstance(obj, list | tuple):
        return [_finite(value) for value in obj]
    if isinstance(obj, float) and (obj != obj or obj in (float("inf"), float("-inf"))):
        return None
    return obj
