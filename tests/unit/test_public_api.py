"""The public names, and what importing them may cost."""

from __future__ import annotations

import os
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


VERBS = {
    "enhance": "enhance",
    "export": "export",
    "inspect": "inspect",
    "verify": "verify",
    "quantize": "quantize",
    "bench": "bench",
    "train": "train",
    "eval": "evaluate",
    "models": "models",
}


def loaded_by(*arguments: str, **environment: str) -> tuple[str, set[str]]:
    """What ``localvqe`` prints on stdout, and the modules that it has imported at the end."""
    probe = (
        "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr));"
        "from localvqe_cli.cli import main; main()"
    )
    command = [sys.executable, "-c", probe, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=True)
    return done.stdout, set(done.stderr.split())


def verb_modules(modules: set[str]) -> set[str]:
    known = {f"localvqe_cli.cli.{module}" for module in VERBS.values()}
    return {name.rpartition(".")[2] for name in modules & known}


def test_help_lists_every_verb_and_loads_none() -> None:
    shown, modules = loaded_by("--help")
    listed = [line.split(maxsplit=1) for line in shown.partition("Commands:\n")[2].splitlines()]
    assert [name for name, _ in listed] == list(VERBS)
    assert all(summary.endswith(".") for _, summary in listed)
    assert verb_modules(modules) == set()
    assert not modules & set(HEAVY[:-2])


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_loads_that_verb_alone_and_nothing_of_an_extra(verb: str) -> None:
    shown, modules = loaded_by(verb, "--help")
    assert shown.startswith(f"Usage: localvqe {verb} ")
    assert verb_modules(modules) == {VERBS[verb]}
    assert not modules & {"torch", "scipy", "onnxruntime", "matplotlib", "librosa", "speechmos", "pesq", "pystoi"}


def test_completion_of_a_verb_loads_none_and_of_an_option_that_verb() -> None:
    def complete(line: str) -> tuple[list[str], set[str]]:
        words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
        shown, modules = loaded_by(_LOCALVQE_COMPLETE="complete_bash", **words)
        return shown.split(), verb_modules(modules)

    assert complete("localvqe e") == (["enhance", "export", "eval"], set())
    assert complete("localvqe export --ar") == (["--arch"], {"export"})
    assert complete("localvqe models pull de") == (["default", "denoise"], {"models"})


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
