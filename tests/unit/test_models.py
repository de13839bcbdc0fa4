"""models: what a model name means."""

from __future__ import annotations

from pathlib import Path

import pytest

from localvqe_cli import models
from localvqe_cli.errors import ModelError


def test_nothing_means_the_model_inside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded = tmp_path / "default-f32.gguf"
    embedded.write_bytes(b"GGUF")
    monkeypatch.setattr(models, "DEFAULT_MODEL", embedded)
    assert models.resolve(None) == embedded
    embedded.unlink()
    with pytest.raises(ModelError, match="reinstall"):
        models.resolve(None)


def test_a_path_means_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a model.gguf"
    file.write_bytes(b"")
    assert models.resolve(file) == file
    monkeypatch.chdir(tmp_path)
    assert models.resolve("a model.gguf") == Path("a model.gguf")


def test_a_file_wins_over_a_published_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("localvqe-v1.1-1.3M-f32.gguf").write_bytes(b"")
    assert models.resolve("localvqe-v1.1-1.3M-f32.gguf") == Path("localvqe-v1.1-1.3M-f32.gguf")


@pytest.mark.parametrize("name", ["localvqe-v1.2-1.3M-f32.gguf", "localvqe-v1.2-1.3M-f32", "LocalVQE-V1.2-1.3M-F32"])
def test_a_published_name_says_how_to_get_it(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALVQE_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=r"not downloaded; run: localvqe models pull v1\.2$"):
        models.resolve(name)


@pytest.mark.parametrize("name", ["nothing.gguf", "", "a\nb", "nul\0byte", "x" * 5000, "\ud800"])
def test_anything_else_is_one_line(name: str) -> None:
    with pytest.raises(ModelError) as caught:
        models.resolve(name)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_a_directory_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is a directory"):
        models.resolve(tmp_path)


def test_the_table_of_published_files() -> None:
    names = [f.filename for f in models.PUBLISHED]
    assert len(names) == len(set(names)) == 7
    assert all(len(f.sha256) == 64 and int(f.sha256, 16) for f in models.PUBLISHED)
    assert len({f.sha256 for f in models.PUBLISHED}) == 7
    assert sum(f.is_checkpoint for f in models.PUBLISHED) == 3
    # "localvqe-v1.1-1.3M" is the checkpoint, "localvqe-v1.1-1.3M-f32" the GGUF file.
    found = models.find_published("localvqe-v1.1-1.3M")
    assert found is not None
    assert found.is_checkpoint
