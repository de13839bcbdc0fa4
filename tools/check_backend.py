"""Hold a backend against the golden vectors, for instance on a GPU that the tests do not know:

    PYTHONPATH=tests python tools/check_backend.py vulkan
    PYTHONPATH=tests python tools/check_backend.py cuda --device 1 --golden GOLDEN

Every model of the vectors enhances its clip whole, hop by hop for a second, and three times at once. The largest
difference from the golden output is printed; beyond the tolerance the exit code is 1. GOLDEN is the folder of the large
golden vectors (CONTRIBUTING.md). ``LOCALVQE_LIBRARY`` names a library that is not the installed one.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from golden_vectors import ALL, HOP, Vectors, load

from localvqe import Enhancer
from localvqe_cli.clip_group import ClipGroup, GroupModel
from localvqe_cli.engine import devices

_HOPS = 62


def check(vectors: Vectors, model: Path, backend: str, device: int) -> dict[str, float]:
    """The largest difference from the golden output, by way of running."""
    enhancer = Enhancer(model, backend=backend, device=device)
    found = {"whole": enhancer.enhance(vectors.mic, vectors.ref) - vectors.centred}
    mic, ref = vectors.mic[: _HOPS * HOP], vectors.ref[: _HOPS * HOP]
    with enhancer.stream() as stream:
        parts = [stream.process(mic[at : at + HOP], ref[at : at + HOP]) for at in range(0, len(mic), HOP)]
    found["hops"] = np.concatenate(parts) - vectors.stream[: len(mic)]
    if enhancer.config.network:

        def enhance(using: GroupModel, _: int) -> np.ndarray:
            alone = using.stream()
            return np.concatenate([alone.process(vectors.mic, vectors.ref), alone.flush()])[HOP:]

        with ClipGroup(enhancer, 3) as group:
            found["together"] = np.stack(list(group.map(enhance, range(3)))) - vectors.centred
    return {way: float(np.abs(difference).max()) for way, difference in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backend")
    parser.add_argument("--device", type=int, default=0)
    parser.add_argument("--tolerance", type=float, default=1e-3)
    parser.add_argument("--golden", type=Path, metavar="GOLDEN", help="folder of the large golden vectors")
    args = parser.parse_args()
    for found in devices():
        print(f"{found.backend} {found.index}: {found.description}")
    worst = 0.0
    with TemporaryDirectory() as folder:
        for name in ALL:
            if name.startswith("shared-") and args.golden is None:
                continue
            vectors = load(name, args.golden)
            (place := Path(folder) / name).mkdir()
            differences = check(vectors, vectors.model(place), args.backend, args.device)
            print(f"{name:28}", *(f"{way} {value:.1e}" for way, value in differences.items()), flush=True)
            worst = max(worst, *differences.values())
    print(f"largest difference {worst:.1e}, at most {args.tolerance:.0e} asked")
    raise SystemExit(worst > args.tolerance or not np.isfinite(worst))


if __name__ == "__main__":
    main()
