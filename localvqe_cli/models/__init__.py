"""Which model file a name means: a path, a published file in the cache, or the one inside the package.

::

    resolve(None), resolve("default")   the model inside the package
    resolve("denoise")                  another one inside it, see registry.EMBEDDED
    resolve("model.gguf")               that file
    resolve("v1.1")                     the published file, if it has been downloaded

``registry`` knows the published files, ``cache`` where they lie and whether they are whole, ``download`` gets them.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import ModelError
from ..tensor_check import printable
from . import cache
from .registry import BASE_URL, DEFAULT_NAME, EMBEDDED, PUBLISHED, PublishedFile, embedded_name, find_published

__all__ = [
    "BASE_URL",
    "DEFAULT_MODEL",
    "DEFAULT_NAME",
    "EMBEDDED",
    "PUBLISHED",
    "PublishedFile",
    "embedded_name",
    "find_published",
    "named",
    "resolve",
]

_WEIGHTS = Path(__file__).parent.parent / "weights"
#: The model that runs where none is named.
DEFAULT_MODEL = _WEIGHTS / EMBEDDED[DEFAULT_NAME]


def resolve(model: str | os.PathLike[str] | None) -> Path:
    """The file that ``model`` means. Of its content only a published file's SHA-256 is looked at, and only once.

    Args:
        model: a path; the name of a published file, or of one inside the package (registry.EMBEDDED); None for
            "default".
            A file wins over a name, a name over a folder.

    Raises:
        ModelError: there is no such file, or it is a directory, or it is published but not in the cache,
            or the cached file is not the published one.
    """
    if model is None:
        return _embedded(DEFAULT_NAME)
    text = str(model)
    try:
        path = Path(model)
        is_folder = path.is_dir()
        if not is_folder and path.exists():
            return path
    except (OSError, ValueError):  # a name that cannot be a path, for example too long
        raise ModelError(f"{printable(text)}: no such model file") from None
    embedded = embedded_name(text)
    if embedded is not None:
        return _embedded(embedded)
    published = find_published(text)
    if published is not None:
        return _cached(text, published)
    if is_folder:
        raise ModelError(f"{model} is a directory, expected a model file")
    raise ModelError(
        f"{printable(text)}: no such model file, and no published model of that name; names are {_known_names()}"
    )


def named(model: str) -> str:
    """The file behind a name, or ``model`` itself where it is none, so that whoever reads it can say what is wrong.

    Raises:
        ModelError: published but not in the cache, or damaged there.
    """
    is_name = embedded_name(model) is not None or find_published(model) is not None
    return str(resolve(model)) if is_name else model


def _known_names() -> str:
    return ", ".join([*EMBEDDED, *(file.short for file in PUBLISHED if not file.is_checkpoint)])


def _embedded(name: str) -> Path:
    path = DEFAULT_MODEL if EMBEDDED[name] == EMBEDDED[DEFAULT_NAME] else _WEIGHTS / EMBEDDED[name]
    if not path.is_file():
        raise ModelError(
            f"the package does not hold the model {name} ({path} is missing); reinstall it or name another"
        )
    return path


def _cached(name: str, published: PublishedFile) -> Path:
    state = cache.state(published)
    if state is cache.State.ABSENT:
        raise ModelError(f"{name} is published but not downloaded; run: localvqe models pull {published.short}")
    path = cache.path_of(published)
    if state is cache.State.DAMAGED:
        raise ModelError(
            f"{path} is not the published file (its SHA-256 differs); run: localvqe models pull {published.short}"
        )
    return path
