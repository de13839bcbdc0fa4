"""models: the cache, and when its files are believed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from model_server import published

from localvqe_cli.errors import LocalVQEError, ModelError, UsageError
from localvqe_cli.models import cache, registry, resolve
from localvqe_cli.models.cache import State

CONTENT = b"weights" * 1000
FILE = published(CONTENT)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOCALVQE_CACHE", str(tmp_path))
    monkeypatch.setattr(registry, "PUBLISHED", (FILE,))
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


@pytest.fixture
def cached(folder: Path) -> Path:
    """The file as a download leaves it."""
    part = cache.part_path(FILE)
    part.write_bytes(CONTENT)
    return cache.accept(FILE, part)


def change_behind_the_stamp(path: Path) -> None:
    """Other content, but the same size and time."""
    before = path.stat()
    path.write_bytes(CONTENT[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache.cache_folder() == tmp_path / "models"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LOCALVQE_CACHE", "~/x")
    assert cache.cache_folder() == tmp_path / "x" / "models"
    for unset in (lambda: monkeypatch.setenv("LOCALVQE_CACHE", ""), lambda: monkeypatch.delenv("LOCALVQE_CACHE")):
        unset()
        assert cache.cache_folder().parts[-2:] == ("localvqe", "models")
        assert cache.cache_folder().is_absolute()


def test_an_accepted_file_is_there(cached: Path, folder: Path) -> None:
    assert cached == folder / FILE.filename
    assert not cache.part_path(FILE).exists()
    assert cache.state(FILE) is cache.verify(FILE) is State.CACHED
    assert resolve("v9") == cached


def test_a_wrong_file_is_not_accepted(folder: Path) -> None:
    part = cache.part_path(FILE)
    part.write_bytes(CONTENT + b"!")
    with pytest.raises(ModelError, match="SHA-256"):
        cache.accept(FILE, part)
    assert list(folder.iterdir()) == []


def test_a_stamped_file_is_not_hashed_at_each_start_but_by_verify(cached: Path) -> None:
    change_behind_the_stamp(cached)
    assert resolve("v9") == cached
    assert cache.verify(FILE) is State.DAMAGED
    with pytest.raises(ModelError, match="not the published file"):  # and from now on it is known
        resolve("v9")


def test_a_touched_file_is_hashed_once_more(cached: Path) -> None:
    os.utime(cached, (1, 1))
    assert resolve("v9") == cached
    change_behind_the_stamp(cached)  # shows that the stamp was renewed
    assert resolve("v9") == cached


@pytest.mark.parametrize(
    "damage",
    [lambda b: b[:-1], lambda b: b + b"!", lambda b: b[::-1], lambda b: b""],
    ids=["shorter", "longer", "other", "empty"],
)
def test_a_changed_file_is_refused(cached: Path, damage: Callable[[bytes], bytes]) -> None:
    cached.write_bytes(damage(CONTENT))
    os.utime(cached, (1, 1))
    with pytest.raises(ModelError, match=r"is not the published file.*run: localvqe models pull v9$"):
        resolve("v9")


def test_a_file_copied_there_by_hand_will_do(folder: Path) -> None:
    (folder / FILE.filename).write_bytes(CONTENT)
    assert resolve("v9") == folder / FILE.filename


@pytest.mark.parametrize("stamp", [b"", b"\xff\xfe", b"nonsense"])
def test_a_damaged_stamp_is_replaced(cached: Path, folder: Path, stamp: bytes) -> None:
    (mark,) = folder.glob(".*")
    mark.write_bytes(stamp)
    assert resolve("v9") == cached
    assert mark.read_bytes() != stamp


def test_a_cache_that_cannot_be_written_works(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise UsageError(f"cannot write {path}")

    monkeypatch.setattr(cache, "atomic_output", refuse)
    (folder / FILE.filename).write_bytes(CONTENT)
    assert resolve("v9") == folder / FILE.filename
    assert cache.verify(FILE) is State.CACHED


def test_a_new_pin_makes_an_old_file_damaged(cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = published(b"other weights")
    monkeypatch.setattr(registry, "PUBLISHED", (other,))
    with pytest.raises(ModelError, match="not the published file"):
        resolve("v9")


def test_what_is_no_file_is_one_line(folder: Path) -> None:
    assert cache.state(FILE) is State.ABSENT
    (folder / FILE.filename).symlink_to("nowhere")
    assert cache.state(FILE) is State.ABSENT
    (folder / FILE.filename).unlink()
    (folder / FILE.filename).mkdir()
    with pytest.raises(ModelError, match=r"cannot read .*: is a directory$"):
        resolve("v9")


def test_remove_takes_everything_and_says_how_much(cached: Path, folder: Path) -> None:
    cache.part_path(FILE).write_bytes(b"1234")
    (folder / "someone else's").write_bytes(b"")
    assert cache.remove(FILE) == len(CONTENT) + 4
    assert [p.name for p in folder.iterdir()] == ["someone else's"]
    assert cache.remove(FILE) == 0


def test_remove_without_a_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LOCALVQE_CACHE", str(tmp_path / "none"))
    assert cache.remove(FILE) == 0
    assert not (tmp_path / "none").exists()


def test_what_cannot_be_removed_is_one_line(folder: Path) -> None:
    (folder / FILE.filename).mkdir()
    with pytest.raises(LocalVQEError, match="could not remove"):
        cache.remove(FILE)


def test_a_lock_is_exclusive_and_leaves_no_file(folder: Path) -> None:
    with cache.locked(FILE):
        with pytest.raises(LocalVQEError, match="being downloaded by another process"), cache.locked(FILE):
            pass
        with pytest.raises(LocalVQEError, match="being downloaded"):
            cache.remove(FILE)
    with cache.locked(FILE):
        pass
    assert list(folder.iterdir()) == []


def test_one_who_waited_for_a_lock_has_it_alone() -> None:
    waits, holds, may_go = threading.Event(), threading.Event(), threading.Event()

    def other() -> None:
        with cache.locked(FILE, waits.set):
            holds.set()
            may_go.wait(20)

    thread = threading.Thread(target=other)
    with cache.locked(FILE):
        thread.start()
        assert waits.wait(20)
    assert holds.wait(20)
    with pytest.raises(LocalVQEError, match="being downloaded"), cache.locked(FILE):
        pass
    may_go.set()
    thread.join(20)
    with cache.locked(FILE):
        pass
