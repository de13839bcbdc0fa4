"""The ``localvqe`` command. Each verb is a module of its own, loaded when it is called; this one turns errors into exit
codes.

Exit codes: 0 done; 1 the work failed or a check did not hold; 2 usage; 3 unusable audio; 4 unusable
model or checkpoint; 5 missing extra or engine; 6 storage or cluster out of reach; 130 interrupted.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Annotated, Any, NamedTuple, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from ..errors import LocalVQEError
from .common import fail, own_process
from .help_format import HelpContext, fit

__all__ = ["app", "main"]

EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


# What a mistyped option raises. Newer versions of typer have their own copy of click; both have this line of ancestors.
_ClickException: Any = typer.BadParameter.__mro__[2]


class _Verb(NamedTuple):
    """Where a verb is: its module, the function or Typer in it, and the class of its command where it has its own."""

    summary: str
    module: str
    attribute: str
    command: str | None = None


_VERBS = {
    "enhance": _Verb("Enhance recordings, one or many.", "enhance", "enhance"),
    "live": _Verb("Make a microphone without echo.", "live", "live", "LiveCommand"),
    "export": _Verb("Convert a checkpoint to GGUF.", "export", "export"),
    "inspect": _Verb("Show what a model file holds.", "inspect", "inspect"),
    "verify": _Verb("Compare a model with its checkpoint.", "verify", "verify"),
    "quantize": _Verb("Make a model file smaller.", "quantize", "quantize"),
    "bench": _Verb("Measure the engine on this machine.", "bench", "bench"),
    "devices": _Verb("List where networks can run.", "devices", "devices"),
    "train": _Verb("Train a model from recordings.", "train", "train"),
    # "eval" is Python's; the function has another name.
    "eval": _Verb("Score models and outputs.", "evaluate", "evaluate", "EvalCommand"),
    "codec": _Verb("Turn speech into tokens, and back.", "codec", "app"),
    "models": _Verb("List, download and check models.", "models", "app"),
}


@cache
def _load(name: str) -> Any:
    """The command of a verb, whose module is imported for it."""
    verb = _VERBS[name]
    module = import_module(f".{verb.module}", __name__)
    found = getattr(module, verb.attribute)
    if isinstance(found, typer.Typer):
        return fit(typer.main.get_command(found))
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    alone.command(name, cls=TyperCommand if verb.command is None else getattr(module, verb.command))(found)
    return fit(typer.main.get_command(alone))


class _Commands(Mapping[str, Any]):
    """Verbs by name; to look at one loads it."""

    def __getitem__(self, name: str) -> Any:
        return _load(name)

    def __iter__(self) -> Iterator[str]:
        return iter(_VERBS)

    def __len__(self) -> int:
        return len(_VERBS)


_COMMANDS: Any = _Commands()


class _Verbs(TyperGroup):
    """Runs a verb and gives each deliberate error its line and its exit code."""

    context_class = HelpContext

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.commands = _COMMANDS

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)

    @contextmanager
    def _summaries(self) -> Iterator[None]:
        """To list the verbs takes no more than their names and a line each."""
        self.commands = {name: TyperCommand(name, short_help=verb.summary) for name, verb in _VERBS.items()}
        try:
            yield
        finally:
            self.commands = _COMMANDS

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with self._summaries():
            super().format_commands(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        with self._summaries():
            return super().shell_complete(ctx, incomplete)

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().make_context(*args, **kwargs)
        except _ClickException as exc:  # an option before the verb
            _refuse(exc)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except _ClickException as exc:
            _refuse(exc)
        except LocalVQEError as exc:
            fail(str(exc))
            raise typer.Exit(exc.exit_code) from exc
        except BrokenPipeError:
            raise  # typer ends quietly
        except OSError as exc:  # the rest, such as a result that stdout has no room for
            fail(str(exc))
            raise typer.Exit(LocalVQEError.exit_code) from exc
        except KeyboardInterrupt as exc:
            fail("interrupted")
            raise typer.Exit(EXIT_INTERRUPTED) from exc


def _refuse(exc: Any) -> NoReturn:
    """The usage as click prints it, and its error as ours look."""
    shown = io.StringIO()
    exc.show(file=shown)
    usage, found, _ = f"\n{shown.getvalue()}".partition("\nError: ")
    if usage.strip():
        print(usage.strip("\n"), file=sys.stderr)
    if found:
        fail(exc.format_message())
    raise typer.Exit(exc.exit_code) from exc


app = typer.Typer(
    name="localvqe",
    cls=_Verbs,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from ..version import __version__

        print(f"localvqe {__version__}")
        raise typer.Exit


@app.callback()
def _localvqe(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Remove echo, and with some models noise and reverberation, from voice recordings."""


def main() -> NoReturn:
    """Entry point of the ``localvqe`` command."""
    # A polite kill unwinds like Ctrl-C, so that temporary files go.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_TERMINATED))
    # Nothing here multiplies large matrices, and while numpy has no threads, worker processes may be forks of this one.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    own_process()
    app(prog_name="localvqe")
    raise SystemExit(0)
