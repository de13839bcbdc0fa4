"""The ``localvqe`` command. Each verb is a module of its own; this one registers them and turns errors into exit codes.

Exit codes: 0 done; 1 the work failed or a check did not hold; 2 usage; 3 unusable audio; 4 unusable
model or checkpoint; 5 missing extra or engine; 130 interrupted.
"""

from __future__ import annotations

import io
import signal
import sys
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from ..errors import LocalVQEError
from . import bench, enhance, evaluate, export, inspect, models, quantize, train, verify
from .common import fail

__all__ = ["app", "main"]

EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


# What a mistyped option raises. Newer versions of typer have their own copy of click; both have this line of ancestors.
_ClickException: Any = typer.BadParameter.__mro__[2]


class _Verbs(TyperGroup):
    """Runs a verb and gives each deliberate error its line and its exit code."""

    def list_commands(self, ctx: Any) -> list[str]:
        # In the order of registration, with verbs that have verbs of their own last.
        return sorted(self.commands, key=lambda name: isinstance(self.commands[name], TyperGroup))

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
        from .. import __version__

        print(f"localvqe {__version__}")
        raise typer.Exit


@app.callback()
def _localvqe(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Remove echo, and with some models noise and reverberation, from voice recordings."""


for _verb, _summary in (
    (enhance.enhance, "Enhance recordings, one or many."),
    (export.export, "Convert a checkpoint to GGUF."),
    (inspect.inspect, "Show what a model file holds."),
    (verify.verify, "Compare a model with its checkpoint."),
    (quantize.quantize, "Make a model file smaller."),
    (bench.bench, "Measure the engine on this machine."),
    (train.train, "Train a model from recordings."),
):
    app.command(_verb.__name__, short_help=_summary)(_verb)
# "eval" is Python's; the function has another name.
app.command("eval", cls=evaluate.EvalCommand, short_help="Score models and outputs.")(evaluate.evaluate)
app.add_typer(models.app, name="models", short_help="List, download and check models.")


def main() -> NoReturn:
    """Entry point of the ``localvqe`` command."""
    # A polite kill unwinds like Ctrl-C, so that temporary files go.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_TERMINATED))
    app(prog_name="localvqe")
    raise SystemExit(0)
