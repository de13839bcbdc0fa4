"""Scenes by number: clip ``i`` of a seed is the same whoever computes it, whenever."""

from __future__ import annotations

import itertools
import math
from collections.abc import Generator, Iterator
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from .scene import Scene, SceneMaker

__all__ = ["Batch", "SceneDataset", "batches"]

_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
#: mic, ref, target, (B, N) each; delay, (B, N // 256 + 1), see Scene.
Batch: TypeAlias = tuple[Tensor, Tensor, Tensor, Tensor]


class SceneDataset(Dataset[Batch]):
    """Clips of one seed.

    Args:
        maker: draws the scenes.
        seed: which sequence of scenes.
        easy: draws the first ``easy_clips``; the share of easy clips falls from 1 to 0 over them.
    """

    def __init__(self, maker: SceneMaker, seed: int, *, easy: SceneMaker | None = None, easy_clips: int = 0) -> None:
        self._maker = maker
        self._easy = easy
        self._easy_clips = easy_clips
        self._seed = seed

    def scene(self, index: int) -> Scene:
        """Clip number ``index`` with all that is known about it."""
        rng = np.random.default_rng((self._seed, index))
        # Steps of the golden ratio spread the scenarios over every stretch of clips: each batch has its share of all.
        lot = (0.5 + index * _GOLDEN) % 1.0
        maker = self._maker
        if self._easy is not None and index < self._easy_clips and rng.random() > index / self._easy_clips:
            maker = self._easy
        return maker.make(rng, lot)

    def __getitem__(self, index: int) -> Batch:
        scene = self.scene(index)
        signals = (scene.mic, scene.ref, scene.target, scene.delay)
        mic, ref, target, delay = (torch.from_numpy(np.ascontiguousarray(x)) for x in signals)
        return mic, ref, target, delay


def batches(
    dataset: SceneDataset, first: int, size: int, workers: int, *, stride: int | None = None
) -> Generator[Batch, None, None]:
    """Endless batches of ``size`` clips.

    Args:
        first: number of the first clip.
        workers: processes that make them, which changes only the speed.
        stride: clips from the start of one batch to that of the next; by default ``size``.
    """
    loader = DataLoader(
        dataset,
        batch_size=size,
        sampler=_Numbers(first, size, stride or size),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_start_worker,
        generator=torch.Generator(),  # so that starting it leaves the run's own generator alone
    )
    for mic, ref, target, delay in loader:
        batch: Batch = (mic, ref, target, delay)
        yield batch


class _Numbers(torch.utils.data.Sampler[int]):
    def __init__(self, first: int, size: int, stride: int) -> None:
        self._first, self._size, self._stride = first, size, stride

    def __iter__(self) -> Iterator[int]:
        for start in itertools.count(self._first, self._stride):
            yield from range(start, start + self._size)


def _start_worker(_: int) -> None:
    import signal

    torch.set_num_threads(1)
    # Ctrl-C reaches the whole process group; the main process decides when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
