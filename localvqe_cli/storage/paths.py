"""Addresses of files: paths of this machine, and URLs such as ``s3://bucket/calls/a.wav``."""

from __future__ import annotations

import os
import re

__all__ = ["absolute", "folder_of", "is_remote", "join", "name_of", "scheme_of"]

# At least two characters, since C:// is a drive.
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


def is_remote(path: str) -> bool:
    """Whether it is a URL and no path of this machine."""
    return _URL.match(path) is not None


def scheme_of(url: str) -> str:
    """What stands before ``://``, in lower case."""
    found = _URL.match(url)
    assert found is not None
    return found[1].lower()


def join(folder: str, name: str) -> str:
    """A file of a folder; a name that is an address by itself stays one."""
    if is_remote(name):
        return name
    return f"{folder.rstrip('/')}/{name}" if is_remote(folder) else os.path.join(folder, name)


def folder_of(path: str) -> str:
    """The folder that a file is in."""
    return path.rpartition("/")[0] if is_remote(path) else os.path.dirname(path)


def name_of(path: str) -> str:
    """The file's name in its folder."""
    return path.rpartition("/")[2] if is_remote(path) else os.path.basename(path)


def absolute(path: str) -> str:
    """What it is called from any folder of this machine."""
    return path if is_remote(path) else os.path.abspath(path)
