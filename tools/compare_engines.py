"""Two builds of the engine on the same models and signals, for a change that must not change what comes out:

    PYTHONPATH=tests python tools/compare_engines.py OLD.so NEW.so [--golden FOLDER] [--time] [MODEL.gguf ...]

Without MODEL: the models of the package, random weights of every version in several shapes, filter and gain stage, and
Q8_0 and Q4_K of each network; with --golden the checkpoints there as well. Each model runs hop by hop and in clips,
with 1 and 2 threads, with every kernel set that both builds have. Outputs and taps must be the same to the last bit.
--time adds the time of a hop, both builds in turn, hop after hop, in one process. Exits with 1 if they differ.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from engine_runs import signals
from make_model import V13, narrow_config, random_gguf
from numpy.typing import NDArray

from localvqe_cli import export, gguf_file
from localvqe_cli.config import FrontendConfig, ResidualConfig
from localvqe_cli.quantization.formats import pack
from localvqe_cli.tensors import quantizable_shapes

HOP = 256
SECONDS = 3.0
CLIP_HOPS = 8
KERNELS = ("avx512vnni", "avx512", "avx2", "neon", "portable", "wide")
TIMED_HOPS = 1500

Samples = NDArray[np.float32]
FLOATS = ctypes.POINTER(ctypes.c_float)
HANDLE = ctypes.c_size_t


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path, metavar="OLD.so")
    parser.add_argument("new", type=Path, metavar="NEW.so")
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL.gguf")
    parser.add_argument("--golden", type=Path, help="folder with a state.pt per version")
    parser.add_argument("--quick", action="store_true", help="only the kernel set that this machine chooses")
    parser.add_argument("--time", action="store_true", help="measure as well")
    arguments = parser.parse_args()
    os.environ["LOCALVQE_OVERSUBSCRIBE"] = "1"
    old, new = (Library(path) for path in (arguments.old, arguments.new))
    different = 0
    with tempfile.TemporaryDirectory() as folder:
        models = arguments.models or make_models(Path(folder), arguments.golden)
        for model in models:
            found = differences(old, new, model, quick=arguments.quick)
            different += len(found)
            text = f"DIFFERS: {', '.join(found[:5])}" if found else "equal"
            if arguments.time:
                text += " " + timing(old, new, model)
            print(f"{model.stem:28} {text}", flush=True)
    print("some differ" if different else "all equal")
    return 1 if different else 0


class Library:
    """The functions of one build that a comparison needs."""

    def __init__(self, path: Path) -> None:
        self.lib = ctypes.CDLL(str(path.resolve()))
        for name, result, arguments in (
            ("model_load", HANDLE, [ctypes.c_char_p]),
            ("model_free", None, [HANDLE]),
            ("stream_new", HANDLE, [HANDLE, ctypes.c_int, ctypes.c_int]),
            ("free", None, [HANDLE]),
            ("reset", None, [HANDLE]),
            ("kernels", ctypes.c_char_p, []),
            ("creation_error", ctypes.c_char_p, []),
            ("integer_layers", ctypes.c_int, [HANDLE]),
            ("current_delay", ctypes.c_int, [HANDLE, FLOATS]),
            ("process_hops_f32", ctypes.c_int, [HANDLE, FLOATS, FLOATS, ctypes.c_int, FLOATS]),
            ("set_observing", ctypes.c_int, [HANDLE, ctypes.c_int]),
            ("input_power", ctypes.c_int, [HANDLE, ctypes.c_char_p, FLOATS, ctypes.c_int]),
            ("tap_count", ctypes.c_int, [HANDLE]),
            ("tap_name", ctypes.c_char_p, [HANDLE, ctypes.c_int]),
            ("tap_read", ctypes.c_int, [HANDLE, ctypes.c_char_p, FLOATS, ctypes.c_int]),
        ):
            function = getattr(self.lib, f"localvqe_{name}")
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)

    def load(self, path: Path) -> int:
        """A model's handle."""
        model = int(self.model_load(os.fsencode(path)))
        if not model:
            raise SystemExit(self.creation_error().decode())
        return model

    def stream(self, model: int, threads: int, hops: int) -> int:
        """A stream's handle."""
        stream = int(self.stream_new(model, threads, hops))
        if not stream:
            raise SystemExit(self.creation_error().decode())
        return stream

    def taps(self, stream: int) -> dict[str, Samples]:
        """Block outputs of the latest hop, by name."""
        buffer = np.empty(1 << 16, np.float32)
        names = [self.tap_name(stream, i).decode() for i in range(self.tap_count(stream))]
        return {
            name: buffer[: self.tap_read(stream, name.encode(), pointer(buffer), buffer.size)].copy() for name in names
        }

    def powers(self, stream: int, names: list[str]) -> dict[str, Samples]:
        """What calibration has seen of each tensor's layer."""
        buffer = np.empty(1 << 14, np.float32)
        counts = {name: self.input_power(stream, name.encode(), pointer(buffer), buffer.size) for name in names}
        return {name: np.array([count, *buffer[: max(count, 0)]], np.float32) for name, count in counts.items()}


def pointer(samples: Samples) -> Any:
    return samples.ctypes.data_as(FLOATS)


def run(library: Library, path: Path, tensors: list[str], threads: int, hops: int) -> dict[str, Samples]:
    """Everything one build says of a model: the output, taps on the way and at its end, calibration, delay."""
    mic, ref = signals(SECONDS, seed=3)
    model = library.load(path)
    stream = library.stream(model, threads, hops)
    found: dict[str, Samples] = {"integer layers": np.float32([library.integer_layers(stream)])}
    # Twice, the second time after a reset; the last call of a clip is a short one.
    for again in ("", " again"):
        library.set_observing(stream, 1)
        out = np.empty_like(mic)
        n = mic.size // HOP // 8 * 8 + (3 if hops > 1 else 0)
        n = min(n, mic.size // HOP)
        step = hops if hops == 1 else 5 * hops
        for start in range(0, n, step):
            count = min(step, n - start)
            a, b, c = (x[start * HOP :] for x in (mic, ref, out))
            status = library.process_hops_f32(stream, pointer(a), pointer(b), count, pointer(c))
            found[f"status{again}"] = np.float32([status])
            if start == step * 3:
                found |= {f"{name} early{again}": value for name, value in library.taps(stream).items()}
        found[f"output{again}"] = out[: n * HOP]
        found |= {f"{name}{again}": value for name, value in library.taps(stream).items()}
        found |= {f"power {name}{again}": value for name, value in library.powers(stream, tensors).items()}
        sure = np.zeros(1, np.float32)
        found[f"lag{again}"] = np.float32([library.current_delay(stream, pointer(sure)), sure[0]])
        library.reset(stream)
    library.free(stream)
    library.model_free(model)
    return found


def differences(old: Library, new: Library, path: Path, *, quick: bool) -> list[str]:
    """What is not the same in both builds."""
    found = []
    tensors = list(gguf_file.read(path).tensors)
    for kernels in ("",) if quick else KERNELS:
        os.environ["LOCALVQE_KERNELS"] = kernels
        if kernels and (old.kernels().decode() != kernels or new.kernels().decode() != kernels):
            continue
        for threads, hops in ((1, 1), (2, 1), (1, CLIP_HOPS), (2, CLIP_HOPS)):
            before, after = (run(library, path, tensors, threads, hops) for library in (old, new))
            where = f"{kernels or 'default'}/{threads} threads/{hops} hops"
            if before.keys() != after.keys():
                found.append(f"{where}: {sorted(before.keys() ^ after.keys())}")
            found += [f"{where}: {name}" for name in before if name in after and not same(before[name], after[name])]
    os.environ["LOCALVQE_KERNELS"] = ""
    return found


def same(a: Samples, b: Samples) -> bool:
    return a.shape == b.shape and a.tobytes() == b.tobytes()


def timing(old: Library, new: Library, path: Path) -> str:
    """Median time of a hop of both, with 1 and 2 threads, hop by hop in turn, and of 8 hops a call."""
    mic, ref = signals(TIMED_HOPS * HOP / 16000, seed=4)
    out = np.empty(HOP * CLIP_HOPS, np.float32)
    texts = []
    for threads, hops in ((1, 1), (2, 1), (1, CLIP_HOPS)):
        streams = []
        for library in (old, new):
            model = library.load(path)
            streams.append((library, library.stream(model, threads, hops)))
            library.model_free(model)
        # Of one thread its own time counts, whatever else the machine does.
        clock = time.thread_time if threads == 1 else time.perf_counter
        times: list[list[float]] = [[], []]
        for start in range(0, TIMED_HOPS - hops, hops):
            a, b = pointer(mic[start * HOP :]), pointer(ref[start * HOP :])
            order = (0, 1) if start // hops % 2 else (1, 0)
            for which in order:
                library, stream = streams[which]
                began = clock()
                library.process_hops_f32(stream, a, b, hops, pointer(out))
                times[which].append((clock() - began) / hops)
        for library, stream in streams:
            library.free(stream)
        before, after = (statistics.median(t) * 1e3 for t in times)
        low = [float(np.percentile(t, 10)) * 1e3 for t in times]
        change = f"{after / before - 1:+.1%}, p10 {low[1] / low[0] - 1:+.1%}"
        texts.append(f"{threads}t{hops}h {before:.4f}->{after:.4f} ms ({change})")
    return "  ".join(texts)


def make_models(folder: Path, golden: Path | None) -> Iterator[Path]:
    """The models of the module's docstring, written into ``folder``."""
    import localvqe_cli

    yield from sorted((Path(localvqe_cli.__file__).parent / "weights").glob("*.gguf"))
    if golden is not None:
        for state in sorted(golden.glob("*/state.pt")):
            yield from with_quantized(export.export(state, folder / f"{state.parent.name}.gguf").output)
    filters = FrontendConfig(partitions=3, lags=9)
    learned = FrontendConfig(partitions=3, lags=9, gain_hidden=5)
    for name, config in {
        "narrow-1": narrow_config(1),
        "narrow-2": narrow_config(2),
        "narrow-3": narrow_config(3),
        "odd-1": narrow_config(1, mic_channels=(2, 17, 21, 9, 33, 11), far_channels=(2, 15, 13), kernel_size_w=3),
        "odd-2": narrow_config(2, mic_channels=(2, 17, 21, 9, 33, 11), far_channels=(2, 15, 13), kernel_size_h=2),
        "odd-3": narrow_config(3, mic_channels=(2, 17, 21, 9, 33, 5), dmax=70, kernel_size_w=3, align_hidden=19),
        "flat-3": narrow_config(3, kernel_size_h=1, kernel_size_w=1, dmax=2),
        "filter-and-network": narrow_config(3, frontend=filters),
        "all-parts": narrow_config(3, frontend=learned, residual=ResidualConfig()),
        "widths-of-v1.3": V13,
    }.items():
        random_gguf(folder / f"{name}.gguf", config, 7)
        yield from with_quantized(folder / f"{name}.gguf")
    for name, config in {
        "filter-alone": narrow_config(3, network=False, frontend=learned),
        "filter-and-gain": narrow_config(3, network=False, frontend=filters, residual=ResidualConfig()),
    }.items():
        random_gguf(folder / f"{name}.gguf", config, 7)
        yield folder / f"{name}.gguf"


def with_quantized(path: Path) -> Iterator[Path]:
    """The model, and all that may be quantized of it as Q8_0 and as Q4_K."""
    yield path
    model = gguf_file.read(path)
    assert model.config is not None
    tensors = {name: model.array(name) for name in model.tensors}
    for kind in ("Q8_0", "Q4_K"):
        packed = {name: pack(tensors[name], kind) for name in quantizable_shapes(model.config)}
        yield gguf_write(path.with_name(f"{path.stem}-{kind}.gguf"), model.config, {**tensors, **packed})


def gguf_write(path: Path, config: Any, tensors: Any) -> Path:
    gguf_file.write(path, config, tensors)
    return path


if __name__ == "__main__":
    sys.exit(main())
