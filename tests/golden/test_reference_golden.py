"""The reference against what a correct implementation computed from the same checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from conftest import GOLDEN_VERSIONS
from numpy.typing import NDArray
from torch import Tensor

from localvqe_cli.config import ModelConfig
from localvqe_cli.reference import LocalVQE, StreamingLocalVQE

OUTPUT_TOLERANCE = 2e-5
# Relative to a block's peak: single-precision logits of some hundreds, divided by tau, put 2e-4 of rounding on features
# of magnitude 17 in the golden vectors themselves (against the same model in double precision).
TAP_TOLERANCE = 1e-4


def _load(golden: Path, version: str) -> LocalVQE:
    content = torch.load(golden / version / "state.pt", weights_only=True)
    return LocalVQE.from_state(ModelConfig.from_mapping(content["model_config"]), content["model_state_dict"])


@pytest.fixture(scope="module")
def signals(golden: Path) -> tuple[Tensor, Tensor]:
    mic, ref = (
        torch.from_numpy(soundfile.read(golden / "input" / f"{name}.wav", dtype="float32")[0])[None]
        for name in ("mic", "ref")
    )
    return mic, ref


@pytest.fixture(scope="module", params=GOLDEN_VERSIONS)
def run(
    request: pytest.FixtureRequest, golden: Path, signals: tuple[Tensor, Tensor]
) -> tuple[Path, LocalVQE, Tensor, dict[str, Tensor]]:
    model = _load(golden, request.param)
    taps: dict[str, Tensor] = {}
    with torch.no_grad():
        out = model(*signals, taps)
    return golden / request.param, model, out, taps


Run = tuple[Path, LocalVQE, Tensor, dict[str, Tensor]]


def test_centred_output(run: Run) -> None:
    folder, _, out, _ = run
    np.testing.assert_allclose(out[0].numpy(), np.load(folder / "out_centred.npy"), atol=OUTPUT_TOLERANCE, rtol=0)


def test_taps(run: Run) -> None:
    folder, _, _, taps = run
    expected = np.load(folder / "taps.npz")
    compared = []
    for key in expected:
        name = {"mask_f60_70": "dec1"}.get(key, key.removesuffix("_f60_70").removesuffix("_all"))
        if name not in taps:
            continue
        actual = taps[name][0].numpy()
        if key.endswith("_f60_70"):
            actual = actual[:, 60:70]
        _assert_near(actual, expected[key], name)
        compared.append(name)
    assert len(compared) == 18  # 16 blocks, the mask and the bottleneck twice

    for side in ("mic", "ref"):
        energy = taps[f"{side}_spectrum"][0].square().sum(dim=(0, 2)).sqrt()
        _assert_near(energy.numpy(), expected[f"{side}_enc_l2"], f"{side} analysis")
    back = taps["delay"].shape[-1] - 1 - taps["delay"][0].argmax(dim=-1).numpy()
    assert np.mean(back == expected["delay_argmax_frames_back"]) > 0.99


def _assert_near(actual: NDArray[Any], expected: NDArray[Any], name: str) -> None:
    peak = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(actual, expected, atol=TAP_TOLERANCE * peak, rtol=0, err_msg=name)


def test_stream(run: Run, signals: tuple[Tensor, Tensor]) -> None:
    folder, model, _, _ = run
    stream = StreamingLocalVQE(model)
    mic, ref = signals
    out = torch.cat([stream.process_hop(m, r) for m, r in zip(mic[0].split(256), ref[0].split(256), strict=True)])
    np.testing.assert_allclose(out.numpy(), np.load(folder / "out_stream.npy"), atol=OUTPUT_TOLERANCE, rtol=0)
