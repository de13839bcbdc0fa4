"""Does a GGUF file hold a checkpoint's model, and does the engine compute what the reference computes?

First every tensor of the file is compared with the checkpoint's, folded. Then the PyTorch reference runs the checkpoint
and the native engine runs the file on the same signal, and every block's output is compared hop by hop. The reference
computes in double precision, so what shows is the engine's rounding alone. Needs torch.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import checkpoint, export, gguf_file
from .config import MIC_STAGES, ModelConfig
from .engine import Enhancer, Stream
from .errors import AudioError, LocalVQEError, MissingExtraError, UsageError
from .geometry import MODEL_RATE
from .models import named
from .onnx_file.format import HALF, TYPE_KEY
from .open_model import is_onnx, open_model
from .signal_path import read_at_model_rate
from .verify_result import BlockResult, TensorResult, Verification

if TYPE_CHECKING:
    from .reference import LocalVQE

__all__ = ["BlockResult", "TensorResult", "Verification", "builtin_signals", "verify"]

Samples = NDArray[np.float32]

#: Largest difference of a tensor, relative to its largest value: the rounding of folding in single precision.
TENSOR_TOLERANCE = 1e-6
#: Largest difference of a block's output, relative to its peak where that is above one.
BLOCK_TOLERANCE = 1e-4
#: Where convolutions run on 16-bit integers, a block may instead be this close: their rounding is some 64 dB below the
#: output, and 60 dB below the blocks of a model with random weights whose attention is undecided between lags.
INTEGER_SNR_DB = 50.0
#: The same where an ONNX file keeps its weights in half precision.
HALF_SNR_DB = 50.0
#: Largest error of a quantized tensor, root mean square, relative to its weights': twice what normal weights show.
QUANTIZED_TOLERANCE = {"Q8_0": 0.012, "Q6_K": 0.045, "Q5_K": 0.08, "Q4_K": 0.16}
SECONDS = 4.0
OUTPUT = "output"
#: Blocks in the order of computation, so that the first that drifts is where to look.
BLOCKS = (
    "mic_spectrum",
    "ref_spectrum",
    "far_enc1",
    "far_enc2",
    "mic_enc1",
    "mic_enc2",
    "delay",
    "align",
    *(f"mic_enc{stage}" for stage in range(3, MIC_STAGES + 1)),
    "bottleneck",
    *(f"dec{stage}" for stage in range(MIC_STAGES, 0, -1)),
    "enhanced",
)
#: Of the front-end and the stage behind it, computed first, in models that have them.
FRONTEND_BLOCKS = ("frontend_error", "frontend_echo")
RESIDUAL_BLOCKS = ("residual_gain",)
# Every hop is compared in full, so a recording is cut where more would only take longer.
_MAX_SECONDS = 60
# Hops per pass of the reference; bounds its memory on long recordings.
_HOPS_AT_ONCE = 64


def verify(
    checkpoint: str | os.PathLike[str],
    model: str | os.PathLike[str],
    *,
    mic: str | os.PathLike[str] | ArrayLike | None = None,
    ref: str | os.PathLike[str] | ArrayLike | None = None,
    seconds: float = SECONDS,
    tolerance: float | None = None,
    backend: str = "auto",
    device: int = 0,
    precision: str = "auto",
) -> Verification:
    """Compare a checkpoint with the GGUF file made from it: tensors, then every block's output.

    Args:
        checkpoint: PyTorch checkpoint, or a name from the registry.
        model: model file, or a name from the registry; if it is quantized, its tensors are compared within the error of
            their type, and the blocks with a reference that has the file's weights. Of an ONNX file, which onnxruntime
            runs, only the output is compared: its graph has no tensors and blocks of these names.
        mic: a recording, of which the first minute is used, or (n,) samples at 16 kHz; None is a built-in signal of
            ``seconds``.
        ref: likewise, where the mic is given; None is silence.
        seconds: length of the built-in signal.
        tolerance: largest difference allowed in a block's output, relative to its peak where that is above one;
            None means :data:`BLOCK_TOLERANCE`, or :data:`INTEGER_SNR_DB` where the engine runs on integers.
        backend, device, precision: where the engine runs the network and in what numbers, as for ``Enhancer``.

    Raises:
        CheckpointError, GGUFError: a file that cannot be used.
        LocalVQEError: the two files hold models of different configuration.
        AudioError, UsageError: unusable signals or tolerance.
        MissingExtraError: torch is not installed; EngineError: the engine cannot be loaded.
    """
    if tolerance is not None and not (math.isfinite(tolerance) and tolerance >= 0):
        raise UsageError(f"tolerance is {tolerance}, expected a number of 0 or more")
    near, far, signal_notes = _signals(mic, ref, seconds)
    checkpoint_path, gguf_path = named(os.fspath(checkpoint)), named(os.fspath(model))
    if is_onnx(gguf_path):
        tolerance = BLOCK_TOLERANCE if tolerance is None else tolerance
        onnx = open_model(gguf_path, backend=backend, device=device, precision=precision)
        return _verify_onnx(checkpoint_path, onnx, near, far, tolerance, signal_notes)
    file = gguf_file.read(gguf_path)
    assert file.config is not None  # validated
    loaded = _read_checkpoint(checkpoint_path, file.config)
    _require_same_config(checkpoint_path, loaded.config, gguf_path, file.config)
    stream = _open_stream(gguf_path, backend, device, precision)
    enough_snr, notes = math.inf, (*signal_notes, *loaded.notes)
    if tolerance is None:
        tolerance = BLOCK_TOLERANCE
        if stream.integer_layers():
            enough_snr = INTEGER_SNR_DB
            notes = (*notes, f"the engine runs on 16-bit integers here: {INTEGER_SNR_DB:g} dB are enough for a block")
    return Verification(
        checkpoint=Path(checkpoint_path),
        model=Path(gguf_path),
        config=file.config,
        tolerance=tolerance,
        seconds=len(near) / file.config.sample_rate,
        tensors=tuple(_compare_tensors(loaded, file)),
        blocks=tuple(
            _compare_blocks(
                _reference(loaded, file), stream, near, far, tolerance, enough_snr, _block_names(file.config)
            )
        ),
        notes=notes,
    )


def _verify_onnx(
    checkpoint_path: str, enhancer: Enhancer, near: Samples, far: Samples, tolerance: float, notes: list[str]
) -> Verification:
    loaded = _read_checkpoint(checkpoint_path, enhancer.config)
    _require_same_config(checkpoint_path, loaded.config, enhancer.path, enhancer.config)
    enough_snr = math.inf
    if enhancer.metadata[TYPE_KEY] == HALF:
        enough_snr = HALF_SNR_DB
        notes = [*notes, f"the weights are in half precision: {HALF_SNR_DB:g} dB are enough for the output"]
    model = _reference_class().from_state(loaded.config, loaded.state).double()
    blocks = _compare_blocks(model, enhancer.stream(), near, far, tolerance, enough_snr, blocks=())
    return Verification(
        checkpoint=Path(checkpoint_path),
        model=enhancer.path,
        config=enhancer.config,
        tolerance=tolerance,
        seconds=len(near) / MODEL_RATE,
        tensors=(),
        blocks=tuple(blocks),
        notes=(*notes, *loaded.notes),
    )


def builtin_signals(seconds: float, rate: int = MODEL_RATE) -> tuple[Samples, Samples]:
    """A microphone and a reference signal that exercise every block, the same on every run.

    Noise in syllables stands for both talkers; the microphone hears the near end, a filtered echo of the reference
    80 ms later, and a noise floor. RMS about 0.05 each.
    """
    rng = np.random.default_rng(2)
    count = round(seconds * rate)
    time = np.arange(count) / rate

    def talker(syllables_per_second: float, phase: float) -> NDArray[np.float64]:
        coloured = np.convolve(rng.standard_normal(count), 0.9 ** np.arange(64), mode="same")
        envelope = np.clip(np.sin(2 * np.pi * syllables_per_second * time + phase), 0.0, None)
        level: NDArray[np.float64] = 0.05 * coloured * envelope
        return level

    near, far = talker(2.3, 0.0), talker(3.1, 1.0)
    delay = round(0.08 * rate)
    room = rng.standard_normal(800) * np.exp(-np.arange(800) / 150) * 0.1
    echo = np.convolve(np.concatenate([np.zeros(delay), far])[:count], room)[:count]
    mic = near + echo + 1e-3 * rng.standard_normal(count)
    return mic.astype(np.float32), far.astype(np.float32)


# -- inputs -----------------------------------------------------------------------------------


def _signals(
    mic: str | os.PathLike[str] | ArrayLike | None, ref: str | os.PathLike[str] | ArrayLike | None, seconds: float
) -> tuple[Samples, Samples, list[str]]:
    """Microphone and reference, equally long, and what the user should know about them."""
    notes: list[str] = []
    if mic is None:
        if ref is not None:
            raise UsageError("a reference without a microphone signal; give both or neither")
        if not 0.1 <= seconds <= 600:
            raise UsageError(f"{seconds} s of signal, expected 0.1 to 600")
        return *builtin_signals(seconds), notes
    near = _samples(mic, notes)
    far = np.zeros_like(near) if ref is None else _samples(ref, notes)
    if isinstance(ref, str | os.PathLike):  # recordings rarely end together
        far = np.pad(far[: len(near)], (0, max(0, len(near) - len(far))))
    if near.ndim != 1 or near.shape != far.shape or near.size == 0:
        raise AudioError(f"mic and ref need the same shape (n,), n >= 1; got {near.shape} and {far.shape}")
    if not (np.isfinite(near).all() and np.isfinite(far).all()):
        raise AudioError("mic or ref holds samples that are not finite")
    return near, far, notes


def _samples(signal: str | os.PathLike[str] | ArrayLike, notes: list[str]) -> Samples:
    if not isinstance(signal, str | os.PathLike):
        return np.asarray(signal, np.float32)
    path = os.fspath(signal)
    samples = read_at_model_rate(path, _MAX_SECONDS)
    if len(samples) == _MAX_SECONDS * MODEL_RATE:
        notes.append(f"{path}: the first {_MAX_SECONDS} s are used")
    return samples


def _read_checkpoint(path: str | os.PathLike[str], hint: ModelConfig) -> checkpoint.Checkpoint:
    """The checkpoint; what it does not say about itself is taken from the GGUF file's config."""
    try:
        return checkpoint.read(path, dmax=hint.dmax, arch=hint.version)
    except UsageError:  # it does say so, and otherwise
        return checkpoint.read(path)


def _require_same_config(
    checkpoint_path: str | os.PathLike[str], ours: ModelConfig, gguf_path: str | os.PathLike[str], theirs: ModelConfig
) -> None:
    for field in fields(ModelConfig):
        stated, found = getattr(ours, field.name), getattr(theirs, field.name)
        same = _same(stated, found)
        if not same:
            raise LocalVQEError(
                f"{gguf_path} was not made from {checkpoint_path}: {field.name} is {found} there and {stated} here"
            )


def _same(stated: Any, found: Any) -> bool:
    """Equal once stored in a file, which keeps numbers in single precision."""
    if is_dataclass(stated) and type(stated) is type(found):
        return all(_same(getattr(stated, f.name), getattr(found, f.name)) for f in fields(stated))
    return bool(np.float32(stated) == np.float32(found)) if isinstance(stated, float) else bool(stated == found)


def _reference(loaded: checkpoint.Checkpoint, file: gguf_file.GGUFModel) -> LocalVQE:
    """The checkpoint's model, with the file's weights where they are quantized."""
    reference = _reference_class()
    import torch

    quantized = {name: file.array(name) for name, info in file.tensors.items() if info.original is not None}
    if not quantized:
        return reference.from_state(loaded.config, loaded.state).double()
    state = export.with_folded_weights(loaded.config, loaded.state, quantized)
    return reference.from_state(loaded.config, {name: torch.from_numpy(a) for name, a in state.items()}).double()


def _reference_class() -> type[LocalVQE]:
    try:
        from .reference import LocalVQE
    except ImportError as exc:
        raise MissingExtraError("the PyTorch reference", "torch") from exc
    return LocalVQE


def _open_stream(path: str | os.PathLike[str], backend: str, device: int, precision: str) -> Stream:
    return Enhancer(path, backend=backend, device=device, precision=precision).stream()


# -- comparison -------------------------------------------------------------------------------


def _compare_tensors(loaded: checkpoint.Checkpoint, file: gguf_file.GGUFModel) -> Iterator[TensorResult]:
    for name, expected in export.fold(loaded.config, loaded.state).items():
        found = file.array(name).astype(np.float64)
        max_abs = float(np.abs(found - expected).max())
        peak = float(np.abs(expected).max())
        kind = file.tensors[name].type.name if name in file.tensors else "F32"  # bases that were left out
        if kind in QUANTIZED_TOLERANCE:
            rms = float(np.sqrt(np.mean((found - expected) ** 2)))
            passed = rms <= QUANTIZED_TOLERANCE[kind] * float(np.sqrt(np.mean(np.square(expected, dtype=np.float64))))
        else:
            passed = max_abs <= TENSOR_TOLERANCE * peak
        yield TensorResult(name, expected.shape, max_abs, peak, passed)


def _block_names(config: ModelConfig) -> tuple[str, ...]:
    """All that a model of this configuration computes on the way, in its order."""
    return (
        *(FRONTEND_BLOCKS if config.frontend is not None else ()),
        *(RESIDUAL_BLOCKS if config.residual is not None else ()),
        *(BLOCKS if config.network else ()),
    )


class _Difference:
    """Accumulates one block's comparison over frames."""

    def __init__(self) -> None:
        self.shape: tuple[int, ...] = ()
        self.max_abs = self.peak = self.signal = self.error = 0.0

    def add(self, expected: NDArray[np.float64], found: NDArray[Any]) -> None:
        difference = found.astype(np.float64) - expected
        self.shape = expected.shape
        largest = float(np.abs(difference).max())
        # max() would drop a NaN, which must stay.
        self.max_abs = largest if math.isnan(largest) else max(self.max_abs, largest)
        self.peak = max(self.peak, float(np.abs(expected).max()))
        self.signal += float(np.sum(expected**2))
        self.error += float(np.sum(difference**2))

    def result(self, name: str, tolerance: float, enough_snr: float) -> BlockResult:
        snr = self._snr()
        passed = self.max_abs <= tolerance * max(1.0, self.peak) or snr >= enough_snr
        return BlockResult(name, self.shape, self.max_abs, self.peak, snr, passed)

    def _snr(self) -> float:
        if self.error == 0:
            return math.inf
        if self.signal == 0:
            return -math.inf
        return 10 * math.log10(self.signal / self.error)


def _compare_blocks(
    model: LocalVQE,
    stream: Stream,
    mic: Samples,
    ref: Samples,
    tolerance: float,
    enough_snr: float,
    blocks: Sequence[str],
) -> Iterator[BlockResult]:
    """Run both over the signal and one hop of silence, which brings out the last samples; ``blocks`` are compared, and
    the output."""
    differences = {name: _Difference() for name in (*blocks, OUTPUT)}
    hop = model.config.hop_length
    total = -(-len(mic) // hop) + 1
    padding = (0, total * hop - len(mic))
    hops = [np.pad(signal, padding).reshape(total, hop) for signal in (mic, ref)]
    for index, frame in enumerate(_reference_frames(model, *hops)):
        output = stream.process(hops[0][index], hops[1][index])
        taps = stream.taps() if blocks else {}
        for name in blocks:
            if name not in taps or taps[name].shape != frame[name].shape:
                shape = taps[name].shape if name in taps else "none"
                raise LocalVQEError(f"the engine's block {name} has shape {shape}, expected {frame[name].shape}")
            differences[name].add(frame[name], taps[name])
        differences[OUTPUT].add(frame[OUTPUT], output)
    for name, difference in differences.items():
        yield difference.result(name, tolerance, enough_snr)


def _reference_frames(model: LocalVQE, mic: Samples, ref: Samples) -> Iterator[dict[str, NDArray[np.float64]]]:
    """Every block's output and the samples of each hop: mic, ref (T, 256) -> T dictionaries."""
    import torch

    from .reference import History

    history = History()
    for start in range(0, len(mic), _HOPS_AT_ONCE):
        pieces = [torch.from_numpy(x[start : start + _HOPS_AT_ONCE]).double()[None] for x in (mic, ref)]
        taps: dict[str, torch.Tensor] = {}
        with torch.no_grad():
            output = model.run(pieces[0], pieces[1], history=history, taps=taps)
        count = pieces[0].shape[1]
        # Time is the first axis of the delay and the second of every other tap.
        arrays = {name: np.moveaxis(tap[0].numpy(), 0 if name == "delay" else 1, 0) for name, tap in taps.items()}
        arrays[OUTPUT] = output.numpy().reshape(count, -1)
        for index in range(count):
            yield {name: array[index] for name, array in arrays.items()}
