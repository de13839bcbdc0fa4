"""atomic: a target is either the whole new file or what it was before."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from localvqe_cli.atomic import atomic_output, check_output
from localvqe_cli.errors import LocalVQEError, UsageError


def leftovers(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.name.startswith("."))


def write_half(target: Path, failure: BaseException) -> None:
    with atomic_output(target) as temporary:
        temporary.write_bytes(b"half")
        raise failure


def test_the_target_appears_only_when_the_body_has_ended(tmp_path: Path) -> None:
    target = tmp_path / "out.gguf"
    with atomic_output(target) as temporary:
        temporary.write_bytes(b"whole")
        assert not target.exists()
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".gguf"
    assert target.read_bytes() == b"whole"
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("failure", [ValueError("bad"), KeyboardInterrupt(), SystemExit(3)])
def test_a_failure_removes_the_temporary_and_keeps_the_old_file(tmp_path: Path, failure: BaseException) -> None:
    target = tmp_path / "out.bin"
    target.write_bytes(b"old")
    with pytest.raises(type(failure)):
        write_half(target, failure)
    assert target.read_bytes() == b"old"
    assert leftovers(tmp_path) == []


def test_a_full_disk_is_one_line_about_the_target(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    with pytest.raises(LocalVQEError, match=r"could not write .*out\.bin: no space left"), atomic_output(target):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_an_error_about_another_file_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_output(tmp_path / "out.bin"):
        (tmp_path / "input that vanished").read_bytes()
    assert list(tmp_path.iterdir()) == []


def test_a_symbolic_link_keeps_its_place(tmp_path: Path) -> None:
    real = tmp_path / "real.bin"
    real.write_bytes(b"old")
    link = tmp_path / "link.bin"
    link.symlink_to(real)
    with atomic_output(link) as temporary:
        temporary.write_bytes(b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"


def test_the_mode_is_that_of_the_replaced_file_or_the_umask(tmp_path: Path) -> None:
    fresh, replaced = tmp_path / "fresh", tmp_path / "replaced"
    replaced.write_bytes(b"")
    replaced.chmod(0o640)
    previous = os.umask(0o027)
    try:
        for target in (fresh, replaced):
            with atomic_output(target):
                pass
    finally:
        os.umask(previous)
    assert fresh.stat().st_mode & 0o777 == 0o640
    assert replaced.stat().st_mode & 0o777 == 0o640


def test_a_device_is_written_in_place() -> None:
    with atomic_output("/dev/null") as temporary:
        temporary.write_bytes(b"gone")
    assert Path("/dev/null").is_char_device()


def test_a_name_of_the_longest_length_still_has_a_temporary(tmp_path: Path) -> None:
    target = tmp_path / ("ä" * 125 + ".wav")
    with atomic_output(target) as temporary:
        temporary.write_bytes(b"x")
    assert target.read_bytes() == b"x"


def test_check_output_accepts_a_new_file_and_a_forced_one(tmp_path: Path) -> None:
    target = tmp_path / "a.wav"
    assert check_output(target) == target
    target.write_bytes(b"x")
    assert check_output(target, force=True) == target
    assert target.read_bytes() == b"x"


def test_check_output_refuses(tmp_path: Path) -> None:
    existing = tmp_path / "there.wav"
    existing.write_bytes(b"x")
    link = tmp_path / "same.wav"
    link.hardlink_to(existing)
    protected = tmp_path / "protected.wav"
    protected.write_bytes(b"x")
    protected.chmod(0o444)
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    cases = [
        (tmp_path, {"force": True}, "is a directory"),
        ("", {}, "is a directory"),
        (tmp_path / "no" / "a.wav", {}, "does not exist"),
        (existing / "a.wav", {}, "not a directory"),
        (existing, {}, "--force"),
        (existing, {"force": True, "inputs": [existing]}, "the input itself"),
        (existing, {"force": True, "inputs": [tmp_path / "gone", link]}, "the input itself"),
        (protected, {"force": True}, "read-only"),
        (locked / "a.wav", {}, "read-only"),
        ("nul\0byte", {}, "null"),
        (tmp_path / ("x" * 300), {}, "too long"),
    ]
    for path, options, expected in cases:
        with pytest.raises(UsageError, match=expected) as caught:
            check_output(path, **options)
        assert "\n" not in str(caught.value)


def test_atomic_output_refuses_what_cannot_be_a_file(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "no" / "a.wav", "nul\0byte"):
        with pytest.raises(UsageError, match="cannot write"), atomic_output(path):
            raise AssertionError("the body must not run")
