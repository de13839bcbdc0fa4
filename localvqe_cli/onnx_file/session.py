"""A model in an ONNX file, run by onnxruntime behind the interface of the engine's ``Enhancer``."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import MAX_THREADS
from ..engine import Enhancer, Stream
from ..errors import LocalVQEError, MissingExtraError, ModelError, UsageError
from ..geometry import HOP
from ..models import resolve
from ..tensor_check import printable
from .format import MIC, REF, GraphPart
from .reader import OnnxFile, read

__all__ = ["OnnxEnhancer", "OnnxStream", "run_session"]

Samples = NDArray[np.float32]

#: Errors and worse; a graph of ours gives no reason for warnings that a user could act on.
_ERRORS_ONLY = 3


class OnnxEnhancer(Enhancer):
    """As :class:`Enhancer`, for a file that ``localvqe export --format onnx`` has written.

    Args:
        model: path of the file.
        threads: of onnxruntime within an operator, 1..32; 0 lets it choose.

    Attributes:
        file: what the file says of itself.

    Raises:
        ModelError: the file is missing, damaged or not one of ours, or is the part behind the filter only.
        MissingExtraError: onnx or onnxruntime is not installed.
    """

    def __init__(self, model: str | os.PathLike[str], *, threads: int = 1) -> None:
        self._handle = 0
        if not 0 <= threads <= MAX_THREADS:
            raise UsageError(f"threads is {threads}, expected 0 to {MAX_THREADS}")
        self.path = resolve(model)
        self.file: OnnxFile = read(self.path)
        if self.file.config.frontend is not None and self.file.part is not GraphPart.step:
            raise ModelError(f"{self.path}: is the part behind the adaptive filter only; export the whole step")
        self.session = run_session(self.file, threads)
        self._said_loud = False
        self.threads = threads
        self.noise_gate = None
        self.backend, self.device, self.precision = "onnxruntime", 0, "auto"
        self.config = self.file.config
        self.metadata = dict(self.file.metadata)
        self.name = str(self.metadata.get("general.name") or self.path.stem)

    def close(self) -> None:
        """Give the memory back, once the streams are gone as well."""
        self.session = None

    def __reduce__(self) -> tuple[Callable[[str], Enhancer], tuple[str]]:
        return partial(type(self), threads=self.threads), (os.path.abspath(self.path),)

    @property
    def clip_hops(self) -> int:
        """One: the graph is of one hop."""
        return 1

    @property
    def group_streams(self) -> int:
        """One: clips do not go through it together."""
        return 1

    def _stream(self, max_hops: int) -> Stream:
        return OnnxStream(self)

    def _together(self, streams: Sequence[Stream], near: Samples, far: Samples) -> Samples:
        out = np.empty_like(near)
        for i, stream in enumerate(streams):
            here = slice(i * HOP, (i + 1) * HOP)
            stream._run(near[here], far[here], out[here])
        return out.reshape(-1, HOP)


class OnnxStream(Stream):
    """As :class:`Stream`; what looks inside the engine has nothing to see here and says so."""

    def __init__(self, enhancer: OnnxEnhancer) -> None:
        if enhancer.session is None:
            raise UsageError("this Enhancer was closed; make a new one")
        self._ctx = 0
        self._enhancer = enhancer
        self._session: Any = enhancer.session
        self._names = enhancer.file.results
        self._states: dict[str, Samples] = {}
        self._forget()

    def close(self) -> None:
        """Give the memory back; only this may be called again."""
        self._session = None

    def integer_layers(self) -> int:
        """None: all weights were unpacked."""
        return 0

    def _open_handle(self) -> int:
        raise UsageError("an ONNX file shows nothing of its inside; use the GGUF file for this")

    def _run(self, near: Samples, far: Samples, out: Samples) -> None:
        if self._session is None:
            raise UsageError("this stream was closed; ask its Enhancer for a new one")
        for hop in range(out.size // HOP):
            here = slice(hop * HOP, (hop + 1) * HOP)
            out[here] = self._step(near[here], far[here])

    def _step(self, mic: Samples, ref: Samples) -> Samples:
        # One wild sample would never leave the states again.
        signals = {name: np.nan_to_num(x, posinf=0.0, neginf=0.0)[None] for name, x in ((MIC, mic), (REF, ref))}
        try:
            results = self._session.run(self._names, {**signals, **self._states})
        except Exception as exc:  # one class per kind of failure, with no base but this
            raise LocalVQEError(f"{self._enhancer.path}: onnxruntime stopped: {_first_line(exc)}") from exc
        self._states = dict(zip(self._states, results[1:], strict=True))
        out: Samples = results[0][0]
        if not np.isfinite(out).all():
            self._forget()
            raise LocalVQEError("onnxruntime stopped: the output of the model ran away; the stream was reset")
        return out

    def _forget(self) -> None:
        assert isinstance(self._enhancer, OnnxEnhancer)
        self._states = self._enhancer.file.silence()
        self._pending = np.zeros((2, 0), np.float32)

    def raw_call(self, mic: Samples, ref: Samples, out: Samples) -> Callable[[int, int], None]:
        """As :meth:`Stream.raw_call`."""

        def call(hop: int, n: int) -> None:
            here = slice(hop * HOP, (hop + n) * HOP)
            self._run(mic[here], ref[here], out[: n * HOP])

        return call


def run_session(file: OnnxFile, threads: int) -> Any:
    """onnxruntime's session of a checked file; 0 threads are as many as it likes."""
    try:
        import onnxruntime
    except ImportError as exc:
        raise MissingExtraError("running ONNX files", "onnx") from exc
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # Threads that wait in a loop take the cores from other streams.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = _ERRORS_ONLY
    try:
        return onnxruntime.InferenceSession(file.content, options, providers=["CPUExecutionProvider"])
    except Exception as exc:  # one class per kind of failure, with no base but this
        raise ModelError(f"{file.path}: onnxruntime does not take it: {_first_line(exc)}") from exc


def _first_line(exc: Exception) -> str:
    return printable((str(exc).strip() or type(exc).__name__).splitlines()[0], 160)
