"""Pipecat: an audio filter for ``audio_in_filter``, and a processor behind the output that hears the bot."""

from __future__ import annotations

from pathlib import Path

from ..engine import Enhancer
from ..errors import MissingExtraError
from ..live.status import LiveStatus
from .conversation import Conversation, as_mono

try:
    from pipecat.audio.filters.base_audio_filter import BaseAudioFilter
    from pipecat.frames.frames import (
        FilterControlFrame,
        FilterEnableFrame,
        Frame,
        InterruptionFrame,
        OutputAudioRawFrame,
    )
    from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
except ImportError as exc:
    raise MissingExtraError("localvqe.pipecat", "pipecat") from exc

__all__ = ["EchoFilter"]


class EchoFilter(BaseAudioFilter):
    """Takes what the bot says out of what it hears; for ``TransportParams(audio_in_filter=...)``.

    It needs to know what the bot says: put :meth:`far_end` behind ``transport.output()``. One of it belongs to one
    transport, which is to have one input channel; a ``FilterEnableFrame`` switches it off and on.

    Args:
        model: a GGUF file, a name from the registry, None for the embedded default; or an :class:`Enhancer`.
        strength: share of the enhanced signal, 0..1.
        noise_gate: hops of output at or below this level in dBFS become silence; of the model, so not beside an
            Enhancer.

    Raises:
        UsageError: a number out of range.
        ModelError: the model cannot be used.
        MissingExtraError: on import, without Pipecat.
    """

    def __init__(
        self, model: str | Path | Enhancer | None = None, *, strength: float = 1.0, noise_gate: float | None = None
    ) -> None:
        self._conversation = Conversation(model, strength, noise_gate)
        self._enabled = True
        self._rate = 0

    def far_end(self) -> FrameProcessor:
        """A processor for the pipeline's place behind ``transport.output()``, which hands out what it has written."""
        return _FarEnd(self._conversation)

    def status(self) -> LiveStatus:
        """What the conversation is like now."""
        return self._conversation.status()

    async def start(self, sample_rate: int) -> None:
        """Called by the transport: frames come at ``sample_rate`` Hz."""
        self._rate = sample_rate

    async def stop(self) -> None:
        """Called by the transport: gives the model's memory back."""
        self._conversation.close()

    async def process_frame(self, frame: FilterControlFrame) -> None:
        """Called by the transport: switches the filter off or on at a ``FilterEnableFrame``."""
        if isinstance(frame, FilterEnableFrame):
            self._enabled = frame.enable

    async def filter(self, audio: bytes) -> bytes:
        """Called by the transport: 16-bit mono PCM in, as much of it out."""
        if not self._enabled:
            return audio
        return self._conversation.hear(as_mono(audio, 1), self._rate).tobytes()


class _FarEnd(FrameProcessor):
    """Passes everything on."""

    def __init__(self, conversation: Conversation) -> None:
        super().__init__(name="LocalVQE far end")
        self._conversation = conversation

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, OutputAudioRawFrame):
            self._conversation.say(as_mono(frame.audio, frame.num_channels), frame.sample_rate)
        elif isinstance(frame, InterruptionFrame):
            self._conversation.stop_speaking()
        await self.push_frame(frame, direction)
