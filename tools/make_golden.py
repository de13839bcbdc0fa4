#!/usr/bin/env python
"""Make the small golden vectors of the tests, of the reference in double precision, in seconds:

    python tools/make_golden.py SHARED                        # into tests/golden/data
    python tools/make_golden.py SHARED --output elsewhere

SHARED is the folder of the large golden vectors (CONTRIBUTING.md). Nothing is written unless the reference in single
precision has just matched them, and the export its listings. Weights are random, input is the sample pair of examples/.
Run it when a new kind of model needs vectors, or when the sample pair changes; what a model computes does not change.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

import golden_vectors as golden  # noqa: E402
import make_model  # noqa: E402

from localvqe_cli import export, gguf_file  # noqa: E402
from localvqe_cli.bases import standard_bases  # noqa: E402
from localvqe_cli.config import FrontendConfig, ModelConfig, ResidualConfig  # noqa: E402
from localvqe_cli.quantization.formats import pack  # noqa: E402
from localvqe_cli.reference import LocalVQE, StreamingLocalVQE  # noqa: E402
from localvqe_cli.tensors import quantizable_shapes  # noqa: E402

Array = NDArray[Any]

#: What the outputs of the reference may differ by from the large vectors.
TOLERANCE = 2e-5
#: Frames in which blocks are stored whole: one while the far end talks, and the last hop's, in its pause.
FRAMES = (36, 61)

#: The built-in model's stages, and the same small.
FILTER = {"frontend": FrontendConfig(gain_hidden=16), "residual": ResidualConfig()}
SMALL_FILTER = {"frontend": FrontendConfig(partitions=4, lags=12, gain_hidden=5), "residual": ResidualConfig()}
#: Name -> (config, seed of its weights); all widths differ.
MODELS = {
    "v1": (make_model.narrow_config(1), 101),
    "v1.1": (make_model.narrow_config(2), 102),
    "v1.2": (make_model.narrow_config(3), 103),
    "filter-and-network": (make_model.narrow_config(3, **SMALL_FILTER), 104),
    "filter": (ModelConfig(version=3, network=False, **FILTER), 105),
    # Wide enough for layers that run on integers.
    "q8_0": (make_model.narrow_config(3, mic_channels=(2, 8, 10, 9, 11, 8), far_channels=(2, 9, 8)), 106),
}


class MismatchError(Exception):
    """The reference does not compute what the large vectors say."""


def check_reference(shared: Path) -> None:
    """Raises :class:`MismatchError` unless reference and export do what the large vectors say."""
    for version in golden.SHARED:
        want = golden.load_shared(shared, version)
        model = LocalVQE.from_state(want.config, _tensors(want.state))
        mic, ref = torch.from_numpy(want.mic), torch.from_numpy(want.ref)
        with torch.no_grad():
            centred = model(mic[None], ref[None])[0].numpy()
        stream = StreamingLocalVQE(model)
        pairs = zip(mic.split(golden.HOP), ref.split(golden.HOP), strict=True)
        hops = torch.cat([stream.process_hop(*pair) for pair in pairs]).numpy()
        for form, found, expected in (("whole clip", centred, want.centred), ("stream", hops, want.stream)):
            worst = float(np.abs(found - expected).max())
            if not worst <= TOLERANCE:
                raise MismatchError(f"{version}, {form}: the reference is off by {worst:.1e}, above {TOLERANCE:.0e}")
        with tempfile.TemporaryDirectory() as folder:
            ours = golden.listing_text(want.model(Path(folder)))
        if golden.listed(ours) != golden.listed(want.listing or ""):
            raise MismatchError(f"{version}: the export has other keys or tensors than the listing")


def make(name: str, folder: Path) -> None:
    """Write the files of one model in MODELS."""
    config, seed = MODELS[name]
    state = make_model.random_state(config, seed)
    tensors = export.fold(config, state)
    # Without the codec's bases, which are two megabytes.
    stored: dict[str, Any] = {key: value for key, value in tensors.items() if key not in standard_bases(config)}
    path = folder / f"{name}.gguf"
    if name in golden.QUANTIZED:
        stored |= {key: pack(tensors[key], "Q8_0") for key in quantizable_shapes(config)}
    else:
        gguf_file.write(path, config, tensors)
        (folder / f"{name}.gguf_listing.txt").write_text(golden.listing_text(path))
    gguf_file.write(path, config, stored)
    file = gguf_file.read(path)
    if name in golden.QUANTIZED:
        state |= {key: file.array(key) for key in quantizable_shapes(config)}
    known = {**standard_bases(config), **{key: file.array(key) for key in file.tensors}}
    arrays = {
        f"state/{key}": value
        for key, value in state.items()
        if key not in known or not np.array_equal(known[key], value)
    }
    mic, ref, digest = golden.excerpt()
    arrays |= {"config": np.array(json.dumps(config.to_mapping(), sort_keys=True)), "input": np.array(digest)}
    np.savez_compressed(folder / f"{name}.npz", **arrays, **_computed(config, state, mic, ref))  # type: ignore[arg-type]


def _computed(config: ModelConfig, state: dict[str, Array], mic: Array, ref: Array) -> dict[str, Array]:
    """Output and blocks, in double precision, so that they are nobody's rounding."""
    model = LocalVQE.from_state(config, _tensors(state)).double()
    silence = np.zeros(golden.HOP)  # brings out the last hop
    hops = [torch.from_numpy(np.concatenate([x.astype(float), silence])).reshape(1, -1, golden.HOP) for x in (mic, ref)]
    taps: dict[str, torch.Tensor] = {}
    with torch.no_grad():
        out = {"stream": model.run(*hops, taps=taps)[0].numpy(), "frames": np.array(FRAMES)}
    if "delay" in taps:
        out["delay"] = taps.pop("delay")[0].numpy()
    for name, tap in taps.items():
        out[f"block/{name}"] = tap[0][:, list(FRAMES)].numpy()
        out[f"norm/{name}"] = tap[0].square().sum(dim=(0, 2)).sqrt().numpy()
    return {key: value.astype(np.float32) if value.dtype == np.float64 else value for key, value in out.items()}


def _tensors(state: dict[str, Array]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.array(value)) for name, value in state.items()}


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path, metavar="SHARED", help="folder of the large golden vectors")
    parser.add_argument("--output", type=Path, default=golden.DATA, metavar="DIR", help="default: tests/golden/data")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)  # sums in one order, and small tensors gain nothing from more
    try:
        check_reference(args.shared)
    except (MismatchError, OSError) as exc:
        print(f"error: {exc}; nothing was written", file=sys.stderr)
        return 1
    args.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.output.parent) as name:
        for model in MODELS:
            make(model, Path(name))
        for path in sorted(Path(name).iterdir()):
            path.replace(args.output / path.name)
            print(f"{args.output / path.name}: {(args.output / path.name).stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
