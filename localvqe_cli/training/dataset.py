"""Scenes by number: clip ``i`` of a seed is the same whoever computes it, whenever."""

from __future__ import annotations

import itertools
import math
import os
import signal
from collections.abc import Generator, Iterator
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from .corpus import load_corpus
from .decode import Progress
from .manifest import read_manifest
from .options import GainRecipe, Recipe
from .rooms import load_rooms
from .scene import Scene, SceneMaker, SceneOptions

__all__ = ["HELD_OUT_ROOMS", "HELD_OUT_SEED", "Batch", "SceneDataset", "batches", "make_datasets"]

#: Of the held-out clips: the same for every run, so that runs can be compared.
HELD_OUT_SEED = 990_001
HELD_OUT_ROOMS = 64
#: What an adaptive filter learns from: no noise-only and no silent scenes, there is nothing for it in them.
_GAIN_MIX = {"doubletalk": 0.62, "farend": 0.26, "nearend": 0.12}
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


def make_datasets(
    data: str | os.PathLike[str],
    cache: str | os.PathLike[str],
    recipe: Recipe | GainRecipe,
    progress: Progress | None = None,
) -> tuple[SceneDataset, SceneDataset | None]:
    """Scenes to train on, and held-out ones if the manifest lists speech for them.

    Args:
        data: a manifest, or the folder that has one.
        cache: where decoded recordings and rooms are kept.
        recipe: says what the scenes are for.
        progress: hears of what is made.

    Raises:
        UsageError, AudioError: a manifest or recording that cannot be used.
    """
    entries = read_manifest(data)
    options, easy_clips = SceneOptions(seconds=recipe.seconds), 0
    if isinstance(recipe, GainRecipe):
        options = SceneOptions(seconds=recipe.seconds, mix=_GAIN_MIX)
    else:
        easy_clips = recipe.easy_clips
    corpus = load_corpus(entries, cache, "train", progress)
    rooms = load_rooms(cache, recipe.rooms, recipe.seed, progress)
    easy = SceneMaker(corpus, rooms, options.easy()) if easy_clips else None
    training = SceneDataset(SceneMaker(corpus, rooms, options), recipe.seed, easy=easy, easy_clips=easy_clips)
    if not any(entry.kind == "speech" and entry.split == "valid" for entry in entries):
        return training, None
    held_out_rooms = load_rooms(cache, HELD_OUT_ROOMS, HELD_OUT_SEED, progress)
    maker = SceneMaker(load_corpus(entries, cache, "valid", progress), held_out_rooms, options)
    return training, SceneDataset(maker, HELD_OUT_SEED)


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
    torch.set_num_threads(1)
    # Ctrl-C reaches the whole process group; the main process decides when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
