"""ctypes binding of ``liblocalvqe``: the compiled engine behind ``Enhancer`` and ``Stream``.

The library's C ABI is documented in ``include/localvqe_api.h``. Signals are mono, (n,), at 16 kHz. What goes in is
float of any width, nominally in [-1, 1], or integer PCM, which is scaled by the range of its type: int16 by 1/32768,
int32 by 1/2^31, uint8 as (x - 128)/128. What comes out is float32, nominally in [-1, 1].
"""

from __future__ import annotations

import ctypes
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import gguf_file
from .block_stream import BlockStream
from .config import MAX_THREADS, ModelConfig
from .errors import AudioError, EngineError, LocalVQEError, ModelError, UsageError
from .geometry import HOP, MODEL_RATE
from .models import resolve

if TYPE_CHECKING:
    from .description import FileValue

__all__ = [
    "BACKENDS",
    "PRECISIONS",
    "CodecEngine",
    "Device",
    "Enhancer",
    "Stream",
    "as_samples",
    "dequantize_rows",
    "devices",
    "get_include",
    "get_library_dir",
    "kernels",
    "library_path",
    "measure_peak",
    "quantize_rows",
]

Samples = NDArray[np.float32]

_MAX_CHANNELS = 1 << 14
#: What the library returns when processing had to stop.
_STOPPED = -3
#: Hops that one run takes where a whole clip is at hand.
_CLIP_HOPS = 8
#: The same where a GPU might do the work, for which many small runs are slow.
_DEVICE_CLIP_HOPS = 64
#: Where a network can run: ``auto`` is our choice, ``cpu`` the engine's own kernels, ``ggml`` any device of ggml.
BACKENDS = ("auto", "cpu", "ggml", "cuda", "metal", "vulkan")
#: In what numbers a network's convolutions compute; ``auto`` is floats, and for quantized files what is faster here.
PRECISIONS = ("auto", "f32", "int16")

#: Sample types that are integers: the value of silence, and the distance from there to full scale.
_INTEGERS = {"uint8": (128.0, 128.0), "int16": (0.0, 32768.0), "int32": (0.0, 2147483648.0)}
#: A float signal beyond this is hardly meant to be in [-1, 1]; a hot recording stays below.
_LOUD = 16.0
_LOUD_TEXT = "samples beyond 16 times full scale: float samples belong between -1 and 1"
# The command line says in its own words what is odd about a file; the warning is for programs.
warnings.filterwarnings("ignore", f".*{_LOUD_TEXT}", UserWarning, r"localvqe_cli\.")

_PACKAGE = Path(__file__).resolve().parent
_FLOATS = ctypes.POINTER(ctypes.c_float)
_HOPS = ctypes.POINTER(_FLOATS)
_HANDLE = ctypes.c_size_t  # uintptr_t

_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "localvqe_version": (ctypes.c_char_p, []),
    "localvqe_kernels": (ctypes.c_char_p, []),
    "localvqe_creation_error": (ctypes.c_char_p, []),
    "localvqe_last_error": (ctypes.c_char_p, [_HANDLE]),
    "localvqe_has_backend": (ctypes.c_int, [ctypes.c_char_p]),
    "localvqe_device_count": (ctypes.c_int, []),
    "localvqe_device_backend": (ctypes.c_char_p, [ctypes.c_int]),
    "localvqe_device_index": (ctypes.c_int, [ctypes.c_int]),
    "localvqe_device_description": (ctypes.c_char_p, [ctypes.c_int]),
    "localvqe_options_new": (_HANDLE, []),
    "localvqe_options_free": (None, [_HANDLE]),
    "localvqe_options_set_model_path": (ctypes.c_int, [_HANDLE, ctypes.c_char_p]),
    "localvqe_options_set_backend": (ctypes.c_int, [_HANDLE, ctypes.c_char_p]),
    "localvqe_options_set_device": (ctypes.c_int, [_HANDLE, ctypes.c_int]),
    "localvqe_options_set_precision": (ctypes.c_int, [_HANDLE, ctypes.c_char_p]),
    "localvqe_model_load_with_options": (_HANDLE, [_HANDLE]),
    "localvqe_model_free": (None, [_HANDLE]),
    "localvqe_stream_new": (_HANDLE, [_HANDLE, ctypes.c_int, ctypes.c_int]),
    "localvqe_free": (None, [_HANDLE]),
    "localvqe_model_group_streams": (ctypes.c_int, [_HANDLE, ctypes.c_int]),
    "localvqe_group_new": (_HANDLE, [_HANDLE, ctypes.c_int, ctypes.c_int, ctypes.c_int]),
    "localvqe_group_free": (None, [_HANDLE]),
    "localvqe_group_process_f32": (
        ctypes.c_int,
        [_HANDLE, _FLOATS, _FLOATS, ctypes.c_int, _FLOATS, ctypes.POINTER(ctypes.c_int)],
    ),
    "localvqe_group_reset": (ctypes.c_int, [_HANDLE, ctypes.c_int]),
    "localvqe_group_set_noise_gate": (ctypes.c_int, [_HANDLE, ctypes.c_int, ctypes.c_float]),
    "localvqe_group_last_error": (ctypes.c_char_p, [_HANDLE]),
    "localvqe_reset": (None, [_HANDLE]),
    "localvqe_process_hops_f32": (ctypes.c_int, [_HANDLE, _FLOATS, _FLOATS, ctypes.c_int, _FLOATS]),
    "localvqe_process_streams_f32": (
        ctypes.c_int,
        [ctypes.POINTER(_HANDLE), ctypes.c_int, _HOPS, _HOPS, _HOPS, ctypes.POINTER(ctypes.c_int)],
    ),
    "localvqe_set_noise_gate": (ctypes.c_int, [_HANDLE, ctypes.c_int, ctypes.c_float]),
    "localvqe_current_delay": (ctypes.c_int, [_HANDLE, _FLOATS]),
    "localvqe_measure_peak": (ctypes.c_double, [ctypes.c_double]),
    "localvqe_set_profiling": (ctypes.c_int, [_HANDLE, ctypes.c_int]),
    "localvqe_profile_count": (ctypes.c_int, [_HANDLE]),
    "localvqe_profile_name": (ctypes.c_char_p, [_HANDLE, ctypes.c_int]),
    "localvqe_profile_ns": (ctypes.c_double, [_HANDLE, ctypes.c_int]),
    "localvqe_integer_layers": (ctypes.c_int, [_HANDLE]),
    "localvqe_set_observing": (ctypes.c_int, [_HANDLE, ctypes.c_int]),
    "localvqe_input_power": (ctypes.c_int, [_HANDLE, ctypes.c_char_p, _FLOATS, ctypes.c_int]),
    "localvqe_quantize_rows": (
        ctypes.c_int,
        [ctypes.c_int, _FLOATS, ctypes.c_uint64, ctypes.c_uint64, _FLOATS, ctypes.c_void_p, ctypes.c_uint64],
    ),
    "localvqe_dequantize_rows": (
        ctypes.c_int,
        [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64, _FLOATS, ctypes.c_uint64],
    ),
    "localvqe_codec_new": (_HANDLE, [ctypes.c_char_p, ctypes.c_int]),
    "localvqe_codec_free": (None, [_HANDLE]),
    "localvqe_codec_last_error": (ctypes.c_char_p, [_HANDLE]),
    "localvqe_codec_encode": (ctypes.c_int, [_HANDLE, _FLOATS, ctypes.c_int, ctypes.c_void_p]),
    "localvqe_codec_decode": (ctypes.c_int, [_HANDLE, ctypes.c_void_p, ctypes.c_int, _FLOATS]),
    "localvqe_quantized_size": (ctypes.c_uint64, [ctypes.c_int, ctypes.c_uint64, ctypes.c_uint64]),
    "localvqe_tap_count": (ctypes.c_int, [_HANDLE]),
    "localvqe_tap_name": (ctypes.c_char_p, [_HANDLE, ctypes.c_int]),
    "localvqe_tap_shape": (
        ctypes.c_int,
        [_HANDLE, ctypes.c_char_p, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int)],
    ),
    "localvqe_tap_read": (ctypes.c_int, [_HANDLE, ctypes.c_char_p, _FLOATS, ctypes.c_int]),
}


def library_path() -> Path:
    """The compiled engine: ``LOCALVQE_LIBRARY``, else the one inside the package."""
    override = os.environ.get("LOCALVQE_LIBRARY")
    if override:
        return Path(override)
    suffix = {"darwin": "dylib", "win32": "dll"}.get(sys.platform, "so")
    name = f"liblocalvqe.{suffix}"
    # An editable install keeps compiled files in site-packages while the sources stay in the checkout.
    for entry in (_PACKAGE.parent, *map(Path, sys.path)):
        candidate = entry / "localvqe_cli" / "lib" / name
        if candidate.is_file():
            return candidate
    return _PACKAGE / "lib" / name


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL:
    path = library_path()
    try:
        lib = ctypes.CDLL(str(path))
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(lib, name)
            function.restype = result
            function.argtypes = arguments
    except OSError as exc:
        raise EngineError(f"the engine {path} cannot be loaded ({exc}); install the package again") from exc
    except AttributeError as exc:
        raise EngineError(f"the engine {path} is of another version ({exc}); install the package again") from exc
    return lib


def get_include() -> str:
    """Folder of ``localvqe_api.h``, for compiling C programs against the engine."""
    return str(library_path().parent.parent / "include")


def get_library_dir() -> str:
    """Folder of ``liblocalvqe``, for linking and for the loader's search path."""
    return str(library_path().parent)


def kernels() -> str:
    """Instruction set of the kernels in use: avx512vnni, avx512, avx2, neon, portable or wide."""
    return str(_library().localvqe_kernels().decode())


def measure_peak(seconds: float = 0.2) -> float:
    """F32 multiply-adds per second that one core reaches with the kernel set in use, measured for ``seconds``."""
    return float(_library().localvqe_measure_peak(seconds))


@dataclass(frozen=True)
class Device:
    """Where a network can run: ``backend`` and ``index`` are what ``Enhancer(backend=..., device=...)`` takes."""

    backend: str
    index: int
    description: str


def devices() -> list[Device]:
    """What this build of the engine finds on this machine, its own kernels first."""
    lib = _library()
    return [
        Device(
            lib.localvqe_device_backend(i).decode(),
            int(lib.localvqe_device_index(i)),
            lib.localvqe_device_description(i).decode(errors="replace"),
        )
        for i in range(lib.localvqe_device_count())
    ]


def is_cpu(backend: str) -> bool:
    """Does this name mean the engine's own kernels?"""
    return backend in ("auto", "cpu")


def _check_place(lib: ctypes.CDLL, backend: str, device: int) -> None:
    """Raises UsageError unless this build has the backend, and that the device."""
    if backend not in BACKENDS:
        raise UsageError(f"backend {backend!r} is not known; choose one of {', '.join(BACKENDS)}")
    if not lib.localvqe_has_backend(backend.encode()):
        option = "ggml-cpu" if backend == "ggml" else backend
        raise UsageError(
            f"backend {backend} is not in this build; install from source with"
            f" CMAKE_ARGS=-DLOCALVQE_BACKENDS={option} pip install --no-binary localvqe localvqe"
        )
    found = devices()
    if backend == "ggml":
        count = sum(other.backend != "cpu" for other in found)
    else:
        count = sum(other.backend == ("cpu" if backend == "auto" else backend) for other in found)
    if not 0 <= device < count:
        has = f"its devices here are 0 to {count - 1}" if count else "it finds no device here"
        raise UsageError(f"backend {backend} has no device {device}: {has}; see localvqe devices")


def quantize_rows(type_id: int, matrix: ArrayLike, importance: ArrayLike | None = None) -> NDArray[np.uint8]:
    """ggml's blocks of a matrix, uint8 (rows, bytes of a row).

    Args:
        type_id: ggml's number of the block format, see ``gguf_file.QUANTIZED_TYPES``.
        matrix: (rows, columns) weights; columns must fill whole blocks.
        importance: (columns,) how much an error in each column matters, none negative; None for all alike.

    Raises:
        EngineError: the engine does not know the type, or columns, weights or importance are unsuitable.
    """
    lib = _library()
    values = np.ascontiguousarray(matrix, np.float32)
    rows, columns = values.shape
    size = int(lib.localvqe_quantized_size(type_id, rows, columns))
    out = np.zeros(size, np.uint8)
    weights = None if importance is None else np.ascontiguousarray(importance, np.float32)
    if weights is not None and weights.shape != (columns,):
        raise EngineError(f"an importance of shape {weights.shape} for {columns} columns")
    status = lib.localvqe_quantize_rows(
        type_id, _pointer(values), rows, columns, None if weights is None else _pointer(weights), out.ctypes.data, size
    )
    if status != 0:
        raise EngineError(f"the engine cannot quantize a {rows} x {columns} matrix to type {type_id} ({status})")
    return out.reshape(rows, -1)


def dequantize_rows(type_id: int, blocks: NDArray[np.uint8], columns: int) -> Samples:
    """The weights in ``blocks`` (rows, bytes of a row), (rows, columns).

    Raises:
        EngineError: the engine does not know the type, the sizes do not fit, or a scale is not finite.
    """
    lib = _library()
    blocks = np.ascontiguousarray(blocks, np.uint8)
    rows = blocks.shape[0]
    if blocks.size == 0 or int(lib.localvqe_quantized_size(type_id, rows, columns)) != blocks.size:
        raise EngineError(f"{blocks.size} bytes are no {rows} x {columns} matrix of type {type_id}")
    out = np.empty((rows, columns), np.float32)
    status = lib.localvqe_dequantize_rows(type_id, blocks.ctypes.data, rows, columns, _pointer(out), out.size)
    if status != 0:
        raise EngineError(f"the engine cannot unpack a {rows} x {columns} matrix of type {type_id} ({status})")
    return out


def _pointer(samples: Samples) -> Any:
    return samples.ctypes.data_as(_FLOATS)


def _address(samples: Samples, hop: int) -> Any:
    return ctypes.cast(samples.ctypes.data + hop * HOP * samples.itemsize, _FLOATS)


def as_samples(name: str, samples: ArrayLike) -> tuple[Samples, str]:
    """``samples`` (n,) as contiguous float32 in units of full scale, and their kind: "float" or an integer type.

    Raises:
        AudioError: no array, another shape, or a type that is neither float nor a known width of PCM.
    """
    try:
        array = np.asarray(samples)
    except ValueError as exc:
        raise AudioError(f"{name} is not an array of samples ({exc})") from exc
    kind = "float" if array.dtype.kind == "f" else array.dtype.name
    if kind != "float" and kind not in _INTEGERS:
        raise AudioError(f"{name} holds {kind}, expected float samples in [-1, 1], or int16, int32 or uint8 PCM")
    if array.ndim != 1:
        raise AudioError(f"{name} has {array.ndim} dimensions, expected mono samples of shape (n,)")
    with np.errstate(over="ignore"):  # a float64 too large for float32 becomes infinite, which the engine takes
        values = np.ascontiguousarray(array, np.float32)
    if kind != "float":
        zero, full = _INTEGERS[kind]
        values = (values - np.float32(zero)) * np.float32(1.0 / full)
    return values, kind


def _row_of_hops(name: str, samples: ArrayLike, n: int) -> NDArray[Any]:
    """(n, 256) samples of any type as (n * 256,)."""
    try:
        array = np.asarray(samples)
    except ValueError as exc:
        raise AudioError(f"{name} is not an array of samples ({exc})") from exc
    if array.shape != (n, HOP):
        raise AudioError(f"{name} has shape {array.shape}, expected a hop of each stream: ({n}, {HOP})")
    return array.ravel()


def _check_precision(precision: str, backend: str) -> None:
    """Raises UsageError unless the backend can compute so."""
    if precision not in PRECISIONS:
        raise UsageError(f"precision {precision!r} is not known; choose one of {', '.join(PRECISIONS)}")
    if precision == "int16" and not is_cpu(backend):
        raise UsageError(f"precision int16 is for backend cpu, not {backend}")


def _load(lib: ctypes.CDLL, path: Path, backend: str, device: int, precision: str = "auto") -> int:
    """A model's handle, or 0."""
    options = lib.localvqe_options_new()
    try:
        lib.localvqe_options_set_model_path(options, os.fsencode(path))
        lib.localvqe_options_set_backend(options, backend.encode())
        lib.localvqe_options_set_device(options, device)
        lib.localvqe_options_set_precision(options, precision.encode())
        return int(lib.localvqe_model_load_with_options(options))
    finally:
        lib.localvqe_options_free(options)


class Enhancer:
    """A loaded model. Cheap to share: every stream made from it uses the same weights.

    ``with`` or :meth:`close` gives its memory back at a known time. A pickle holds the path of the model file, not the
    file: another process loads it again.

    Args:
        model: path of a GGUF file, a name from the registry, or None for the embedded default.
        threads: workers per stream, 1..32; 0 lets the engine choose.
        noise_gate: hops of output at or below this level in dBFS become silence; None leaves them alone.
        backend: where the network runs, one of BACKENDS. ``cpu`` is also what ``auto`` chooses, and the fastest for
            live streams; the others are there in builds that have them, and pay for whole clips on a GPU.
        device: which of the backend's devices, from 0.
        precision: in what numbers the network's convolutions compute, one of PRECISIONS. ``auto`` takes floats for
            files in F32, and for quantized ones integers of 16 bits where these are faster; ``int16`` takes integers
            for every file, some 64 dB from what floats give.

    Attributes:
        path: the model file.
        name: the model's own, or that of its file.
        config: its hyperparameters.
        metadata: the keys of the file; arrays are lists.
        threads, noise_gate, backend, device, precision: as above.

    Raises:
        ModelError: the file is missing, damaged or not a LocalVQE model.
        EngineError: the compiled library cannot be loaded.
        UsageError: threads or noise gate out of range, a backend or device that is not there, or a precision that is
            not known or not the backend's.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        threads: int = 1,
        noise_gate: float | None = None,
        backend: str = "auto",
        device: int = 0,
        precision: str = "auto",
    ) -> None:
        if not 0 <= threads <= MAX_THREADS:
            raise UsageError(f"threads is {threads}, expected 0 to {MAX_THREADS}")
        if noise_gate is not None and not np.isfinite(noise_gate):
            raise UsageError(f"noise gate is {noise_gate}, expected a level in dBFS")
        self._handle = 0
        self.path = resolve(model)
        lib = _library()
        _check_precision(precision, backend)
        _check_place(lib, backend, device)
        described = gguf_file.read(self.path)
        self._free = lib.localvqe_model_free  # the module may be gone when the last model is
        self._handle = _load(lib, self.path, backend, device, precision)
        if not self._handle:
            raise ModelError(_creation_error(lib))
        self._said_loud = False
        self.threads = threads
        self.noise_gate = noise_gate
        self.backend = backend
        self.device = device
        self.precision = precision
        assert described.config is not None  # read() raises unless the file is whole
        self.config: ModelConfig = described.config
        self.metadata: dict[str, FileValue] = described.metadata
        self.name: str = str(self.metadata.get("general.name") or self.path.stem)

    def __del__(self) -> None:
        self.close()

    def __enter__(self) -> Enhancer:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the memory back. Streams made before go on; new ones are refused. May be called again."""
        handle, self._handle = getattr(self, "_handle", 0), 0
        if handle:
            self._free(handle)

    def __reduce__(self) -> tuple[Callable[[str], Enhancer], tuple[str]]:
        again = partial(
            type(self),
            threads=self.threads,
            noise_gate=self.noise_gate,
            backend=self.backend,
            device=self.device,
            precision=self.precision,
        )
        return again, (os.path.abspath(self.path),)

    def __repr__(self) -> str:
        return f"Enhancer({self.name!r}, version={self.config.version}, threads={self.threads})"

    @property
    def clip_hops(self) -> int:
        """The ``max_hops`` that suits whole clips, 1..64; results do not depend on it."""
        return _CLIP_HOPS if is_cpu(self.backend) else _DEVICE_CLIP_HOPS

    @property
    def group_streams(self) -> int:
        """How many clips had better go through the engine together: 1 on the cpu backend and without a network."""
        if is_cpu(self.backend):
            return 1
        return max(1, int(_library().localvqe_model_group_streams(self._handle, self.clip_hops)))

    def enhance(self, mic: ArrayLike, ref: ArrayLike | None = None) -> Samples:
        """Enhanced microphone signal, float32 (n,), sample-aligned with ``mic`` and as long.

        Args:
            mic: (n,) samples at 16 kHz, n >= 1: float in [-1, 1], or int16, int32 or uint8 in the range of the type.
            ref: (n,) samples the loudspeaker played, integers of the same type or float like ``mic``; None for silence.

        Warns once per Enhancer of float samples beyond 16, which look like integers in a float array.

        Raises:
            AudioError: wrong shape or type, no samples, different lengths, or floats with integers.
            UsageError: the enhancer was closed.
        """
        return self._clip(*self._signals(mic, ref))

    @overload
    def stream(self, *, max_hops: int = 1) -> Stream: ...

    @overload
    def stream(self, *, block: int, rate: int = MODEL_RATE) -> BlockStream: ...

    def stream(self, *, max_hops: int = 1, block: int | None = None, rate: int = MODEL_RATE) -> Stream | BlockStream:
        """A new, independent stream, in one of two forms.

        ``stream()`` is the model's own: 16 kHz, chunks of any length in, whole hops of 256 samples out. ``max_hops``
        (1..64) trades memory for speed on large chunks.

        ``stream(block=480, rate=48000)`` is that of an audio callback: each call takes ``block`` samples at ``rate``
        Hz and returns as many, see :class:`BlockStream`.

        Raises:
            UsageError: a number out of range, or numbers of both forms; or the enhancer was closed.
        """
        if block is None:
            if rate != MODEL_RATE:
                raise UsageError(f"a stream at {rate} Hz needs its block: the samples of each call, such as block=480")
            return self._stream(max_hops)
        if max_hops != 1:
            raise UsageError("max_hops is of streams without block; a block's hops are run at once anyway")
        return BlockStream(self, block=block, rate=rate)

    def _stream(self, max_hops: int) -> Stream:
        return Stream(self, max_hops=max_hops)

    def process_streams(self, streams: Sequence[Stream], mic: ArrayLike, ref: ArrayLike | None = None) -> Samples:
        """One hop of each of several live streams, float32 (n, 256): what ``process`` of each would give, to the bit,
        in less time. A part of the network's weights serves all streams before the next part is read.

        Args:
            streams: n of them, n >= 1, made by ``stream()`` of this Enhancer; each at its own point of its call.
            mic: (n, 256), a hop of each stream, otherwise as for :meth:`enhance`.
            ref: (n, 256) likewise; None for silence.

        Raises:
            AudioError: another shape, a type that is none of those, or floats with integers.
            UsageError: no streams, one that is there twice, that was closed, that is another Enhancer's or that waits
                for the rest of a hop.
            LocalVQEError: the model's weights make the output of some of the streams run away; these have been reset,
                and the hop is lost for all.
        """
        n = len(streams)
        near, far = self._signals(_row_of_hops("mic", mic, n), None if ref is None else _row_of_hops("ref", ref, n))
        for i, stream in enumerate(streams):
            if not isinstance(stream, Stream) or stream._enhancer is not self:
                raise UsageError(f"stream {i} is not one that stream() of this Enhancer has made")
            if stream._pending.shape[1]:
                raise UsageError(f"stream {i} waits for the rest of a hop; feed it that first")
        if not streams or len(set(map(id, streams))) < len(streams):
            raise UsageError("the same stream is there twice" if streams else "there are no streams to process")
        return self._together(streams, near, far)

    def _together(self, streams: Sequence[Stream], near: Samples, far: Samples) -> Samples:
        """A hop of each, which are good; both (n * 256,)."""
        out = np.empty((len(streams), HOP), np.float32)
        RawTogether(streams, list(near.reshape(out.shape)), list(far.reshape(out.shape)), out)(0)
        return out

    def _clip(self, mic: Samples, ref: Samples) -> Samples:
        if mic.size == 0:
            raise AudioError("mic has no samples")
        with self.stream(max_hops=self.clip_hops) as stream:
            return np.concatenate([stream.process(mic, ref), stream.flush()])[HOP:]

    def _signals(self, mic: ArrayLike, ref: ArrayLike | None) -> tuple[Samples, Samples]:
        """Both as float32 (n,); for the methods that users call, since a warning names their caller."""
        near, kind = as_samples("mic", mic)
        far, far_kind = (np.zeros_like(near), kind) if ref is None else as_samples("ref", ref)
        if kind != far_kind:
            raise AudioError(f"mic holds {kind} samples and ref {far_kind}; give both the same type")
        if near.shape != far.shape:
            raise AudioError(f"mic has {near.size} samples and ref {far.size}; feed the same number of both")
        if kind == "float" and not self._said_loud:
            for name, samples in (("mic", near), ("ref", far)):
                if (np.abs(samples) > _LOUD).any():
                    self._said_loud = True
                    text = f"{name} has {_LOUD_TEXT}; give 16-bit values as int16, or divide them by 32768"
                    warnings.warn(text, UserWarning, stacklevel=3)
                    break
        return near, far


class Stream:
    """Live enhancement: feed microphone and reference as they arrive, in chunks of any length.

    The output lags by ``latency_samples`` (one hop, 16 ms): ``out[n]`` belongs to ``mic[n - 256]``. Only whole hops
    are processed; a partial hop waits for the next call or for :meth:`flush`. A stream belongs to one thread at a
    time; different streams are independent. ``with`` or :meth:`close` gives its memory back at a known time.

    Attributes:
        latency_samples: 256, in samples at 16 kHz.
    """

    latency_samples: int = HOP

    def __init__(self, enhancer: Enhancer, *, max_hops: int = 1) -> None:
        self._ctx = 0
        self._lib = _library()
        self._enhancer = enhancer
        if not enhancer._handle:
            raise UsageError("this Enhancer was closed; make a new one")
        self._ctx = self._lib.localvqe_stream_new(enhancer._handle, enhancer.threads, max_hops)
        if not self._ctx:
            raise EngineError(f"the engine refused a stream: {_creation_error(self._lib)}")
        if enhancer.noise_gate is not None:
            self._lib.localvqe_set_noise_gate(self._ctx, 1, enhancer.noise_gate)
        self._pending = np.zeros((2, 0), np.float32)

    def __del__(self) -> None:
        self.close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the memory back; only this may be called again."""
        ctx, self._ctx = getattr(self, "_ctx", 0), 0
        if ctx:
            self._lib.localvqe_free(ctx)

    def __reduce__(self) -> NoReturn:
        # Also what copying asks: two streams must never own one handle.
        raise TypeError("a stream is in the middle of its signal and cannot be copied or pickled; pickle its Enhancer")

    def process(self, mic: ArrayLike, ref: ArrayLike | None = None) -> Samples:
        """Feed (n,) samples of each signal, any n; returns the hops that became complete, float32 (k * 256,).

        Types, ranges and the warning are those of :meth:`Enhancer.enhance`; a ``ref`` of None is silence.

        Raises:
            AudioError: the two chunks have different lengths, more than one dimension, or types that differ.
            LocalVQEError: the model's weights make its output run away; the stream has been reset.
            UsageError: the stream was closed.
        """
        near, far = self._enhancer._signals(mic, ref)
        if self._pending.shape[1]:
            near = np.concatenate([self._pending[0], near])
            far = np.concatenate([self._pending[1], far])
        whole = near.size // HOP * HOP
        self._pending = np.stack([near[whole:], far[whole:]])
        out = np.empty(whole, np.float32)
        self._run(near, far, out)
        return out

    def _run(self, near: Samples, far: Samples, out: Samples) -> None:
        """As many hops as fit ``out`` (k * 256,), which may be none."""
        ctx, hops = self._open_handle(), out.size // HOP
        if hops == 0:
            return
        status = self._lib.localvqe_process_hops_f32(ctx, _pointer(near), _pointer(far), hops, _pointer(out))
        if status != 0:
            raise self._failure(status)

    def _open_handle(self) -> int:
        if not self._ctx:
            raise UsageError("this stream was closed; ask its Enhancer for a new one")
        return int(self._ctx)

    def _failure(self, status: int) -> LocalVQEError:
        text = self._lib.localvqe_last_error(self._ctx).decode(errors="replace")
        if status == _STOPPED:  # the model's doing, not the installation's
            return LocalVQEError(f"the engine stopped: {text}")
        return EngineError(f"the engine failed ({status}): {text}")

    def flush(self) -> Samples:
        """The end of the signal: everything still owed, so that the stream has returned input length + 256 samples.

        The stream can be used again after :meth:`reset`.
        """
        rest = self._pending.shape[1]
        silence = np.zeros((HOP - rest if rest else 0) + HOP, np.float32)
        return self.process(silence, silence)[: rest + HOP]

    def reset(self) -> None:
        """Forget everything heard so far, including a partial hop."""
        self._forget()

    def _forget(self) -> None:
        self._lib.localvqe_reset(self._open_handle())
        self._pending = np.zeros((2, 0), np.float32)

    def delay_ms(self) -> tuple[float, float]:
        """Where the echo is now: (lag in ms, weight of that lag in the AlignBlock, 0..1; 1 without a network)."""
        confidence = ctypes.c_float()
        frames = self._lib.localvqe_current_delay(self._open_handle(), ctypes.byref(confidence))
        return frames * HOP / 16.0, float(confidence.value)

    def set_profiling(self, enabled: bool) -> None:
        """Switch the time per block on or off, and clear it."""
        self._lib.localvqe_set_profiling(self._open_handle(), int(enabled))

    def profile(self) -> dict[str, float]:
        """Block -> nanoseconds per hop since profiling was switched on."""
        return {
            self._lib.localvqe_profile_name(self._ctx, i).decode(): float(self._lib.localvqe_profile_ns(self._ctx, i))
            for i in range(self._lib.localvqe_profile_count(self._open_handle()))
        }

    def integer_layers(self) -> int:
        """How many convolutions run as integer products; 0 for an F32 model."""
        return int(self._lib.localvqe_integer_layers(self._open_handle()))

    def set_observing(self, enabled: bool) -> None:
        """Start (anew) or stop the statistics that :meth:`input_power` reports."""
        self._lib.localvqe_set_observing(self._open_handle(), int(enabled))

    def input_power(self, tensor: str) -> Samples:
        """Mean square of each channel that the layer of this weight tensor has read since observing began, (channels,).

        Raises:
            EngineError: there is no such layer, or nothing was processed.
        """
        out = np.empty(_MAX_CHANNELS, np.float32)
        count = self._lib.localvqe_input_power(self._open_handle(), tensor.encode(), _pointer(out), out.size)
        if count < 0:
            raise EngineError(f"the engine has no statistics of {tensor} ({count})")
        return out[:count]

    def raw_call(self, mic: Samples, ref: Samples, out: Samples) -> Callable[[int, int], None]:
        """A function ``(hop, n)`` for timing: it processes ``n`` hops of ``mic`` and ``ref`` from ``hop`` on into the
        start of ``out``, with nothing in between. The arrays must be contiguous float32 and long enough.
        """
        return RawCall(self, mic, ref, out)

    def taps(self) -> dict[str, Samples]:
        """Every block's output for the latest hop, by name; (channels, bins), vectors as (n,)."""
        out: dict[str, Samples] = {}
        dim0, dim1 = ctypes.c_int(), ctypes.c_int()
        for index in range(self._lib.localvqe_tap_count(self._open_handle())):
            name = self._lib.localvqe_tap_name(self._ctx, index)
            self._lib.localvqe_tap_shape(self._ctx, name, ctypes.byref(dim0), ctypes.byref(dim1))
            values = np.empty(dim0.value * dim1.value, np.float32)
            self._lib.localvqe_tap_read(self._ctx, name, _pointer(values), values.size)
            out[name.decode()] = values if dim1.value == 1 else values.reshape(dim0.value, dim1.value)
        return out


class RawTogether:
    """A function ``(hop)`` for timing: it processes that hop of ``mic`` and ``ref``, which have a signal for each of
    these streams of one Enhancer, into ``out`` (n, 256), with nothing in between. Arrays must be contiguous float32.
    """

    def __init__(self, streams: Sequence[Stream], mic: Sequence[Samples], ref: Sequence[Samples], out: Samples) -> None:
        self._owners = (mic, ref, out)  # addresses keep nothing alive
        self._streams = streams
        self._function = streams[0]._lib.localvqe_process_streams_f32
        n = len(streams)
        self._handles = (_HANDLE * n)(*(stream._open_handle() for stream in streams))
        hops = range(mic[0].size // HOP)
        self._mic, self._ref = (
            [(_FLOATS * n)(*(_address(x, hop) for x in side)) for hop in hops] for side in (mic, ref)
        )
        self._out = (_FLOATS * n)(*(_address(row, 0) for row in out))
        self._status = (ctypes.c_int * n)()

    def __call__(self, hop: int) -> None:
        status = self._function(
            self._handles, len(self._streams), self._mic[hop], self._ref[hop], self._out, self._status
        )
        if status != 0:
            raise self._streams[0]._failure(status)
        for stream, code in zip(self._streams, self._status, strict=True):
            if code != 0:
                raise stream._failure(code)


class RawCall:
    """See :meth:`Stream.raw_call`."""

    def __init__(self, stream: Stream, mic: Samples, ref: Samples, out: Samples) -> None:
        self._owners = (stream, mic, ref, out)  # addresses keep nothing alive
        self._stream = stream
        self._function = stream._lib.localvqe_process_hops_f32
        self._mic, self._ref = ([_address(x, hop) for hop in range(x.size // HOP)] for x in (mic, ref))
        self._out = _address(out, 0)

    def __call__(self, hop: int, n: int) -> None:
        status = self._function(self._stream._ctx, self._mic[hop], self._ref[hop], n, self._out)
        if status != 0:
            raise self._stream._failure(status)


def _creation_error(lib: ctypes.CDLL) -> str:
    return str(lib.localvqe_creation_error().decode(errors="replace"))


class CodecEngine:
    """A speech codec in the engine, a clip of whole frames at a time; ``lfsc.codec`` is what programs use.

    Args:
        path: the model file, which has been checked.
        codebooks, samples_per_frame: of it.
        threads: 1..32.

    Raises:
        EngineError: the engine refused the file.
    """

    def __init__(self, path: Path, codebooks: int, samples_per_frame: int, threads: int) -> None:
        self._handle = 0
        self._path, self._codebooks, self._frame = path, codebooks, samples_per_frame
        self._lib = _library()
        self._handle = self._lib.localvqe_codec_new(os.fsencode(path), threads)
        if not self._handle:
            raise EngineError(_creation_error(self._lib))

    def __del__(self) -> None:
        if self._handle:
            self._lib.localvqe_codec_free(self._handle)

    def encode(self, sound: Samples) -> NDArray[np.int32]:
        """(frames * samples_per_frame,) -> (codebooks, frames). Raises LocalVQEError where numbers run away."""
        values = np.ascontiguousarray(sound, np.float32)
        frames = len(values) // self._frame
        tokens = np.empty((self._codebooks, frames), np.int32)
        self._check(self._lib.localvqe_codec_encode(self._handle, _pointer(values), frames, tokens.ctypes.data))
        return tokens

    def decode(self, tokens: NDArray[np.int32]) -> Samples:
        """The inverse."""
        values = np.ascontiguousarray(tokens, np.int32)
        sound = np.empty(values.shape[1] * self._frame, np.float32)
        self._check(self._lib.localvqe_codec_decode(self._handle, values.ctypes.data, values.shape[1], _pointer(sound)))
        return sound

    def _check(self, status: int) -> None:
        if status:
            text = self._lib.localvqe_codec_last_error(self._handle).decode(errors="replace")
            raise LocalVQEError(f"{self._path}: {text}")
