"""What a worker does. Both ends must have one version of localvqe: outputs of two would not be comparable."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from ..atomic import atomic_output
from ..audio import Job
from ..engine import Enhancer
from ..enhance_files import EnhanceOptions
from ..errors import LocalVQEError
from ..file_digest import file_sha256
from ..freed_memory import keep_freed_memory
from ..job_outcome import do_job, entry_of_outcome
from ..models.cache import cache_folder
from ..run_journal import Part
from ..run_record import OutputEntry, entry_line, entry_of
from ..storage import is_remote, join, name_of, stamp
from ..version import __version__

__all__ = ["Chunk", "ChunkResult", "RunRecipe", "keep_model", "run_chunk"]

_models = threading.local()


@dataclass(frozen=True)
class RunRecipe:
    """What holds for all chunks of a run.

    Attributes:
        folder: of the outputs, which every machine sees under this name.
        run: the run's name in the record.
        digest: of all that decides how outputs sound, but for the inputs.
        model_sha256: by which workers know the model.
        threads, noise_gate, precision: of the model, see ``Enhancer``.
        options: for every file.
        version: of localvqe.
    """

    folder: str
    run: str
    digest: str
    model_sha256: str
    threads: int
    noise_gate: float | None
    precision: str
    options: EnhanceOptions
    version: str = __version__


@dataclass(frozen=True)
class Chunk:
    """Jobs for one task, whose paths are absolute; ``name`` is no other chunk's of the run."""

    name: str
    recipe: RunRecipe
    jobs: list[Job]


@dataclass(frozen=True)
class ChunkResult:
    """What became of a chunk.

    Attributes:
        entries: one for each job, empty where the worker could not begin.
        made: which of them were not there before, and ``seconds`` how long these took.
        refusal: why this worker can do nothing for this run.
        lacks_model: the worker whose address this is has to get the model first.
    """

    entries: list[OutputEntry] = field(default_factory=list)
    made: list[int] = field(default_factory=list)
    seconds: float = 0.0
    refusal: str | None = None
    lacks_model: str | None = None


def run_chunk(chunk: Chunk) -> ChunkResult:
    """Make the outputs that an earlier try of this chunk has not made; what goes wrong with one is in its entry."""
    address = _own_address()
    recipe = chunk.recipe
    if recipe.version != __version__:
        return ChunkResult(
            refusal=f"worker {address} has localvqe {__version__}, and here it is {recipe.version}; "
            "install one version everywhere"
        )
    if not is_remote(recipe.folder) and not os.path.isdir(recipe.folder):
        return ChunkResult(
            refusal=f"worker {address} sees no folder {recipe.folder}; name one that all machines share, or a storage"
        )
    if not os.path.exists(_model_path(recipe.model_sha256)):
        return ChunkResult(lacks_model=address)
    try:
        return _run(chunk, _load(recipe))
    except LocalVQEError as exc:
        return ChunkResult(refusal=f"worker {address}: {exc}")


def keep_model(sha256: str, content: bytes) -> None:
    """Put a model into this machine's cache, under its digest."""
    path = _model_path(sha256)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with atomic_output(path) as temporary:
        temporary.write_bytes(content)


def _run(chunk: Chunk, model: Enhancer) -> ChunkResult:
    recipe = chunk.recipe
    part = Part(recipe.folder, recipe.run, chunk.name)
    known = {entry.output: entry for entry in map(entry_of, part.lines) if entry is not None}
    entries, made, began = [], [], time.monotonic()
    for number, job in enumerate(chunk.jobs):
        entry = known.get(name_of(job.output))
        if entry is None or not _holds(entry, job):
            entry = entry_of_outcome(job, do_job(model, job, recipe.options), recipe.digest, recipe.model_sha256)
            made.append(number)
            part.add(entry_line(entry))
        entries.append(entry)
    part.keep()
    return ChunkResult(entries, made, time.monotonic() - began)


def _holds(entry: OutputEntry, job: Job) -> bool:
    """The output is there, and of the inputs that are there."""
    if entry.result.get("error") or entry.inputs != [stamp(job.mic), stamp(job.ref)]:
        return False
    found = stamp(job.output)
    return found is not None and found[0] == entry.size


def _load(recipe: RunRecipe) -> Enhancer:
    """This thread's own; the one before it goes."""
    wanted = (recipe.model_sha256, recipe.threads, recipe.noise_gate, recipe.precision)
    if getattr(_models, "made_of", None) != wanted:
        path = _model_path(recipe.model_sha256)
        if file_sha256(path) != recipe.model_sha256:
            os.unlink(path)
            raise LocalVQEError(f"{path}: is damaged, and was removed; run again with --resume")
        _models.enhancer = Enhancer(
            path, threads=recipe.threads, noise_gate=recipe.noise_gate, precision=recipe.precision
        )
        _models.made_of = wanted
        keep_freed_memory()
    enhancer: Enhancer = _models.enhancer
    return enhancer


def _model_path(sha256: str) -> str:
    return join(os.fspath(cache_folder()), os.path.join("of-clusters", f"{sha256}.gguf"))


def _own_address() -> str:
    import distributed

    address: Any = distributed.get_worker().address
    return str(address)
