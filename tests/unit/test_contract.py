"""native/contract: the headers that tell the engine what config.py, tensors.py and the reference's filter say."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import REPOSITORY
from make_model import narrow_config

from localvqe_cli import config
from localvqe_cli.config import FrontendConfig, ModelConfig, ResidualConfig
from localvqe_cli.tensors import gguf_shapes, quantizable_shapes

STAGES = {"frontend": FrontendConfig(version=2, gain_hidden=3), "residual": ResidualConfig()}


def write(folder: Path) -> None:
    """As the build does: no site-packages, so nothing but the standard library."""
    command = [sys.executable, "-I", "-S", "-B", str(REPOSITORY / "native" / "contract")]
    subprocess.run([*command, str(folder), str(folder / "headers.d")], check=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("with a space")
    write(made)
    return made


@pytest.fixture(scope="module")
def headers(folder: Path) -> dict[str, str]:
    return {path.stem: path.read_text() for path in (folder / "contract").iterdir()}


def numbers(text: str, kind: str) -> dict[str, str]:
    return dict(re.findall(rf"constexpr {kind} (\w+) = (.*);", text))


def test_every_key_is_named(headers: dict[str, str]) -> None:
    stated = {key for key, _, _ in ModelConfig(**STAGES).gguf_fields()}
    stated |= {key for key, _, _ in ModelConfig(network=False, frontend=FrontendConfig()).gguf_fields()}
    named = set(re.findall(r'"(localvqe\.[\w.]+)"', headers["keys"] + headers["constants"]))
    assert stated - named == set()
    prefixes = {name for name in named if name.endswith(".")}
    assert named - stated - prefixes == {config.BASES_KEY}


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"frontend": FrontendConfig()},
        {"frontend": STAGES["frontend"]},
        {"frontend": FrontendConfig(), "network": False},
        {**STAGES, "network": False},
    ],
    ids=["network", "filter", "gain", "filter alone", "stages alone"],
)
@pytest.mark.parametrize("version", sorted(config.DEFAULT_DMAX))
def test_the_table_lists_every_tensor_with_its_shape(
    headers: dict[str, str], version: int, parts: dict[str, Any]
) -> None:
    model = narrow_config(version, kernel_size_w=3, **parts)
    shapes, quantizable = gguf_shapes(model), quantizable_shapes(model)
    expected = [(name, tuple(reversed(shape)), name in quantizable) for name, shape in shapes.items()]
    assert rows(headers["tensors"], model) == expected


def rows(header: str, model: ModelConfig) -> list[tuple[str, tuple[int, ...], bool]]:
    """The calls of each_tensor for a model, by a reading of its C++."""
    seen = {
        **{name: getattr(model, name) for name in (*config.NETWORK_RANGES, "version", "mic_channels", "far_channels")},
        "has_frontend": model.frontend is not None,
        "has_network": model.network,
        "frontend": SimpleNamespace(gain_hidden=0 if model.frontend is None else model.frontend.gain_hidden),
    }
    found: list[tuple[str, tuple[int, ...], bool]] = []
    taken = True
    for line in (text.strip() for text in header.partition("each_tensor")[2].splitlines()):
        if condition := re.fullmatch(r"if \((.*)\) {", line):
            text = condition[1].replace("&&", "and").replace("||", "or").replace("!", "not ")
            taken = eval(text, {"c": SimpleNamespace(**seen)})
        elif line == "return;" and taken:
            return found
        elif line == "}":
            taken = True
        elif taken and (call := re.fullmatch(r'add\("(.*)", (true|false), {(.*)}\);', line)):
            sizes = eval(f"({call[3]},)", {"c": SimpleNamespace(**seen)})
            found.append((call[1], sizes, call[2] == "true"))
    return found


def test_every_range_is_what_the_config_checks(headers: dict[str, str]) -> None:
    found = re.findall(r"constexpr (?:Int|Float)Range (\w+){(.*), (.*)};", headers["constants"])
    limits = {name: (float(low.rstrip("f")), float(high.rstrip("f"))) for name, low, high in found}
    parts = {"": config.NETWORK_RANGES, "frontend_": config.FRONTEND_RANGES, "residual_": config.RESIDUAL_RANGES}
    ranges = {prefix + name: ends for prefix, part in parts.items() for name, ends in part.items()}
    assert ranges.items() <= limits.items()
    assert set(limits) - set(ranges) == {"version", "width", "frontend_version", "residual_version"}
    # Each is asked for where its key is read.
    keys = headers["keys"]
    assert [name for name in ranges if not re.search(rf"limits::{name}\)", keys)] == []
    for name in config.FRONTEND_RANGES:
        assert f'read("localvqe.frontend.{name}", limits::frontend_{name})' in keys


@pytest.mark.parametrize("stage", ["frontend", "kalman", "frontend_gain", "residual_echo", "noise_reduction"])
def test_constants_of_the_stages_are_those_of_the_reference(headers: dict[str, str], stage: str) -> None:
    pytest.importorskip("torch", reason="the reference needs torch")
    module = importlib.import_module(f"localvqe_cli.reference.{stage}")
    imported = {"BINS", "HOP", "GAIN_FEATURES", "TYPE_CHECKING"}
    stated = {name: value for name, value in vars(module).items() if name.isupper() and name not in imported}
    assert len(stated) >= (2 if stage == "noise_reduction" else 6)
    part = headers["constants"].split(f"namespace {stage} {{")[1].partition("} // namespace")[0]
    found = {**numbers(part, "int"), **numbers(part, "float")}
    named = {"k" + name.title().replace("_", ""): value for name, value in stated.items()}
    assert {name: float(text.rstrip("f")) for name, text in found.items()} == named
    assert {name for name, text in found.items() if text.endswith("f")} == {
        name for name, value in named.items() if isinstance(value, float)
    }


def test_headers_that_would_not_change_keep_their_date(folder: Path) -> None:
    paths = list((folder / "contract").iterdir())
    for path in paths:
        os.utime(path, (1, 1))
    changed = folder / "contract" / "keys.h"
    changed.write_text("something else")
    write(folder)
    assert "read_network" in changed.read_text()
    assert {path.stat().st_mtime for path in paths if path != changed} == {1}


def test_the_build_is_told_what_the_headers_were_made_of(folder: Path) -> None:
    target, _, sources = (folder / "headers.d").read_text().partition(": ")
    assert target.replace("\\ ", " ") == (folder / "contract" / "constants.h").as_posix()
    named = {Path(source).relative_to(REPOSITORY).as_posix() for source in re.split(r"(?<!\\) ", sources.strip())}
    package = {name for name in named if name.startswith("localvqe_cli/")}
    assert {f"localvqe_cli/{name}.py" for name in ("config", "geometry", "tensors", "errors", "__init__")} <= package
    assert {f"localvqe_cli/reference/{name}.py" for name in ("frontend", "kalman", "frontend_gain")} <= package
    assert {path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / "native/contract").glob("*.py")} <= named
