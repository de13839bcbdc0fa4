"""A Pipecat bot that says what you said, a second later; without the filter it would repeat itself for ever.

pip install 'localvqe[pipecat]' 'pipecat-ai[local]' && python pipecat_bot.py
"""

import asyncio

from pipecat.frames.frames import Frame, InputAudioRawFrame, OutputAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.local.audio import LocalAudioTransport, LocalAudioTransportParams
from pipecat.workers.runner import WorkerRunner

from localvqe.pipecat import EchoFilter


class Parrot(FrameProcessor):  # a real bot has speech-to-text, a language model and text-to-speech in its place
    heard = b""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, InputAudioRawFrame):
            await self.push_frame(frame, direction)
            return
        self.heard += frame.audio
        if len(self.heard) > 2 * frame.sample_rate:
            said, self.heard = self.heard[: len(frame.audio)], self.heard[len(frame.audio) :]
            await self.push_frame(OutputAudioRawFrame(said, frame.sample_rate, 1))


async def main() -> None:
    echo, runner = EchoFilter(), WorkerRunner()
    devices = LocalAudioTransportParams(audio_in_enabled=True, audio_out_enabled=True, audio_in_filter=echo)
    transport = LocalAudioTransport(devices)
    pipeline = Pipeline([transport.input(), Parrot(), transport.output(), echo.far_end()])
    await runner.add_workers(PipelineWorker(pipeline))
    await runner.run()


asyncio.run(main())
