"""Calls while they run: ``Canceller`` takes the echo out of a microphone whose loudspeaker has a clock of its own."""

from localvqe_cli.live.canceller import Canceller as Canceller
from localvqe_cli.live.status import LiveStatus as LiveStatus

__all__ = ["Canceller", "LiveStatus"]

for _found in (Canceller, LiveStatus):
    _found.__module__ = __name__  # what messages and help() call it
