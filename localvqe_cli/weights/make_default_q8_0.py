"""Makes the quantized copy of the embedded model: ``python -m localvqe_cli.weights.make_default_q8_0 PAIRS [PATH]``.

PAIRS is a table or folder of recordings to calibrate with (docs/quantization.md says which were used). The file is only
kept if every clip has at least 40 dB against F32 and their median 42: a copy that is worse is no second default.
"""

from __future__ import annotations

import os
import sys

from ..errors import LocalVQEError
from ..models import DEFAULT_MODEL, default_q8_model
from ..quantization import QuantizeSummary, quantize

__all__ = ["MEDIAN_SNR_DB", "MIN_SNR_DB", "make_default_q8_0"]

MIN_SNR_DB = 40.0
MEDIAN_SNR_DB = 42.0


def make_default_q8_0(
    pairs: str | os.PathLike[str], path: str | os.PathLike[str] | None = None, *, threads: int = 1
) -> QuantizeSummary:
    """Quantize the embedded model, replacing an existing copy.

    Raises:
        LocalVQEError: the copy misses the bars; it is removed again.
        UsageError, AudioError: as :func:`quantize`.
    """
    target = default_q8_model() if path is None else path
    summary = quantize(
        DEFAULT_MODEL, target, "Q8_0", calibration=pairs, min_snr=MIN_SNR_DB, threads=threads, force=True
    )
    median = summary.snr_db
    assert median is not None  # calibrated
    if not summary.met or median < MEDIAN_SNR_DB:
        os.unlink(target)
        raise LocalVQEError(
            f"the copy has {median:.1f} dB (worst clip {summary.worst_snr_db:.1f}); a default needs {MEDIAN_SNR_DB:g} "
            f"(worst {MIN_SNR_DB:g}); removed"
        )
    return summary


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        raise SystemExit("usage: python -m localvqe_cli.weights.make_default_q8_0 PAIRS [PATH]")
    made = make_default_q8_0(*sys.argv[1:])
    print(f"wrote {made.output}: {made.nbytes:,} bytes, SNR {made.snr_db:.1f} dB, worst {made.worst_snr_db:.1f} dB")
