"""Which model file a name means: a path, a published file, or nothing for the one inside the package."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .errors import ModelError
from .tensor_check import printable

__all__ = ["BASE_URL", "DEFAULT_MODEL", "PUBLISHED", "PublishedFile", "find_published", "resolve"]

#: The model inside the package.
DEFAULT_MODEL = Path(__file__).parent / "weights" / "default-f32.gguf"

#: Where the published files lie: BASE_URL + file name.
BASE_URL = "https://huggingface.co/LocalAI-io/LocalVQE/resolve/main/"


@dataclass(frozen=True)
class PublishedFile:
    """A file published by the LocalVQE authors.

    Attributes:
        filename: its name there and in the cache.
        sha256: digest of its content, lower-case hex.
    """

    filename: str
    sha256: str

    @property
    def name(self) -> str:
        """The name without its suffix, which a user may type too."""
        return Path(self.filename).stem

    @property
    def url(self) -> str:
        """Where to download it."""
        return BASE_URL + self.filename

    @property
    def is_checkpoint(self) -> bool:
        """True for a PyTorch checkpoint, False for a GGUF file."""
        return self.filename.endswith(".pt")


PUBLISHED = tuple(
    PublishedFile(filename, sha256)
    for filename, sha256 in (
        ("localvqe-v1-1.3M-f32.gguf", "d5eaf577449d0f920d8ee5e1042b8ddc7b6627313a042c62e2ada1b42719ab30"),
        ("localvqe-v1.1-1.3M-f32.gguf", "c118227c6b433d6aa36d9e4b993e0f31aa60787ea38d301d04db917a4a2b0a84"),
        ("localvqe-v1.2-1.3M-f32.gguf", "4856ecf5f522b23fb2bc5caeac81f323c0ef1c4c156a9c7d40a6adbe092ba9ce"),
        ("localvqe-v1.3-4.8M-f32.gguf", "c4f7912485c32cfc206c536f2f050b52513f2f613fdbc616391f6b26ab1d51ec"),
        ("localvqe-v1.1-1.3M.pt", "76aabaa3bca3a9d7989463226312aa2344f978403c3e0e007e58a15922c97707"),
        ("localvqe-v1.2-1.3M.pt", "ff6885e7c8d7d29a8ce963303dcd668ae0f2a7bdafae28631292fe6f06f7cd77"),
        ("localvqe-v1.3-4.8M.pt", "22d3e2f33bb8b25ec1c6a928cfb741bb631d45bae2b3759684818b101c95878e"),
    )
)


def find_published(name: str) -> PublishedFile | None:
    """The published file called ``name``, with or without its suffix, in any case."""
    wanted = name.lower()
    return next((f for f in PUBLISHED if wanted in (f.filename.lower(), f.name.lower())), None)


def resolve(model: str | os.PathLike[str] | None) -> Path:
    """The file that ``model`` means; its content is not looked at.

    Args:
        model: a path; the name of a published file; None for the model inside the package.

    Raises:
        ModelError: there is no such file, or it is a directory, or it is published but not here.
    """
    if model is None:
        if not DEFAULT_MODEL.is_file():
            raise ModelError(
                f"the package holds no model ({DEFAULT_MODEL} is missing); reinstall it or name one with -m"
            )
        return DEFAULT_MODEL
    path = Path(model)
    try:
        if path.is_dir():
            raise ModelError(f"{model} is a directory, expected a model file")
        if path.exists():
            return path
    except (OSError, ValueError):  # a name that cannot be a path, for example too long
        raise ModelError(f"{printable(str(model))}: no such model file") from None
    published = find_published(str(model))
    if published is not None:
        raise ModelError(
            f"{model} is a published model but not downloaded; get it from {published.url} and name the file"
        )
    raise ModelError(f"{printable(str(model))}: no such model file, and no published model of that name")
