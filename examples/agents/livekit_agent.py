"""A LiveKit agent for callers whose loudspeaker their own microphone hears, such as a phone on a table.

pip install 'localvqe[livekit]'
python -m livekit.agents start livekit_agent.py      with LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET
"""

from livekit.agents import Agent, AgentServer, AgentSession, JobContext
from livekit.agents.voice import room_io

from localvqe.livekit import EchoCanceller

server = AgentServer()


@server.rtc_session()
async def talk(ctx: JobContext) -> None:
    """One call."""
    session = AgentSession(stt="deepgram/nova-3", llm="openai/gpt-4.1-mini", tts="cartesia/sonic-3")
    canceller = EchoCanceller()
    hearing = room_io.AudioInputOptions(noise_cancellation=canceller)
    await session.start(
        Agent(instructions="You are a friendly voice on the phone. Answer in a sentence or two."),
        room=ctx.room,
        room_options=room_io.RoomOptions(audio_input=hearing),
    )
    canceller.listen_to(session)
    await session.say("Good morning, how can I help you?")
