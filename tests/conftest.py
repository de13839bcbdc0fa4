"""Fixtures shared by every test: where the golden vectors and recordings live, if they are present."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import golden_vectors
import pytest
from golden_vectors import Vectors

REPOSITORY = Path(__file__).resolve().parent.parent

# For torch, which is not loaded yet, here and in processes that tests start: its tensors are small here, and threads
# that wait for each other cost the other workers of a parallel run their processors.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Where this is set, each of the hundreds of processes that tests start would compile the package anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Modules and test functions stay: looking among them for garbage took a quarter of the time of collecting."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


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


def _shared(name: str, instead: str = "") -> Path:
    """A folder of the project's shared data, beside the checkout or inside it; ``instead`` says what runs without."""
    for base in (REPOSITORY.parent / "shared", REPOSITORY / "shared"):
        if (base / name).is_dir():
            return base / name
    pytest.skip(f"shared/{name} is not beside this checkout{instead}")


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of the large golden vectors. Tests take :func:`vectors`, of which there are always some."""
    return _shared("golden", ", the same test runs with tests/golden/data")


@pytest.fixture(scope="session")
def shared_codec() -> Path:
    """Folder of the speech codec's golden vectors."""
    return _shared("codec/golden-lfsc", "; tests/unit holds the codec against plain loops")


@pytest.fixture(scope="module", params=golden_vectors.ALL)
def vectors(request: pytest.FixtureRequest) -> Vectors:
    """Each set of golden vectors in turn; a test for some of them is parametrized with their names, indirectly."""
    name: str = request.param
    return golden_vectors.load(name, request.getfixturevalue("golden") if name.startswith("shared-") else None)


@pytest.fixture(scope="module")
def golden_model(vectors: Vectors, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GGUF file of ``vectors``: our export of the checkpoint, where there is one."""
    return vectors.model(tmp_path_factory.mktemp("golden"))


@pytest.fixture(scope="session")
def eval_dev() -> Path:
    """Folder of the 27 microphone/reference pairs with ``pairs.tsv``."""
    return _shared("eval-dev")
