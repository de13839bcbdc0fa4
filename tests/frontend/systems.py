"""The ways to put a scene through a front-end: the compiled engine, hop by hop, or the PyTorch reference in a batch."""

from __future__ import annotations

import ctypes
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from localvqe_cli.config import FrontendConfig, ModelConfig
from localvqe_cli.engine import Enhancer, Stream

from .scenes import HOP, Scene
from .signals import Samples

__all__ = ["Heard", "filter_model", "through_engine", "through_reference"]


@dataclass
class Heard:
    """What became of a scene of N samples.

    Attributes:
        error: (N,) what the adaptive filter left of the microphone, or the microphone itself if there is no filter.
        out: (N,) what the whole model says, aligned with the microphone; None for the filter alone.
        offset: (N // 256,) the filter's delay in frames; None if it does not tell.
    """

    error: Samples
    out: Samples | None
    offset: NDArray[np.int64] | None


@contextmanager
def filter_model(config: FrontendConfig | None = None) -> Iterator[Path]:
    """A model file with a front-end and nothing behind it."""
    from localvqe_cli import export, gguf_file

    model = ModelConfig(frontend=config or FrontendConfig(), network=False)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "filter.gguf"
        gguf_file.write(path, model, export.fold(model, {}))
        yield path


def through_engine(model: str | os.PathLike[str] | None, scene: Scene) -> Heard:
    """A stream of hops through ``model``, a path or a name as ``localvqe.Enhancer`` takes it."""
    enhancer = Enhancer(model)
    stream = enhancer.stream()
    hops = len(scene.mic) // HOP
    error, out, offset = scene.mic.copy(), np.zeros(len(scene.mic) + HOP, np.float32), np.zeros(hops, np.int64)
    for hop in range(hops):
        part = slice(hop * HOP, (hop + 1) * HOP)
        out[part] = stream.process(scene.mic[part], scene.ref[part])
        if enhancer.config.frontend is not None:
            error[part] = _tap(stream, "frontend_error", HOP)
            offset[hop] = _offset(stream, enhancer.config)
    out[hops * HOP :] = stream.flush()[:HOP]
    return Heard(error, out[HOP:], offset if enhancer.config.frontend is not None else None)


def _tap(stream: Stream, name: str, size: int) -> Samples:
    """One tap of the latest hop: reading all of them, as :meth:`Stream.taps` does, costs more than the hop."""
    values = np.empty(size, np.float32)
    status = stream._lib.localvqe_tap_read(stream._ctx, name.encode(), _floats(values), size)
    assert status >= 0, f"tap {name}: {status}"
    return values


def _offset(stream: Stream, config: ModelConfig) -> int:
    """The engine tells the delay of filter and network together; the network's part is in a tap, oldest lag first."""
    frames = int(stream._lib.localvqe_current_delay(stream._ctx, None))
    return frames - (config.dmax - 1 - int(_tap(stream, "delay", config.dmax).argmax())) if config.network else frames


def _floats(values: Samples) -> Any:
    return values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))


def through_reference(scenes: list[Scene], checkpoint: str | None = None) -> list[Heard]:
    """All scenes through the PyTorch model of ``checkpoint``, or through the default front-end alone.

    Scenes of one length go through at once.
    """
    import torch

    model = _reference_model(checkpoint)
    lengths = [len(scene.mic) for scene in scenes]
    heard: dict[int, Heard] = {}
    with torch.no_grad():
        for length in sorted(set(lengths)):
            rows = [row for row, own in enumerate(lengths) if own == length]
            for row, result in zip(rows, _batch(model, [scenes[row] for row in rows]), strict=True):
                heard[row] = result
    return [heard[row] for row in range(len(scenes))]


def _reference_model(checkpoint: str | None) -> Any:
    from localvqe_cli.checkpoint import read
    from localvqe_cli.reference import LocalVQE

    if checkpoint is None:
        return LocalVQE(ModelConfig(frontend=FrontendConfig(), network=False)).eval()
    content = read(checkpoint)
    return LocalVQE.from_state(content.config, content.state)


def _batch(model: Any, scenes: list[Scene]) -> list[Heard]:
    import torch

    from localvqe_cli.reference.history import History

    mic, ref = (
        torch.from_numpy(np.stack(x).reshape(len(scenes), -1, HOP))
        for x in ([scene.mic for scene in scenes], [scene.ref for scene in scenes])
    )
    history, taps = History(), {}
    out, error, offset = [], [], []
    for hop in range(mic.shape[1]):
        out.append(model.run(mic[:, hop : hop + 1], ref[:, hop : hop + 1], history=history, taps=taps).numpy())
        error.append(taps.get("frontend_error", mic[:, None, hop : hop + 1])[:, 0, 0].numpy())
        state: Any = history.recall_object(model.frontend) if model.frontend is not None else None
        offset.append(np.zeros(len(scenes)) if state is None else state.search.offset.numpy().copy())
    silence = torch.zeros(len(scenes), 1, HOP)
    out.append(model.run(silence, silence, history=history).numpy())
    said, left = np.concatenate(out[1:], axis=1), np.concatenate(error, axis=1)
    delays = np.stack(offset, axis=1).astype(np.int64)
    known = model.frontend is not None
    return [Heard(left[row], said[row], delays[row] if known else None) for row in range(len(scenes))]
