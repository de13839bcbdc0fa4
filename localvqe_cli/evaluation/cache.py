"""Scores on disk, found by the content of what was scored.

One small JSON file per clip and system. Its name is a digest of the audio, of the talk type and of what made the
output (the output file's content, or model, engine and options); inside, each metric stands under its version. So a
second run computes only what is new, and an interrupted one goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from .. import file_digest
from ..atomic import atomic_output
from ..errors import AudioError, LocalVQEError
from ..models.cache import cache_folder

__all__ = ["ScoreCache", "default_folder", "digest", "file_sha256"]

_FORMAT = 1

Record = dict[str, Any]


def default_folder() -> Path:
    """The folder of scores; it need not exist. ``LOCALVQE_CACHE`` moves it."""
    return cache_folder().parent / "scores"


def digest(*parts: Any) -> str:
    """Name of the record for ``parts``, which must be JSON-ready."""
    return hashlib.sha256(json.dumps([_FORMAT, *parts], sort_keys=True).encode()).hexdigest()


@lru_cache(maxsize=4096)
def _sha256(path: str, size: int, modified: int) -> str:
    return file_digest.file_sha256(path)


def file_sha256(path: str) -> str:
    """SHA-256 of a file's content.

    Raises:
        AudioError: it cannot be read.
    """
    try:
        info = os.stat(path)
        return _sha256(path, info.st_size, info.st_mtime_ns)
    except FileNotFoundError as exc:
        raise AudioError(f"{path}: no such file") from exc
    except (OSError, ValueError) as exc:
        raise AudioError(f"{path}: cannot be opened ({getattr(exc, 'strerror', None) or exc})") from exc


class ScoreCache:
    """Records by digest in ``folder``; with None nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def load(self, key: str) -> Record:
        """The record, empty where there is none or it is damaged."""
        if self._folder is None:
            return {}
        try:
            record = json.loads(self._path(key).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}

    def store(self, key: str, record: Record) -> None:
        """Keep ``record``. A cache that cannot be written costs time later, so it is no error."""
        if self._folder is None:
            return
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_output(path) as temporary:
                temporary.write_text(json.dumps(record), encoding="utf-8")
        except (OSError, LocalVQEError):
            return

    def _path(self, key: str) -> Path:
        assert self._folder is not None
        return self._folder / key[:2] / f"{key}.json"
