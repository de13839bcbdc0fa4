"""The public names, and what importing them may cost."""

from __future__ import annotations

import subprocess
import sys

import pytest

import localvqe_cli

HEAVY = ("torch", "numpy", "scipy", "soundfile", "soxr", "gguf", "rich", "importlib.metadata")


def test_every_public_name_exists_and_is_sorted() -> None:
    assert sorted(localvqe_cli.__all__) == localvqe_cli.__all__
    for name in localvqe_cli.__all__:
        assert getattr(localvqe_cli, name) is not None


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = localvqe_cli.no_such_name


@pytest.mark.parametrize("module", ["localvqe_cli", "localvqe_cli.cli"])
def test_imports_stay_light(module: str) -> None:
    heavy = HEAVY if module == "localvqe_cli" else HEAVY[:-2]  # typer itself brings rich
    probe = f"import sys, {module}; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_exit_codes_are_those_of_the_documentation() -> None:
    codes = {
        localvqe_cli.LocalVQEError: 1,
        localvqe_cli.UsageError: 2,
        localvqe_cli.AudioError: 3,
        localvqe_cli.ModelError: 4,
        localvqe_cli.CheckpointError: 4,
        localvqe_cli.GGUFError: 4,
        localvqe_cli.MissingExtraError: 5,
        localvqe_cli.EngineError: 5,
    }
    assert {error: error.exit_code for error in codes} == codes


def test_a_missing_extra_names_the_command_that_helps() -> None:
    error = localvqe_cli.MissingExtraError("reading a checkpoint", "torch")
    assert str(error) == "reading a checkpoint needs an extra: pip install 'localvqe[torch]'"
