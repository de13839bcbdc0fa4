"""Makes the embedded model that takes echo alone: ``python -m localvqe_cli.weights.make_kalman [PATH]``.

It is the default, which leaves the noise of the room as it is. Needs torch, and a copy of the repository.
"""

from __future__ import annotations

from .make_default import command

__all__: list[str] = []

if __name__ == "__main__":
    command("kalman", "Makes the model that takes echo alone.", echo_only=True)
