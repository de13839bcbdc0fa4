"""What a stream remembers between hops (report, section 3).

Every causal operator of the model looks back a fixed number of frames. Given a whole clip it sees zeros before the
first frame; in a stream it sees the frames of the previous call. The operators themselves are the same code: they call
:func:`causal_pad`, and a :class:`History`, when there is one, supplies and keeps those frames.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["History", "causal_pad"]


class History:
    """The state of one stream, keyed by the module that owns it and a slot name."""

    def __init__(self) -> None:
        self._slots: dict[tuple[nn.Module, str], Tensor] = {}
        self._objects: dict[nn.Module, object] = {}

    def reset(self) -> None:
        """Forget everything: the next frame is the first."""
        self._slots.clear()
        self._objects.clear()

    def recall_object(self, owner: nn.Module) -> object | None:
        """The state of a module that keeps more than past frames, or None at the start of a stream."""
        return self._objects.get(owner)

    def store_object(self, owner: nn.Module, value: object) -> None:
        """Keep ``value`` for the next call."""
        self._objects[owner] = value

    def recall(self, owner: nn.Module, slot: str) -> Tensor | None:
        """What :meth:`store` kept last, or None at the start of a stream."""
        return self._slots.get((owner, slot))

    def store(self, owner: nn.Module, slot: str, value: Tensor) -> None:
        """Keep ``value`` for the next call."""
        self._slots[owner, slot] = value

    def extend(self, owner: nn.Module, slot: str, x: Tensor, frames: int) -> Tensor:
        """``x`` (..., T, W) with the ``frames`` frames before it in front: (..., T + frames, W)."""
        if frames == 0:
            return x
        past = self.recall(owner, slot)
        if past is None:
            past = x.new_zeros(*x.shape[:-2], frames, x.shape[-1])
        joined = torch.cat([past, x], dim=-2)
        self.store(owner, slot, joined[..., -frames:, :])
        return joined


def causal_pad(
    x: Tensor,
    frames: int,
    history: History | None,
    owner: nn.Module,
    slot: str = "input",
    *,
    width: tuple[int, int] = (0, 0),
) -> Tensor:
    """Put ``frames`` past frames before ``x`` and zeros beside it.

    Args:
        x: (..., T, W); time is the last axis but one.
        frames: how far the operator looks back.
        history: the stream's state; None means that ``x`` is a whole clip, preceded by zeros.
        owner, slot: who remembers, and under which name.
        width: zeros to add left and right on the last axis.

    Returns:
        (..., T + frames, W + sum(width)).
    """
    if history is None:
        return F.pad(x, (*width, frames, 0))
    x = history.extend(owner, slot, x, frames)
    return F.pad(x, width) if any(width) else x
