"""The peer canceller of docs/reference/evaluation.md computes what its authors' code computes."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile as sf
from eval_data import voice
from scripts import load_script

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return load_script("tools/nkf.py")


def random_weights(scale: float) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    shapes: dict[str, tuple[int, ...]] = {"fc_in.1.prelu.weight": (1,), "fc_out.1.prelu.weight": (1,)}
    for name, rows, columns in (("fc_in.0", 18, 9), ("fc_out.0", 18, 18), ("fc_out.2", 4, 18)):
        for part in ("real", "imag"):
            shapes[f"{name}.linear_{part}.weight"], shapes[f"{name}.linear_{part}.bias"] = (rows, columns), (rows,)
    for unit in "ri":
        for end in ("ih", "hh"):
            shapes[f"complex_gru.gru_{unit}.weight_{end}_l0"] = (54, 18)
            shapes[f"complex_gru.gru_{unit}.bias_{end}_l0"] = (54,)
    return {name: (scale * rng.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}


def test_it_computes_what_the_authors_code_computes(tool: ModuleType, golden: Path) -> None:
    peer = golden.parent / "peers" / "nkf"
    if not peer.is_dir():
        pytest.skip("shared/peers/nkf is not beside this checkout")
    with np.load(peer / "weights.npz") as file:
        weights = {name: file[name] for name in file.files}
    mic, ref = (sf.read(golden / "input" / f"{role}.wav", dtype="float32")[0] for role in ("mic", "ref"))
    np.testing.assert_allclose(tool.nkf(weights, mic, ref), np.load(peer / "golden_output.npy"), atol=2e-6)


def test_without_a_gain_the_mic_comes_out(tool: ModuleType) -> None:
    mic, ref = voice(1, 1.01), voice(2, 1.01)
    np.testing.assert_allclose(tool.nkf(random_weights(0.0), mic, ref), mic, atol=1e-6)


def test_a_silent_reference_moves_nothing(tool: ModuleType) -> None:
    mic, ref = voice(1, 1.0), voice(2, 1.0)
    silence = np.zeros_like(ref)
    np.testing.assert_allclose(tool.nkf(random_weights(0.3), mic, silence), mic, atol=1e-6)
    assert np.abs(tool.nkf(random_weights(0.3), mic, ref) - mic).max() > 0.01


def test_its_files_are_rounded(tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a_mic", "a_lpb"):
        sf.write(tmp_path / f"{name}.wav", voice(0, 1.0), 16000)
    np.savez(tmp_path / "weights.npz", **random_weights(0.1))
    wanted = np.array([0.6, -0.6, 1.4, 40000.0], np.float32) / np.float32(32768)
    monkeypatch.setattr(tool, "nkf", lambda *_: wanted)
    monkeypatch.setattr("sys.argv", ["nkf.py", *map(str, (tmp_path / "weights.npz", tmp_path, tmp_path / "out"))])
    tool.main()
    found = sf.read(tmp_path / "out" / "nkf" / "a_enhanced.wav", dtype="int16")[0]
    assert found.tolist() == [1, -1, 1, 32767]
