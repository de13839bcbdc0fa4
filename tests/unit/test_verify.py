"""What ``verify`` finds, with an engine made from the reference in which one block can be wrong."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from make_model import narrow_config, random_state, save_checkpoint
from numpy.typing import NDArray

from localvqe_cli import export, gguf_file, verify
from localvqe_cli.errors import AudioError, LocalVQEError, UsageError
from localvqe_cli.reference import LocalVQE, StreamingLocalVQE

SECONDS = 0.5
CONFIG = narrow_config(2)
State = dict[str, NDArray[Any]]


class EngineOfTheReference:
    """Has the interface of ``engine.Stream``, in single precision."""

    def __init__(self, state: State) -> None:
        tensors = {name: torch.from_numpy(np.array(value)) for name, value in state.items()}
        self._stream = StreamingLocalVQE(LocalVQE.from_state(CONFIG, tensors))

    def process(self, mic: NDArray[np.float32], ref: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._stream.process_hop(torch.from_numpy(mic), torch.from_numpy(ref)).numpy()

    def taps(self) -> dict[str, NDArray[np.float32]]:
        return {name: tap.numpy() for name, tap in self._stream.taps().items()}

    def integer_layers(self) -> int:
        return 0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, State]:
    """A folder with a checkpoint and the file exported from it, and its state."""
    folder, state = tmp_path_factory.mktemp("verify"), random_state(CONFIG, seed=3)
    save_checkpoint(folder / "ckpt.pt", state, CONFIG)
    export.export(folder / "ckpt.pt", folder / "model.gguf")
    return folder, state


@pytest.fixture
def files(made: tuple[Path, State], tmp_path: Path) -> tuple[Path, Path, State]:
    """The same, each test's own."""
    copies = [Path(shutil.copy(made[0] / name, tmp_path)) for name in ("ckpt.pt", "model.gguf")]
    return copies[0], copies[1], dict(made[1])


Files = tuple[Path, Path, State]


def _use_engine(monkeypatch: pytest.MonkeyPatch, engine: Any) -> None:
    monkeypatch.setattr(verify, "_open_stream", lambda *_: engine)


def _changed(state: State, name: str) -> State:
    value = np.array(state[name])
    value.flat[0] += 0.3
    return {**state, name: value}


def test_an_export_is_verified(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint, model, state = files
    _use_engine(monkeypatch, EngineOfTheReference(state))
    result = verify.verify(checkpoint, model, seconds=SECONDS)
    assert result.ok
    assert result.first_drift is None
    assert result.changed_tensors == ()
    assert result.config == CONFIG
    assert {row.name for row in result.tensors} == set(gguf_file.read(model).tensors)
    assert [row.name for row in result.blocks][-1] == "output"
    assert all(row.snr_db > 80 for row in result.blocks)
    assert all(row.max_abs > 0 for row in result.blocks)  # double against single precision: the two did run apart


@pytest.mark.parametrize(
    ("weight", "block"),
    [
        ("encoder.conv.weight", "mic_spectrum"),
        ("far_enc1.conv.bias", "far_enc1"),
        ("far_enc2.resblock.norm.bias", "far_enc2"),
        ("mic_enc1.conv.bias", "mic_enc1"),
        ("align.pconv_mic.bias", "delay"),
        ("mic_enc3.norm.weight", "mic_enc3"),
        ("bottleneck.D", "bottleneck"),
        ("dec4.skip_conv.bias", "dec4"),
        ("dec1.deconv.conv.bias", "dec1"),
        ("mask.v_imag", "enhanced"),
        ("decoder.linear.weight", "output"),
    ],
)
def test_the_first_block_that_drifts_is_named(
    files: Files, monkeypatch: pytest.MonkeyPatch, weight: str, block: str
) -> None:
    checkpoint, model, state = files
    _use_engine(monkeypatch, EngineOfTheReference(_changed(state, weight)))
    result = verify.verify(checkpoint, model, seconds=0.2)
    assert not result.ok
    assert result.first_drift == block
    assert result.changed_tensors == ()


def test_a_changed_weight_in_the_file_is_found_even_if_the_output_hardly_moves(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, model, state = files
    tensors = gguf_file.read(model)
    arrays = {name: tensors.array(name) for name in tensors.tensors}
    arrays["dec5.resblock.conv.weight"].flat[17] += 1e-5
    gguf_file.write(model, CONFIG, arrays)
    _use_engine(monkeypatch, EngineOfTheReference(state))
    result = verify.verify(checkpoint, model, seconds=SECONDS)
    assert result.changed_tensors == ("dec5.resblock.conv.weight",)
    assert result.first_drift is None
    assert not result.ok


def test_drift_that_begins_late_is_found(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint, model, state = files

    class LateError(EngineOfTheReference):
        hops = 0

        def taps(self) -> dict[str, NDArray[np.float32]]:
            self.hops += 1
            found = super().taps()
            return {**found, "dec3": found["dec3"] + (0.01 if self.hops == 20 else 0)}

    _use_engine(monkeypatch, LateError(state))
    assert verify.verify(checkpoint, model, seconds=SECONDS).first_drift == "dec3"


def test_a_nan_is_drift(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint, model, state = files

    class NaNOnce(EngineOfTheReference):
        hops = 0

        def process(self, mic: NDArray[np.float32], ref: NDArray[np.float32]) -> NDArray[np.float32]:
            self.hops += 1
            return super().process(mic, ref) * np.float32(math.nan if self.hops == 5 else 1)

    _use_engine(monkeypatch, NaNOnce(state))
    result = verify.verify(checkpoint, model, seconds=SECONDS)
    assert result.first_drift == "output"
    assert math.isnan(result.blocks[-1].max_abs)


def test_an_engine_without_a_block_is_refused(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint, model, state = files

    class Blind(EngineOfTheReference):
        def taps(self) -> dict[str, NDArray[np.float32]]:
            return {name: tap for name, tap in super().taps().items() if name != "align"}

    _use_engine(monkeypatch, Blind(state))
    with pytest.raises(LocalVQEError, match="align"):
        verify.verify(checkpoint, model, seconds=SECONDS)


def test_files_of_different_models_are_told_apart_before_anything_runs(files: Files, tmp_path: Path) -> None:
    checkpoint, model, _ = files
    other = narrow_config(2, dmax=7)
    gguf_file.write(model, other, export.fold(other, random_state(other)))
    with pytest.raises(LocalVQEError, match=r"dmax is 7 there and 4 here") as caught:
        verify.verify(checkpoint, model)
    assert caught.value.exit_code == 1


def test_a_checkpoint_without_a_config_takes_it_from_the_file(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint, model, state = files
    save_checkpoint(checkpoint, state)
    _use_engine(monkeypatch, EngineOfTheReference(state))
    assert verify.verify(checkpoint, model, seconds=SECONDS).ok


def test_given_signals_are_used_to_their_last_sample(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint, model, state = files
    mic = np.zeros(1000, np.float32)
    mic[-1] = 0.5
    _use_engine(monkeypatch, EngineOfTheReference(state))
    output = verify.verify(checkpoint, model, mic=mic).blocks[-1]
    assert output.peak > 0.05
    assert output.passed


@pytest.mark.parametrize(
    ("arguments", "error", "expected"),
    [
        ({"ref": np.zeros(300)}, UsageError, "without a microphone"),
        ({"mic": np.zeros(300), "ref": np.zeros(301)}, AudioError, "same shape"),
        ({"mic": np.zeros(0)}, AudioError, "same shape"),
        ({"mic": np.full(300, np.nan)}, AudioError, "finite"),
        ({"tolerance": math.nan}, UsageError, "tolerance"),
        ({"seconds": 0.0}, UsageError, "seconds|s of signal"),
    ],
)
def test_unusable_requests(files: Files, arguments: dict[str, Any], error: type[Exception], expected: str) -> None:
    with pytest.raises(error, match=expected):
        verify.verify(files[0], files[1], **arguments)


def test_the_result_is_plain_data(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint, model, state = files
    _use_engine(monkeypatch, EngineOfTheReference(_changed(state, "bottleneck.D")))
    found = json.loads(json.dumps(verify.verify(checkpoint, model, seconds=SECONDS).to_dict()))
    assert found["passed"] is False
    assert found["first_drift"] == "bottleneck"
    assert found["blocks"][0]["name"] == "mic_spectrum"
    assert found["config"]["version"] == 2


def test_the_builtin_signal_is_the_same_every_time_and_at_the_level_of_speech() -> None:
    first, second = verify.builtin_signals(2.0), verify.builtin_signals(2.0)
    for signal, again in zip(first, second, strict=True):
        assert np.array_equal(signal, again)
        assert signal.shape == (32000,)
        assert 0.02 < np.sqrt(np.mean(signal**2)) < 0.2
        assert np.abs(signal).max() < 1
