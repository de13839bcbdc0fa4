"""The codec against an FFT, its reconstruction, and the power law."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
import torch
from reference_models import noise

from localvqe_cli.bases import dct_basis, stft_basis
from localvqe_cli.config import ModelConfig
from localvqe_cli.errors import UsageError
from localvqe_cli.reference.features import power_law
from localvqe_cli.reference.filterbank import Analysis, Synthesis, split_hops


def test_stft_rows_are_the_bins_1_to_256_of_an_fft() -> None:
    frame = noise(512, seed=1).double().numpy()
    window = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(512) + 0.5) / 512))
    bins = np.fft.rfft(window * frame)[1:]
    expected = np.stack([bins.real, bins.imag], axis=1).reshape(-1)
    np.testing.assert_allclose(stft_basis()[0].astype(float) @ frame, expected, atol=1e-6)


def test_dct_basis_is_the_orthonormal_dct_ii() -> None:
    frame = noise(512, seed=1).double().numpy()
    analysis, synthesis = dct_basis()
    np.testing.assert_allclose(analysis.astype(float) @ frame, scipy.fft.dct(frame, norm="ortho"), atol=1e-6)
    np.testing.assert_allclose(synthesis @ analysis, np.eye(512), atol=1e-6)


def test_frame_t_covers_the_hop_before_it_and_its_own() -> None:
    wave = noise(1, 1000, seed=2)
    spectrum = Analysis(ModelConfig(version=2))(split_hops(wave))
    padded = np.pad(wave[0].numpy(), (256, 512))
    for t in range(4):
        frame = torch.from_numpy(padded[256 * t : 256 * t + 512])
        torch.testing.assert_close(
            spectrum[0, :, t].reshape(-1), torch.from_numpy(stft_basis()[0]) @ frame, atol=1e-5, rtol=0
        )


@pytest.mark.parametrize("samples", [1, 255, 256, 257, 48000])
def test_a_centred_codec_has_one_frame_more_than_whole_hops(samples: int) -> None:
    assert split_hops(torch.zeros(3, samples)).shape == (3, samples // 256 + 1, 256)


def _codec(version: int, wave: torch.Tensor) -> torch.Tensor:
    config = ModelConfig(version=version)
    return Synthesis(config)(Analysis(config)(split_hops(wave)))[:, 256:]


def test_the_dct_codec_is_exact() -> None:
    wave = noise(2, 48 * 256, seed=3)
    torch.testing.assert_close(_codec(1, wave), wave, atol=1e-6, rtol=0)


def test_the_stft_codec_loses_the_constant_part_and_half_the_nyquist_bin_only() -> None:
    t = torch.arange(48 * 256) / 16000
    speech_band = torch.sin(2 * torch.pi * 440 * t)[None]
    torch.testing.assert_close(_codec(2, speech_band)[:, 512:-512], speech_band[:, 512:-512], atol=2e-3, rtol=0)
    constant = torch.ones(1, 48 * 256)
    assert _codec(2, constant).abs().max() < 0.7


def test_hops_one_at_a_time_give_the_same_spectrum() -> None:
    from localvqe_cli.reference import History

    analysis = Analysis(ModelConfig(version=2))
    hops = noise(1, 6, 256, seed=4)
    history = History()
    pieces = [analysis(hops[:, i : i + 1], history) for i in range(6)]
    torch.testing.assert_close(torch.cat(pieces, dim=2), analysis(hops), atol=1e-6, rtol=0)


def test_a_waveform_needs_a_batch_axis() -> None:
    with pytest.raises(UsageError, match=r"\(B, N\)"):
        split_hops(torch.zeros(100))


@pytest.mark.parametrize("c", [0.3, 1.0])
def test_power_law_compresses_the_magnitude_and_keeps_the_direction(c: float) -> None:
    spectrum = noise(2, 5, 3, 2, seed=5, level=2.0)
    out = power_law(spectrum, c)
    assert out.shape == (2, 2, 3, 5)
    for b, f, t in np.ndindex(2, 5, 3):
        z = spectrum[b, f, t].double()
        magnitude = torch.sqrt(z[0] ** 2 + z[1] ** 2 + 1e-12)
        torch.testing.assert_close(out[b, :, t, f].double(), z / (magnitude ** (1 - c) + 1e-12), atol=1e-6, rtol=1e-6)


def test_power_law_of_silence_is_silence() -> None:
    out = power_law(torch.zeros(1, 256, 2, 2), 0.3)
    assert torch.equal(out, torch.zeros(1, 2, 2, 256))
