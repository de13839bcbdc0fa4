"""The LiveKit plug-in against the real package: a conversation through its frames and outputs, without a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest
from agent_call import RATE, AgentCall
from scripts import load_script

pytest.importorskip("livekit.agents", reason="LiveKit Agents is not installed: python -m tests.live.run_agents")

from livekit import rtc
from livekit.agents import Agent, AgentSession
from livekit.agents.voice import io, room_io

from localvqe import AudioError, UsageError
from localvqe.livekit import EchoCanceller

SPEECH_RATE = 24000


class Loudspeaker(io.AudioOutput):
    """Where a room's output would be: notes what it is told, and says at once that all was played."""

    def __init__(self) -> None:
        capabilities = io.AudioOutputCapabilities(pause=True)
        super().__init__(label="test", capabilities=capabilities, sample_rate=SPEECH_RATE)
        self.told: list[str] = []
        self.seconds = 0.0

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        self.seconds += frame.duration

    def flush(self) -> None:
        super().flush()
        self.told.append("flush")
        self.on_playback_finished(playback_position=self.seconds, interrupted=False)

    def clear_buffer(self) -> None:
        self.told.append("clear")

    def pause(self) -> None:
        self.told.append("pause")

    def resume(self) -> None:
        self.told.append("resume")


def frame_of(samples: np.ndarray, rate: int, channels: int = 1) -> rtc.AudioFrame:
    return rtc.AudioFrame(samples.tobytes(), rate, channels, len(samples) // channels)


def canceller_for(call: AgentCall) -> EchoCanceller:
    canceller = EchoCanceller()
    canceller._conversation._clock = call.clock
    canceller._conversation._canceller._work_clock = call.clock  # how busy this machine is does not matter
    return canceller


async def talk(call: AgentCall, canceller: EchoCanceller, output: io.AudioOutput) -> np.ndarray:
    """The conversation, as LiveKit's audio stream and the agent's voice run it."""
    out = []
    for said, mic in call.steps():
        for speech in said:
            await output.capture_frame(frame_of(speech, call.speech_rate))
        clean = canceller._process(frame_of(mic, call.mic_rate))
        assert (clean.sample_rate, clean.num_channels, clean.samples_per_channel) == (call.mic_rate, 1, len(mic))
        out.append(np.array(clean.data, np.int16))
    return np.concatenate(out)


def test_the_agent_does_not_hear_itself() -> None:
    async def run() -> None:
        session = AgentSession()
        session.output.audio = speaker = Loudspeaker()
        call = AgentCall(24000, SPEECH_RATE, frame=0.05)  # a room's frames
        canceller = canceller_for(call)
        canceller.listen_to(session)
        output = session.output.audio
        assert output is not None
        assert output.sample_rate == SPEECH_RATE
        out = await talk(call, canceller, output)
        print(f"attenuation {call.attenuation(out, 3.0, 5.0):.1f} and {call.attenuation(out, 8.6, 11.0):.1f} dB")
        assert call.attenuation(out, 3.0, 5.0) > 30.0
        assert call.attenuation(out, 8.6, 11.0) > 30.0
        assert call.own_words(out) == pytest.approx(0.0, abs=1.0)
        assert speaker.seconds == pytest.approx(7.8)
        assert canceller.status().far_losses == 0
        canceller._close()
        canceller._close()

    asyncio.run(run())


def test_what_is_interrupted_or_paused_is_not_expected_as_echo() -> None:
    async def run() -> None:
        session = AgentSession()
        session.output.audio = speaker = Loudspeaker()
        call = AgentCall()
        canceller = canceller_for(call)
        canceller.listen_to(session)
        output = session.output.audio
        assert output is not None
        quiet, loud = np.zeros(320, np.int16), np.full(2 * SPEECH_RATE, 8000, np.int16)
        far = []
        canceller._conversation._canceller.on_hop(lambda mic, heard, out: far.append(np.abs(heard).max() > 0.1))

        def hear(seconds: float) -> float:
            """Seconds of the agent's speech that were heard meanwhile, give or take a hop."""
            far.clear()
            for _ in range(round(seconds / 0.02)):
                call.clock.now += 0.02
                canceller._process(frame_of(quiet, RATE))
            return 0.016 * sum(far)

        hear(0.1)
        await output.capture_frame(frame_of(loud, SPEECH_RATE))
        assert hear(0.5) == pytest.approx(0.5, abs=0.06)
        output.pause()
        assert hear(0.5) < 0.06
        output.resume()
        assert hear(0.5) == pytest.approx(0.5, abs=0.06)
        output.clear_buffer()
        output.flush()
        assert hear(0.5) < 0.06
        assert speaker.told == ["pause", "resume", "clear", "flush"]
        await output.capture_frame(frame_of(loud[: 2 * SPEECH_RATE // 10], SPEECH_RATE, channels=2))
        assert hear(0.5) == pytest.approx(0.1, abs=0.06)

    asyncio.run(run())


def test_a_session_speaks_through_it() -> None:
    """Whatever LiveKit does between an agent and its output in this version."""

    async def speech() -> AsyncIterator[rtc.AudioFrame]:
        for _ in range(5):
            yield frame_of(np.full(SPEECH_RATE // 50, 8000, np.int16), SPEECH_RATE)

    async def run() -> None:
        session = AgentSession()
        session.output.audio = speaker = Loudspeaker()
        canceller = EchoCanceller()
        heard = []
        canceller._conversation.say = lambda samples, rate: heard.append(len(samples) / rate)  # type: ignore[method-assign]
        await session.start(Agent(instructions=""))
        canceller.listen_to(session)
        await session.say("Good morning.", audio=speech())
        assert speaker.seconds == pytest.approx(0.1)
        assert sum(heard) == pytest.approx(0.1)
        await session.aclose()

    asyncio.run(run())


def test_it_is_what_a_room_takes() -> None:
    async def run() -> None:
        canceller = EchoCanceller("denoise", strength=0.5, noise_gate=-60.0)
        options = room_io.AudioInputOptions(noise_cancellation=canceller)
        assert isinstance(options.noise_cancellation, rtc.FrameProcessor)
        room = room_io.RoomIO(AgentSession(), rtc.Room(), options=room_io.RoomOptions(audio_input=options))
        assert room is not None
        assert canceller.enabled
        canceller.enabled = False
        assert not canceller.enabled

    asyncio.run(run())


def test_what_cannot_work_is_said() -> None:
    async def run() -> None:
        canceller = EchoCanceller()
        with pytest.raises(UsageError, match=r"call listen_to after session\.start"):
            canceller.listen_to(AgentSession())
        with pytest.raises(AudioError, match="takes one channel, and the frame has 2; set num_channels=1"):
            canceller._process(frame_of(np.zeros(320, np.int16), RATE, channels=2))
        with pytest.raises(UsageError, match="strength is 3"):
            EchoCanceller(strength=3.0)

    asyncio.run(run())


def test_the_example_is_one_that_livekit_takes() -> None:
    example = load_script("examples/agents/livekit_agent.py")
    assert asyncio.iscoroutinefunction(example.talk)
    assert example.server._entrypoint_fnc is example.talk
