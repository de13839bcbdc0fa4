"""Damaged wavs: each gives a result or one deliberate error, never a crash, a hang or a half file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from fake_model import FakeModel
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localvqe_cli.audio import Job
from localvqe_cli.enhance_files import EnhanceOptions, enhance_job
from localvqe_cli.errors import LocalVQEError

# A full campaign: LOCALVQE_MUTATIONS=5000
EXAMPLES = int(os.environ.get("LOCALVQE_MUTATIONS", "150"))
SUBTYPES = ["PCM_16", "PCM_24", "FLOAT", "DOUBLE", "ULAW", "IMA_ADPCM"]
HEADER = 60


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("originals")
    rng = np.random.default_rng(0)
    contents = []
    for subtype in SUBTYPES:
        sf.write(folder / "a.wav", 0.1 * rng.standard_normal((1500, 1)), 16000, subtype=subtype)
        contents.append((folder / "a.wav").read_bytes())
    sf.write(folder / "a.wav", 0.1 * rng.standard_normal((1500, 3)), 44100)
    return [*contents, (folder / "a.wav").read_bytes()]


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="LOCALVQE_MUTATIONS" not in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_a_damaged_wav_is_processed_or_refused(originals: list[bytes], tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(originals)))
    for _ in range(data.draw(st.integers(1, 8))):
        # Most damage goes where it matters.
        end = HEADER if data.draw(st.integers(0, 3)) else len(content)
        content[data.draw(st.integers(0, end - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.integers(0, 3)) == 0:
        del content[data.draw(st.integers(0, len(content))) :]
    mic, out = tmp_path / "mic.wav", tmp_path / "out.wav"
    mic.write_bytes(content)
    out.unlink(missing_ok=True)
    try:
        result = enhance_job(FakeModel(), Job("x", str(mic), None, str(out)), EnhanceOptions())
    except LocalVQEError as exc:
        refusal = str(exc)
    else:
        refusal = ""
    if refusal:
        assert "\n" not in refusal
        assert sorted(os.listdir(tmp_path)) == ["mic.wav"]
        return
    assert sorted(os.listdir(tmp_path)) == ["mic.wav", "out.wav"]
    samples, rate = sf.read(out, dtype="float32")
    assert np.isfinite(samples).all()
    assert rate == result.rate
    assert len(samples) >= 1


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rate=st.sampled_from([8000, 16000, 22050, 44100, 48000]),
    ref_rate=st.sampled_from([8000, 16000, 48000]),
    frames=st.integers(800, 20000),
    block=st.integers(1, 5000),
    shift_ms=st.integers(-300, 300),
    strength=st.sampled_from([0.0, 0.4, 1.0]),
)
def test_block_length_never_changes_the_output(
    tmp_path: Path, rate: int, ref_rate: int, frames: int, block: int, shift_ms: int, strength: float
) -> None:
    rng = np.random.default_rng(frames)
    mic, ref, out = (str(tmp_path / f"{name}.wav") for name in ("mic", "ref", "out"))
    sf.write(mic, 0.1 * rng.standard_normal(frames), rate, subtype="FLOAT")
    sf.write(ref, 0.1 * rng.standard_normal(frames), ref_rate, subtype="FLOAT")
    outputs = []
    for block_frames in (None, block):
        options = EnhanceOptions(align=float(shift_ms), strength=strength, block_frames=block_frames)
        enhance_job(FakeModel(lambda m, r: m - 0.3 * r), Job("x", mic, ref, out), options)
        outputs.append(sf.read(out, dtype="float32")[0])
    assert len(outputs[0]) == frames
    np.testing.assert_array_equal(outputs[0], outputs[1])
