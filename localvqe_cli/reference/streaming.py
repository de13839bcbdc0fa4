"""The model hop by hop (report, section 3): the same blocks, with a History instead of leading zeros."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import UsageError
from .history import History
from .model import LocalVQE, Taps

__all__ = ["StreamingLocalVQE"]


class StreamingLocalVQE:
    """One stream through a model, which it shares and does not change.

    Output lags input by one hop: the first call returns what the model makes of the silence before the stream, and one
    hop of zeros at the end brings out the last samples.
    """

    def __init__(self, model: LocalVQE) -> None:
        self.model = model
        self.latency_samples = model.config.latency_samples
        self._history = History()
        self._taps: Taps = {}

    def reset(self) -> None:
        """Start a new stream."""
        self._history.reset()
        self._taps = {}

    @torch.no_grad()
    def process_hop(self, mic: Tensor, ref: Tensor) -> Tensor:
        """One hop of microphone and reference, (256,) each -> (256,) of output.

        Raises:
            UsageError: any other shape.
        """
        hop = self.model.config.hop_length
        if mic.shape != (hop,) or ref.shape != (hop,):
            raise UsageError(f"a hop has {hop} samples; got {tuple(mic.shape)} and {tuple(ref.shape)}")
        self._taps = {}
        return self.model.run(mic[None, None], ref[None, None], history=self._history, taps=self._taps)[0]

    def taps(self) -> Taps:
        """Block outputs of the latest hop, without batch and time: (C, F), spectra (256, 2), ``delay`` (dmax,)."""
        # Time is the third axis of every tap but the delay, which has no channels.
        return {name: tap[0, 0] if name == "delay" else tap[0].select(1, 0) for name, tap in self._taps.items()}
