"""The convolving mask against complex arithmetic, and its identity."""

from __future__ import annotations

import numpy as np
import torch
from reference_models import noise

from localvqe_cli.reference import History
from localvqe_cli.reference.mask import ConvolvingMask


def test_mask_is_a_complex_3x3_convolution_with_kernels_that_vary() -> None:
    frames, bins = 4, 5
    mask, spectrum = noise(1, 27, frames, bins, seed=1, level=1.0), noise(1, bins, frames, 2, seed=2, level=1.0)
    roots = np.exp(2j * np.pi / 3 * np.arange(3))
    kernel = np.einsum("r,rktf->ktf", roots, mask[0].double().numpy().reshape(3, 9, frames, bins))
    z = spectrum[0, ..., 0].double().numpy() + 1j * spectrum[0, ..., 1].double().numpy()
    expected = np.zeros((bins, frames), dtype=complex)
    for f, t, m, n in np.ndindex(bins, frames, 3, 3):
        if t + m - 2 >= 0 and 0 <= f + n - 1 < bins:
            expected[f, t] += kernel[3 * m + n, t, f] * z[f + n - 1, t + m - 2]
    out = ConvolvingMask()(mask, spectrum)[0].double().numpy()
    np.testing.assert_allclose(out[..., 0] + 1j * out[..., 1], expected, atol=1e-5)


def test_tap_7_of_the_real_basis_is_the_identity() -> None:
    mask = torch.zeros(1, 27, 6, 256)
    mask[:, 7] = 1.0
    spectrum = noise(1, 256, 6, 2)
    assert torch.equal(ConvolvingMask()(mask, spectrum), spectrum)


def test_frame_by_frame_equals_the_clip() -> None:
    module = ConvolvingMask()
    mask, spectrum = noise(1, 27, 7, 5, seed=1), noise(1, 5, 7, 2, seed=2)
    history = History()
    pieces = [
        module(m, s, history)
        for m, s in zip(mask.split([1, 1, 5], dim=2), spectrum.split([1, 1, 5], dim=2), strict=True)
    ]
    torch.testing.assert_close(torch.cat(pieces, dim=2), module(mask, spectrum), atol=1e-6, rtol=0)
