"""The Pipecat plug-in in a real pipeline, whose transport is the test: no device, no server, a clock of its own."""

from __future__ import annotations

import asyncio
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from agent_call import RATE, AgentCall

pytest.importorskip("pipecat", reason="Pipecat is not installed: python -m tests.live.run_agents")

from pipecat.frames.frames import (
    EndFrame,
    EndWorkerFrame,
    FilterEnableFrame,
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    StartFrame,
    TTSAudioRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

from localvqe import UsageError
from localvqe.pipecat import EchoFilter

SPEECH_RATE = 24000
#: Seconds of the test's patience with itself.
PATIENCE = 60.0


class Input(BaseInputTransport):
    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)


class Output(BaseOutputTransport):
    """Takes everything as fast as it is offered."""

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        return True


class Note(FrameProcessor):
    """Keeps the audio of one kind of frame that passes."""

    def __init__(self, kind: type) -> None:
        super().__init__()
        self._kind = kind
        self.audio: list[bytes] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, self._kind):
            self.audio.append(frame.audio)
        await self.push_frame(frame, direction)

    async def until(self, done: Callable[[], bool]) -> None:
        for _ in range(int(PATIENCE / 0.001)):
            if done():
                return
            await asyncio.sleep(0.001)
        raise AssertionError("nothing came")


class Bot:
    """A pipeline with the filter, and what the tests do with it."""

    def __init__(self, call: AgentCall) -> None:
        self.filter = EchoFilter()
        self.filter._conversation._clock = call.clock
        self.filter._conversation._canceller._work_clock = call.clock  # how busy this machine is does not matter
        params = TransportParams(
            audio_in_enabled=True,
            audio_out_enabled=True,
            audio_in_sample_rate=call.mic_rate,
            audio_out_sample_rate=SPEECH_RATE,
            audio_in_filter=self.filter,
        )
        self.input, self.output = Input(params), Output(params)
        self.clean, self.spoken = Note(InputAudioRawFrame), Note(OutputAudioRawFrame)
        stages = [self.input, self.clean, self.output, self.filter.far_end(), self.spoken]
        self.worker = PipelineWorker(Pipeline(stages), params=PipelineParams(), cancel_on_idle_timeout=False)
        self._said = 0

    async def __aenter__(self) -> Bot:
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self.worker)
        self._run = asyncio.create_task(runner.run())
        await self.clean.until(lambda: self.input._audio_task is not None and None in self.output._media_senders)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.worker.queue_frame(EndFrame())
        await asyncio.wait_for(self._run, PATIENCE)

    async def say(self, samples: np.ndarray) -> None:
        """Have the bot say it, and wait until the far end has heard it; whole chunks of 40 ms."""
        await self.worker.queue_frame(TTSAudioRawFrame(samples.tobytes(), SPEECH_RATE, 1))
        self._said += len(samples) // (SPEECH_RATE // 25)
        await self.spoken.until(lambda: len(self.spoken.audio) == self._said)

    async def hear(self, samples: np.ndarray, rate: int) -> np.ndarray:
        heard = len(self.clean.audio)
        await self.input.push_audio_frame(InputAudioRawFrame(samples.tobytes(), rate, 1))
        await self.clean.until(lambda: len(self.clean.audio) > heard)
        return np.frombuffer(self.clean.audio[-1], np.int16)


def test_the_bot_does_not_hear_itself() -> None:
    async def run() -> None:
        call = AgentCall(RATE, SPEECH_RATE, frame=0.04, ahead=False)
        out = []
        async with Bot(call) as bot:
            for said, mic in call.steps():
                for speech in said:
                    await bot.say(speech)
                out.append(await bot.hear(mic, call.mic_rate))
                assert len(out[-1]) == len(mic)
            status = bot.filter.status()
        clean = np.concatenate(out)
        print(f"attenuation {call.attenuation(clean, 3.0, 5.0):.1f} and {call.attenuation(clean, 8.6, 11.0):.1f} dB")
        assert call.attenuation(clean, 3.0, 5.0) > 30.0
        assert call.attenuation(clean, 8.6, 11.0) > 30.0
        assert call.own_words(clean) == pytest.approx(0.0, abs=1.0)
        assert status.far_losses == 0

    asyncio.run(run())


def test_it_is_switched_off_and_on_and_an_interruption_silences_the_bot() -> None:
    async def run() -> None:
        call = AgentCall()
        loud = np.full(320, 4000, np.int16)
        async with Bot(call) as bot:

            async def hear() -> np.ndarray:
                call.clock.now += 0.02
                return await bot.hear(loud, RATE)

            await hear()
            assert not np.array_equal(await hear(), loud)
            await bot.worker.queue_frame(FilterEnableFrame(False))
            await bot.clean.until(lambda: not bot.filter._enabled)
            np.testing.assert_array_equal(await hear(), loud)
            await bot.worker.queue_frame(FilterEnableFrame(True))
            await bot.clean.until(lambda: bot.filter._enabled)

            speech = bot.filter._conversation
            await bot.say(np.full(SPEECH_RATE // 25 * 10, 8000, np.int16))
            playout = speech._speech
            assert playout is not None
            assert playout._pieces
            await bot.worker.queue_frame(InterruptionFrame())
            await bot.clean.until(lambda: not playout._pieces)

    asyncio.run(run())


def test_bad_options_are_refused() -> None:
    with pytest.raises(UsageError, match="strength is 3"):
        EchoFilter(strength=3.0)


def test_the_example_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a transport of the test's instead of sound devices: the parrot says what it heard."""
    said: list[bytes] = []

    class Microphone(Input):
        async def start(self, frame: StartFrame) -> None:
            await super().start(frame)
            self._talk = asyncio.create_task(self._talking())

        async def _talking(self) -> None:
            while len(said) < 10:
                await self.push_audio_frame(InputAudioRawFrame(np.full(320, 4000, np.int16).tobytes(), RATE, 1))
                await asyncio.sleep(0.002)
            await self.push_frame(EndWorkerFrame(), FrameDirection.UPSTREAM)

    class Loudspeaker(Output):
        async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
            said.append(frame.audio)
            return True

    class Devices:
        def __init__(self, params: TransportParams) -> None:
            self._params = params

        def input(self) -> Input:
            return Microphone(self._params)

        def output(self) -> Output:
            return Loudspeaker(self._params)

    module = ModuleType("pipecat.transports.local.audio")
    module.LocalAudioTransport, module.LocalAudioTransportParams = Devices, TransportParams  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    example = Path(__file__).parents[2] / "examples" / "agents" / "pipecat_bot.py"
    runpy.run_path(str(example))
    assert np.abs(np.frombuffer(b"".join(said), np.int16)).max() > 3000
