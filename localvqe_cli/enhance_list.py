"""Enhance many files: on all cores or together on a device, with a record from which a killed run goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from .atomic import remove_leftovers
from .audio import Job, prepare_outputs
from .clip_group import ClipGroup
from .cluster import RunRecipe, run_on_cluster
from .config import MAX_JOBS
from .engine import Enhancer, is_cpu
from .enhance_files import EnhanceOptions, FileResult
from .errors import ModelError, UsageError
from .file_digest import file_sha256
from .job_outcome import JobOutcome, do_job, entry_of_outcome, failure, restored
from .run_record import RunRecord, recipe_digest
from .signal_path import Model
from .storage import is_remote, name_of, stamps
from .storage.paths import absolute
from .storage.remote import is_private, require_writable
from .version import __version__
from .worker_pool import Died, Report, run_in_processes, usable_cpus

__all__ = ["ListRun", "Standing", "prepare_list"]

# Bytes of microphones that take about as long as a process takes to start: less is not worth one.
_WORTH_A_PROCESS = 1 << 20
_REPORT_SECONDS = 0.25


@dataclass(frozen=True)
class Standing:
    """How far a list is.

    Attributes:
        done, failed, files: files that are finished, those of them that failed, and all.
        seconds: of audio enhanced, unfinished files included.
        wall_seconds: since the start.
        share: of the work, 0..1, by the size of the files.
    """

    done: int
    failed: int
    files: int
    seconds: float
    wall_seconds: float
    share: float

    @property
    def times_real_time(self) -> float:
        return self.seconds / max(self.wall_seconds, 1e-9)

    @property
    def seconds_left(self) -> float | None:
        """None where that cannot be said yet."""
        return None if self.share <= 0.0 else self.wall_seconds * (1.0 - self.share) / self.share


Watch = Callable[[Standing], None]


def prepare_list(jobs: Sequence[Job], folder: str | None, *, force: bool, resume: bool) -> RunRecord | None:
    """Check all outputs, and the record in ``folder``, which is made; None where outputs go beside their mics.

    Raises:
        UsageError: an output or the record exists, unless ``force`` or ``resume`` allows it, or cannot be written.
        RemoteError: a storage cannot be asked.
    """
    if folder is None:
        if resume:
            raise UsageError("to resume takes a folder of outputs, where the record of the first run is; name it")
        prepare_outputs(jobs, force=force)
        return None
    if resume and force:
        raise UsageError("to resume and to force contradict each other; drop one of them")
    if is_remote(folder):
        require_writable(folder)
    record = RunRecord(folder)
    prepare_outputs(jobs, force=force, output_dir=folder, ours=record.outputs if resume else ())
    record.prepare(force=force)
    return record


class ListRun:
    """What is to be done with a list of jobs; :meth:`results` does it.

    Args:
        record: of the folder that all outputs go to, None for no record.
        processes: 1 works here; None chooses, see the attribute.
        resume: leave alone what ``record`` knows to be made in the same way.
        client: of a cluster that does the work, as :func:`localvqe_cli.cluster.connect` gives it; then a record is
            needed, and ``processes`` has no meaning.

    Attributes:
        finished: the results of jobs that need no work, by their index.
        processes: how many. Where not given: a device has one, else as many as there are processors for the model's
            threads, but one file or 1 MB of microphones at the least for each.

    Raises:
        UsageError: processes out of range; several, or a cluster, for a device or for ``memory://``.
        RemoteError: no microphone's storage can be asked.
        ModelError: the model file cannot be read any more.
    """

    def __init__(
        self,
        model: Model,
        jobs: Sequence[Job],
        options: EnhanceOptions,
        *,
        record: RunRecord | None = None,
        processes: int | None = None,
        resume: bool = False,
        client: Any = None,
    ) -> None:
        self._model, self._jobs, self._options, self._record = model, list(jobs), options, record
        self._client = client
        if client is not None:
            self._check_cluster()
        self._model_sha256, self._recipe, self._made_by = "", {}, ""
        if record is not None:
            self._recipe = _recipe(model, options)
            self._model_sha256 = str(self._recipe["model_sha256"])
            self._made_by = recipe_digest(self._recipe)
        self._stamps = stamps([job.mic for job in self._jobs])
        self.finished = self._find_finished() if resume and record is not None else {}
        self._todo = [index for index in range(len(self._jobs)) if index not in self.finished]
        self._sizes = {index: self._size(self._jobs[index].mic) for index in self._todo}
        self._streams = _streams(model, len(self._todo))
        self.processes = 1 if client is not None else self._choose(processes)

    def results(self, watch: Watch | None = None) -> Generator[FileResult, None, None]:
        """The result of every job in the list's order; a job that fails has an ``error``, and the others go on.

        Args:
            watch: called after each file, and in between.

        Raises:
            LocalVQEError: the record cannot be written, a device gives up, or worker processes cannot be started.
        """
        names = [_name(job) for job in self._jobs]
        todo = [names[index] for index in self._todo]
        if self._record is not None and self._todo:
            self._record.begin(self._recipe, todo)
            self._remove_leftovers(todo)
        made = dict(self.finished)
        following = 0
        try:
            for index, outcome in self._outcomes(_Watcher(self._sizes, watch)):
                made[index] = outcome.result
                if self._record is not None:
                    entry = entry_of_outcome(self._jobs[index], outcome, self._made_by, self._model_sha256)
                    self._record.add(entry, in_part=outcome.kept)
                while following in made:
                    yield made.pop(following)
                    following += 1
            while following in made:
                yield made.pop(following)
                following += 1
            if self._record is not None:
                self._record.finish()
                self._remove_leftovers(todo)  # of workers that were killed
        finally:
            if self._record is not None:
                self._record.keep()
                self._record.write_table(names)

    def _remove_leftovers(self, names: list[str]) -> None:
        if self._record is not None and not is_remote(self._record.folder):
            remove_leftovers(self._record.folder, names)

    def _outcomes(self, watcher: _Watcher) -> Iterator[tuple[int, JobOutcome]]:
        """(index, outcome) of each job that is to be done, as it is done."""
        if self._client is not None:
            outcomes = self._run_on_cluster() if self._todo else iter(())
        elif self._streams > 1:
            outcomes = self._run_together()
        elif self.processes > 1:
            outcomes = self._run_in_processes(watcher)
        else:
            outcomes = self._run_here(watcher)
        for index, outcome in outcomes:
            watcher.done(index, outcome.result)
            yield index, outcome

    def _run_here(self, watcher: _Watcher) -> Iterator[tuple[int, JobOutcome]]:
        for index in self._todo:
            yield index, do_job(self._model, self._jobs[index], self._options, partial(watcher.at, index))

    def _run_together(self) -> Iterator[tuple[int, JobOutcome]]:
        assert isinstance(self._model, Enhancer)
        jobs = [self._jobs[index] for index in self._todo]
        with ClipGroup(self._model, self._streams) as group:
            yield from zip(self._todo, group.map(partial(_do_one_of, options=self._options), jobs), strict=True)

    def _run_in_processes(self, watcher: _Watcher) -> Iterator[tuple[int, JobOutcome]]:
        assert isinstance(self._model, Enhancer)
        # Largest first, or the last to start may be an hour long while the other processes have nothing left.
        order = sorted(self._todo, key=lambda index: -self._sizes[index])
        jobs = [self._jobs[index] for index in order]
        work = _Work(self._model, self._options)
        found = run_in_processes(work, jobs, self.processes, lambda number, at: watcher.at(order[number], *at))
        for number, outcome in found:
            yield order[number], _of_dead(jobs[number], outcome) if isinstance(outcome, Died) else outcome

    def _run_on_cluster(self) -> Iterator[tuple[int, JobOutcome]]:
        assert isinstance(self._model, Enhancer)
        assert self._record is not None
        recipe = RunRecipe(
            absolute(self._record.folder),
            self._record.run,
            self._made_by,
            self._model_sha256,
            self._model.threads,
            self._model.noise_gate,
            self._model.precision,
            self._options,
        )
        return run_on_cluster(self._client, recipe, self._model.path, self._jobs, self._sizes)

    def _find_finished(self) -> dict[int, FileResult]:
        assert self._record is not None
        found = {}
        known = {index: self._record.entries.get(_name(job)) for index, job in enumerate(self._jobs)}
        alike = {index: entry for index, entry in known.items() if entry is not None and entry.recipe == self._made_by}
        self._stamps |= stamps([self._jobs[index].ref for index in alike])
        for index, entry in alike.items():
            job = self._jobs[index]
            if any(path and path not in self._stamps for path in (job.mic, job.ref)):
                continue  # its storage gives no answer
            if entry.inputs != [self._stamps.get(path) if path else None for path in (job.mic, job.ref)]:
                continue
            result = restored(entry.result, job)
            if result is not None and result.error is None and self._record.is_whole(entry.output):
                found[index] = result
        return found

    def _size(self, mic: str) -> int:
        found = self._stamps.get(mic)
        return 0 if found is None else max(0, int(found[0]))

    def _check_cluster(self) -> None:
        if self._record is None:
            raise UsageError("a cluster needs a folder of outputs that all its machines see; name it")
        if not isinstance(self._model, Enhancer) or not is_cpu(self._model.backend):
            raise UsageError("a cluster computes on processors; leave the backend as it is")
        if self._in_memory():
            raise UsageError("memory:// is in the memory of one process, which a cluster does not see")

    def _in_memory(self) -> bool:
        return any(map(_is_private, (path for job in self._jobs for path in (job.mic, job.ref, job.output))))

    def _choose(self, asked: int | None) -> int:
        if asked is not None and not 1 <= asked <= MAX_JOBS:
            raise UsageError(f"jobs is {asked}, expected 1 to {MAX_JOBS}")
        on_cpu = isinstance(self._model, Enhancer) and is_cpu(self._model.backend)
        private = self._in_memory()
        if asked is not None:
            if asked > 1 and private:
                raise UsageError(f"jobs is {asked}: memory:// is in the memory of one process")
            if asked > 1 and isinstance(self._model, Enhancer) and not on_cpu:
                raise UsageError(f"jobs is {asked}: backend {self._model.backend} takes all files in one process")
            return min(asked, max(1, len(self._todo)))
        if not isinstance(self._model, Enhancer) or not on_cpu or private:
            return 1
        free = usable_cpus() // max(1, self._model.threads)
        worth = 1 + sum(self._sizes.values()) // _WORTH_A_PROCESS
        return max(1, min(free, len(self._todo), worth, MAX_JOBS))


@dataclass(frozen=True)
class _Work:
    """What a worker does with a job. A pickle holds the model's path, so each worker loads it, once."""

    model: Enhancer
    options: EnhanceOptions

    def __call__(self, job: Job, report: Report) -> JobOutcome:
        last = time.monotonic()

        def progress(done: float, total: float | None) -> None:
            nonlocal last
            if time.monotonic() - last >= _REPORT_SECONDS:
                last = time.monotonic()
                report((done, total))

        return do_job(self.model, job, self.options, progress)


class _Watcher:
    """Adds up how far the files are."""

    def __init__(self, sizes: dict[int, int], watch: Watch | None) -> None:
        self._sizes, self._watch = sizes, watch
        self._started = time.monotonic()
        self._total = max(1, sum(sizes.values()))
        self._open: dict[int, tuple[float, float]] = {}  # seconds and bytes of files in work
        self._done = self._failed = 0
        self._seconds = self._bytes = 0.0

    def at(self, index: int, done: float, total: float | None) -> None:
        share = min(1.0, done / total) if total else 0.0
        self._open[index] = done, share * self._sizes[index]
        self._tell()

    def done(self, index: int, result: FileResult) -> None:
        self._open.pop(index, None)
        self._done += 1
        self._failed += result.error is not None
        self._seconds += result.seconds
        self._bytes += self._sizes[index]
        self._tell()

    def _tell(self) -> None:
        if self._watch is None:
            return
        seconds = self._seconds + sum(at[0] for at in self._open.values())
        share = (self._bytes + sum(at[1] for at in self._open.values())) / self._total
        wall = time.monotonic() - self._started
        self._watch(Standing(self._done, self._failed, len(self._sizes), seconds, wall, min(1.0, share)))


def _do_one_of(model: Model, job: Job, *, options: EnhanceOptions) -> JobOutcome:
    return do_job(model, job, options)


def _of_dead(job: Job, death: Died) -> JobOutcome:
    return JobOutcome(failure(job, f"{job.mic}: {death.reason}"), [])


def _streams(model: Model, jobs: int) -> int:
    """How many of that many jobs go through the engine together."""
    return min(jobs, model.group_streams) if jobs > 1 and isinstance(model, Enhancer) else 1


def _recipe(model: Any, options: EnhanceOptions) -> dict[str, Any]:
    """All that decides how an output sounds, but for the inputs."""
    backend = getattr(model, "backend", "auto")
    try:
        model_sha256 = file_sha256(model.path)
    except OSError as exc:
        raise ModelError(f"{model.path}: cannot be read any more ({exc.strerror or exc})") from exc
    chosen = asdict(options)
    del chosen["block_frames"]
    return {
        "localvqe": __version__,
        "model_sha256": model_sha256,
        "backend": "cpu" if is_cpu(backend) else backend,
        "precision": getattr(model, "precision", "auto"),
        "noise_gate": getattr(model, "noise_gate", None),
        **chosen,
    }


def _name(job: Job) -> str:
    return name_of(job.output)


def _is_private(path: str | None) -> bool:
    return path is not None and is_remote(path) and is_private(path)
