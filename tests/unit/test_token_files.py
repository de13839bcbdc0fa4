"""Files of tokens: both kinds hold the same, and what strangers put into them is refused."""

from __future__ import annotations

import io
import json
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from localvqe_cli.errors import AudioError, MissingExtraError, UsageError
from localvqe_cli.lfsc import tokens as token_files
from localvqe_cli.lfsc.tokens import TokenFile, read_tokens, write_tokens

TOKENS = TokenFile(np.arange(16, dtype=np.int32).reshape(2, 8), 61, 22050, 8, (5, 4))


def written(path: Path) -> str:
    if path.suffix == ".safetensors":
        pytest.importorskip("safetensors")
    write_tokens(str(path), TOKENS)
    return str(path)


@pytest.mark.parametrize("name", ["a.npz", "a.safetensors"])
def test_what_is_written_is_read(tmp_path: Path, name: str) -> None:
    found = read_tokens(written(tmp_path / name))
    assert np.array_equal(found.tokens, TOKENS.tokens)
    assert found.tokens.dtype == np.int32
    assert (found.samples, found.sample_rate, found.samples_per_frame) == (61, 22050, 8)
    assert found.levels == (5, 4)
    assert os.listdir(tmp_path) == [name]


def test_other_programs_can_read_them(tmp_path: Path) -> None:
    with np.load(written(tmp_path / "a.npz")) as archive:
        assert np.array_equal(archive["tokens"], TOKENS.tokens)
        assert archive["samples"] == 61
    numpy_part = pytest.importorskip("safetensors.numpy")
    assert np.array_equal(numpy_part.load_file(written(tmp_path / "a.safetensors"))["tokens"], TOKENS.tokens)


def refusal(path: Path) -> str:
    with pytest.raises(AudioError) as caught:
        read_tokens(str(path))
    assert str(caught.value).isprintable()
    assert str(path) in str(caught.value)
    return str(caught.value)


def entries(**changes: Any) -> dict[str, Any]:
    whole = {
        "format": np.array("localvqe-tokens"),
        "version": np.int64(1),
        "tokens": TOKENS.tokens,
        "samples": np.int64(61),
        "sample_rate": np.int64(22050),
        "samples_per_frame": np.int64(8),
        "levels": np.array([5, 4]),
    }
    return {name: value for name, value in (whole | changes).items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"format": None}, "no file of tokens"),
        ({"format": np.array("x")}, "no file of tokens"),
        ({"version": np.int64(2)}, "version 2"),
        ({"tokens": None}, "no entry tokens"),
        ({"tokens": TOKENS.tokens.astype(np.float32)}, "wrong kind"),
        ({"tokens": TOKENS.tokens[0]}, "expected (groups, frames)"),
        ({"tokens": -TOKENS.tokens}, "expected (groups, frames)"),
        ({"samples": np.int64(0)}, "cannot be right"),
        ({"sample_rate": np.int64(1 << 50)}, "cannot be right"),
        ({"samples": np.array([1, 2])}, "wrong kind"),
        ({"levels": np.array(["5"])}, "wrong kind"),
    ],
)
def test_entries_that_make_no_sense(tmp_path: Path, changes: dict[str, Any], word: str) -> None:
    np.savez(tmp_path / "a.npz", **entries(**changes))
    assert word in refusal(tmp_path / "a.npz")


def array_file(header: str, data: bytes) -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


@pytest.mark.parametrize(
    "content",
    [
        array_file("{'descr': '<i4', 'fortran_order': False, 'shape': (1000000, 1000000)}", bytes(4)),
        array_file("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"\x80\x04N."),
        array_file("[" * 100, b""),
        b"",
    ],
)
def test_arrays_that_claim_more_than_there_is(tmp_path: Path, content: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("tokens.npy", content)
    assert "not a readable .npz" in refusal(tmp_path / "a.npz")


def test_a_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_files, "MAX_BYTES", 1 << 20)
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tokens.npy", bytes(2 << 20))
    assert "unpacks to more" in refusal(tmp_path / "a.npz")
    (tmp_path / "b.npz").write_bytes(bytes(2 << 20))
    assert "more than the limit" in refusal(tmp_path / "b.npz")


@pytest.mark.parametrize("name", ["a.npz", "a.safetensors"])
def test_what_is_no_such_file(tmp_path: Path, name: str) -> None:
    pytest.importorskip("safetensors")
    for content in (b"", b"PK\x03\x04", bytes(100), b"\xff" * 100):
        (tmp_path / name).write_bytes(content)
        refusal(tmp_path / name)
    refusal(tmp_path / f"missing-{name}")


def test_a_safetensors_file_of_something_else(tmp_path: Path) -> None:
    save = pytest.importorskip("safetensors.numpy").save
    (tmp_path / "a.safetensors").write_bytes(save({"weight": np.zeros(3, np.float32)}))
    assert "of tokens" in refusal(tmp_path / "a.safetensors")
    (tmp_path / "b.safetensors").write_bytes(save({"tokens": TOKENS.tokens}, {"format": "other"}))
    assert "no file of tokens" in refusal(tmp_path / "b.safetensors")


def test_names_decide_the_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.wav", "a", "-"):
        with pytest.raises(UsageError, match=r"\.npz or \.safetensors"):
            write_tokens(name, TOKENS)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(MissingExtraError, match=r"localvqe\[codec\]"):
        write_tokens(str(tmp_path / "a.safetensors"), TOKENS)
    assert os.listdir(tmp_path) == []


def test_the_header_of_a_safetensors_file_is_json(tmp_path: Path) -> None:
    data = Path(written(tmp_path / "a.safetensors")).read_bytes()
    header = json.loads(io.BytesIO(data[8:]).read(int.from_bytes(data[:8], "little")))
    assert header["__metadata__"]["levels"] == "5,4"
    assert header["tokens"]["dtype"] == "I32"
