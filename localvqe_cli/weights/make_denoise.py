"""Makes the embedded model with a network: ``python -m localvqe_cli.weights.make_denoise PAIRS [PATH]``.

It is Q8_0, quantized from the checkpoint beside it. PAIRS is a table or folder of recordings to calibrate with
(docs/quantization.md says which were used). The file is only kept if every clip has at least 40 dB against F32 and
their median 42. Needs torch, and a copy of the repository.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from ..errors import LocalVQEError
from ..models import EMBEDDED
from ..quantization import QuantizeSummary, quantize
from .make_default import exit_on_error, make_model

__all__ = ["CHECKPOINT", "MEDIAN_SNR_DB", "MIN_SNR_DB", "make_denoise"]

CHECKPOINT = Path(__file__).parent / "denoise.pt"
MIN_SNR_DB = 40.0
MEDIAN_SNR_DB = 42.0


def make_denoise(
    pairs: str | os.PathLike[str],
    path: str | os.PathLike[str] | None = None,
    *,
    source: str | os.PathLike[str] = CHECKPOINT,
    threads: int = 1,
) -> QuantizeSummary:
    """Quantize the checkpoint's model, replacing an existing file.

    Raises:
        LocalVQEError: the copy misses the bars; it is removed again.
        UsageError, AudioError: as :func:`quantize`.
    """
    target = Path(__file__).parent / EMBEDDED["denoise"] if path is None else path
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "denoise-f32.gguf"
        make_model(whole, source)
        summary = quantize(whole, target, "Q8_0", calibrate=pairs, min_snr=MIN_SNR_DB, threads=threads, force=True)
    median = summary.snr_db
    assert median is not None  # calibrated
    if not summary.met or median < MEDIAN_SNR_DB:
        os.unlink(target)
        raise LocalVQEError(
            f"the copy has {median:.1f} dB (worst clip {summary.worst_snr_db:.1f}); it needs {MEDIAN_SNR_DB:g} "
            f"(worst {MIN_SNR_DB:g}); removed"
        )
    return summary


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m localvqe_cli.weights.make_denoise",
        description="Makes the embedded model with a network of its checkpoint: Q8_0, calibrated on recordings.",
    )
    parser.add_argument("pairs", metavar="PAIRS", help="table (id, mic, ref) or folder of recordings to calibrate with")
    parser.add_argument("path", metavar="PATH", nargs="?", help=f"default: {EMBEDDED['denoise']} in the package")
    options = parser.parse_args()
    with exit_on_error():
        made = make_denoise(options.pairs, options.path)
    print(f"wrote {made.output}: {made.nbytes:,} bytes, SNR {made.snr_db:.1f} dB, worst {made.worst_snr_db:.1f} dB")


if __name__ == "__main__":
    main()
