"""Ten minutes of simulated calls at several drifts, with late blocks and stalls, as a table:

python -m tests.live.run [--minutes 10]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from simulated_call import Call, Device

from localvqe_cli.benchmark.machine import rss_mb
from localvqe_cli.live.canceller import Canceller

DRIFTS = (0, -300, -100, 100, 300)


def memory(seconds: float) -> str:
    """What the process takes a tenth into a call and at its end; nothing of the output is kept."""
    canceller = Canceller(44100, 48000)
    rng = np.random.default_rng(1)
    mic, far = (0.1 * rng.standard_normal(count).astype(np.float32) for count in (441, 480))
    taken = []
    for block in range(int(seconds * 100)):
        canceller.far(far, 0.01 * block * (1 + 1e-4))
        canceller.mic(mic, 0.01 * block)
        if block in (int(seconds * 10), int(seconds * 100) - 1):
            taken.append(rss_mb())
    return f"memory: {taken[0]:.2f} MB after a tenth of the call, {taken[1]:.2f} MB at its end"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    seconds = 60.0 * parser.parse_args().minutes
    stalls = [(second, 0.1) for second in range(30, int(seconds), 30)]
    print(memory(seconds), flush=True)
    print("ppm found  attenuation dB: 10..30 s  whole  last minute   latency ms  gaps")
    for ppm in DRIFTS:
        call = Call(seconds, far=Device(ppm=ppm, jitter=0.03, stalls=stalls), mic=Device(block=256, jitter=0.03))
        canceller = Canceller(16000, 16000)
        out = call.run(canceller)
        spans = ((10.0, 30.0), (10.0, seconds - 1.0), (seconds - 61.0, seconds - 1.0))
        found = [call.attenuation(out, canceller.latency_samples, *span) for span in spans]
        status = canceller.status()
        print(
            f"{ppm:4d} {status.drift_ppm:6.1f} {found[0]:21.1f} {found[1]:6.1f} {found[2]:12.1f}"
            f" {1000 * canceller.latency_samples / 16000:12.1f} {status.far_gaps:5d}"
        )


if __name__ == "__main__":
    main()
