"""Files on this machine or in remote storage, by path or by URL.

``paths`` takes addresses apart and loads nothing; ``remote`` reads and writes whole objects; ``stamps`` tells whether a
file is still the same.
"""

from __future__ import annotations

from .paths import folder_of, is_remote, join, name_of
from .stamps import Stamp, stamp, stamps

__all__ = ["Stamp", "folder_of", "is_remote", "join", "name_of", "stamp", "stamps"]
