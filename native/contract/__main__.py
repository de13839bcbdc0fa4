"""Writes the headers that the engine shares with the Python package, which is their source.

Run by CMake with no package but the standard library: ``python -I -S -B native/contract FOLDER DEPFILE``.
FOLDER gets ``contract/constants.h``, ``keys.h``, ``lfsc.h`` and ``tensors.h``; a header that would not change keeps its
date. DEPFILE gets the Python files that they were made of, as rules of make.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent


def main() -> None:
    folder, depfile = Path(sys.argv[1]), Path(sys.argv[2])
    sys.path[:0] = [str(HERE), str(REPOSITORY)]
    import constants
    import keys
    import lfsc
    import tensors

    for maker in (constants, keys, lfsc, tensors):
        write_if_new(folder / "contract" / f"{maker.__name__}.h", maker.header())
    read = {Path(module.__file__) for module in sys.modules.values() if getattr(module, "__file__", None)}
    read = {path for path in read if REPOSITORY in path.parents} | set(constants.STAGE_FILES)
    rule = [folder / "contract" / "constants.h", *sorted(read)]
    target, *sources = (path.as_posix().replace(" ", "\\ ") for path in rule)
    depfile.write_text(f"{target}: {' '.join(sources)}\n", encoding="utf-8")


def write_if_new(path: Path, text: str) -> None:
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
