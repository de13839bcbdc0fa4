"""Held-out training scenes as a table of recordings that ``localvqe eval`` reads: what the near end comes out like.

    python tools/held_out_pairs.py --data DIR --cache CACHE -o OUT [--count 60] [--seconds 12]

writes ``OUT/pairs.tsv`` and the recordings it lists, 16 kHz FLAC. Voices and rooms are those that training never hears.
The target is the near end as the microphone hears it, with its room: what a canceller that leaves noise and room alone
should keep. docs/reference/model-card.md quotes ``localvqe eval OUT/pairs.tsv --metrics level,sisdr,dnsmos``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import soundfile

from localvqe_cli.training.dataset import SceneDataset, make_datasets
from localvqe_cli.training.options import GainRecipe

_NAMES = {"doubletalk": "doubletalk", "farend": "farend-singletalk", "nearend": "nearend-singletalk"}
_RATE = 16000


def write(held_out: SceneDataset, folder: Path, count: int) -> None:
    """Write the first ``count`` scenes."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["id\tscenario\tmic\tref\ttarget"]
    for number in range(count):
        scene = held_out.scene(number)
        scenario = f"synthetic-{_NAMES[scene.scenario]}"
        name = f"{scenario}-{number:03d}"
        parts = {"mic": scene.mic, "ref": scene.ref}
        if scene.scenario != "farend":
            parts["target"] = scene.near
        for part, samples in parts.items():
            soundfile.write(folder / f"{name}_{part}.flac", samples.clip(-1.0, 1.0), _RATE, subtype="PCM_16")
        target = f"{name}_target.flac" if "target" in parts else ""
        rows.append(f"{name}\t{scenario}\t{name}_mic.flac\t{name}_ref.flac\t{target}")
    (folder / "pairs.tsv").write_text("\n".join(rows) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder with manifest.tsv")
    parser.add_argument("--cache", required=True, help="decoded recordings and rooms, as for localvqe train")
    parser.add_argument("-o", "--output", required=True, type=Path)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=12.0)
    options = parser.parse_args()
    _, held_out = make_datasets(options.data, options.cache, GainRecipe(seconds=options.seconds))
    if held_out is None:
        parser.error("the manifest lists no held-out speech")
    write(held_out, options.output, options.count)


if __name__ == "__main__":
    main()
