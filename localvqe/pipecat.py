"""Pipecat: ``EchoFilter`` takes what a bot says out of what it hears. Needs ``localvqe[pipecat]``."""

from localvqe_cli.agents.pipecat import EchoFilter as EchoFilter

__all__ = ["EchoFilter"]

EchoFilter.__module__ = __name__  # what messages and help() call it
