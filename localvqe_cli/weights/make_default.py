"""Makes the embedded model of the trained checkpoint beside it: ``python -m localvqe_cli.weights.make_default``.

Needs torch, and a copy of the repository: the checkpoint is left out of installed packages.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import checkpoint, export, gguf_file
from ..cli.common import fail
from ..errors import LocalVQEError
from ..models import EMBEDDED

__all__ = ["CHECKPOINT", "command", "exit_on_error", "make_model", "metadata"]

CHECKPOINT = Path(__file__).parent / "default.pt"


def metadata(training: dict[str, Any]) -> dict[str, gguf_file.MetadataValue]:
    """What the file says about itself, from the ``training`` entry of its checkpoint."""
    return {
        "general.name": training["name"],
        "general.version": training["version"],
        "general.license": "apache-2.0",
        "general.description": f"{training['description']}; see docs/reference/model-card.md.",
        "localvqe.training.data": "LibriSpeech (CC BY 4.0), Picovoice (Apache-2.0), Rhasspy (CC0), Precise (public "
        "domain), ESC-10, Blanket (CC0, CC BY), Speech Commands, Idiap (CC BY 4.0); see weights/ATTRIBUTION.md",
        "localvqe.training.recipe": training["summary"],
        "localvqe.training.hours": float(training["hours"]),
        "localvqe.training.validation": training["validation_summary"],
    }


def make_model(path: str | os.PathLike[str], source: str | os.PathLike[str], *, echo_only: bool = False) -> None:
    """Write the F32 model of a checkpoint in this folder, replacing an existing file; the same bytes on every run.

    Args:
        path: the file to write.
        source: the checkpoint.
        echo_only: leave noise as it is.

    Raises:
        CheckpointError: ``source`` is missing or no checkpoint.
        UsageError: ``path`` cannot be written.
    """
    import torch

    loaded = checkpoint.read(source)
    training = torch.load(source, map_location="cpu", weights_only=True)["training"]
    config = loaded.config
    if echo_only and config.residual is not None:
        config = replace(config, residual=replace(config.residual, noise_reduction=0.0))
        training |= training["echo_only"]  # another name and description
    gguf_file.write(path, config, export.fold(config, loaded.state), metadata(training))


@contextmanager
def exit_on_error() -> Iterator[None]:
    """End the process on a deliberate error, with its line and its exit code, as the ``localvqe`` command does."""
    try:
        yield
    except LocalVQEError as exc:
        fail(str(exc))
        raise SystemExit(exc.exit_code) from exc


def command(name: str, description: str, *, echo_only: bool) -> None:
    """What ``python -m localvqe_cli.weights.make_NAME [PATH]`` does, NAME being one of EMBEDDED."""
    parser = argparse.ArgumentParser(prog=f"python -m localvqe_cli.weights.make_{name}", description=description)
    target = str(Path(__file__).parent / EMBEDDED[name])
    parser.add_argument("path", metavar="PATH", nargs="?", default=target, help="default: %(default)s")
    target = parser.parse_args().path
    with exit_on_error():
        make_model(target, CHECKPOINT, echo_only=echo_only)
    print(f"wrote {target}")


if __name__ == "__main__":
    command("default", "Makes the default model of its checkpoint.", echo_only=False)
