"""From the text of ``--cluster`` to a client of a scheduler."""

from __future__ import annotations

import logging
import re
import shutil
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from ..config import MAX_JOBS
from ..errors import MissingExtraError, RemoteError, UsageError

__all__ = ["check_address", "connect"]

_PATIENCE = 10.0  # seconds
_KINDS = re.compile(r"dask://(?P<scheduler>[^/\s]+:\d+)/?|local:(?P<workers>\d+)|(?P<slurm>slurm)")


def check_address(address: str | None, jobs: int | None) -> None:
    """Raise UsageError unless :func:`connect` knows what to do with both."""
    if address is None:
        return
    found = _parsed(address)
    if jobs is not None and not found["slurm"]:
        raise UsageError(f"jobs is {jobs}: that is for --cluster slurm, {address} has its own number of workers")


@contextmanager
def connect(address: str | None, jobs: int | None = None) -> Iterator[Any]:
    """A ``distributed.Client``, None for no address; what is started for it ends with the body.

    Args:
        address: ``dask://HOST:PORT``, a scheduler that runs; ``local:N``, N processes of this machine; ``slurm``, jobs
            as dask-jobqueue's configuration describes them.
        jobs: how many of ``slurm``; None for one.

    Raises:
        UsageError: an address of another form.
        MissingExtraError: distributed, or for slurm dask-jobqueue, is not installed.
        RemoteError: no scheduler answers, or jobs cannot be submitted.
    """
    if address is None:
        yield None
        return
    check_address(address, jobs)
    found = _parsed(address)
    try:
        import distributed
    except ImportError as exc:
        raise MissingExtraError(f"--cluster {address}", "cluster") from exc
    # Killed workers, other versions of msgpack: dask tells of all in paragraphs, and goes on.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        try:
            if found["workers"]:
                scheduler: Any = stack.enter_context(_local(int(found["workers"])))
            elif found["slurm"]:
                scheduler = stack.enter_context(_slurm(jobs or 1))
            else:
                scheduler = f"tcp://{found['scheduler']}"
            client = distributed.Client(scheduler, timeout=_PATIENCE, set_as_default=False)
        except (RemoteError, MissingExtraError):
            raise
        except Exception as exc:  # each transport has classes of its own
            raise RemoteError(
                f"{address}: no scheduler can be reached there ({' '.join(str(exc).split()) or type(exc).__name__})"
            ) from exc
        stack.callback(client.close, timeout=_PATIENCE)
        yield client


def _parsed(address: str) -> re.Match[str]:
    found = _KINDS.fullmatch(address)
    if found is None:
        raise UsageError(f"--cluster {address}: give dask://HOST:PORT, local:N or slurm")
    if found["workers"] and not 1 <= int(found["workers"]) <= MAX_JOBS:
        raise UsageError(f"--cluster {address}: expected 1 to {MAX_JOBS} workers")
    return found


def _local(workers: int) -> Any:
    import distributed

    return distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        memory_limit=0,
        silence_logs=logging.CRITICAL,
    )


def _slurm(jobs: int) -> Any:
    try:
        import dask_jobqueue
    except ImportError as exc:
        raise MissingExtraError("--cluster slurm", "cluster") from exc
    if shutil.which("sbatch") is None:
        raise RemoteError("slurm: there is no sbatch on this machine; run this where jobs are submitted")
    try:
        cluster = dask_jobqueue.SLURMCluster()
    except (TypeError, ValueError) as exc:  # what a job has to say and does not
        text = " ".join(str(exc).split())
        raise RemoteError(f"slurm: {text}; say so under jobqueue: slurm: in ~/.config/dask/jobqueue.yaml") from exc
    cluster.scale(jobs=jobs)
    return cluster
