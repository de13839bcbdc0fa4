"""One name, one meaning, one place: what is written twice drifts apart."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import localvqe_cli

PACKAGE = Path(localvqe_cli.__file__).parent


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the package, by its path."""
    return {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")}


def constants(tree: ast.Module) -> Iterator[str]:
    """Names of the constants that a module defines."""
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:
            yield from (name.id for name in ast.walk(target) if isinstance(name, ast.Name))


@pytest.mark.parametrize(
    ("name", "home"),
    [
        ("MODEL_RATE", "geometry"),
        ("HOP", "geometry"),
        ("FRAME", "geometry"),
        ("BINS", "geometry"),
        ("MAX_THREADS", "config"),
    ],
)
def test_a_constant_has_one_home(name: str, home: str) -> None:
    assert [path for path, tree in modules().items() if name in constants(tree)] == [f"{home}.py"]


def test_the_sample_rate_is_written_once() -> None:
    written = defaultdict(list)
    for path, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and node.value == 16000 and isinstance(node.value, int):
                written[path].append(node.lineno)
    assert list(written) == ["geometry.py"], dict(written)


def test_the_defaults_of_train_are_written_where_they_are_used() -> None:
    (function,) = (
        node for node in modules()["cli/train.py"].body if isinstance(node, ast.FunctionDef) and node.name == "train"
    )
    typed = [default.value for default in function.args.defaults if isinstance(default, ast.Constant)]
    assert set(map(repr, typed)) == {"None", "False"}


#: What comes with an extra, and parts of ours that need one; or of one system only.
OPTIONAL = {
    *("torch", "scipy", "matplotlib", "onnxruntime", "speechmos", "librosa", "pesq", "pystoi", "resource", "reference"),
    *("pulsectl", "soundcard", "fsspec", "distributed", "dask_jobqueue", "yaml", "safetensors.numpy"),
    # Of onnx_file, and what makes the graph there and quantizes it.
    *("onnx", "model", "int8"),
    *("training.dataset", "training.loop", "training.gain_loop", "training.opinion"),
}
#: File -> why it imports inside a function what is always there.
REASONS = {
    "cli/__init__.py": "the version is looked up when asked for",
    "cli/completion.py": "the options of all verbs refer to it, and --help must not load what it offers",
    "cli/enhance.py": "a single file does not wait for what many need",
    "evaluation/result.py": "a circle",
    "gguf_file/packed.py": "gguf takes a tenth of the start, and only quantized weights need it here",
    "gguf_file/writer.py": "likewise, and most commands write no model",
}


def hidden_imports(tree: ast.Module) -> Iterator[str]:
    """What functions import."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.ImportFrom) and (node.module or node.level):
                    yield node.module or node.names[0].name
                elif isinstance(node, ast.Import):
                    yield from (alias.name for alias in node.names)


def test_functions_import_only_what_may_be_missing() -> None:
    found = {
        path: {name for name in hidden_imports(tree) if not {name, name.split(".")[0]} & OPTIONAL}
        for path, tree in modules().items()
    }
    assert {path for path, names in found.items() if names} == set(REASONS), found


def test_no_two_public_classes_share_a_name() -> None:
    homes = defaultdict(list)
    for path, tree in modules().items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(path)
    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}


def test_what_the_report_calls_d_max_has_one_spelling() -> None:
    """``dmax``, as the key of a model file has it; the report's is named once, where the field is described."""
    sources = {path: (PACKAGE / path).read_text() for path in modules()}
    assert {path: text.count("d_max") for path, text in sources.items() if "d_max" in text} == {"config.py": 1}
