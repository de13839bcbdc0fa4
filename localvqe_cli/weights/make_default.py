"""Makes the embedded model of the trained checkpoint beside it: ``python -m localvqe_cli.weights.make_default``.

Needs torch, and a copy of the repository: the checkpoint is left out of installed packages.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from .. import checkpoint, export, gguf_file
from ..models import DEFAULT_MODEL

__all__ = ["CHECKPOINT", "make_model", "metadata"]

CHECKPOINT = Path(__file__).parent / "default.pt"


def metadata(training: dict[str, Any]) -> dict[str, gguf_file.MetadataValue]:
    """What the file says about itself, from the ``training`` entry of its checkpoint."""
    return {
        "general.name": training["name"],
        "general.version": training["version"],
        "general.license": "apache-2.0",
        "general.description": f"{training['description']}; see docs/model-card.md.",
        "localvqe.training.data": "LibriSpeech (CC BY 4.0), Picovoice (Apache-2.0), Rhasspy (CC0), Precise (public "
        "domain), ESC-10, Blanket (CC0, CC BY), Speech Commands, Idiap (CC BY 4.0); see weights/ATTRIBUTION.md",
        "localvqe.training.recipe": training["summary"],
        "localvqe.training.hours": float(training["hours"]),
        "localvqe.training.validation": training["validation_summary"],
    }


def make_model(path: str | os.PathLike[str], source: str | os.PathLike[str]) -> None:
    """Write the F32 model of a checkpoint in this folder, replacing an existing file; the same bytes on every run.

    Raises:
        CheckpointError: ``source`` is missing or no checkpoint.
        UsageError: ``path`` cannot be written.
    """
    import torch

    loaded = checkpoint.read(source)
    training = torch.load(source, map_location="cpu", weights_only=True)["training"]
    gguf_file.write(path, loaded.config, export.fold(loaded.config, loaded.state), metadata(training))


if __name__ == "__main__":
    target = sys.argv[1] if len(sys.argv) > 1 else DEFAULT_MODEL
    make_model(target, CHECKPOINT)
    print(f"wrote {target}")
