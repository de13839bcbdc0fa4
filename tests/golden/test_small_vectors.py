"""The small golden vectors stand in for the large ones, and are what the tool makes of a reference that it trusts."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType

import golden_vectors
import numpy as np
import pytest
import soundfile as sf
import torch
from golden_vectors import ALL, CHECKPOINTS, DATA, FOREIGN, SHARED
from scripts import load_script

from localvqe_cli import gguf_file

#: Of a model, in bytes: what a clone carries for good.
LARGEST = 300_000
#: Tests that need weights which may not be passed on.
OF_OTHERS = {"test_tools_nkf"}


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return load_script("tools/make_golden.py")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in the form of the large vectors, with the small ones' content."""
    folder = tmp_path_factory.mktemp("shared")
    (folder / "input").mkdir()
    for version in SHARED:
        small, home = golden_vectors.load_small(version), folder / version
        home.mkdir()
        small.save_checkpoint(home / "state.pt")
        np.save(home / "out_centred.npy", small.centred)
        np.save(home / "out_stream.npy", small.stream)
        taps = {"delay": small.delay, "bottleneck_all": small.blocks["bottleneck"][1], "mask_f60_70": np.zeros(1)}
        taps |= {f"{side}_enc_l2": small.norms[f"{side}_spectrum"] for side in ("mic", "ref")}
        np.savez(home / "taps.npz", **taps)
        (home / "gguf_listing.txt").write_text(small.listing or "")
    for side in ("mic", "ref"):
        sf.write(folder / "input" / f"{side}.wav", getattr(small, side), 16000, "FLOAT")
    return folder


def test_each_test_with_large_vectors_runs_with_small_ones_too(request: pytest.FixtureRequest) -> None:
    for names in (ALL, CHECKPOINTS, FOREIGN):
        for name in names:
            assert name.replace("shared-", "small-") in names
    found: dict[tuple[str, str], set[str]] = {}
    for item in request.session.items:
        assert isinstance(item, pytest.Function)
        if "golden" in item.fixturenames:
            assert item.path.stem in OF_OTHERS, f"{item.nodeid} has no small golden vectors; take the fixture `vectors`"
        if "vectors" in item.fixturenames:
            names = found.setdefault((str(item.path), item.originalname), set())
            names.add(item.callspec.params["vectors"])
            assert not [mark for mark in item.iter_markers() if mark.name in ("skip", "xfail")], item.nodeid
    for test, used in found.items():
        assert {name.replace("shared-", "small-") for name in used} <= used, test


def test_they_are_small() -> None:
    sizes: dict[str, int] = {}
    for path in DATA.iterdir():
        name = path.name.removesuffix(".gguf_listing.txt").removesuffix(".gguf").removesuffix(".npz")
        sizes[name] = sizes.get(name, 0) + path.stat().st_size
    assert {f"small-{name}" for name in sizes} == {name for name in ALL if name.startswith("small-")}
    assert max(sizes.values()) < LARGEST, sizes


def test_the_tool_makes_what_is_stored(tool: ModuleType, shared: Path, tmp_path: Path) -> None:
    assert tool.main([str(shared), "--output", str(tmp_path / "made")]) == 0
    names = sorted(path.name for path in DATA.iterdir())
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == names
    for name in names:
        made, stored = tmp_path / "made" / name, DATA / name
        if made.suffix == ".txt":
            assert made.read_text() == stored.read_text(), name
            continue
        ours, theirs = _arrays(made), _arrays(stored)
        assert list(ours) == list(theirs)
        for key in ours:
            if ours[key].dtype == np.float32:  # in the last bit machines may differ
                np.testing.assert_allclose(ours[key], theirs[key], rtol=1e-6, atol=1e-6, err_msg=f"{name}: {key}")
            else:
                assert (ours[key] == theirs[key]).all(), f"{name}: {key}"


def _arrays(path: Path) -> dict[str, np.ndarray]:
    if path.suffix == ".npz":
        with np.load(path) as content:
            return dict(content)
    file = gguf_file.read(path)
    return {name: file.array(name) for name in file.tensors}


@pytest.mark.parametrize("what", ["output", "stream", "weight", "listing", "missing"])
def test_the_tool_writes_nothing_when_the_reference_is_off(
    what: str, tool: ModuleType, shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(shared, tmp_path / "shared")
    version = "v1.1" if what == "stream" else "v1"  # the first is the quickest, and need not be the only one
    home = folder / version
    if what == "weight":
        content = torch.load(home / "state.pt", weights_only=True)
        content["model_state_dict"]["dec3.skip_conv.weight"][0] += 0.1
        torch.save(content, home / "state.pt")
    elif what == "listing":
        text = (home / "gguf_listing.txt").read_text()
        (home / "gguf_listing.txt").write_text(text.replace("bottleneck.a_real F32 [6]", "bottleneck.a_real F32 [7]"))
    elif what == "missing":
        (home / "out_centred.npy").unlink()
    else:
        path = home / {"output": "out_centred.npy", "stream": "out_stream.npy"}[what]
        values = np.load(path)
        values[5000] += 3e-5
        np.save(path, values)
    assert tool.main([str(folder), "--output", str(tmp_path / "made")]) == 1
    assert not (tmp_path / "made").exists()
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert version in error
    assert "nothing was written" in error
