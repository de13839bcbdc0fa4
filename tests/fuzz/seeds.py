"""The valid files that fuzzing starts from. A new format is one more line here."""

from __future__ import annotations

import gzip
import io
import shutil
from pathlib import Path

import numpy as np
from gguf_document import Document, parse
from make_codec import NARROW, random_codec, random_nemo
from make_model import narrow_config, random_gguf, random_quantized_gguf, random_state, save_checkpoint

from localvqe_cli.config import FrontendConfig, ModelConfig, ResidualConfig
from localvqe_cli.models import DEFAULT_MODEL

#: The filter before a network with all of its stages, and alone; small.
_STAGES = {"frontend": FrontendConfig(partitions=2, lags=4, gain_hidden=3), "residual": ResidualConfig()}


def models(folder: Path) -> list[Document]:
    """F32 of each version, with and without front-end, quantized forms, filters alone, and the built-in model."""
    configs = {
        "v1": narrow_config(1),
        "v2": narrow_config(2),
        "v3": narrow_config(3, frontend=FrontendConfig(partitions=2, lags=4)),
        "stages": narrow_config(3, **_STAGES),
        "alone": ModelConfig(version=3, network=False, **_STAGES),
        "bare": ModelConfig(version=3, network=False, frontend=FrontendConfig(partitions=1, lags=2)),
    }
    for seed, (name, config) in enumerate(configs.items()):
        random_gguf(folder / f"{name}.gguf", config, seed)
    quantized = narrow_config(2, mic_channels=(2, 17, 21, 9, 33, 11), far_channels=(2, 15, 13), kernel_size_w=3)
    for kind in ("Q8_0", "Q4_K"):
        random_quantized_gguf(folder / f"{kind}.gguf", quantized, kind)
    shutil.copyfile(DEFAULT_MODEL, folder / "built-in.gguf")
    names = (*configs, "Q8_0", "Q4_K", "built-in")
    return [parse(folder / f"{name}.gguf") for name in names]


def checkpoints(folder: Path) -> list[bytes]:
    """One per norm, as a zip archive and as an old pickle, small: the codec's bases are most of the size."""
    import torch

    out = []
    for version in (1, 3):
        config = narrow_config(version)
        path = folder / f"v{version}.pt"
        save_checkpoint(path, random_state(config), config)
        out.append(path.read_bytes())
        old = io.BytesIO()
        torch.save(torch.load(path, weights_only=True), old, _use_new_zipfile_serialization=False)
        out.append(old.getvalue())
    return out


def onnx_files(folder: Path) -> list[bytes]:
    """A network of each norm, all stages, and a filter alone, small; states apart and packed."""
    from localvqe_cli.onnx_file.writer import export_onnx

    configs = {
        "v1": narrow_config(1),
        "stages": narrow_config(3, **_STAGES),
        "alone": ModelConfig(version=3, network=False, **_STAGES),
    }
    out = []
    for seed, (name, config) in enumerate(configs.items()):
        model = folder / f"{name}.gguf"
        random_gguf(model, config, seed)
        made = export_onnx(model, folder / f"{name}.onnx", packed=name == "stages", half=name == "v1")
        out.append(made.output.read_bytes())
    return out


def codecs(folder: Path) -> list[Document]:
    """Model files of the speech codec, of each type of weights."""
    out = []
    for seed, kind in enumerate(("F32", "F16", "Q8_0")):
        out.append(parse(random_codec(folder / f"codec-{kind}.gguf", NARROW, kind, seed)))
    return out


def archives(folder: Path) -> list[bytes]:
    """Archives of the speech codec, in each spelling of its weights, one compressed as a whole."""
    out = [random_nemo(folder / f"{s}.nemo", spelling=s).read_bytes() for s in ("old", "new", "plain")]
    return [*out, gzip.compress(out[0])]


def sounds(folder: Path) -> list[tuple[str, bytes]]:
    """(suffix, content) of a tenth of a second in each kind of container and coding."""
    import soundfile as sf

    signal = 0.1 * np.random.default_rng(0).standard_normal((1600, 2))
    forms = [("wav", "WAV", s) for s in ("PCM_16", "PCM_24", "FLOAT", "DOUBLE", "ULAW", "IMA_ADPCM")]
    forms += [
        ("flac", "FLAC", "PCM_16"),
        ("flac", "FLAC", "PCM_24"),
        ("ogg", "OGG", "VORBIS"),
        ("aiff", "AIFF", "PCM_16"),
    ]
    forms += [
        ("w64", "W64", "PCM_16"),
        ("caf", "CAF", "FLOAT"),
        ("wav", "WAVEX", "PCM_16"),
        ("mp3", "MP3", "MPEG_LAYER_III"),
    ]
    out = []
    for suffix, container, subtype in forms:
        path = folder / f"a.{suffix}"
        channels = signal if subtype in ("PCM_16", "FLOAT") else signal[:, :1]
        sf.write(path, channels, 44100 if subtype == "PCM_24" else 16000, subtype, format=container)
        out.append((suffix, path.read_bytes()))
    return out


MANIFEST = b"id\tmic\tref\tscenario\n" + b"".join(b"n%d\tm/a%d.wav\tr/a%d.wav\tdt\n" % (i, i, i) for i in range(6))
