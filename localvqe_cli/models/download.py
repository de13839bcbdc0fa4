"""Getting a published file into the cache: from a mirror the user names, else from Hugging Face."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import LocalVQEError, ModelError
from . import cache, mirror
from .mirror import Progress
from .registry import REPOSITORY, PublishedFile

__all__ = ["Pulled", "offline_reason", "pull"]

_OFFLINE_VARIABLES = ("LOCALVQE_OFFLINE", "HF_HUB_OFFLINE")
_TRUE = ("1", "on", "yes", "true")


@dataclass(frozen=True)
class Pulled:
    """Where a published file lies now, and whether it had to be downloaded."""

    path: Path
    downloaded: bool


def offline_reason() -> str | None:
    """The environment variable that forbids the network, or None."""
    return next((f"{v}={os.environ[v]}" for v in _OFFLINE_VARIABLES if os.environ.get(v, "").lower() in _TRUE), None)


def pull(
    file: PublishedFile,
    *,
    force: bool = False,
    offline: bool = False,
    progress: Progress = lambda _done, _total: None,
    report: Callable[[str], None] = lambda _text: None,
) -> Pulled:
    """Make sure that the cache holds ``file``, whole and with the published SHA-256.

    Args:
        file: what to get.
        force: download it even if it is there; the present file stays until the new one is whole.
        offline: fail rather than use the network.
        progress: told of the bytes that have arrived.
        report: told in words what is being done.

    Raises:
        ModelError: what was downloaded is not the published file; it is deleted.
        LocalVQEError: no network, a server that refuses or stops, a full disk. What has arrived is kept for the
            next attempt, unless the disk is full.
        UsageError: an address or token in the environment cannot be used.
    """
    path = cache.path_of(file)
    if not force and cache.state(file) is cache.State.CACHED:
        return Pulled(path, downloaded=False)
    forbidden = "--offline" if offline else offline_reason()
    if forbidden:
        what = "cannot be downloaded again" if force else "is not downloaded"
        raise LocalVQEError(f"{file.short} {what}: {forbidden} forbids the network")
    chosen = mirror.mirror_address()
    base = chosen or mirror.hub_address()
    host = urlsplit(base).netloc
    place = f"the mirror {host}" if chosen else f"{host} ({REPOSITORY})"
    with cache.locked(file, lambda: report(f"waiting for another download of {file.filename}")):
        if not force and cache.state(file) is cache.State.CACHED:  # the one we waited for
            return Pulled(path, downloaded=False)
        if force:
            cache.discard_partial(file)
        report(f"downloading {file.filename} from {place}")
        try:
            _fetch(file, base, progress)
        except ModelError:
            cache.discard_partial(file)
            raise
        except OSError as exc:
            cache.discard_partial(file)  # gives a full disk its room back
            reason = (exc.strerror or str(exc)).lower()
            raise LocalVQEError(f"could not write to the model cache {cache.cache_folder()}: {reason}") from exc
        cache.discard_partial(file)
    return Pulled(path, downloaded=True)


def _fetch(file: PublishedFile, base: str, progress: Progress) -> None:
    """Download and accept; of what could not be finished only that which can be taken up again stays."""
    part = cache.part_path(file)
    try:
        mirror.fetch(base + file.filename, part, progress)
        cache.accept(file, part)
    finally:
        if part.exists() and part.stat().st_size == 0:
            part.unlink()
