"""What the engine makes of the calibration clips, and what a change of weights does to that."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import gguf_file
from ..config import MIC_STAGES, ModelConfig
from ..engine import Enhancer
from ..errors import AudioError
from ..geometry import HOP, MODEL_RATE
from ..gguf_file import PackedTensor
from ..signal_path import align_reference
from ..tensors import quantizable_shapes
from .clips import CalibrationClip

__all__ = ["Bench", "input_importance", "snr_db"]

Weights = NDArray[np.float32]
Noise = NDArray[np.float64]


def snr_db(noise: Noise) -> Noise:
    """dB of noise powers relative to the signal's, (n,); infinite where there is none."""
    with np.errstate(divide="ignore"):
        result: Noise = -10.0 * np.log10(noise)
    return result


class Bench:
    """A model in F32 and the clips it is measured on.

    Args:
        config: hyperparameters of the model.
        tensors: name -> float32 array, as ``gguf_file.write`` takes them.
        clips: pairs at 16 kHz.
        align: move the references as ``enhance`` moves them.
        threads: workers of the engine; results do not depend on them.
        left_out: tensors that only the model compared with has, since the engine computes them.

    Raises:
        AudioError: the model's output for one of the clips is silence, against which no error can be held.
    """

    def __init__(
        self,
        config: ModelConfig,
        tensors: Mapping[str, Weights],
        clips: Sequence[CalibrationClip],
        *,
        align: bool = True,
        threads: int = 1,
        left_out: Collection[str] = (),
    ) -> None:
        self.config = config
        self.clips = tuple(clips)
        if align:
            self.clips = tuple(replace(clip, ref=align_reference(clip.mic, clip.ref, config)) for clip in clips)
        self._tensors = dict(tensors)
        self._left_out = frozenset(left_out)
        self._threads = threads
        self._outputs = self._run(self._tensors)
        self._powers = np.array([float(np.sum(np.square(y, dtype=np.float64))) for y in self._outputs])
        for clip, power in zip(self.clips, self._powers, strict=True):
            if power == 0:
                raise AudioError(f"{clip.id}: the model gives silence, so no error could be seen in it; leave it out")

    def noise(self, changed: Mapping[str, Weights | PackedTensor]) -> Noise:
        """Noise over signal power of each clip, (clips,), with some tensors replaced."""
        tensors = {name: tensor for name, tensor in self._tensors.items() if name not in self._left_out}
        found = self._run(tensors | dict(changed))
        errors = [np.sum(np.square(y - want, dtype=np.float64)) for y, want in zip(found, self._outputs, strict=True)]
        result: Noise = np.array(errors) / self._powers
        return result

    def excerpts(self, seconds: float) -> Bench:
        """The same model on the liveliest ``seconds`` of each clip."""
        length = int(seconds * MODEL_RATE) // HOP * HOP
        pieces = []
        for clip, output in zip(self.clips, self._outputs, strict=True):
            energy = np.add.reduceat(np.square(output, dtype=np.float64), np.arange(0, output.size, HOP))
            window = max(1, length // HOP)
            sums = np.convolve(energy, np.ones(window), "valid") if energy.size > window else np.ones(1)
            start = int(np.argmax(sums)) * HOP
            pieces.append(CalibrationClip(clip.id, clip.mic[start : start + length], clip.ref[start : start + length]))
        return Bench(self.config, self._tensors, pieces, align=False, threads=self._threads, left_out=self._left_out)

    def importance(self) -> dict[str, Weights]:
        """Name -> mean square of what each column of a quantizable weight is multiplied with, over all clips; of the
        weight's PyTorch shape without its first axis."""
        with tempfile.TemporaryDirectory(prefix="localvqe-") as folder:
            path = Path(folder) / "model.gguf"
            gguf_file.write(path, self.config, self._tensors)
            enhancer = Enhancer(path, threads=self._threads)
            stream = enhancer.stream(max_hops=enhancer.clip_hops)
        stream.set_observing(True)
        for clip in self.clips:
            stream.reset()
            stream.process(clip.mic, clip.ref)
        return {
            name: input_importance(self.config, name, shape, stream.input_power(name))
            for name, shape in quantizable_shapes(self.config).items()
        }

    def _run(self, tensors: Mapping[str, Any]) -> list[Weights]:
        with tempfile.TemporaryDirectory(prefix="localvqe-") as folder:
            path = Path(folder) / "model.gguf"
            gguf_file.write(path, self.config, tensors)
            enhancer = Enhancer(path, threads=self._threads)
        return [enhancer.enhance(clip.mic, clip.ref) for clip in self.clips]


def input_importance(config: ModelConfig, name: str, shape: tuple[int, ...], power: Weights) -> Weights:
    """Channel powers (channels,) spread over the columns of a weight: (I, kh, kw) or (I,)."""
    if name == "bottleneck.input_proj.weight":  # flattened channels by bins
        return np.repeat(power, config.freqs(MIC_STAGES))
    channels = power[: shape[1]]  # the engine rounds widths up to whole vectors
    return np.broadcast_to(channels.reshape(-1, *(1,) * (len(shape) - 2)), shape[1:]).astype(np.float32)
