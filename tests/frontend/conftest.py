"""Figures of scenes, computed once: what the filter alone makes of them in the compiled engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import pytest

from . import scenes, systems
from .measure import Figures, measure


@pytest.fixture(scope="session")
def figures() -> Iterator[Callable[[str, int], Figures]]:
    """(scene, seed) -> its figures."""
    with systems.filter_model() as model:

        @cache
        def judge(name: str, seed: int) -> Figures:
            scene = scenes.make(name, seed)
            heard = systems.through_engine(model, scene)
            return measure(scene, heard.error, heard.offset)

        yield judge
