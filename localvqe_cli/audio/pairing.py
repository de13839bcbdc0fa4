"""Which microphone goes with which reference, and where the result goes."""

from __future__ import annotations

import csv
import io
import os
import tempfile
from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from itertools import islice
from typing import TextIO

from ..atomic import check_output
from ..errors import UsageError
from ..storage import folder_of, is_remote, join, name_of
from ..storage.remote import fetch, listing, require_writable
from .reader import STDIO

__all__ = [
    "Job",
    "audio_files",
    "beside",
    "file_stem",
    "jobs_from_directories",
    "jobs_from_manifest",
    "jobs_from_pairs",
    "prepare_outputs",
    "read_rows",
    "single_job",
]

OUTPUT_SUFFIX = "_enhanced"

_MIC_SUFFIX = "_mic"
_REF_SUFFIXES = ("_lpb", "_ref")  # the AEC challenge's "loopback", and what others call it
_EXTENSIONS = {".aif", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".w64", ".wav"}
_MAX_CELL = 4096
#: Rows of ordinary lists have 200 characters, so this is for 160,000 of them.
MAX_LIST_CHARACTERS = 32 << 20
#: Rows of three characters take more memory than their text.
MAX_ROWS = 1_000_000


@dataclass(frozen=True)
class Job:
    """One file to enhance.

    Attributes:
        id: names the job in messages and, in a batch, the output.
        mic: path or URL of the microphone recording, ``-`` for stdin.
        ref: path of the far-end reference, ``mic`` where both are channels of one file; None is silence. Empty when a
            batch has no match for the mic.
        output: path or URL to write, ``-`` for stdout.
    """

    id: str
    mic: str
    ref: str | None
    output: str


def single_job(mic: str, ref: str | None, output: str | None, *, two_channel: bool = False) -> Job:
    """The job for one pair; the output defaults to ``MIC_enhanced.wav`` beside the mic, or stdout for stdin.

    An output that is a folder gets a file of that name. Where the recording is ``two_channel`` the mic's file is its
    reference's as well, unless ``ref`` names another.

    Raises:
        UsageError: both inputs are stdin, but not as one stream of two channels; or the output is a folder that does
            not exist.
    """
    if two_channel and ref is None:
        ref = mic
    if mic == STDIO and ref == STDIO and not two_channel:
        raise UsageError("only one of mic and reference can come from stdin")
    stem, name = (STDIO, "stdin") if mic == STDIO else (os.path.splitext(mic)[0], file_stem(mic))
    if output is not None and (output.endswith("/") if is_remote(output) else os.path.isdir(output)):
        output = _output_in(output, name)
    elif output is not None and output.endswith(os.sep):
        raise UsageError(f"the folder {output} does not exist; make it first")
    return Job(name, mic, ref, output or (STDIO if mic == STDIO else f"{stem}{OUTPUT_SUFFIX}.wav"))


def jobs_from_pairs(
    pairs: Iterable[tuple[str, str | None]], output_dir: str | None, *, two_channel: bool = False
) -> list[Job]:
    """Jobs for (mic, ref) paths, as :func:`single_job` makes each; ``output_dir`` need not exist yet.

    Raises:
        UsageError: there is none, or two mics have the same name and would share an output.
    """
    jobs: dict[str, Job] = {}
    for mic, ref in pairs:
        job = single_job(mic, ref, None, two_channel=two_channel)
        if output_dir is not None:
            job = replace(job, output=_output_in(output_dir, job.id))
        if job.output in jobs:
            raise UsageError(f"{jobs[job.output].mic} and {mic} would both be written to {job.output}")
        jobs[job.output] = job
    if not jobs:
        raise UsageError("no pairs to enhance")
    return list(jobs.values())


def jobs_from_manifest(
    path: str, output_dir: str | None, *, use_ref: bool = True, two_channel: bool = False
) -> list[Job]:
    """Jobs from a TSV or CSV with the columns id, mic and ref; other columns are ignored.

    Paths are relative to the manifest; all may be URLs. Outputs are ``<id>_enhanced.wav`` in ``output_dir``, else
    beside each mic. ``use_ref=False`` leaves the ref column unread; with ``two_channel`` it may be
    missing or empty, where the mic's file holds both.

    Raises:
        UsageError: the file cannot be read, lacks a column or a value, repeats an id, or an id is
            not a plain file name.
        RemoteError: its storage cannot be reached, or refuses.
    """
    base = folder_of(path)
    jobs: dict[str, Job] = {}
    columns = ("id", "mic", "ref") if use_ref and not two_channel else ("id", "mic")
    for line, row in read_rows(path, columns, ("ref",)):
        for column in columns:
            if not row[column]:
                hint = "; use --no-ref for silence" if column == "ref" else ""
                raise UsageError(f"{path} line {line}: the column {column} is empty{hint}")
        name = row["id"]
        if not _is_plain_name(name):
            raise UsageError(f"{path} line {line}: the id {name!r} is not a plain file name")
        if name in jobs:
            raise UsageError(f"{path} line {line}: the id {name!r} appears twice")
        mic = beside(base, row["mic"])
        ref = None if not use_ref else beside(base, row["ref"]) if row["ref"] else mic
        folder = folder_of(mic) if output_dir is None else output_dir
        jobs[name] = Job(name, mic, ref, _output_in(folder, name))
    if not jobs:
        raise UsageError(f"{path}: lists no pairs")
    return list(jobs.values())


def jobs_from_directories(
    mic_dir: str, ref_dir: str | None, output_dir: str | None, *, use_ref: bool = True, two_channel: bool = False
) -> list[Job]:
    """Jobs from a directory of microphones and one of references (by default the same directory).

    A mic finds the reference of the same stem, or by the AEC challenge's names: ``X_mic`` goes with
    ``X_lpb`` or ``X_ref``. A mic without a reference becomes a job with an empty ``ref``, for the
    caller to report. With ``two_channel``, and no directory of references, every file is a pair of its own.

    Raises:
        UsageError: a directory cannot be listed or holds no mic, or two references match one mic.
    """
    pairs_inside = two_channel and ref_dir is None
    mics = audio_files(mic_dir) if pairs_inside else _microphones(mic_dir)
    if not mics:
        raise UsageError(f"{mic_dir}: holds no microphone recordings (files named *{_MIC_SUFFIX}, or any audio)")
    stems = [file_stem(mic) for mic in mics]
    for stem, count in Counter(stems).items():
        if count > 1:
            raise UsageError(f"{mic_dir}: {stem} exists in two formats; keep one")
    refs = _reference_table(mic_dir if ref_dir is None else ref_dir) if use_ref and not pairs_inside else {}
    jobs = []
    for mic, stem in zip(mics, stems, strict=True):
        ref = mic if pairs_inside else None
        if use_ref and not pairs_inside:
            same_name = refs.get(stem, []) if ref_dir is not None else []
            found = same_name or refs.get(f"{stem.removesuffix(_MIC_SUFFIX)}*", [])
            if len(found) > 1:
                names = " and ".join(os.path.basename(name) for name in found)
                raise UsageError(f"{mic}: two references match, {names}; keep one or use --pairs")
            ref = found[0] if found else ""
        jobs.append(Job(stem, mic, ref, _output_in(mic_dir if output_dir is None else output_dir, stem)))
    return jobs


def prepare_outputs(
    jobs: Iterable[Job], *, force: bool, output_dir: str | None = None, ours: Container[str] = ()
) -> None:
    """Check every output before any work is done; creates ``output_dir``.

    ``ours`` are the file names of outputs that may be there, since they were written by an earlier part of the run.

    Raises:
        UsageError: an output exists (without ``force``), is an input of the batch or the output of another job, or
            cannot be written.
        RemoteError: a storage cannot be asked.
    """
    jobs = list(jobs)
    if output_dir is not None and not is_remote(output_dir):
        try:
            os.makedirs(output_dir, exist_ok=True)
        except OSError as exc:
            raise UsageError(f"cannot create the output directory {output_dir}: {exc.strerror or exc}") from exc
    inputs = {_real(path) for job in jobs for path in (job.mic, job.ref) if path and path != STDIO}
    absent = _absent(jobs)
    taken: dict[str, str] = {}
    for job in jobs:
        if job.output == STDIO:
            continue
        own = [path for path in (job.mic, job.ref) if path and path != STDIO]
        if len(jobs) > 1:
            real = _real(job.output)
            if real in inputs:
                raise UsageError(f"cannot write {job.output}: it is an input of this batch; choose another output")
            if real in taken:
                raise UsageError(f"{taken[real]} and {job.output} are the same file; give each pair its own")
            taken[real] = job.output
        may_be_there = force or job.output in absent or name_of(job.output) in ours
        check_output(job.output, force=may_be_there, inputs=own)


def _real(path: str) -> str:
    return path if is_remote(path) else os.path.realpath(path)


def _absent(jobs: list[Job]) -> set[str]:
    """Outputs in remote folders that are not there, so that no question is asked for each of many."""
    absent: set[str] = set()
    for folder in {folder_of(job.output) for job in jobs if is_remote(job.output)} if len(jobs) > 1 else ():
        require_writable(folder)
        there = listing(folder)
        here = [job.output for job in jobs if folder_of(job.output) == folder]
        absent.update(output for output in here if name_of(output) not in there)
    return absent


# -- manifests --------------------------------------------------------------------------------


def read_rows(path: str, columns: tuple[str, ...], optional: tuple[str, ...] = ()) -> list[tuple[int, dict[str, str]]]:
    """(line number, row) of every row of a TSV or CSV with a header, without those that are empty throughout.

    A row has the named columns and the optional ones; a cell that is not there is the empty string.

    Raises:
        UsageError: the file cannot be read, or lacks one of ``columns``.
        RemoteError: its storage cannot be reached, or refuses.
    """
    try:
        with _open_list(path) as file:
            text = file.read(MAX_LIST_CHARACTERS + 1)
        if len(text) > MAX_LIST_CHARACTERS:
            raise UsageError(f"{path}: has over {MAX_LIST_CHARACTERS >> 20} million characters; split the list")
        with io.StringIO(text, newline="") as file:
            delimiter = "\t" if "\t" in text[:_MAX_CELL].split("\n", 1)[0] else ","
            reader = csv.DictReader(file, delimiter=delimiter, strict=True)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise UsageError(
                    f"{path}: needs a header line with the columns id, mic and ref; {missing[0]} is missing"
                )
            rows = [(reader.line_num, row) for row in islice(reader, MAX_ROWS + 1)]
            if len(rows) > MAX_ROWS:
                raise UsageError(f"{path}: has over {MAX_ROWS} rows; split the list")
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        raise UsageError(f"{path}: cannot be read as a list of pairs ({reason})") from exc
    cells = [(line, {name: (row.get(name) or "").strip() for name in (*columns, *optional)}) for line, row in rows]
    return [(line, values) for line, values in cells if any(values[name] for name in columns)]


def _open_list(path: str) -> TextIO:
    if not is_remote(path):
        return open(path, encoding="utf-8-sig", newline="")
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with what is around it
    try:
        fetch(path, file)
    except FileNotFoundError as exc:
        file.close()
        raise UsageError(f"{path}: no such list of pairs") from exc
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return io.TextIOWrapper(file, encoding="utf-8-sig", newline="")


def _is_plain_name(name: str) -> bool:
    return not (name in (".", "..") or any(char in '/\\:*?"<>|' or ord(char) < 32 for char in name))


def beside(base: str, cell: str) -> str:
    """The path in a manifest's cell, relative to the manifest's folder ``base``."""
    path = join(base, cell)
    return os.path.join(".", path) if path == STDIO else path  # a file of that name, not stdin


def _output_in(folder: str, name: str) -> str:
    return join(folder, f"{name}{OUTPUT_SUFFIX}.wav")


# -- directories ------------------------------------------------------------------------------


def file_stem(path: str) -> str:
    """File name without folder and extension."""
    return os.path.splitext(os.path.basename(path))[0]


def audio_files(folder: str, *, outputs: bool = False) -> list[str]:
    """Paths of the audio files in a folder by name; ``outputs`` keeps those named like our own outputs.

    Raises:
        UsageError: the folder cannot be listed.
    """
    try:
        names = sorted(os.listdir(folder))
    except OSError as exc:
        raise UsageError(f"{folder}: cannot be listed ({exc.strerror or exc})") from exc
    audio = [name for name in names if os.path.splitext(name)[1].lower() in _EXTENSIONS and not name.startswith(".")]
    return [os.path.join(folder, name) for name in audio if outputs or not file_stem(name).endswith(OUTPUT_SUFFIX)]


def _microphones(folder: str) -> list[str]:
    files = audio_files(folder)
    named = [path for path in files if file_stem(path).endswith(_MIC_SUFFIX)]
    return named or [path for path in files if not file_stem(path).endswith(_REF_SUFFIXES)]


def _reference_table(folder: str) -> dict[str, list[str]]:
    """Files by stem, and by ``X*`` for a challenge name ``X_lpb`` or ``X_ref``."""
    table: dict[str, list[str]] = {}
    for path in audio_files(folder):
        stem = file_stem(path)
        table.setdefault(stem, []).append(path)
        for suffix in _REF_SUFFIXES:
            if stem.endswith(suffix):
                table.setdefault(f"{stem.removesuffix(suffix)}*", []).append(path)
    return table
