"""The WebAssembly engine in Node: the same results as the native one, no crash by any file, no leak."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import package
import pytest
import soundfile as sf
from golden_vectors import EXAMPLES, HOP, Vectors

import localvqe
from localvqe_cli.models import DEFAULT_MODEL

sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))

TOLERANCE = 1e-4


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    package.require()


def native(model: object, mic: package.Samples, ref: package.Samples) -> package.Samples:
    return localvqe.Enhancer(model).stream().process(mic, ref)


def test_golden_vectors(vectors: Vectors, golden_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As the WebAssembly kernels do.
    monkeypatch.setenv("LOCALVQE_ARITHMETIC", "int16" if vectors.name.endswith("q8_0") else "f32")
    out, said = package.process(tmp_path, golden_model, vectors.mic, vectors.ref)
    assert said["kernels"] == "simd128"
    assert np.abs(out - native(golden_model, vectors.mic, vectors.ref)).max() < TOLERANCE
    if not vectors.name.endswith("q8_0"):
        assert np.abs(out - vectors.stream).max() < TOLERANCE


@pytest.mark.parametrize("model", ["default", "denoise"])
def test_the_models_inside_clean_the_sample_pair(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALVQE_ARITHMETIC", "int16")
    mic, ref = (sf.read(EXAMPLES / f"sample_{side}.wav", dtype="float32")[0] for side in ("mic", "ref"))
    mic, ref = (samples[: samples.size // HOP * HOP] for samples in (mic, ref))
    out, said = package.process(tmp_path, model, mic, ref)
    assert np.abs(out - native(model, mic, ref)).max() < TOLERANCE
    assert said["version"] == localvqe.__version__
    assert np.mean(out**2) < 0.5 * np.mean(mic**2)


def test_hostile_models_are_refused_in_words(tmp_path: Path) -> None:
    import hostile

    tally = hostile.campaign(tmp_path, count=100, seed=20261129)
    assert not tally.findings
    assert tally.verdicts["refused"] > 100
    assert tally.verdicts["accepted"] > 5


def test_streams_that_come_and_go_leave_no_memory_behind() -> None:
    import json

    said = json.loads(package.run("memory.mjs", 1))
    assert said["streams"] > 40
    assert said["last"] == said["first"]


def test_what_a_user_may_do_wrong() -> None:
    """Each is an error of one line; bindings/js/test/api.mjs has the cases."""
    assert package.run("api.mjs").strip().endswith("ok")


def test_the_default_model_is_the_one_of_the_python_package() -> None:
    for name, path in (
        ("default-f32.gguf", DEFAULT_MODEL),
        ("kalman-f32.gguf", localvqe.Enhancer("kalman").path),
        ("denoise-q8_0.gguf", localvqe.Enhancer("denoise").path),
    ):
        assert (package.PACKAGE / "dist" / name).read_bytes() == Path(path).read_bytes()
