"""Patterns that the shell has left as they were: none matches, or they stood in quotes."""

from __future__ import annotations

import os
from collections.abc import Iterable

from ..errors import LocalVQEError, UsageError

__all__ = ["refuse_patterns"]


def refuse_patterns(
    arguments: Iterable[str | None], *, advice: str = "", error: type[LocalVQEError] = UsageError
) -> None:
    """Raise ``error``, with ``advice`` in brackets, where one of ``arguments`` looks like a pattern and is no file."""
    for text in arguments:
        if text is not None and any(sign in text for sign in "*?[") and not os.path.exists(text):
            raise error(
                f"{text}: no such file; the shell did not expand this pattern: it is quoted, or no file matches"
                + (f" ({advice})" if advice else "")
            )
