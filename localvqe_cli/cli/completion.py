"""What the shell may offer for a word: models by name, types, metrics, sizes.

Where nothing of ours begins as the word does, shells go on to file names. Each function loads what it needs when it is
asked, and nothing that needs an extra.
"""

from __future__ import annotations

from collections.abc import Iterable

import typer

__all__ = [
    "complete_backend",
    "complete_checkpoint",
    "complete_limit",
    "complete_list",
    "complete_model",
    "complete_precision",
    "complete_quantize",
    "complete_system",
    "complete_width",
]


def complete_model(incomplete: str) -> list[str]:
    """Models by name."""
    from ..models import registry

    return _beginning(incomplete, (*registry.EMBEDDED, *(file.short for file in registry.PUBLISHED)))


def complete_backend(incomplete: str) -> list[str]:
    """Where a network may run."""
    from ..engine import BACKENDS

    return _beginning(incomplete, BACKENDS)


def complete_precision(incomplete: str) -> list[str]:
    """In what numbers a network may compute."""
    from ..engine import PRECISIONS

    return _beginning(incomplete, PRECISIONS)


def complete_checkpoint(incomplete: str) -> list[str]:
    """Published checkpoints by name."""
    from ..models import registry

    return _beginning(incomplete, (file.short for file in registry.PUBLISHED if file.is_checkpoint))


def complete_system(incomplete: str) -> list[str]:
    """``[NAME=]MODEL``."""
    name, equals, model = incomplete.rpartition("=")
    return [f"{name}{equals}{found}" for found in complete_model(model)]


def complete_quantize(ctx: typer.Context, incomplete: str) -> list[str]:
    """A model first, then the type."""
    if not ctx.params.get("arguments"):
        return complete_model(incomplete)
    from ..quantization.formats import TYPES

    return _beginning(incomplete, TYPES)


def complete_list(incomplete: str) -> list[str]:
    """The last of a list of metrics, those before it left out."""
    from ..metrics import GROUPS

    before, comma, last = incomplete.rpartition(",")
    given = before.split(",")
    return [f"{before}{comma}{name}" for name in _beginning(last, (name for name in GROUPS if name not in given))]


def complete_limit(incomplete: str) -> list[str]:
    """``METRIC=`` of ``--max-drop``."""
    from ..metrics import FIELDS

    return [f"{key}=" for key in _beginning(incomplete, (item.key for item in FIELDS if item.judged))]


def complete_width(incomplete: str) -> list[str]:
    """Sizes of a model to train."""
    from ..training.presets import WIDTHS

    return _beginning(incomplete, WIDTHS)


def _beginning(incomplete: str, words: Iterable[str]) -> list[str]:
    return [word for word in words if word.startswith(incomplete)]
