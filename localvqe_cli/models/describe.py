"""Published files and the embedded model as plain data: what ``localvqe models list`` and ``show`` print."""

from __future__ import annotations

from typing import Any

from .. import gguf_file, models
from ..config import DEFAULT_DMAX
from . import cache
from .registry import DEFAULT_NAME, PublishedFile

__all__ = ["contents", "embedded_facts", "facts"]

# The model card gives one licence for all of them.
_LICENSE = "apache-2.0"


def facts(file: PublishedFile) -> dict[str, Any]:
    """What the registry and the cache know about a published file, ready for JSON.

    Returns:
        ``name, file, format, line, version, dmax, parameters, license, sha256, url, where, path, bytes``;
        the last two are None while it is not here.

    Raises:
        ModelError: it is in the cache but cannot be read.
    """
    state = cache.state(file)
    path = None if state is cache.State.ABSENT else cache.path_of(file)
    return {
        "name": file.short,
        "file": file.filename,
        "format": "PyTorch checkpoint" if file.is_checkpoint else "GGUF",
        "line": file.line,
        "version": file.version,
        "dmax": DEFAULT_DMAX[file.version],
        "parameters": file.parameters,
        "license": _LICENSE,
        "sha256": file.sha256,
        "url": file.url,
        "where": state.value,
        "path": None if path is None else str(path),
        "bytes": None if path is None else path.stat().st_size,
    }


def embedded_facts(name: str = DEFAULT_NAME) -> dict[str, Any]:
    """The same keys for a model inside the package; it has no address and no published digest.

    Raises:
        ModelError: the package holds none, or one that cannot be read.
    """
    path = models.resolve(name)
    scanned = gguf_file.read(path)
    assert scanned.config is not None  # validated
    return {
        "name": name,
        "file": path.name,
        "format": "GGUF",
        "line": str(scanned.metadata.get("general.name", "own")),
        "version": scanned.config.version,
        "dmax": scanned.config.dmax if scanned.config.network else None,
        "parameters": scanned.parameters,
        "license": scanned.metadata.get("general.license"),
        "sha256": None,
        "url": None,
        "where": "built-in",
        "path": str(path),
        "bytes": scanned.nbytes,
    }


def contents(known: dict[str, Any]) -> dict[str, object] | None:
    """What is in the GGUF file of these facts, as ``localvqe inspect`` says it; None if there is none to read.

    Raises:
        GGUFError: it cannot be opened.
    """
    if known["path"] is None or known["format"] != "GGUF" or known["where"] == cache.State.DAMAGED.value:
        return None
    scanned = gguf_file.scan(known["path"])
    gguf_file.check(scanned)
    return gguf_file.describe(scanned, tensors=False).to_dict()
