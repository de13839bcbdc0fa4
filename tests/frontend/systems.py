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
    """The smallest model file with a front-end. Its network is there only because a model must have one."""
    from make_model import narrow_config, random_gguf

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "filter.gguf"
        random_gguf(path, narrow_config(3, frontend=config or FrontendConfig()))
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
    frames = stream._lib.localvqe_current_delay(stream._ctx, None)
    return int(frames - (config.dmax - 1 - int(_tap(stream, "delay", config.dmax).argmax())))


def _floats(values: Samples) -> Any:
    return values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))


def through_reference(scenes: list[Scene], config: FrontendConfig | None = None) -> list[Heard]:
    """All scenes at once through the PyTorch front-end alone; shorter ones are followed by silence."""
    import torch

    from localvqe_cli.reference.frontend import KalmanFrontend
    from localvqe_cli.reference.history import History

    hops = [len(scene.mic) // HOP for scene in scenes]
    mic, ref = (
        torch.from_numpy(
            np.stack([np.pad(x, (0, max(hops) * HOP - len(x))) for x in signals]).reshape(len(x0), -1, HOP)
        )
        for signals, x0 in (([s.mic for s in scenes], scenes), ([s.ref for s in scenes], scenes))
    )
    front, history = KalmanFrontend(config or FrontendConfig()), History()
    errors: list[Any] = []
    offsets: list[Any] = []
    for hop in range(max(hops)):
        errors.append(front(mic[:, hop : hop + 1], ref[:, hop : hop + 1], history)[0][:, 0].numpy())
        offsets.append(getattr(history.recall_object(front), "offset", torch.zeros(len(scenes))).numpy().copy())
    error, offset = np.stack(errors, axis=1), np.stack(offsets, axis=1)
    return [
        Heard(error[row, :count].reshape(-1), None, offset[row, :count].astype(np.int64))
        for row, count in enumerate(hops)
    ]
