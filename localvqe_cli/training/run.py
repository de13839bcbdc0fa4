"""From a manifest to a training run."""

from __future__ import annotations

import os

from .corpus import load_corpus
from .dataset import SceneDataset
from .decode import Progress
from .loop import Trainer, TrainingResult
from .manifest import read_manifest
from .rooms import load_rooms
from .scene import SceneMaker, SceneOptions

__all__ = ["HELD_OUT_ROOMS", "HELD_OUT_SEED", "make_datasets", "train"]

#: Of the held-out clips: the same for every run, so that runs can be compared.
HELD_OUT_SEED = 990_001
HELD_OUT_ROOMS = 64


def make_datasets(
    data: str | os.PathLike[str], cache: str | os.PathLike[str], trainer: Trainer, progress: Progress | None = None
) -> tuple[SceneDataset, SceneDataset | None]:
    """Scenes to train on, and held-out ones if the manifest lists speech for them; ``progress`` hears of what is made.

    Raises:
        UsageError, AudioError: a manifest or recording that cannot be used.
    """
    recipe = trainer.recipe
    entries = read_manifest(data)
    options = SceneOptions(seconds=recipe.seconds)
    corpus = load_corpus(entries, cache, "train", progress)
    rooms = load_rooms(cache, recipe.rooms, recipe.seed, progress)
    training = SceneDataset(
        SceneMaker(corpus, rooms, options),
        recipe.seed,
        easy=SceneMaker(corpus, rooms, options.easy()),
        easy_clips=recipe.easy_clips,
    )
    if not any(entry.kind == "speech" and entry.split == "valid" for entry in entries):
        return training, None
    held_out_rooms = load_rooms(cache, HELD_OUT_ROOMS, HELD_OUT_SEED, progress)
    maker = SceneMaker(load_corpus(entries, cache, "valid"), held_out_rooms, options)
    return training, SceneDataset(maker, HELD_OUT_SEED)


def train(trainer: Trainer, data: str | os.PathLike[str], cache: str | os.PathLike[str]) -> TrainingResult:
    """Make the scenes of ``data`` and run ``trainer`` on them; see both."""
    training, held_out = make_datasets(data, cache, trainer)
    return trainer.run(training, held_out)
