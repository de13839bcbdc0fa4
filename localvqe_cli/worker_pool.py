"""Work shared out over processes, which have one item each: one that dies takes nothing along but its item.

Workers start afresh (``spawn``), since nobody knows what a program that calls us has loaded. The command line knows
of itself, and says so with :func:`share_imports`: its workers are forks, so they start at once and have its pages in
common. Forks of itself while it has a single thread; later, when a progress bar has one of its own say, of a process
that has done nothing but import.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from .errors import LocalVQEError
from .freed_memory import keep_freed_memory

__all__ = ["Died", "run_in_processes", "share_imports", "usable_cpus"]

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
_EXIT_TERMINATED = 143
_PATIENCE = 5.0  # seconds that a worker has to put away what it was doing

Item = TypeVar("Item")
Result = TypeVar("Result")
#: Called by work with whatever is to be known before it is done.
Report = Callable[[Any], None]

_start_method = "spawn"


@dataclass(frozen=True)
class Died:
    """Instead of a result: the process that had the item is gone; ``reason`` is a sentence."""

    reason: str


def usable_cpus() -> int:
    """Logical processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def share_imports(modules: list[str]) -> None:
    """Let later workers share the pages of these modules, which are loaded by now; for a program that is ours."""
    global _start_method
    if sys.platform == "linux":  # macOS has libraries that do not survive a fork
        _start_method = "forkserver"
        multiprocessing.set_forkserver_preload(modules)


def run_in_processes(
    work: Callable[[Item, Report], Result],
    items: Iterable[Item],
    jobs: int,
    report: Callable[[int, Any], None] | None = None,
) -> Iterator[tuple[int, Result | Died]]:
    """(index, result) of each item as it is done, in any order.

    Args:
        work: called in a worker with an item and a function that takes reports. It is pickled once for each worker.
            What it raises is raised here, and ends all.
        items: taken when they are needed, and a few ahead. No process starts before the first.
        jobs: how many processes at most.
        report: called with the index and what ``work`` reported.

    Raises:
        LocalVQEError: workers do not even start.
    """
    source = enumerate(items)
    packed = pickle.dumps(work)
    ahead: deque[tuple[int, Item]] = deque()
    idle: list[_Worker[Item]] = []
    busy: dict[Connection, _Worker[Item]] = {}
    try:
        while True:
            while len(busy) < jobs and (following := ahead.popleft() if ahead else next(source, None)) is not None:
                worker = idle.pop() if idle else _Worker[Item](packed)
                worker.give(*following)
                busy[worker.connection] = worker
            if not busy:
                return
            while len(ahead) < jobs and (following := next(source, None)) is not None:
                ahead.append(following)
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)
                worker = busy[connection]
                index = worker.index
                kind, value = worker.answer()
                if kind == "ready":
                    continue
                if kind == "report":
                    if report is not None:
                        report(index, value)
                    continue
                if kind == "raised":
                    raise RuntimeError(f"in a worker process:\n{value}")
                del busy[connection]
                if kind == "died":
                    value = Died(worker.end())
                else:
                    idle.append(worker)
                yield index, value
    finally:
        _stop([*idle, *busy.values()])


class _Worker(Generic[Item]):
    """A process and our end of the pipe to it."""

    def __init__(self, packed: bytes) -> None:
        for name in _THREAD_VARIABLES:  # read by libraries when they are loaded, so before a worker starts
            os.environ.setdefault(name, "1")
        method = "fork" if _start_method == "forkserver" and _has_one_thread() else _start_method
        context: Any = multiprocessing.get_context(method)
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,), daemon=True, name="localvqe-worker")
        self.process.start()
        theirs.close()
        self.index = 0
        self._started = False
        self._send(packed)

    def give(self, index: int, item: Item) -> None:
        self.index = index
        self._send(pickle.dumps(item))

    def _send(self, message: bytes) -> None:
        with suppress(OSError):  # it is dead, which its answer will show
            self.connection.send_bytes(message)

    def answer(self) -> tuple[str, Any]:
        """What it says next: ready, report, done, raised, or died.

        Raises:
            LocalVQEError: it died before it had begun, as the next one would.
        """
        try:
            kind, value = self.connection.recv()
        except (EOFError, OSError, pickle.UnpicklingError):  # the last two from a message cut short
            if not self._started:
                hint = '; a script needs if __name__ == "__main__": before what it starts' if _starts_afresh() else ""
                raise LocalVQEError(f"no worker process can be started: {self.end()}{hint}") from None
            return "died", None
        if kind == "unusable":
            raise LocalVQEError(f"no worker process can be started: {value}")
        self._started = True
        return kind, value

    def end(self) -> str:
        """Wait for its end; how it came about."""
        self.connection.close()
        self.process.join(_PATIENCE)
        code = self.process.exitcode
        if code is None or code >= 0:
            return f"the worker process ended unasked (exit code {code})"
        hint = ", perhaps for lack of memory: fewer jobs need less" if -code == getattr(signal, "SIGKILL", 9) else ""
        return f"the worker process was ended by signal {-code}{hint}"


def _has_one_thread() -> bool:
    """No other thread, of a library either, holds a lock that nobody would give back in a fork."""
    try:
        return len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return False


def _starts_afresh() -> bool:
    """Workers import the program's main module, and do what it does."""
    return _start_method == "spawn"


def _stop(workers: list[_Worker[Item]]) -> None:
    """End them; one in the middle of something removes what it has half-written."""
    for worker in workers:
        worker.connection.close()
        worker.process.terminate()
    for worker in workers:
        worker.process.join(_PATIENCE)
        if worker.process.exitcode is None:
            worker.process.kill()
            worker.process.join()


# -- in the worker ----------------------------------------------------------------------------


def _serve(connection: Connection) -> None:
    # Ctrl-C reaches every process of the terminal; the parent alone decides. Its polite kill unwinds.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_EXIT_TERMINATED))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    keep_freed_memory()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the parent is done with us, or gone
        _answer_all(connection)


def _answer_all(connection: Connection) -> None:
    packed = connection.recv_bytes()
    try:
        work = pickle.loads(packed)
    except Exception as exc:
        connection.send(("unusable", str(exc)))
        return
    connection.send(("ready", None))
    while True:
        item = pickle.loads(connection.recv_bytes())
        try:
            answer = "done", work(item, lambda value: connection.send(("report", value)))
        except Exception:
            answer = "raised", traceback.format_exc()
        connection.send(answer)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
