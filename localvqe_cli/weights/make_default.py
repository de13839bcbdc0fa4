"""Makes the embedded model: ``python -m localvqe_cli.weights.make_default [PATH]``. Needs torch.

Until trained weights take its place it is an untrained version-2 model whose mask is the identity (report, 2.3): every
block computes, and the microphone comes out unchanged to the accuracy of the STFT codec. Its name and description say
so, and ``localvqe enhance`` prints the name.
"""

from __future__ import annotations

import os
import sys

from .. import export, gguf_file
from ..config import ModelConfig
from ..models import DEFAULT_MODEL

__all__ = ["METADATA", "make_default"]

SEED = 20260401
METADATA: dict[str, gguf_file.MetadataValue] = {
    "general.name": "localvqe-passthrough-v2",
    "general.description": "Untrained: an identity mask that passes the microphone through. It enhances nothing; "
    "choose a trained model with -m.",
    "general.license": "apache-2.0",
}


def make_default(path: str | os.PathLike[str]) -> None:
    """Write the pass-through model as an F32 GGUF file, replacing an existing one; the same bytes on every run.

    Raises:
        UsageError: ``path`` cannot be written.
    """
    import torch

    from ..reference import LocalVQE

    config = ModelConfig(version=2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = LocalVQE(config)
    gguf_file.write(path, config, export.fold(config, model.state_dict()), METADATA)


if __name__ == "__main__":
    target = sys.argv[1] if len(sys.argv) > 1 else DEFAULT_MODEL
    make_default(target)
    print(f"wrote {target}")
