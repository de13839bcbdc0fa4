"""The public names, and what importing them may cost."""

from __future__ import annotations

import ast
import copy
import dataclasses
import inspect
import os
import pickle
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import localvqe
import localvqe_cli

HEAVY = ("torch", "numpy", "scipy", "soundfile", "soxr", "gguf", "rich", "importlib.metadata")
EXTRAS = {
    "torch",
    "scipy",
    "onnxruntime",
    "matplotlib",
    "librosa",
    "speechmos",
    "pesq",
    "pystoi",
    "pulsectl",
    "livekit",
    "pipecat",
}
PUBLIC = {name: getattr(localvqe, name) for name in localvqe.__all__}


def test_every_public_name_exists_and_is_sorted() -> None:
    assert sorted(localvqe.__all__) == localvqe.__all__
    assert set(localvqe.__all__) <= set(dir(localvqe))
    assert {"Enhancer", "Stream", "enhance", "enhance_file", "enhance_files", "LocalVQEError"} <= set(PUBLIC)
    assert isinstance(localvqe.__version__, str)


def test_what_type_checkers_are_told_is_what_there_is() -> None:
    stub = ast.parse(Path(localvqe.__file__).with_suffix(".pyi").read_text())
    told = {}
    for node in stub.body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            assert alias.asname == alias.name  # what makes it public
            told[alias.name] = getattr(sys.modules[node.module or ""], alias.name)
    assert told.keys() == PUBLIC.keys()
    assert all(told[name] is found for name, found in PUBLIC.items())
    for package in (localvqe, localvqe_cli):
        assert Path(package.__file__).with_name("py.typed").exists()


def test_public_names_are_called_by_the_name_that_users_know() -> None:
    for name, found in PUBLIC.items():
        if callable(found):
            assert (found.__module__, found.__qualname__) == ("localvqe", name)
            assert pickle.loads(pickle.dumps(found)) is found
    assert repr(type(localvqe.Enhancer().stream())) == "<class 'localvqe.Stream'>"
    # Nothing has asked for this class by its name here.
    probe = "import localvqe; print(type(localvqe.Enhancer().config), type(localvqe.Enhancer().stream()))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout == "<class 'localvqe.ModelConfig'> <class 'localvqe.Stream'>\n"


def test_an_error_is_raised_under_its_public_name() -> None:
    probe = "import localvqe; localvqe.Enhancer('no-such-model.gguf')"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].startswith("localvqe.ModelError: no-such-model.gguf: no such model file")


def signatures() -> Iterator[tuple[str, dict[str, object]]]:
    """(where, annotations) of every public function, method, property and field, as written."""
    for name, found in PUBLIC.items():
        if not isinstance(found, type):
            if callable(found):
                yield name, found.__annotations__
            continue
        for key, member in vars(found).items():
            function = getattr(member, "fget", None) or getattr(member, "__func__", member)
            if inspect.isfunction(function) and (not key.startswith("_") or key == "__init__"):
                yield f"{name}.{key}", {"return": "missing"} | function.__annotations__
        if dataclasses.is_dataclass(found):
            yield name, {field.name: field.type for field in dataclasses.fields(found)}


def test_public_signatures_are_typed_throughout() -> None:
    seen = 0
    for where, typed in signatures():
        for key, annotation in typed.items():
            seen += 1
            text = annotation if isinstance(annotation, str) else repr(annotation)
            assert "Any" not in text.replace("[", " ").replace("]", " ").replace(",", " ").split(), (where, key)
            assert text != "missing", where
    assert seen > 60


def test_annotations_of_results_can_be_resolved() -> None:
    for found in PUBLIC.values():
        if dataclasses.is_dataclass(found):
            assert all(not isinstance(hint, str) for hint in typing.get_type_hints(found).values())


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="module 'localvqe' has no attribute 'no_such_name'"):
        _ = localvqe.no_such_name


def test_localvqe_cli_is_no_second_face() -> None:
    names = {name for name, found in vars(localvqe_cli).items() if not inspect.ismodule(found)}
    assert not names & set(localvqe.__all__)


@pytest.mark.parametrize("module", ["localvqe", "localvqe_cli", "localvqe_cli.cli"])
def test_imports_stay_light(module: str) -> None:
    heavy = HEAVY[:-2] if module == "localvqe_cli.cli" else HEAVY  # typer itself brings rich
    probe = f"import sys, {module}; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_public_name_loads_an_extra() -> None:
    probe = "from localvqe import *; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert not EXTRAS & set(done.stdout.split())


def test_an_enhancer_is_pickled_by_the_path_of_its_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = localvqe.Enhancer().path.read_bytes()
    (tmp_path / "m.gguf").write_bytes(whole)
    monkeypatch.chdir(tmp_path)
    enhancer = localvqe.Enhancer("m.gguf", threads=2, noise_gate=-60.0)
    data = pickle.dumps(enhancer)
    assert b"localvqe_cli.engine" not in data
    assert len(data) < 400
    monkeypatch.chdir("/")
    for again in (pickle.loads(data), copy.copy(localvqe.Enhancer(tmp_path / "m.gguf", threads=2, noise_gate=-60.0))):
        assert (again.path, again.threads, again.noise_gate) == (tmp_path / "m.gguf", 2, -60.0)
        mic = np.sin(np.arange(1000.0))
        np.testing.assert_array_equal(again.enhance(mic), enhancer.enhance(mic))


def test_a_stream_is_neither_pickled_nor_copied() -> None:
    enhancer = localvqe.Enhancer()
    for stream in (enhancer.stream(), enhancer.stream(block=160)):
        for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="cannot be copied or pickled"):
                attempt(stream)


def test_a_closed_enhancer_makes_nothing_new_and_its_streams_go_on() -> None:
    with localvqe.Enhancer() as enhancer:
        stream = enhancer.stream()
    for call in (enhancer.stream, lambda: enhancer.stream(block=1), lambda: enhancer.enhance(np.zeros(300))):
        with pytest.raises(localvqe.UsageError, match="this Enhancer was closed; make a new one"):
            call()
    with stream:
        assert stream.process(np.zeros(512)).shape == (512,)
    for call in (lambda: stream.process(np.zeros(1)), stream.reset, stream.flush, stream.delay_ms, stream.taps):
        with pytest.raises(localvqe.UsageError, match="this stream was closed"):
            call()
    stream.close()
    enhancer.close()


def test_enhance_in_one_call_is_the_enhancers(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    mic, ref = 0.1 * rng.standard_normal((2, 2000))
    enhancer = localvqe.Enhancer()
    want = enhancer.enhance(mic, ref)
    np.testing.assert_array_equal(localvqe.enhance(mic, ref), want)
    np.testing.assert_array_equal(localvqe.enhance(mic, ref, model=enhancer), want)
    with pytest.warns(UserWarning, match="beyond 16") as caught:
        localvqe.enhance(1e4 * mic)
    assert caught[0].filename == __file__
    with pytest.raises(localvqe.UsageError, match="give them to the Enhancer"):
        localvqe.enhance(mic, ref, model=enhancer, threads=2)


VERBS = {
    "enhance": "enhance",
    "live": "live",
    "export": "export",
    "inspect": "inspect",
    "verify": "verify",
    "quantize": "quantize",
    "bench": "bench",
    "devices": "devices",
    "train": "train",
    "eval": "evaluate",
    "codec": "codec",
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
    assert not modules & EXTRAS


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
        localvqe.LocalVQEError: 1,
        localvqe.UsageError: 2,
        localvqe.AudioError: 3,
        localvqe.ModelError: 4,
        localvqe.CheckpointError: 4,
        localvqe.GGUFError: 4,
        localvqe.MissingExtraError: 5,
        localvqe.EngineError: 5,
    }
    assert {error: error.exit_code for error in codes} == codes


def test_a_missing_extra_names_the_command_that_helps() -> None:
    error = localvqe.MissingExtraError("reading a checkpoint", "torch")
    assert str(error) == "reading a checkpoint needs an extra: pip install 'localvqe[torch]'"
