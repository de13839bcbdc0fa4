"""What a call is like at a moment."""

from __future__ import annotations

from dataclasses import asdict, dataclass

__all__ = ["LiveStatus"]


@dataclass(frozen=True)
class LiveStatus:
    """What a :class:`Canceller` hears and does; levels are means over the last second.

    Attributes:
        seconds: of microphone so far.
        mic_dbfs, far_dbfs, out_dbfs: levels; None is silence.
        attenuation_db: by how much the output is below the microphone while the far end speaks; None while it does not.
        delay_ms: by how much the echo lags the far end, as the blocks arrive; None before the far end's first block.
        drift_ppm: how much faster the far end's clock runs than the microphone's.
        lag_ms: by how much the far end is read behind the microphone, because its blocks come late.
        load: share of the time that the model takes, 1 where it just keeps up.
        far_gaps: how often the far end's samples were not there in time.
        mic_losses, far_losses: how often a device lost samples, or was away.
        passed_through: the microphone is passed through now, since the model does not keep up.
        times_passed_through: how often that began.
    """

    seconds: float
    mic_dbfs: float | None
    far_dbfs: float | None
    out_dbfs: float | None
    attenuation_db: float | None
    delay_ms: float | None
    drift_ppm: float
    lag_ms: float
    load: float
    far_gaps: int
    mic_losses: int
    far_losses: int
    passed_through: bool
    times_passed_through: int

    def to_dict(self) -> dict[str, object]:
        """For JSON: names and values of the attributes, numbers to three decimals."""
        return {key: round(value, 3) if isinstance(value, float) else value for key, value in asdict(self).items()}
