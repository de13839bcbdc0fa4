"""Fixtures shared by every test: where the golden vectors and recordings live, if they are present."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
GOLDEN_VERSIONS = ("v1", "v1.1", "v1.2")


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """A shell starts background jobs with Ctrl-C ignored, and the processes that tests start would inherit that."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Models that a developer has pulled must not change what tests see; set for subprocesses as well."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCALVQE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def _shared(name: str) -> Path:
    """A folder of the project's shared data, beside the checkout or inside it."""
    for base in (REPOSITORY.parent / "shared", REPOSITORY / "shared"):
        if (base / name).is_dir():
            return base / name
    pytest.skip(f"shared/{name} is not beside this checkout")


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of golden vectors: checkpoints and what a correct implementation computes from them."""
    return _shared("golden")


@pytest.fixture(scope="session")
def eval_dev() -> Path:
    """Folder of the 27 microphone/reference pairs with ``pairs.tsv``."""
    return _shared("eval-dev")
