"""Clips of one model that go through the engine together, for devices which many hops at once suit.

Each clip has a thread of its own, with a stream that looks like any other. A stream's hops wait until every stream
has a run's worth; then one call of the engine takes them all. So files are read, aligned and written as they always
are, and memory does not grow with their length.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from .audio.queue import SampleQueue
from .audio.resample import FloatArray
from .config import ModelConfig
from .engine import Enhancer, _creation_error, _library, _pointer
from .errors import EngineError, LocalVQEError, UsageError
from .geometry import HOP

__all__ = ["ClipGroup", "GroupModel"]

Item = TypeVar("Item")
Result = TypeVar("Result")


class ClipGroup:
    """Runs up to ``streams`` clips of ``enhancer`` at once; ``with`` gives its memory back.

    Args:
        streams: how many; None for what the device has room for, see :attr:`Enhancer.group_streams`.

    Raises:
        EngineError: the device has no room for so many.
        UsageError: the enhancer was closed.
    """

    def __init__(self, enhancer: Enhancer, streams: int | None = None) -> None:
        self._handle = 0
        self._lib = _library()
        if not enhancer._handle:
            raise UsageError("this Enhancer was closed; make a new one")
        self.enhancer = enhancer
        self.streams = enhancer.group_streams if streams is None else streams
        self._run = enhancer.clip_hops * HOP
        self._handle = self._lib.localvqe_group_new(
            enhancer._handle, enhancer.threads, self.streams, enhancer.clip_hops
        )
        if not self._handle:
            raise EngineError(f"the engine refused {self.streams} streams: {_creation_error(self._lib)}")
        if enhancer.noise_gate is not None:
            self._lib.localvqe_group_set_noise_gate(self._handle, 1, enhancer.noise_gate)
        self._signals = np.zeros((2, self.streams, self._run), np.float32)
        self._out = np.zeros((self.streams, self._run), np.float32)
        self._status = (ctypes.c_int * self.streams)()
        self._changed = threading.Condition()
        self._free = list(range(self.streams))
        self._taking_part: set[int] = set()
        self._ready: set[int] = set()
        self._runs = 0
        self._failure: LocalVQEError | None = None

    def __enter__(self) -> ClipGroup:
        return self

    def __exit__(self, *_: object) -> None:
        handle, self._handle = self._handle, 0
        if handle:
            self._lib.localvqe_group_free(handle)

    def map(self, work: Callable[[GroupModel, Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """``work(model, item)`` of each item, in order, as many at once as there are streams.

        ``model`` is what ``work`` opens its one stream from. An exception of ``work`` ends the whole.
        """
        waiting: list[Future[Result]] = []
        with ThreadPoolExecutor(self.streams, thread_name_prefix="clip") as pool:
            try:
                for item in items:
                    if len(waiting) == 2 * self.streams:
                        yield waiting.pop(0).result()
                    waiting.append(pool.submit(self._work, work, item))
                while waiting:
                    yield waiting.pop(0).result()
            except BaseException:
                for future in waiting:
                    future.cancel()
                self._fail(LocalVQEError("stopped"))
                raise

    def _work(self, work: Callable[[GroupModel, Item], Result], item: Item) -> Result:
        model = GroupModel(self)
        try:
            return work(model, item)
        finally:
            model.close()  # or the others would wait for a clip that failed

    def _join(self) -> int:
        with self._changed:
            if not self._free:
                raise UsageError(f"all {self.streams} streams of the group are in use")
            slot = self._free[-1]
            self._check(self._lib.localvqe_group_reset(self._handle, slot))
            self._taking_part.add(self._free.pop())
            return slot

    def _leave(self, slot: int) -> None:
        with self._changed:
            self._taking_part.discard(slot)
            self._signals[:, slot] = 0.0
            self._free.append(slot)
            self._run_if_ready()

    def _step(self, slot: int, mic: FloatArray, ref: FloatArray) -> FloatArray:
        """One run of this stream, (run,) in and out; returns when all others have theirs as well."""
        with self._changed:
            self._signals[0, slot] = mic
            self._signals[1, slot] = ref
            self._ready.add(slot)
            runs = self._runs
            self._run_if_ready()
            while self._runs == runs and self._failure is None:
                self._changed.wait()
            if self._failure is not None:
                raise self._failure
            if self._status[slot] != 0:
                raise LocalVQEError("the engine stopped: the model's weights make its output run away")
            out: FloatArray = self._out[slot].copy()
            return out

    def _run_if_ready(self) -> None:
        """Lets the engine run once everybody who takes part is ready; the condition is held."""
        if not self._ready or self._ready != self._taking_part or self._failure is not None:
            return
        try:
            self._check(
                self._lib.localvqe_group_process_f32(
                    self._handle,
                    _pointer(self._signals[0]),
                    _pointer(self._signals[1]),
                    self.enhancer.clip_hops,
                    _pointer(self._out),
                    self._status,
                )
            )
        except LocalVQEError as exc:
            self._failure = exc
        self._ready.clear()
        self._runs += 1
        self._changed.notify_all()

    def _fail(self, error: LocalVQEError) -> None:
        with self._changed:
            self._failure = error
            self._changed.notify_all()

    def _check(self, status: int) -> None:
        if status != 0:
            text = self._lib.localvqe_group_last_error(self._handle).decode(errors="replace")
            raise EngineError(f"the engine failed ({status}): {text}")


class GroupModel:
    """One clip's view of a group: what ``signal_path`` takes for a model. It has one stream at a time."""

    def __init__(self, group: ClipGroup) -> None:
        self._group = group
        self._stream: _GroupStream | None = None

    @property
    def config(self) -> ModelConfig:
        return self._group.enhancer.config

    @property
    def clip_hops(self) -> int:
        return self._group.enhancer.clip_hops

    def stream(self, *, max_hops: int = 1) -> _GroupStream:
        """A stream from the start; the one before ends. ``max_hops`` is the group's, whatever it says here."""
        self.close()
        self._stream = _GroupStream(self._group)
        return self._stream

    def close(self) -> None:
        """Lets the others go on without this one."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None


class _GroupStream:
    """``engine.Stream`` as far as clips need it: what comes out is the same, in larger pieces."""

    def __init__(self, group: ClipGroup) -> None:
        self._group = group
        self._slot: int | None = group._join()
        self._near, self._far = SampleQueue(), SampleQueue()
        self._fed = self._given = 0

    def process(self, mic: FloatArray, ref: FloatArray) -> FloatArray:
        self._fed += len(mic)
        self._near.push(mic)
        self._far.push(ref)
        run = self._group._run
        found = [self._run(run) for _ in range(len(self._near) // run)]
        return np.concatenate([np.zeros(0, np.float32), *found])

    def flush(self) -> FloatArray:
        owed = self._fed + HOP - self._given
        found = [np.zeros(0, np.float32)]
        while sum(map(len, found)) < owed:
            found.append(self._run(self._group._run))
        self.close()
        return np.concatenate(found)[:owed]

    def close(self) -> None:
        slot, self._slot = self._slot, None
        if slot is not None:
            self._group._leave(slot)

    def _run(self, length: int) -> FloatArray:
        assert self._slot is not None
        out = self._group._step(self._slot, self._near.take_padded(length), self._far.take_padded(length))
        self._given += len(out)
        return out
