"""LiveKit Agents: a frame processor for ``noise_cancellation``, and the agent's audio output as its far end."""

from __future__ import annotations

from pathlib import Path

from ..engine import Enhancer
from ..errors import AudioError, MissingExtraError, UsageError
from ..live.status import LiveStatus
from .conversation import Conversation, as_mono

try:
    from livekit import rtc
    from livekit.agents import AgentSession
    from livekit.agents.voice import io
except ImportError as exc:
    raise MissingExtraError("localvqe.livekit", "livekit") from exc

__all__ = ["EchoCanceller"]

#: Seconds of speech that a room's output has in its queue, and drops when it is paused. Where it has less, the echo
#: comes later than expected, which the filter can follow; the other way round it could not.
_ROOM_QUEUE = 0.2


class EchoCanceller(rtc.FrameProcessor[rtc.AudioFrame]):
    """Takes what the agent says out of what it hears; for ``AudioInputOptions(noise_cancellation=...)``.

    It needs to know what the agent says: call :meth:`listen_to` when the session has started. One of it belongs to one
    caller; after LiveKit has closed it, it begins anew.

    Args:
        model: a GGUF file, a name from the registry, None for the embedded default; or an :class:`Enhancer`.
        strength: share of the enhanced signal, 0..1.
        noise_gate: hops of output at or below this level in dBFS become silence; of the model, so not beside an
            Enhancer.

    Raises:
        UsageError: a number out of range.
        ModelError: the model cannot be used.
        MissingExtraError: on import, without LiveKit Agents.
    """

    def __init__(
        self, model: str | Path | Enhancer | None = None, *, strength: float = 1.0, noise_gate: float | None = None
    ) -> None:
        self._conversation = Conversation(model, strength, noise_gate)
        self._enabled = True

    def listen_to(self, session: AgentSession) -> None:
        """Have the speech of a session that has started as far end.

        Raises:
            UsageError: the session has no audio output; it is made when the session starts.
        """
        output = session.output.audio
        if output is None:
            raise UsageError("this session has no audio output yet; call listen_to after session.start")
        session.output.audio = _Overheard(output, self._conversation)

    def status(self) -> LiveStatus:
        """What the conversation is like now."""
        return self._conversation.status()

    @property
    def enabled(self) -> bool:
        """Whether LiveKit gives it the frames; False leaves the microphone as it is."""
        return self._enabled

    @enabled.setter
    def enabled(self, value: bool) -> None:
        self._enabled = value

    def _process(self, frame: rtc.AudioFrame) -> rtc.AudioFrame:
        if frame.num_channels != 1:
            raise AudioError(f"this takes one channel, and the frame has {frame.num_channels}; set num_channels=1")
        clean = self._conversation.hear(as_mono(frame.data, 1), frame.sample_rate)
        return rtc.AudioFrame(bytearray(clean.tobytes()), frame.sample_rate, 1, len(clean), userdata=frame.userdata)

    def _close(self) -> None:
        self._conversation.close()


class _Overheard(io.AudioOutput):
    """Passes everything on to the output that it stands before."""

    def __init__(self, output: io.AudioOutput, conversation: Conversation) -> None:
        super().__init__(
            label="LocalVQE",
            capabilities=io.AudioOutputCapabilities(pause=True),
            next_in_chain=output,
            sample_rate=output.sample_rate,
        )
        self._conversation = conversation

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        if self.next_in_chain is not None:
            await self.next_in_chain.capture_frame(frame)
        # After that, since before the first frame it waits until somebody listens.
        self._conversation.say(as_mono(bytes(frame.data), frame.num_channels), frame.sample_rate)

    def flush(self) -> None:
        super().flush()
        if self.next_in_chain is not None:
            self.next_in_chain.flush()

    def clear_buffer(self) -> None:
        self._conversation.stop_speaking()
        if self.next_in_chain is not None:
            self.next_in_chain.clear_buffer()

    def pause(self) -> None:
        self._conversation.pause_speaking(_ROOM_QUEUE)
        super().pause()

    def resume(self) -> None:
        self._conversation.resume_speaking()
        super().resume()
