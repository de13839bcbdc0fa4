"""How much could a network behind the default bring? What a perfect mask brings, made from the near end itself:

    python tools/perfect_mask.py PAIRS.tsv -o OUT [-m MODEL]
    localvqe eval PAIRS.tsv -m MODEL --enhanced "perfect mask=OUT/mask" --enhanced "near end=OUT/near" --metrics aecmos

PAIRS is a table with targets, such as tools/held_out_pairs.py writes; a clip without one has no near end. ``OUT/mask``
holds the model's output, lowered in every bin of every frame to the size of the near end there; ``OUT/near`` the near
end itself. No network that scales bins does better than the first on these scenes. docs/reference/model-card.md quotes
the scores. Needs the extra eval.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

import localvqe
from localvqe_cli.evaluation.inputs import read_source
from localvqe_cli.evaluation.scoring import enhance_samples
from localvqe_cli.geometry import FRAME, HOP, MODEL_RATE
from localvqe_cli.signal_path import read_at_model_rate

Samples = npt.NDArray[np.float32]

_WINDOW = np.sin(np.pi * (np.arange(FRAME) + 0.5) / FRAME)


def spectra(samples: Samples) -> npt.NDArray[np.complex128]:
    """(frames, 257) of sqrt-Hann frames of 512 samples, half overlapping, which begin a hop before the samples."""
    whole = -(-samples.size // HOP)
    hops = np.pad(samples, (HOP, (whole + 1) * HOP - samples.size)).reshape(whole + 2, HOP)
    return np.fft.rfft(np.concatenate([hops[:-1], hops[1:]], axis=1) * _WINDOW)


def overlap_added(frames: npt.NDArray[np.complex128], size: int) -> Samples:
    """The ``size`` samples that ``spectra`` began with."""
    halves = np.fft.irfft(frames) * _WINDOW
    samples = (halves[:-1, HOP:] + halves[1:, :HOP]).reshape(-1)
    return samples[:size].astype(np.float32)


def masked(output: Samples, near: Samples) -> Samples:
    """``output`` with no bin larger than in ``near``, both of one length."""
    has, wants = spectra(output), np.abs(spectra(near))
    return overlap_added(has * np.minimum(1.0, wants / np.maximum(np.abs(has), 1e-12)), output.size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs")
    parser.add_argument("-o", "--output", required=True, type=Path)
    parser.add_argument("-m", "--model", default="default")
    options = parser.parse_args()
    folders = {part: options.output / part for part in ("mask", "near")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    enhancer = localvqe.Enhancer(options.model)
    for clip in read_source(options.pairs):
        if clip.ref is None:
            parser.error(f"{options.pairs}: {clip.id} has no reference")
        output, _ = enhance_samples(enhancer, read_at_model_rate(clip.mic), read_at_model_rate(clip.ref), align=True)
        near = np.zeros_like(output) if clip.target is None else read_at_model_rate(clip.target)
        near = np.pad(near, (0, max(0, output.size - near.size)))[: output.size]
        for part, samples in (("mask", masked(output, near)), ("near", near)):
            soundfile.write(folders[part] / f"{clip.id}.wav", samples, MODEL_RATE, subtype="FLOAT")


if __name__ == "__main__":
    main()
