"""Golden vectors: a checkpoint, a short call, and what a correct implementation computes from both.

There are two sets. The large one came with the project, from an implementation that is not ours; it is not in the
repository (CONTRIBUTING.md). The small one is in ``tests/golden/data``, and ``tools/make_golden.py`` makes it of the
reference once that has matched the large one. Tests take either as a :class:`Vectors`, so that each of them runs
everywhere.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
from make_model import save_checkpoint
from numpy.typing import NDArray

from localvqe_cli import export, gguf_file
from localvqe_cli.bases import standard_bases
from localvqe_cli.config import ModelConfig
from localvqe_cli.tensors import state_dict_shapes

Array = NDArray[Any]
Samples = NDArray[np.float32]

DATA = Path(__file__).parent / "golden" / "data"
EXAMPLES = Path(__file__).parents[1] / "examples"
HOP = 256
#: The second of the sample pair that the small vectors are computed from: both ends talk, then the far end pauses.
EXCERPT = slice(51200, 51200 + 62 * HOP)

#: Of the large set, by architecture version.
SHARED = ("v1", "v1.1", "v1.2")
#: Of the small set: the architecture versions, a filter before a network, a filter without one as the built-in model
#: is, and quantized weights.
FLOAT = ("v1", "v1.1", "v1.2", "filter-and-network", "filter")
QUANTIZED = ("q8_0",)

#: Names of tests' parameters.
ALL = (*(f"small-{name}" for name in (*FLOAT, *QUANTIZED)), *(f"shared-{name}" for name in SHARED))
#: Those that hold a checkpoint and the listing of its export.
CHECKPOINTS = tuple(name for name in ALL if name.removeprefix("small-") not in QUANTIZED)
#: Those for what is slow: every part of a network, and one in full width.
FEW = tuple(name for name in CHECKPOINTS if name.startswith("small-") or name == "shared-v1.2")
#: Those that also hold an export which this build did not write.
FOREIGN = ("shared-v1", *(name for name in CHECKPOINTS if name.startswith("small-")))


@dataclass(frozen=True)
class Vectors:
    """One model and what it computes.

    Attributes:
        name: as in ALL.
        config, state: what a checkpoint holds.
        mic, ref: the call, (N,), N a multiple of 256.
        centred, stream: (N,), the output aligned with ``mic``, and one hop late.
        blocks: name -> (frames, values): a block's output in some frames, in the layout of ``LocalVQE.forward``
            without the batch: (C, frames, F).
        norms: name -> L2 norm of each frame of a block's output, (T,).
        delay: the attention, (T, dmax), oldest lag first, or None without a network.
        listing: every key and tensor of a correct export, or None for a model that is no export.
        foreign: a GGUF file of the model, written when the vectors were made, or None.
    """

    name: str
    config: ModelConfig
    state: dict[str, Array]
    mic: Samples
    ref: Samples
    centred: Samples
    stream: Samples
    blocks: dict[str, tuple[Array, Array]] = field(repr=False)
    norms: dict[str, Array] = field(repr=False)
    delay: Array | None = field(repr=False)
    listing: str | None = field(repr=False)
    foreign: Path | None

    def save_checkpoint(self, path: Path) -> Path:
        """Write the checkpoint; returns ``path``."""
        save_checkpoint(path, self.state, self.config)
        return path

    def model(self, folder: Path) -> Path:
        """A GGUF file of the model: an export into ``folder``, or the stored one of what is no export."""
        if self.listing is None:
            assert self.foreign is not None
            return self.foreign
        return export.export(self.save_checkpoint(folder / "state.pt"), folder / "model.gguf").output


def load(name: str, shared: Path | None = None) -> Vectors:
    """The vectors of a name in ALL; ``shared`` is the folder of the large set, for names in it."""
    kind, _, name = name.partition("-")
    if kind == "small":
        return load_small(name)
    assert shared is not None
    return load_shared(shared, name)


def excerpt() -> tuple[Samples, Samples, str]:
    """(mic, ref, digest of both) of the sample pair's excerpt."""
    mic, ref = (sf.read(EXAMPLES / f"sample_{side}.wav", dtype="float32")[0][EXCERPT] for side in ("mic", "ref"))
    return mic, ref, hashlib.sha256(mic.tobytes() + ref.tobytes()).hexdigest()


def load_small(name: str, folder: Path = DATA) -> Vectors:
    """Of the small set in ``folder``."""
    mic, ref, digest = excerpt()
    with np.load(folder / f"{name}.npz") as content:
        arrays = dict(content)
    assert str(arrays["input"]) == digest, "examples/ has changed: run tools/make_golden.py"
    config = ModelConfig.from_mapping(json.loads(str(arrays["config"])))
    listing = folder / f"{name}.gguf_listing.txt"
    frames = arrays["frames"]
    return Vectors(
        name=f"small-{name}",
        config=config,
        state=_state(config, _below(arrays, "state"), folder / f"{name}.gguf"),
        mic=mic,
        ref=ref,
        centred=arrays["stream"][HOP:],
        stream=arrays["stream"][: mic.size],
        blocks={key: (frames, values) for key, values in _below(arrays, "block").items()},
        norms=_below(arrays, "norm"),
        delay=arrays.get("delay"),
        listing=listing.read_text() if listing.exists() else None,
        foreign=folder / f"{name}.gguf",
    )


def _state(config: ModelConfig, stored: dict[str, Array], model: Path) -> dict[str, Array]:
    """What is stored; else what the export holds by the same name, which folding left alone; else a standard basis."""
    file = gguf_file.read(model)
    bases = standard_bases(config) if config.network else {}
    state = {}
    for name in state_dict_shapes(config):
        if name in stored:
            state[name] = stored[name]
        else:
            state[name] = bases[name] if name in bases else file.array(name)
    return state


def _below(arrays: dict[str, Array], prefix: str) -> dict[str, Array]:
    return {key.removeprefix(f"{prefix}/"): value for key, value in arrays.items() if key.startswith(f"{prefix}/")}


def load_shared(golden: Path, version: str) -> Vectors:
    """Of the large set in the folder ``golden``; needs torch."""
    import torch

    folder = golden / version
    content = torch.load(folder / "state.pt", weights_only=True)
    mic, ref = (sf.read(golden / "input" / f"{side}.wav", dtype="float32")[0] for side in ("mic", "ref"))
    with np.load(folder / "taps.npz") as stored:
        taps = dict(stored)
    some, every = np.arange(60, 70), np.arange(len(taps["delay"]))
    blocks = {key.removesuffix("_f60_70"): (some, values) for key, values in taps.items() if key.endswith("_f60_70")}
    blocks["bottleneck"] = (every, taps["bottleneck_all"])
    del blocks["mask"]  # dec1 by another name
    foreign = folder / "model-f32.gguf"
    return Vectors(
        name=f"shared-{version}",
        config=ModelConfig.from_mapping(content["model_config"]),
        state={name: value.numpy() for name, value in content["model_state_dict"].items()},
        mic=mic,
        ref=ref,
        centred=np.load(folder / "out_centred.npy"),
        stream=np.load(folder / "out_stream.npy"),
        blocks=blocks,
        norms={f"{side}_spectrum": taps[f"{side}_enc_l2"] for side in ("mic", "ref")},
        delay=taps["delay"],
        listing=(folder / "gguf_listing.txt").read_text(),
        foreign=foreign if foreign.exists() else None,
    )


# -- listings ---------------------------------------------------------------------------------

_TYPES = {"UINT32": "u32", "FLOAT32": "f32", "BOOL": "bool", "STRING": "str"}
Key = tuple[str, str, object]
Listed = tuple[str, str, list[int]]


def listing_text(path: Path) -> str:
    """Every key and tensor of a GGUF file, in the form of the large set's listings."""
    model = gguf_file.read(path)
    names = {ours: theirs for theirs, ours in _TYPES.items()}
    keys = [f"{key} : ['{names[model.metadata_types[key]]}'] = {value}" for key, value in model.metadata.items()]
    tensors = [f"{name} {info.type.name} {list(reversed(info.shape))}" for name, info in model.tensors.items()]
    return "\n".join([*keys, "", "# tensors: name, ggml type, ne (ne0..), file order", *tensors, ""])


def listed(text: str) -> tuple[list[Key], list[Listed]]:
    """(key, type, value) and (tensor, type, ne) of a listing, in order."""
    keys: list[Key] = []
    tensors: list[Listed] = []
    for line in text.splitlines():
        if found := re.fullmatch(r"(\S+) : \['(\w+)'\] = (.*)", line):
            name, kind, value = found.groups()
            if not name.startswith("GGUF."):
                keys.append((name, _TYPES[kind], _value(_TYPES[kind], value)))
        elif found := re.fullmatch(r"(\S+) (\w+) (\[.*\])", line):
            tensors.append((found[1], found[2], json.loads(found[3])))
    return keys, tensors


def _value(kind: str, text: str) -> object:
    if kind == "bool":
        return {"True": True, "False": False}[text]
    if kind == "u32":
        return int(text)
    return np.float32(text) if kind == "f32" else text
