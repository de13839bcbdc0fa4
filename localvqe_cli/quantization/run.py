"""From an F32 model file to a quantized one."""

from __future__ import annotations

import os
import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import gguf_file
from ..atomic import check_output
from ..bases import standard_bases
from ..config import BASES_KEY, QUANTIZATION_PREFIX, SHAPE_PREFIX
from ..errors import EngineError, ModelError, UsageError
from ..file_digest import file_sha256
from ..models import resolve
from ..tensor_check import names as listed
from ..tensors import DECODER_BASIS, ENCODER_BASIS, quantizable_shapes
from .clips import CalibrationSet, read_clips
from .formats import F32, TYPES, choices, pack, stored_bytes, unpacked, weight_error
from .measure import Bench, snr_db
from .plan import Candidate, Outcome, built_in_plan, search

__all__ = ["DEFAULT_BOUND", "TYPES", "QuantizeSummary", "TensorSummary", "default_output", "quantize"]

Weight = NDArray[np.float32]

#: SNR in dB that every calibration clip is held to when no bound is given.
DEFAULT_BOUND = {"Q8_0": 40.0, "Q4_K": 25.0}
#: Seconds of audio, over all clips, on which single tensors are tried.
SENSITIVITY_SECONDS = 30.0

_BASES = (ENCODER_BASIS, DECODER_BASIS)
#: Published files have bases computed in single precision, up to 1e-5 from the exact ones: 100 dB below the signal.
_BASES_TOLERANCE = 2e-5

Progress = Callable[[float, float], None]


@dataclass(frozen=True)
class TensorSummary:
    """What became of one tensor.

    Attributes:
        name: tensor name.
        type: its storage type in the new file.
        shape: PyTorch shape.
        nbytes, f32_bytes: its size now and before.
        alone_db: worst SNR over the clips with only this tensor quantized, to this type; None where not measured.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    nbytes: int
    f32_bytes: int
    alone_db: float | None


@dataclass(frozen=True)
class QuantizeSummary:
    """What quantizing a model did.

    Attributes:
        source, output: the files.
        type: what was asked for.
        policy: ``calibrated`` or ``built-in``.
        tensors: those that may be quantized, in file order.
        nbytes, f32_bytes: sizes of the files.
        bases_bytes: of the F32 file, the codec's bases, which are the same constants in every model of a version.
        has_bases: they are in the new file as well.
        clips: id -> SNR in dB against F32, measured with the new file; empty without calibration.
        bound: the SNR asked for in dB, or None.
        met: every clip reaches the bound; True where there is none.
        notes: what the user should know, a line each.
    """

    source: Path
    output: Path
    type: str
    policy: str
    tensors: tuple[TensorSummary, ...]
    nbytes: int
    f32_bytes: int
    bases_bytes: int
    has_bases: bool
    clips: dict[str, float]
    bound: float | None
    met: bool
    notes: tuple[str, ...]

    @property
    def snr_db(self) -> float | None:
        """Median SNR over the clips."""
        return statistics.median(self.clips.values()) if self.clips else None

    @property
    def worst_snr_db(self) -> float | None:
        """Smallest SNR over the clips."""
        return min(self.clips.values()) if self.clips else None


def default_output(source: str | os.PathLike[str], kind: str) -> Path:
    """``model-f32.gguf`` -> ``model-q8_0.gguf``, in the same folder."""
    path = Path(source)
    return path.with_name(f"{path.stem.removesuffix('-f32')}-{kind.lower()}.gguf")


def quantize(
    model: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    type: str = "Q8_0",
    *,
    calibrate: str | os.PathLike[str] | None = None,
    min_snr: float | None = None,
    keep: Sequence[str] = (),
    keep_bases: bool = False,
    threads: int = 1,
    force: bool = False,
    progress: Progress = lambda done, total: None,
) -> QuantizeSummary:
    """Write a quantized copy of an F32 model file.

    Args:
        model: the F32 file, or a name from the registry.
        output: the file to write; None is the model's name with the type in it, beside the model, or here where a name
            was given.
        type: ``Q8_0`` or ``Q4_K``, in any case; with ``Q4_K``, tensors that hurt get finer types.
        calibrate: table or folder of recordings; None means the built-in policy and nothing measured.
        min_snr: dB that every clip must reach; None means :data:`DEFAULT_BOUND`, of which a miss is only noted.
        keep: tensors that stay F32, by name or by the start of a name (``dec1``).
        keep_bases: write the codec's bases too. They are the same constants in every model of a version, 2.1 MB in F32,
            so otherwise they are left out where they are those constants, and the engine computes them.
        threads: workers of the engine while calibrating.
        force: replace an existing file.
        progress: called with the share of work done, out of 1.

    Raises:
        UsageError: an unknown type or tensor, a bound without calibration, an output that cannot be written.
        ModelError: the source cannot be used, or is quantized already.
        AudioError: a recording cannot be used.
    """
    kind = _check_type(type)
    source = resolve(model)
    beside = default_output(source, kind)
    if not os.path.exists(model):  # a name: not into the package or the cache
        beside = Path(beside.name)
    target = beside if output is None else Path(output)
    if min_snr is not None and calibrate is None:
        raise UsageError("a bound on the SNR needs recordings to measure it on: --calibrate PAIRS.tsv or a folder")
    if min_snr is not None and not 0 < min_snr <= 200:
        raise UsageError(f"a bound of {min_snr:g} dB, expected a number over 0 and up to 200")
    file = gguf_file.read(source)
    if not file.config.network:
        raise ModelError(f"{source} has no network: there is nothing in it to quantize")
    already = sorted({info.type.name for info in file.tensors.values()} - {F32})
    if already:
        types = ", ".join(already)
        raise ModelError(f"{source} is quantized already ({types}); quantize the F32 file it was made from")
    check_output(target, force=force, inputs=[source])
    notes = []
    if not keep_bases and (odd := _unusual_bases(file)):
        keep_bases = True
        notes.append(f"{odd} is not the standard basis, so the codec's bases stay in the file")
    work = _Work(file, kind, _kept(file, keep), keep_bases)
    outcome: Outcome | None = None
    recordings: CalibrationSet | None = None
    bound = min_snr if min_snr is not None else DEFAULT_BOUND[kind] if calibrate is not None else None
    if calibrate is not None:
        recordings = read_clips(calibrate)
        assert bound is not None
        outcome = work.calibrate(recordings, bound, threads, progress)
        plan = outcome.plan
    else:
        plan = built_in_plan(work.shapes, kind)
    metadata = _metadata(file, work, plan, keep, recordings, outcome, bound)
    tensors = {name: tensor for name, tensor in work.arrays.items() if name not in work.left_out} | work.packed(plan)
    gguf_file.write(target, file.config, tensors, metadata)
    notes += recordings.notes if recordings is not None else []
    if outcome is not None and not outcome.met and min_snr is None:
        notes.append(f"the usual bound of {bound:g} dB is not met; the best found was written")
    return QuantizeSummary(
        source=source,
        output=target,
        type=kind,
        policy="built-in" if outcome is None else "calibrated",
        tensors=work.summaries(plan),
        nbytes=target.stat().st_size,
        f32_bytes=file.nbytes,
        bases_bytes=sum(info.nbytes for name, info in file.tensors.items() if name in _BASES),
        has_bases=any(name in tensors for name in _BASES),
        clips={}
        if outcome is None or recordings is None
        else {clip.id: float(snr) for clip, snr in zip(recordings.clips, outcome.snr, strict=True)},
        bound=bound,
        met=outcome is None or outcome.met,
        notes=tuple(notes),
    )


def _check_type(kind: str) -> str:
    if kind.upper() not in TYPES:
        raise UsageError(f"{kind} is no type to quantize to; choose {' or '.join(TYPES)}")
    return kind.upper()


def _unusual_bases(model: gguf_file.GGUFModel) -> str:
    """Name of a basis that is not the standard one, or nothing."""
    for name, standard in standard_bases(model.config).items():
        if not np.abs(model.array(name) - standard).max() <= _BASES_TOLERANCE:
            return name
    return ""


def _kept(model: gguf_file.GGUFModel, keep: Sequence[str]) -> set[str]:
    """Names of the tensors that ``keep`` speaks of."""
    quantizable = quantizable_shapes(model.config)
    kept = set()
    for wanted in keep:
        found = {name for name in quantizable if name == wanted or name.startswith(f"{wanted}.")}
        if not found:
            raise UsageError(
                f"--keep {wanted}: no tensor of that name is quantized; there are {listed(quantizable)}, "
                "see `localvqe inspect`"
            )
        kept |= found
    if kept == set(quantizable):
        raise UsageError("--keep names every tensor, so nothing is left to quantize")
    return kept


class _Work:
    """The tensors of a model, and their quantized forms as far as they were needed."""

    def __init__(self, model: gguf_file.GGUFModel, kind: str, kept: set[str], keep_bases: bool) -> None:
        self.path = model.path
        self.config = model.config
        self.kind = kind
        self.arrays: dict[str, Any] = {name: model.array(name) for name in model.tensors}
        self.left_out = () if keep_bases else _BASES
        self.all_shapes = quantizable_shapes(model.config)
        # Rows of a few weights would only grow by padding.
        self.shapes = {
            name: shape for name, shape in self.all_shapes.items() if name not in kept and choices(shape, kind) != [F32]
        }
        if not self.shapes:
            raise ModelError(f"{self.path}: holds no tensor that {kind} would make smaller")
        self._importance: dict[str, Weight] = {}
        self._packed: dict[tuple[str, str], gguf_file.PackedTensor] = {}
        self._candidates: dict[str, Candidate] = {}

    def pack(self, name: str, kind: str) -> gguf_file.PackedTensor:
        if (name, kind) not in self._packed:
            try:
                self._packed[name, kind] = pack(self.arrays[name], kind, self._importance.get(name))
            except EngineError as exc:
                raise ModelError(
                    f"{self.path}: tensor {name} cannot be stored as {kind}: its weights are too large for "
                    f"half-precision scales; leave it alone with --keep {name}"
                ) from exc
        return self._packed[name, kind]

    def packed(self, plan: dict[str, str]) -> dict[str, gguf_file.PackedTensor]:
        return {name: self.pack(name, kind) for name, kind in plan.items() if kind != F32}

    def calibrate(self, recordings: CalibrationSet, bound: float, threads: int, progress: Progress) -> Outcome:
        whole = Bench(self.config, self.arrays, recordings.clips, threads=threads, left_out=self.left_out)
        progress(0.1, 1.0)
        self._importance = whole.importance()
        progress(0.2, 1.0)
        seconds = min(4.0, max(1.0, SENSITIVITY_SECONDS / len(recordings.clips)))
        excerpts = whole.excerpts(seconds)
        for index, (name, shape) in enumerate(self.shapes.items()):
            self._candidates[name] = self._candidate(name, shape, excerpts)
            progress(0.2 + 0.6 * (index + 1) / len(self.shapes), 1.0)
        outcome = search(self._candidates, self.kind, bound, lambda plan: whole.noise(self.packed(plan)))
        progress(1.0, 1.0)
        return outcome

    def _candidate(self, name: str, shape: tuple[int, ...], bench: Bench) -> Candidate:
        """Noise of one tensor: measured with its coarsest type, and scaled by the weights' errors for the others."""
        kinds = choices(shape, self.kind)
        importance, weight = self._importance[name], self.arrays[name]
        measured = bench.noise({name: unpacked(self.pack(name, kinds[0]))})
        errors = [weight_error(weight, self.pack(name, kind), importance) for kind in kinds[:-1]]
        noise = {
            kind: measured * (error / errors[0] if errors[0] > 0 else 1.0)
            for kind, error in zip(kinds[:-1], errors, strict=True)
        }
        return Candidate(shape, {**noise, F32: np.zeros_like(measured)})

    def summaries(self, plan: dict[str, str]) -> tuple[TensorSummary, ...]:
        return tuple(self._summary(name, shape, plan.get(name, F32)) for name, shape in self.all_shapes.items())

    def _summary(self, name: str, shape: tuple[int, ...], kind: str) -> TensorSummary:
        alone = None
        if name in self._candidates and kind != F32:
            alone = float(snr_db(self._candidates[name].noise[kind]).min())
        return TensorSummary(name, kind, shape, stored_bytes(shape, kind), stored_bytes(shape, F32), alone)


def _can_be_written(key: str, value: Any) -> bool:
    """Is this key of somebody else's file one that ours can carry on?"""
    if not re.fullmatch(r"[a-z0-9_][a-z0-9_.-]*", key) or value in ("", []):
        return False
    if isinstance(value, list):
        return all(isinstance(item, str) for item in value)
    if isinstance(value, float):
        return abs(value) < 3e38
    return isinstance(value, str) or -(1 << 63) <= value < 1 << 63


def _metadata(
    model: gguf_file.GGUFModel,
    work: _Work,
    plan: dict[str, str],
    keep: Sequence[str],
    recordings: CalibrationSet | None,
    outcome: Outcome | None,
    bound: float | None,
) -> dict[str, gguf_file.MetadataValue]:
    """Keys of the new file: the old file's own, and how it was quantized."""
    contract = {"general.architecture", "general.alignment", *(key for key, _, _ in model.config.gguf_fields())}
    metadata: dict[str, gguf_file.MetadataValue] = {
        key: value
        for key, value in model.metadata.items()
        if key not in contract
        and key != BASES_KEY
        and not key.startswith((SHAPE_PREFIX, QUANTIZATION_PREFIX))
        and _can_be_written(key, value)
    }
    kinds = [kind for kind in (*gguf_file.QUANTIZED_TYPES, F32) if kind in plan.values()]
    mix = ", ".join(f"{list(plan.values()).count(kind)} {kind}" for kind in kinds)
    facts: dict[str, gguf_file.MetadataValue] = {
        "type": work.kind,
        "policy": "built-in" if outcome is None else "calibrated",
        "mix": mix,
        "source_sha256": file_sha256(model.path),
    }
    if keep:
        facts["keep"] = list(keep)
    if recordings is not None and outcome is not None and bound is not None:
        facts |= {
            "calibration": recordings.name,
            "calibration_clips": len(recordings.clips),
            "calibration_seconds": float(round(recordings.seconds, 1)),
            "calibration_sha256": recordings.sha256,
            "bound_db": float(bound),
        }
        if np.isfinite(outcome.snr).all():  # a model that ignores its weights loses nothing
            facts |= {"snr_db": float(np.median(outcome.snr)), "worst_snr_db": float(outcome.snr.min())}
    return metadata | {QUANTIZATION_PREFIX + key: value for key, value in facts.items()}
