"""The command line of scripts that write a page of docs/reference/: write it, or with --check say if it is stale."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

__all__ = ["main"]


def main(description: str, page: Path, text: str, command: str, what: str) -> None:
    """Write ``text`` to ``page``, or exit with 1 where ``--check`` finds it different.

    Args:
        description: the first line of the help.
        command: what writes the page.
        what: what it is made of, for example "the commands".
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--check", action="store_true", help=f"exit with 1 if the page is not what {what} say")
    options = parser.parse_args()
    if not options.check:
        page.write_text(text, encoding="utf-8")
    elif page.read_text(encoding="utf-8") != text:
        sys.exit(f"{page.name} is not what {what} say; run: {command}")
