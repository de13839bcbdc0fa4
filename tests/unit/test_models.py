"""models: what a model name means."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from make_model import V13

from localvqe_cli import models
from localvqe_cli.config import DEFAULT_DMAX, ModelConfig
from localvqe_cli.errors import ModelError
from localvqe_cli.models.registry import PublishedFile
from localvqe_cli.tensors import state_dict_shapes

# The published files as the project's design lists them.
PUBLISHED = {
    "localvqe-v1-1.3M-f32.gguf": "d5eaf577449d0f920d8ee5e1042b8ddc7b6627313a042c62e2ada1b42719ab30",
    "localvqe-v1.1-1.3M-f32.gguf": "c118227c6b433d6aa36d9e4b993e0f31aa60787ea38d301d04db917a4a2b0a84",
    "localvqe-v1.2-1.3M-f32.gguf": "4856ecf5f522b23fb2bc5caeac81f323c0ef1c4c156a9c7d40a6adbe092ba9ce",
    "localvqe-v1.3-4.8M-f32.gguf": "c4f7912485c32cfc206c536f2f050b52513f2f613fdbc616391f6b26ab1d51ec",
    "localvqe-v1.1-1.3M.pt": "76aabaa3bca3a9d7989463226312aa2344f978403c3e0e007e58a15922c97707",
    "localvqe-v1.2-1.3M.pt": "ff6885e7c8d7d29a8ce963303dcd668ae0f2a7bdafae28631292fe6f06f7cd77",
    "localvqe-v1.3-4.8M.pt": "22d3e2f33bb8b25ec1c6a928cfb741bb631d45bae2b3759684818b101c95878e",
}


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALVQE_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", [None, "default", "Default"])
def test_nothing_and_default_mean_the_model_inside_the_package(
    name: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded = tmp_path / "default-f32.gguf"
    embedded.write_bytes(b"GGUF")
    monkeypatch.setattr(models, "DEFAULT_MODEL", embedded)
    assert models.resolve(name) == embedded
    embedded.unlink()
    with pytest.raises(ModelError, match="reinstall"):
        models.resolve(name)


def test_a_path_means_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a model.gguf"
    file.write_bytes(b"")
    assert models.resolve(file) == file
    monkeypatch.chdir(tmp_path)
    assert models.resolve("a model.gguf") == Path("a model.gguf")


@pytest.mark.parametrize("name", ["localvqe-v1.1-1.3M-f32.gguf", "v1.1", "default"])
def test_a_file_wins_over_a_name_and_a_name_over_a_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(b"")
    assert models.resolve(name) == Path(name)
    Path(name).unlink()
    Path(name).mkdir()
    if name == "default":
        assert models.resolve(name) == models.DEFAULT_MODEL
    else:
        with pytest.raises(ModelError, match="not downloaded"):
            models.resolve(name)


@pytest.mark.parametrize(
    "name", ["v1.2", "V1.2", "localvqe-v1.2-1.3M-f32.gguf", "localvqe-v1.2-1.3M-f32", "LocalVQE-V1.2-1.3M-F32"]
)
def test_a_published_name_says_how_to_get_it(name: str) -> None:
    with pytest.raises(ModelError, match=r"not downloaded; run: localvqe models pull v1\.2$"):
        models.resolve(name)


@pytest.mark.parametrize("name", ["nothing.gguf", "", "a\nb", "nul\0byte", "x" * 5000, "\ud800", "v1.4", "../v1.1"])
def test_anything_else_is_one_line(name: str) -> None:
    with pytest.raises(ModelError) as caught:
        models.resolve(name)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"names are default, kalman, denoise, v1, v1\.1, v1\.2, v1\.3$"):
        models.resolve("densoise")


def test_a_directory_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is a directory"):
        models.resolve(tmp_path)


# -- the registry -------------------------------------------------------------------------------


def test_the_table_of_published_files() -> None:
    assert {f.filename: f.sha256 for f in models.PUBLISHED} == PUBLISHED
    address = "https://huggingface.co/LocalAI-io/LocalVQE/resolve/main/"
    assert [f.url for f in models.PUBLISHED] == [address + name for name in PUBLISHED]


@pytest.mark.parametrize("filename", list(PUBLISHED))
def test_every_file_goes_by_three_names_in_any_case(filename: str) -> None:
    version = filename.split("-")[1]
    short = version if filename.endswith(".gguf") else f"{version}.pt"
    for name in (filename, filename.rsplit(".", 1)[0], short):
        for spelling in (name, name.upper(), name.lower()):
            found = models.find_published(spelling)
            assert found is not None
            assert found.filename == filename
            assert found.short == short


@pytest.mark.parametrize("name", ["", "v", "v1.", "localvqe", "1.1", "default", "v1.1-f32", "localvqe-v1.1-1.3M.gguf"])
def test_nothing_else_is_a_name(name: str) -> None:
    assert models.find_published(name) is None


def test_the_facts_agree_with_the_architecture() -> None:
    narrow = {version: ModelConfig(version=version, dmax=DEFAULT_DMAX[version]) for version in (1, 2, 3)}
    constants = (".running_mean", ".running_var", ".num_batches_tracked", "align.temperature", "v_real", "v_imag")
    for file in models.PUBLISHED:
        shapes = state_dict_shapes(V13 if file.line == "v1.3" else narrow[file.version])
        counted = sum(math.prod(shape) for name, shape in shapes.items() if not name.endswith(constants))
        assert file.parameters == counted
        assert file.version == {"v1": 1, "v1.1": 2, "v1.2": 3, "v1.3": 3}[file.line]


@pytest.mark.parametrize(
    "filename",
    [
        "../a.gguf",
        "/etc/a.gguf",
        "a/b.gguf",
        "a\\b.gguf",
        ".gguf",
        ".a.gguf",
        "a.gguf\n",
        "a.gguf?x",
        "a b.pt",
        "a.exe",
    ],
)
def test_the_registry_takes_plain_file_names_only(filename: str) -> None:
    with pytest.raises(ValueError, match="registry"):
        PublishedFile(filename, "0" * 64, "v1", 1, 1)


@pytest.mark.parametrize("digest", ["", "0" * 63, "0" * 63 + "G", "0" * 63 + "A"])
def test_the_registry_takes_whole_digests_only(digest: str) -> None:
    with pytest.raises(ValueError, match="registry"):
        PublishedFile("a.gguf", digest, "v1", 1, 1)
