"""What a command line that says no must look like."""

from __future__ import annotations

from typer.testing import Result


def refusal(result: Result, code: int) -> str:
    """The one line on stderr of a run that failed with ``code``."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("localvqe: error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr
