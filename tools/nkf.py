"""Outputs of NKF, a linear echo canceller whose Kalman gain is a network's, to compare with.

    python tools/nkf.py weights.npz pairs.tsv OUT

writes ``OUT/nkf/ID_enhanced.wav``, 16 kHz, 16 bit, for ``localvqe eval --enhanced OUT/nkf``. The method: Yang, Jiang,
Wu, Fang and Cao, "Low-complexity acoustic echo cancellation with neural Kalman filtering", ICASSP 2023. The authors
publish weights under BSD-3-Clause; they are no part of this repository. The file holds their arrays under their names.
As the method asks, the bulk delay is removed first, by our own search. docs/reference/evaluation.md quotes the result.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from localvqe_cli.audio import MODEL_RATE, estimate_delay
from localvqe_cli.audio.align import SEARCH_SECONDS
from localvqe_cli.audio.writer import OutputFormat, open_output
from localvqe_cli.evaluation import read_source
from localvqe_cli.signal_path import read_at_model_rate

Array = npt.NDArray[np.float32]
Spectrum = npt.NDArray[np.complex64]
Weights = Mapping[str, Array]

_FFT = 1024
_HOP = 256
_TAPS = 4
_UNITS = 18
_SILENCE = 1e-5  # mean magnitude of the reference below which a frame is passed by


class KalmanGain:
    """The network, over (bins, features) complex; its recurrent state starts at zero."""

    def __init__(self, weights: Weights, bins: int) -> None:
        self._weights = weights
        # Of each real GRU, run on the real and on the imaginary part.
        self._states = np.zeros((2, 2, bins, _UNITS), np.float32)

    def __call__(self, features: Spectrum) -> Spectrum:
        """(bins, 9) -> the gain, (bins, 4)."""
        hidden = self._slope("fc_in.1", self._dense("fc_in.0", features))
        hidden = self._recurrent(hidden)
        hidden = self._slope("fc_out.1", self._dense("fc_out.0", hidden))
        return self._dense("fc_out.2", hidden)

    def _dense(self, name: str, value: Spectrum) -> Spectrum:
        w = self._weights
        real = value.real @ w[f"{name}.linear_real.weight"].T + w[f"{name}.linear_real.bias"]
        return real + 1j * (value.imag @ w[f"{name}.linear_imag.weight"].T + w[f"{name}.linear_imag.bias"])

    def _slope(self, name: str, value: Spectrum) -> Spectrum:
        slope = self._weights[f"{name}.prelu.weight"]
        real, imag = (np.where(part < 0, slope * part, part) for part in (value.real, value.imag))
        return real + 1j * imag

    def _recurrent(self, value: Spectrum) -> Spectrum:
        for unit, name in enumerate(("gru_r", "gru_i")):
            for part, given in enumerate((value.real, value.imag)):
                self._states[unit, part] = self._gru(f"complex_gru.{name}", given, self._states[unit, part])
        (real_real, real_imag), (imag_real, imag_imag) = self._states
        return (real_real - imag_imag) + 1j * (imag_real + real_imag)

    def _gru(self, name: str, given: Array, state: Array) -> Array:
        """One step; the gates lie in PyTorch's order: reset, update, candidate."""
        w = self._weights
        fresh = np.split(given @ w[f"{name}.weight_ih_l0"].T + w[f"{name}.bias_ih_l0"], 3, axis=1)
        kept = np.split(state @ w[f"{name}.weight_hh_l0"].T + w[f"{name}.bias_hh_l0"], 3, axis=1)
        reset, update = (_sigmoid(a + b) for a, b in zip(fresh[:2], kept[:2], strict=True))
        candidate = np.tanh(fresh[2] + reset * kept[2])
        return (1.0 - update) * candidate + update * state


def nkf(weights: Weights, mic: Array, ref: Array) -> Array:
    """The microphone less the estimated echo; (n,) each, at 16 kHz."""
    near, far = _analysis(mic), _analysis(ref)
    frames, bins = near.shape
    gain = KalmanGain(weights, bins)
    before = np.zeros((bins, _TAPS), np.complex64)
    filters = np.zeros((bins, _TAPS), np.complex64)
    heard = np.zeros((bins, _TAPS), np.complex64)  # the last frames of the reference, the oldest first
    echo = np.zeros_like(near)
    for t in range(frames):
        heard = np.concatenate([heard[:, 1:], far[t][:, None]], axis=1)
        if np.abs(heard).mean() < _SILENCE:
            continue
        error = near[t] - (heard * filters).sum(axis=1)
        k = gain(np.concatenate([heard, error[:, None], filters - before], axis=1))
        before, filters = filters, filters + k * error[:, None]
        echo[t] = (heard * filters).sum(axis=1)
    return _synthesis(near - echo, mic.size)


def _sigmoid(value: Array) -> Array:
    return 0.5 + 0.5 * np.tanh(0.5 * value)


def _window() -> Array:
    return (0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(_FFT) / _FFT)).astype(np.float32)


def _analysis(samples: Array) -> Spectrum:
    """(n // 256 + 1, 513), frames centred on every 256th sample, the edges reflected."""
    padded = np.pad(samples, _FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::_HOP]
    return np.fft.rfft(frames * _window(), axis=1).astype(np.complex64)


def _synthesis(spectrum: Spectrum, length: int) -> Array:
    """The inverse of ``_analysis``: windowed again, added up, divided by what the windows add up to."""
    window = _window()
    size = (len(spectrum) - 1) * _HOP + _FFT
    total, weight = np.zeros((2, max(size, length + _FFT)), np.float32)
    for t, frame in enumerate(np.fft.irfft(spectrum, axis=1).astype(np.float32)):
        total[t * _HOP : t * _HOP + _FFT] += frame * window
        weight[t * _HOP : t * _HOP + _FFT] += window**2
    return (total / np.maximum(weight, 1e-8))[_FFT // 2 : _FFT // 2 + length]


def _shifted(ref: Array, shift: int, length: int) -> Array:
    """``ref`` delayed by ``shift`` samples (advanced if negative), cut or filled with zeros to ``length``."""
    out = np.zeros(length, np.float32)
    source = ref[max(0, -shift) :][: max(0, length - max(0, shift))]
    out[max(0, shift) : max(0, shift) + source.size] = source
    return out


def _bulk_delay(mic: str, ref: str) -> int:
    """Samples by which the echo lags the reference; 0 where none is found beyond doubt."""
    found = estimate_delay(*(read_at_model_rate(path, SEARCH_SECONDS) for path in (mic, ref)))
    return round(found.delay_ms * MODEL_RATE / 1000.0) if found is not None and found.trusted else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("weights", type=Path, help="the authors' arrays, under their names in PyTorch")
    parser.add_argument("source", nargs="+", help="what `localvqe eval` takes: manifests or folders")
    parser.add_argument("output", type=Path, help="folder for the folder nkf")
    arguments = parser.parse_args()
    with np.load(arguments.weights) as file:
        weights = {name: file[name] for name in file.files}
    folder = arguments.output / "nkf"
    folder.mkdir(parents=True, exist_ok=True)
    for source in arguments.source:
        for clip in read_source(source):
            assert clip.ref is not None, f"{clip.id} has no reference"
            mic = read_at_model_rate(clip.mic)
            ref = _shifted(read_at_model_rate(clip.ref), _bulk_delay(clip.mic, clip.ref), mic.size)
            path = str(folder / f"{clip.id}_enhanced.wav")
            with open_output(path, MODEL_RATE, OutputFormat("WAV", "PCM_16")) as file:
                file.write(nkf(weights, mic, ref))
    print(f"{folder}: done")


if __name__ == "__main__":
    main()
