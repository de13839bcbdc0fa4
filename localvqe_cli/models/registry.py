"""The files the LocalVQE authors have published, each pinned by its SHA-256, and the names they go by."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

__all__ = [
    "BASE_URL",
    "DEFAULT_NAME",
    "EMBEDDED",
    "HUB",
    "PUBLISHED",
    "REPOSITORY",
    "REVISION",
    "PublishedFile",
    "embedded_name",
    "find_published",
]

#: Hugging Face, and the repository there (report, footnote 1). No commit is known, but the digests pin the content.
HUB = "https://huggingface.co"
REPOSITORY = "LocalAI-io/LocalVQE"
REVISION = "main"

#: Where the published files lie: BASE_URL + file name.
BASE_URL = f"{HUB}/{REPOSITORY}/resolve/{REVISION}/"

#: The name of the model that runs where none is named.
DEFAULT_NAME = "default"
#: Models inside the package: name -> file in weights/. The default is a Kalman filter with a gain stage; "kalman" is
#: the same and leaves noise as it is; "denoise" has a network behind that, which takes most noise and some of the room.
EMBEDDED = {DEFAULT_NAME: "default-f32.gguf", "kalman": "kalman-f32.gguf", "denoise": "denoise-q8_0.gguf"}
#: Other names for them. Of the default there is no smaller copy: it has nothing that quantization makes smaller.
EMBEDDED_ALIASES = {"default-q8_0": DEFAULT_NAME}

# A file name becomes a path in the cache and the end of an address, so it can only be a plain one.
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.(gguf|pt)")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class PublishedFile:
    """A file published by the LocalVQE authors.

    Attributes:
        filename: its name there and in the cache, without any folder; ends in .gguf or .pt.
        sha256: digest of its content, lower-case hex.
        line: model line, for example "v1.1".
        version: architecture version, 1 to 3.
        parameters: how many the model has, the frozen codec included.
    """

    filename: str
    sha256: str
    line: str
    version: int
    parameters: int

    def __post_init__(self) -> None:
        if not _PLAIN.fullmatch(self.filename) or not _DIGEST.fullmatch(self.sha256):
            raise ValueError(f"not an entry for the registry: {self}")

    @property
    def is_checkpoint(self) -> bool:
        """True for a PyTorch checkpoint, False for a GGUF file."""
        return self.filename.endswith(".pt")

    @property
    def short(self) -> str:
        """The shortest name: ``v1.1`` for the GGUF file, ``v1.1.pt`` for the checkpoint."""
        return f"{self.line}.pt" if self.is_checkpoint else self.line

    @property
    def name(self) -> str:
        """The file name without its suffix."""
        return PurePosixPath(self.filename).stem

    @property
    def url(self) -> str:
        """Where to download it."""
        return BASE_URL + self.filename


# Model line: architecture version and parameters.
_LINES = {"v1": (1, 1_290_453), "v1.1": (2, 1_290_845), "v1.2": (3, 1_290_845), "v1.3": (3, 4_814_655)}

PUBLISHED = tuple(
    PublishedFile(filename, sha256, line, *_LINES[line])
    for line, filename, sha256 in (
        ("v1", "localvqe-v1-1.3M-f32.gguf", "d5eaf577449d0f920d8ee5e1042b8ddc7b6627313a042c62e2ada1b42719ab30"),
        ("v1.1", "localvqe-v1.1-1.3M-f32.gguf", "c118227c6b433d6aa36d9e4b993e0f31aa60787ea38d301d04db917a4a2b0a84"),
        ("v1.2", "localvqe-v1.2-1.3M-f32.gguf", "4856ecf5f522b23fb2bc5caeac81f323c0ef1c4c156a9c7d40a6adbe092ba9ce"),
        ("v1.3", "localvqe-v1.3-4.8M-f32.gguf", "c4f7912485c32cfc206c536f2f050b52513f2f613fdbc616391f6b26ab1d51ec"),
        ("v1.1", "localvqe-v1.1-1.3M.pt", "76aabaa3bca3a9d7989463226312aa2344f978403c3e0e007e58a15922c97707"),
        ("v1.2", "localvqe-v1.2-1.3M.pt", "ff6885e7c8d7d29a8ce963303dcd668ae0f2a7bdafae28631292fe6f06f7cd77"),
        ("v1.3", "localvqe-v1.3-4.8M.pt", "22d3e2f33bb8b25ec1c6a928cfb741bb631d45bae2b3759684818b101c95878e"),
    )
)


def embedded_name(name: str) -> str | None:
    """The name in EMBEDDED that ``name`` means, in any case; None if there is none."""
    lower = name.lower()
    lower = EMBEDDED_ALIASES.get(lower, lower)
    return lower if lower in EMBEDDED else None


def find_published(name: str) -> PublishedFile | None:
    """The published file called ``name``: its short name, its file name with or without suffix, in any case."""
    wanted = name.lower()
    return next((f for f in PUBLISHED if wanted in (f.short.lower(), f.filename.lower(), f.name.lower())), None)
