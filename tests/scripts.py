"""Scripts of the repository as modules; loading one runs nothing."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

REPOSITORY = Path(__file__).resolve().parent.parent


def load_script(place: str) -> ModuleType:
    """The script at ``place`` in the repository, which finds its neighbours as when it is run."""
    path = REPOSITORY / place
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    sys.modules[path.stem] = module  # dataclasses look their module up by name
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[path.stem]
        sys.path.remove(str(path.parent))
    return module
