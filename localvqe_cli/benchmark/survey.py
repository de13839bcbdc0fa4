"""All models side by side: the published shapes with random weights, which take as long as trained ones, and ours."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .. import gguf_file
from ..bases import standard_bases
from ..config import ModelConfig
from ..errors import MissingExtraError
from ..onnx_file.format import SUFFIX
from ..onnx_file.writer import export_onnx
from ..quantization import quantize
from ..tensors import gguf_shapes, quantizable_shapes
from .result import BenchReport
from .runner import BenchOptions, run_bench

__all__ = ["PUBLISHED", "Row", "survey", "write_random_model"]

#: Configurations of the published models.
PUBLISHED = {
    "v1": ModelConfig(version=1),
    "v1.1": ModelConfig(version=2),
    "v1.2": ModelConfig(version=3, dmax=64),
    "v1.3": ModelConfig(
        version=3,
        mic_channels=(2, 112, 32, 104, 96, 152),
        far_channels=(2, 64, 32),
        dmax=64,
        bottleneck_hidden=256,
    ),
}
#: The shape that is timed in every type and through onnxruntime as well, and models of our own.
_CLOSER, _OWN = "v1.1", ("default", "denoise")
_TYPES = ("Q8_0", "Q4_K")
#: Live streams that are fed in real time.
_LIVE = 8


@dataclass(frozen=True)
class Row:
    """One model of a survey: what it is called there, and what was found."""

    name: str
    report: BenchReport


def survey(options: BenchOptions, progress: Callable[[str], None] = lambda _: None) -> Iterator[Row]:
    """Measure one model after the other, each as ``options`` say and 8 live streams as well; networks of the published
    shape v1.1 in every storage type, and in onnxruntime where it is installed.

    Raises:
        ModelError, EngineError: as :class:`Enhancer`.
    """
    live = replace(options, streams=_LIVE)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for shape, config in PUBLISHED.items():
            model = folder / f"{shape}.gguf"
            write_random_model(model, config)
            progress(shape)
            yield Row(shape, run_bench(str(model), live, progress=progress))
        closer = folder / f"{_CLOSER}.gguf"
        for kind in _TYPES:
            progress(f"{_CLOSER} {kind}")
            small = quantize(closer, folder / f"{kind}.gguf", kind).output
            yield Row(f"{_CLOSER} {kind}", run_bench(str(small), live, progress=progress))
        for own in _OWN:
            progress(own)
            yield Row(own, run_bench(own, live, progress=progress))
        onnx = replace(options, modes=("stream",), threads=(1,), precision="auto")  # the file's own numbers
        for name, source in {_CLOSER: str(closer), **{own: own for own in _OWN}}.items():
            label = f"{name}, onnxruntime"
            try:
                path = export_onnx(source, folder / f"{name}{SUFFIX}").output
                progress(label)
                yield Row(label, run_bench(str(path), onnx, progress=progress))
            except MissingExtraError:
                return


def write_random_model(path: Path, config: ModelConfig, seed: int = 0) -> None:
    """A model file of random weights at a level at which signals neither grow nor vanish."""
    rng = np.random.default_rng(seed)
    bases = standard_bases(config)
    weights = quantizable_shapes(config)

    def drawn(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        if name in bases:
            return bases[name]
        if name in weights or len(shape) > 1:
            return rng.normal(0.0, math.sqrt(0.7 / math.prod(shape[1:])), shape).astype(np.float32)
        if name.endswith((".a_real", ".a_imag")):  # within the unit circle
            return np.full(shape, 0.6, np.float32)
        level = 1.0 if name.endswith(("norm.weight", ".scale", ".D")) else 0.1
        return np.full(shape, level, np.float32)

    tensors = {name: drawn(name, shape) for name, shape in gguf_shapes(config).items()}
    gguf_file.write(path, config, tensors, {"general.name": path.stem})
