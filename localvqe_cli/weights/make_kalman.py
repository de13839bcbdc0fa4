"""Makes the embedded model that takes echo alone: ``python -m localvqe_cli.weights.make_kalman [PATH]``.

It is the default, which leaves the noise of the room as it is. Needs torch, and a copy of the repository.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ..models import EMBEDDED
from .make_default import CHECKPOINT, exit_on_error, make_model

__all__: list[str] = []


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m localvqe_cli.weights.make_kalman", description="Makes the model that takes echo alone."
    )
    target = str(Path(__file__).parent / EMBEDDED["kalman"])
    parser.add_argument("path", metavar="PATH", nargs="?", default=target, help="default: %(default)s")
    target = parser.parse_args().path
    with exit_on_error():
        make_model(target, CHECKPOINT, echo_only=True)
    print(f"wrote {target}")


if __name__ == "__main__":
    main()
