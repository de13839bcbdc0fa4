"""The PyTorch reference: the model as the specification states it, one block per file. Needs torch."""

from .history import History
from .model import LocalVQE, Taps
from .streaming import StreamingLocalVQE

__all__ = ["History", "LocalVQE", "StreamingLocalVQE", "Taps"]
