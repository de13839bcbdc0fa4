"""LiveKit Agents: ``EchoCanceller`` takes what an agent says out of what it hears. Needs ``localvqe[livekit]``."""

from localvqe_cli.agents.livekit import EchoCanceller as EchoCanceller

__all__ = ["EchoCanceller"]

EchoCanceller.__module__ = __name__  # what messages and help() call it
