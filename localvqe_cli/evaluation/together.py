"""Have models enhance many clips at once, where their backend is made for that; scoring is the same afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import islice

from ..audio import MODEL_RATE
from ..clip_group import ClipGroup, GroupModel
from ..errors import LocalVQEError
from ..signal_path import read_at_model_rate
from .result import SystemInfo
from .scoring import Output, Plan, Settings, enhance_samples, load_model

__all__ = ["enhance_together"]


def enhance_together(plans: Iterator[Plan], systems: Sequence[SystemInfo], settings: Settings) -> Iterator[Plan]:
    """The same plans in the same order, with the outputs of models that still have something to be scored.

    Does nothing on backends on which every clip had better be on its own.

    Raises:
        EngineError: a device gives up.
    """
    if settings.on_cpu:
        yield from plans
        return
    with ExitStack() as stack:
        groups: dict[str, ClipGroup] = {}
        for system in systems:
            if system.kind == "model" and system.source is not None:
                model = load_model(system.source, settings)
                if (streams := model.group_streams) > 1:
                    groups[system.name] = stack.enter_context(ClipGroup(model, streams))
        most = max((group.streams for group in groups.values()), default=1)
        while batch := list(islice(plans, most)):
            for name, group in groups.items():
                _run(group, name, [made for made in batch if made.todo.get(name)], settings)
            yield from batch


def _run(group: ClipGroup, name: str, plans: list[Plan], settings: Settings) -> None:
    def work(model: GroupModel, made: Plan) -> Output | LocalVQEError:
        assert made.clip.ref is not None
        try:
            mic, ref = read_at_model_rate(made.clip.mic), read_at_model_rate(made.clip.ref)
            return enhance_samples(model, mic, ref, align=settings.align)
        except LocalVQEError as exc:
            return exc

    started = time.perf_counter()
    found = list(group.map(work, plans))
    wall = time.perf_counter() - started
    seconds = sum(len(output[0]) for output in found if not isinstance(output, LocalVQEError)) / MODEL_RATE
    for made, output in zip(plans, found, strict=True):
        # A clip's own time says nothing here: it waited for the others.
        made.outputs[name] = output if isinstance(output, LocalVQEError) else (output[0], wall / seconds)
