"""One job of a list: its result, and what a record keeps beside it."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace
from typing import Any

from .audio import Job
from .enhance_files import EnhanceOptions, FileResult, Progress, try_job
from .errors import LocalVQEError
from .file_digest import file_sha256
from .run_record import OutputEntry
from .signal_path import Model
from .storage import Stamp, is_remote, name_of, stamp
from .storage.remote import staged

__all__ = ["JobOutcome", "do_job", "entry_of_outcome", "failure", "restored"]


@dataclass(frozen=True)
class JobOutcome:
    """A result, and what the record keeps beside it; the fields are those of ``OutputEntry``.

    ``kept``: who made it has written that down already.
    """

    result: FileResult
    inputs: list[Stamp]
    size: int = -1
    sha256: str = ""
    kept: bool = False


def do_job(model: Model, job: Job, options: EnhanceOptions, progress: Progress | None = None) -> JobOutcome:
    """Enhance one file of many; whatever goes wrong is the result's ``error``."""
    try:
        inputs = [stamp(job.mic), stamp(job.ref)]  # before they are read: a change meanwhile must show later
        if not is_remote(job.output):
            return _outcome(try_job(model, job, options, progress), inputs)
        with staged(job.output) as path:  # so that what was sent need not be fetched for its digest
            outcome = _outcome(try_job(model, replace(job, output=os.fspath(path)), options, progress), inputs)
        return replace(outcome, result=replace(outcome.result, output=outcome.result.output and job.output))
    except LocalVQEError as exc:
        return JobOutcome(failure(job, str(exc)), [])


def failure(job: Job, error: str) -> FileResult:
    """The result of a job that has no output."""
    return FileResult(job.id, job.mic, job.ref or None, None, error=error)


def entry_of_outcome(job: Job, outcome: JobOutcome, recipe: str, model_sha256: str) -> OutputEntry:
    """What the record says of a job."""
    return OutputEntry(
        name_of(job.output),
        recipe,
        model_sha256,
        outcome.inputs,
        outcome.size,
        outcome.sha256,
        outcome.result.to_dict(),
    )


def restored(values: dict[str, Any], job: Job) -> FileResult | None:
    """The result of an earlier run or of another machine, in the places of this one; None where it is damaged."""
    known = {field.name for field in fields(FileResult)}
    try:
        result = FileResult(**{name: value for name, value in values.items() if name in known})
    except TypeError:
        return None
    return replace(result, id=job.id, mic=job.mic, ref=job.ref or None, output=None if result.error else job.output)


def _outcome(result: FileResult, inputs: list[Stamp]) -> JobOutcome:
    if result.output is None:
        return JobOutcome(result, inputs)
    try:
        return JobOutcome(result, inputs, os.stat(result.output).st_size, file_sha256(result.output))
    except OSError as exc:
        error = f"{result.output}: was written, but cannot be read back ({exc.strerror or exc})"
        return JobOutcome(replace(result, output=None, error=error), inputs)
