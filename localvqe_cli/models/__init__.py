"""Which model file a name means: a path, a published file in the cache, or the one inside the package.

::

    resolve(None), resolve("default")   the model inside the package
    resolve("default-q8_0")             its quantized copy
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
from .registry import BASE_URL, DEFAULT_NAME, DEFAULT_Q8_NAME, PUBLISHED, PublishedFile, find_published

__all__ = [
    "BASE_URL",
    "DEFAULT_MODEL",
    "DEFAULT_NAME",
    "DEFAULT_Q8_NAME",
    "PUBLISHED",
    "PublishedFile",
    "default_q8_model",
    "find_published",
    "named",
    "resolve",
]

#: The model inside the package.
DEFAULT_MODEL = Path(__file__).parent.parent / "weights" / "default-f32.gguf"


def resolve(model: str | os.PathLike[str] | None) -> Path:
    """The file that ``model`` means. Of its content only a published file's SHA-256 is looked at, and only once.

    Args:
        model: a path; the name of a published file; "default" or None for the model inside the package,
            "default-q8_0" for its quantized copy.
            A file wins over a name, a name over a folder.

    Raises:
        ModelError: there is no such file, or it is a directory, or it is published but not in the cache,
            or the cached file is not the published one.
    """
    if model is None:
        return _embedded()
    text = str(model)
    try:
        path = Path(model)
        is_folder = path.is_dir()
        if not is_folder and path.exists():
            return path
    except (OSError, ValueError):  # a name that cannot be a path, for example too long
        raise ModelError(f"{printable(text)}: no such model file") from None
    if text.lower() == DEFAULT_NAME:
        return _embedded()
    if text.lower() == DEFAULT_Q8_NAME:
        return _embedded_q8()
    published = find_published(text)
    if published is not None:
        return _cached(text, published)
    if is_folder:
        raise ModelError(f"{model} is a directory, expected a model file")
    raise ModelError(f"{printable(text)}: no such model file, and no published model of that name")


def named(model: str) -> str:
    """The file behind a name, or ``model`` itself where it is none, so that whoever reads it can say what is wrong.

    Raises:
        ModelError: published but not in the cache, or damaged there.
    """
    is_name = model.lower() in (DEFAULT_NAME, DEFAULT_Q8_NAME) or find_published(model) is not None
    return str(resolve(model)) if is_name else model


def default_q8_model() -> Path:
    """Where the quantized copy of the model inside the package lies, or would lie."""
    return DEFAULT_MODEL.with_name(f"{DEFAULT_Q8_NAME}.gguf")


def _embedded_q8() -> Path:
    if not default_q8_model().is_file():
        raise ModelError(
            f"this package holds no model {DEFAULT_Q8_NAME}; make one with: localvqe quantize {DEFAULT_NAME} Q8_0"
        )
    return default_q8_model()


def _embedded() -> Path:
    if not DEFAULT_MODEL.is_file():
        raise ModelError(f"the package holds no model ({DEFAULT_MODEL} is missing); reinstall it or name one with -m")
    return DEFAULT_MODEL


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
