"""Gradients from several processes of one machine.

Each computes its share of every batch in a single thread; they meet once a step. On a busy machine that loses far less
than several threads, which meet at every operation. For a given number of processes the result is always the same.
"""

from __future__ import annotations

import multiprocessing
import os
import signal

import torch
from torch import Tensor, nn

from ..errors import LocalVQEError
from ..reference import LocalVQE
from .dataset import Batch, SceneDataset, batches
from .losses import LossWeights
from .step import PARTS, batch_loss

__all__ = ["Helpers"]

_PATIENCE = 2.0


class Helpers:
    """Processes beside the main one, forked here; parameters and gradients lie in memory that all share.

    The model must be on the CPU, and no gradient may have been computed yet.

    Args:
        model: what they differentiate; the main process alone changes it, between :meth:`gather` and :meth:`start`.
        dataset: their clips.
        step: the first step.
        batch: clips per step, of which process ``k`` of ``processes`` takes the ``k``-th part; the main one is 0.
    """

    def __init__(
        self,
        model: LocalVQE,
        dataset: SceneDataset,
        weights: LossWeights,
        precision: str,
        *,
        step: int,
        batch: int,
        processes: int,
    ) -> None:
        model.share_memory()
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        size = sum(p.numel() for p in self._parameters)
        count = processes - 1
        self._gradients = _shared(count, size)
        self._parts = _shared(count, len(PARTS))
        context = multiprocessing.get_context("fork")
        self._go = [context.Semaphore(0) for _ in range(count)]
        self._done = [context.Semaphore(0) for _ in range(count)]
        self._processes = []
        share = batch // processes
        for number in range(count):

            def work(number: int = number) -> None:
                _quiet()
                for module in model.modules():  # running statistics belong to the main process
                    if isinstance(module, nn.BatchNorm2d):
                        module.track_running_stats = False
                source = batches(dataset, step * batch + (number + 1) * share, share, 0, stride=batch)
                parent = os.getppid()
                while True:
                    while not self._go[number].acquire(timeout=_PATIENCE):
                        if os.getppid() != parent:
                            return
                    self._differentiate(model, next(source), weights, precision, number)
                    self._done[number].release()

            process = context.Process(target=work, daemon=True)
            process.start()
            self._processes.append(process)

    def start(self) -> None:
        """Let everybody compute the next step's gradient with the parameters as they are now."""
        for semaphore in self._go:
            semaphore.release()

    def gather(self, parts: Tensor) -> Tensor:
        """Wait, replace the main process's gradients by the mean of all, and return the mean of ``parts``.

        Raises:
            LocalVQEError: a helper has ended.
        """
        for semaphore, process in zip(self._done, self._processes, strict=True):
            while not semaphore.acquire(timeout=_PATIENCE):
                if not process.is_alive():
                    raise LocalVQEError(f"a training process ended with code {process.exitcode}; use --resume to go on")
        share = 1.0 / (len(self._processes) + 1)
        others = self._gradients.sum(dim=0)
        offset = 0
        for parameter in self._parameters:
            other = others[offset : offset + parameter.numel()].view_as(parameter)
            parameter.grad = (other if parameter.grad is None else parameter.grad + other) * share
            offset += parameter.numel()
        mean: Tensor = (parts + self._parts.sum(dim=0)) * share
        return mean

    def close(self) -> None:
        """End the helpers."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()

    def _differentiate(
        self,
        model: LocalVQE,
        batch: Batch,
        weights: LossWeights,
        precision: str,
        number: int,
    ) -> None:
        for parameter in self._parameters:
            parameter.grad = None
        loss, parts = batch_loss(model, batch, weights, precision)
        torch.autograd.backward(loss)
        flat = [(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in self._parameters]
        torch.cat(flat, out=self._gradients[number])
        self._parts[number] = parts


def _shared(*shape: int) -> Tensor:
    tensor: Tensor = torch.zeros(*shape).share_memory_()  # type: ignore[no-untyped-call]
    return tensor


def _quiet() -> None:
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
