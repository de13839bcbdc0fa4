"""Named model sizes. Needs no torch, so that a shell can complete their names."""

from __future__ import annotations

from ..config import FrontendConfig, ModelConfig
from ..errors import UsageError

__all__ = ["ARCH", "DMAX", "DMAX_BEHIND_FRONTEND", "WIDTH", "WIDTHS", "preset"]

#: mic widths, far widths, heads of the attention, states of the recurrence.
WIDTHS: dict[str, tuple[tuple[int, ...], tuple[int, ...], int, int]] = {
    "micro": ((2, 4, 4, 4, 4, 4), (2, 4, 4), 4, 8),
    "tiny": ((2, 12, 16, 16, 16, 16), (2, 12, 16), 16, 64),
    # As many multiplications as tiny, but in multiples of 8 channels: twice the weights at the same speed.
    "slim": ((2, 8, 16, 24, 32, 32), (2, 8, 16), 16, 96),
    "small": ((2, 16, 24, 32, 40, 40), (2, 16, 24), 16, 128),
    "base": ((2, 32, 40, 40, 40, 40), (2, 32, 40), 32, 162),
}


#: What a model has that nobody chose otherwise.
WIDTH, ARCH = "tiny", 3
#: Lags of the attention. Behind a front-end the echo estimate is in place already, and only its reverberation lags.
DMAX, DMAX_BEHIND_FRONTEND = 32, 8


def preset(width: str = WIDTH, *, arch: int = ARCH, dmax: int | None = None, frontend: bool = False) -> ModelConfig:
    """The geometry of a named size.

    Args:
        dmax: lags of the attention; None chooses.
        frontend: with an adaptive filter before the network.

    Raises:
        UsageError: no such name.
        ModelError: an architecture version or dmax out of range.
    """
    if width not in WIDTHS:
        raise UsageError(f"unknown width {width!r}; choose {', '.join(WIDTHS)}")
    mic, far, heads, states = WIDTHS[width]
    return ModelConfig(
        version=arch,
        mic_channels=mic,
        far_channels=far,
        dmax=dmax or (DMAX_BEHIND_FRONTEND if frontend else DMAX),
        align_hidden=heads,
        bottleneck_hidden=states,
        frontend=FrontendConfig() if frontend else None,
    )
