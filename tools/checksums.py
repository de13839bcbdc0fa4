"""Check that a folder holds a whole release, and write its checksums as SHA256SUMS into the working folder.

usage: python tools/checksums.py FOLDER [TAG]

A whole release is one source archive and a wheel for each platform of the table below, of the version in
pyproject.toml. TAG, where it is given, must be that version after a "v".
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent

#: What each file's name ends with, by platform: the versions between are for whoever builds to choose.
KINDS = {
    "source archive": r"\.tar\.gz",
    "manylinux x86_64": r"-py3-none-manylinux[\w.]*_x86_64\.whl",
    "manylinux aarch64": r"-py3-none-manylinux[\w.]*_aarch64\.whl",
    "musllinux x86_64": r"-py3-none-musllinux[\w.]*_x86_64\.whl",
    "musllinux aarch64": r"-py3-none-musllinux[\w.]*_aarch64\.whl",
    "Windows x86_64": r"-py3-none-win_amd64\.whl",
    "macOS arm64": r"-py3-none-macosx_\d+_\d+_arm64\.whl",
    "macOS x86_64": r"-py3-none-macosx_\d+_\d+_x86_64\.whl",
}


def version() -> str:
    """As pyproject.toml states it."""
    found = re.search(r'^version = "(.+)"$', (REPOSITORY / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


def problems(names: list[str], tag: str) -> list[str]:
    """What keeps these files from being a release; empty if nothing does."""
    wanted = version()
    found = [] if tag in ("", f"v{wanted}") else [f"the tag is {tag}, but pyproject.toml says {wanted}"]
    left = set(names)
    for kind, pattern in KINDS.items():
        matching = [name for name in names if re.fullmatch(rf"localvqe-{re.escape(wanted)}{pattern}", name)]
        if len(matching) != 1:
            found.append(f"{kind}: expected one file of version {wanted}, found {len(matching)}")
        left -= set(matching)
    return found + [f"{name} is no part of a release of {wanted}" for name in sorted(left)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Check that a folder holds a whole release, and write SHA256SUMS.")
    parser.add_argument("folder", type=Path, help="one source archive and a wheel per platform")
    parser.add_argument("tag", nargs="?", default="", help="for example v0.1.0")
    arguments = parser.parse_args()
    if not arguments.folder.is_dir():
        sys.exit(f"{arguments.folder}: no such folder")
    files = sorted(path for path in arguments.folder.iterdir() if path.is_file())
    if found := problems([path.name for path in files], arguments.tag):
        sys.exit("\n".join(found))
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    part = Path("SHA256SUMS.part")
    part.write_text("".join(lines), encoding="utf-8")
    part.replace("SHA256SUMS")
    print(f"{len(files)} files of {version()}, {sum(path.stat().st_size for path in files) / 1e6:.1f} MB: SHA256SUMS")


if __name__ == "__main__":
    main()
