"""Hands chunks to workers, a few ahead, and takes what the record says of their files."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from ..audio import Job
from ..errors import LocalVQEError, ModelError, RemoteError
from ..job_outcome import JobOutcome, failure, restored
from ..run_record import OutputEntry
from ..storage.paths import absolute
from .chunks import Chunks
from .task import Chunk, ChunkResult, RunRecipe, keep_model, run_chunk

__all__ = ["run_on_cluster"]

#: Chunks that a worker has or waits for, so that it never waits for us.
_AHEAD = 2
_ASK_SECONDS = 5.0  # between two looks at how many workers there are


def run_on_cluster(
    client: Any, recipe: RunRecipe, model: str | os.PathLike[str], jobs: Sequence[Job], sizes: dict[int, int]
) -> Iterator[tuple[int, JobOutcome]]:
    """(index, outcome) of each job in ``sizes``, as it is done.

    Args:
        client: a ``distributed.Client``.
        model: the model file, which workers get that lack it.
        sizes: bytes of each job's microphone, by its index in ``jobs``.

    Raises:
        RemoteError: the scheduler is gone, or a worker can do nothing for this run.
        ModelError: the model file cannot be read any more.
    """
    with _Flight(client, recipe, model, jobs) as flight:
        chunks = Chunks(sizes)
        # A death is held against all that a worker has and waits for. So the files of such a chunk are tried one by
        # one, and what is held against one of them counts once it has died with nothing beside it.
        singles: deque[int] = deque()
        suspects: deque[int] = deque()
        while chunks or singles or suspects or flight:
            while (chunks or singles) and flight.has_room():
                flight.start([singles.popleft()] if singles else chunks.take(flight.workers))
            alone = not flight
            if alone:
                flight.start([suspects.popleft()])
            indices, answer = flight.land()
            if isinstance(answer, str):
                if len(indices) > 1:
                    singles.extend(indices)
                elif not alone:
                    suspects.append(indices[0])
                else:
                    dead = jobs[indices[0]]
                    yield indices[0], JobOutcome(failure(dead, f"{dead.mic}: {answer}"), [])
                continue
            chunks.done([indices[number] for number in answer.made], answer.seconds)
            for index, entry in zip(indices, answer.entries, strict=True):
                yield index, _outcome(entry, jobs[index])


class _Flight:
    """The chunks that workers have; the end of ``with`` takes back what is not done."""

    def __init__(self, client: Any, recipe: RunRecipe, model: str | os.PathLike[str], jobs: Sequence[Job]) -> None:
        import distributed

        self._client, self._recipe, self._model, self._jobs = client, recipe, model, jobs
        self._chunks: dict[str, tuple[Any, list[int]]] = {}  # by the key of the future
        self._numbers = count()
        self._landed = distributed.as_completed(loop=client.loop)
        self._asked = -_ASK_SECONDS
        self.workers = 0

    def __enter__(self) -> _Flight:
        return self

    def __exit__(self, *_: object) -> None:
        if self._chunks and self._client.status == "running":
            self._client.cancel([future for future, _ in self._chunks.values()], force=True)

    def __bool__(self) -> bool:
        return bool(self._chunks)

    def has_room(self) -> bool:
        if time.monotonic() - self._asked >= _ASK_SECONDS:
            try:
                self.workers = sum(self._client.nthreads().values())
            except Exception as exc:
                raise _lost(exc) from exc
            self._asked = time.monotonic()
        return len(self._chunks) < _AHEAD * max(1, self.workers)

    def start(self, indices: list[int]) -> None:
        jobs = [
            replace(job, mic=absolute(job.mic), ref=job.ref and absolute(job.ref), output=absolute(job.output))
            for job in (self._jobs[index] for index in indices)
        ]
        chunk = Chunk(f"{next(self._numbers):06d}", self._recipe, jobs)
        # Not pure: two chunks are never one, whatever is in them.
        future = self._client.submit(run_chunk, chunk, key=f"localvqe-{self._recipe.run}-{chunk.name}", pure=False)
        self._chunks[future.key] = future, indices
        self._landed.add(future)

    def land(self) -> tuple[list[int], ChunkResult | str]:
        """The next chunk that is done, and its result; or why workers cannot do it."""
        while True:
            future = next(self._landed)
            _, indices = self._chunks.pop(future.key)
            answer = self._answer(future)
            future.release()
            if isinstance(answer, ChunkResult):
                if answer.refusal is not None:
                    raise RemoteError(answer.refusal)
                if answer.lacks_model is not None:
                    self._send_model(answer.lacks_model)
                    self.start(indices)
                    continue
            return indices, answer

    def _answer(self, future: Any) -> ChunkResult | str:
        import distributed

        try:
            answer: ChunkResult = future.result()
        except distributed.KilledWorker:
            return "the worker process that had it died, again and again; perhaps for lack of memory"
        except (ImportError, AttributeError) as exc:
            raise RemoteError(
                f"a worker cannot load localvqe {self._recipe.version} ({exc}); install that version everywhere"
            ) from exc
        except Exception as exc:
            raise _lost(exc) from exc
        except BaseException as exc:
            if type(exc).__name__ in ("CancelledError", "FutureCancelledError"):
                raise _lost(exc) from exc
            raise
        return answer

    def _send_model(self, worker: str) -> None:
        try:
            with open(self._model, "rb") as file:
                content = file.read()
        except OSError as exc:
            raise ModelError(f"{self._model}: cannot be read any more ({exc.strerror or exc})") from exc
        try:
            self._client.run(keep_model, self._recipe.model_sha256, content, workers=[worker])
        except LocalVQEError as exc:
            raise RemoteError(f"worker {worker}: {exc}") from exc
        except Exception:  # it is gone, or the next try of the chunk will say what it lacks
            time.sleep(0.1)


def _outcome(entry: OutputEntry, job: Job) -> JobOutcome:
    result = restored(entry.result, job)
    assert result is not None  # both ends have one version
    return JobOutcome(result, entry.inputs, entry.size, entry.sha256, kept=True)


def _lost(exc: BaseException) -> RemoteError:
    text = " ".join(str(exc).split()) or type(exc).__name__
    return RemoteError(f"the cluster is lost ({text[:200]}); the same command with --resume does the rest")
