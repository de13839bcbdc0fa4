"""Reference models for tests, with the random weights of ``make_model``."""

from __future__ import annotations

import numpy as np
import torch
from make_model import random_state

from localvqe_cli.config import ModelConfig
from localvqe_cli.reference import LocalVQE


def random_model(config: ModelConfig, seed: int = 0) -> LocalVQE:
    """A model in evaluation mode in which every weight matters."""
    state = {name: torch.from_numpy(np.array(value)) for name, value in random_state(config, seed).items()}
    return LocalVQE.from_state(config, state)


def noise(*shape: int, seed: int = 0, level: float = 0.1) -> torch.Tensor:
    """Gaussian noise of RMS ``level``, the same on every run."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * level
