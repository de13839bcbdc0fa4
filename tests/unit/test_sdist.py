"""The source archive: what a wheel is built from, and none of what only the repository needs."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    build = pytest.importorskip("scikit_build_core.build", reason="the build backend is part of the extra dev")
    folder = tmp_path_factory.mktemp("sdist")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(REPOSITORY)
        return folder / build.build_sdist(str(folder))


@pytest.fixture(scope="module")
def names(archive: Path) -> set[str]:
    with tarfile.open(archive) as file:
        return {name.partition("/")[2] for name in file.getnames()}


def test_it_holds_what_a_build_reads(names: set[str]) -> None:
    wanted = {"pyproject.toml", "README.md", "LICENSE", "examples/sample_mic.wav", "examples/sample_ref.wav"}
    for folder in ("localvqe", "localvqe_cli", "native"):
        wanted |= {
            path.relative_to(REPOSITORY).as_posix()
            for path in (REPOSITORY / folder).rglob("*")
            if path.is_file() and path.suffix not in (".pt", ".pyc", ".so")
        }
    assert wanted <= names


def test_it_leaves_out_what_only_the_repository_needs(names: set[str], archive: Path) -> None:
    parts = {part for name in names for part in Path(name).parts[:1]}
    assert parts.isdisjoint(
        {"tests", "build", "runs", "shared", ".ci", ".git", ".github", "Dockerfile", ".venv", ".venv-dev"}
    )
    assert not [name for name in names if name.endswith((".pt", ".pyc", ".so", ".i16"))]
    assert archive.stat().st_size < 3_000_000  # models, sample recordings and a plot are most of it
