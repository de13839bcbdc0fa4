"""The reference against what a correct implementation computed from the same checkpoints."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from golden_vectors import HOP, Vectors
from numpy.typing import NDArray
from torch import Tensor

from localvqe_cli.reference import LocalVQE, StreamingLocalVQE

OUTPUT_TOLERANCE = 2e-5
# Relative to a block's peak: single-precision logits of some hundreds, divided by tau, put 2e-4 of rounding on features
# of magnitude 17 in the golden vectors themselves (against the same model in double precision).
TAP_TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def model(vectors: Vectors) -> LocalVQE:
    state = {name: torch.from_numpy(np.array(value)) for name, value in vectors.state.items()}
    return LocalVQE.from_state(vectors.config, state)


@pytest.fixture(scope="module")
def run(vectors: Vectors, model: LocalVQE) -> tuple[Tensor, dict[str, Tensor]]:
    taps: dict[str, Tensor] = {}
    with torch.no_grad():
        out = model(torch.from_numpy(vectors.mic)[None], torch.from_numpy(vectors.ref)[None], taps)
    return out[0], taps


def test_centred_output(vectors: Vectors, run: tuple[Tensor, dict[str, Tensor]]) -> None:
    np.testing.assert_allclose(run[0].numpy(), vectors.centred, atol=OUTPUT_TOLERANCE, rtol=0)


def test_taps(vectors: Vectors, run: tuple[Tensor, dict[str, Tensor]]) -> None:
    taps = run[1]
    assert {*vectors.blocks, *vectors.norms} == set(taps) - {"delay"}
    for name, (frames, expected) in vectors.blocks.items():
        _assert_near(taps[name][0][:, frames].numpy(), expected, name)
    for name, expected in vectors.norms.items():
        _assert_near(taps[name][0].square().sum(dim=(0, 2)).sqrt().numpy(), expected, f"norm of {name}")
    assert (vectors.delay is not None) == vectors.config.network
    if vectors.delay is not None:
        assert np.mean(taps["delay"][0].argmax(dim=-1).numpy() == vectors.delay.argmax(axis=-1)) > 0.99


def _assert_near(actual: NDArray[Any], expected: NDArray[Any], name: str) -> None:
    peak = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(actual, expected, atol=TAP_TOLERANCE * peak, rtol=0, err_msg=name)


def test_stream(vectors: Vectors, model: LocalVQE) -> None:
    stream = StreamingLocalVQE(model)
    # Several times as long as what convolutions and attention look back.
    mic, ref = (torch.from_numpy(side[: 128 * HOP]).split(HOP) for side in (vectors.mic, vectors.ref))
    out = torch.cat([stream.process_hop(*pair) for pair in zip(mic, ref, strict=True)])
    np.testing.assert_allclose(out.numpy(), vectors.stream[: len(out)], atol=OUTPUT_TOLERANCE, rtol=0)
