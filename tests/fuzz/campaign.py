"""Runs many cases in a child process, so that a crash, a hang or a flood of memory is a finding and not the end."""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import os
import resource
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

MAX_SECONDS = 2.0
MAX_BYTES = 1 << 30
_PATIENCE = 30.0  # a slow machine is not a hang; the verdict on slowness is by processor time
_BATCH = 500

#: Does one case; returns its verdict in a word. AssertionError and anything else that escapes is a finding.
Case = Callable[[int], str]


@dataclass
class Tally:
    """What came of a campaign."""

    verdicts: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    slowest: float = 0.0
    peak_bytes: int = 0

    @property
    def total(self) -> int:
        return sum(self.verdicts.values())

    def line(self, name: str) -> str:
        parts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(self.verdicts.items()))
        return (
            f"{name}: {self.total} cases ({parts}), {len(self.findings)} findings, "
            f"slowest {self.slowest:.2f} s, at most {self.peak_bytes / 2**20:.0f} MiB"
        )


def run(case: Case, start: int, count: int, tally: Tally) -> None:
    """Cases ``start`` .. ``start + count - 1``."""
    context = multiprocessing.get_context("fork")
    at, end = start, start + count
    while at < end:
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(target=_work, args=(case, range(at, min(end, at + _BATCH)), theirs))
        child.start()
        theirs.close()
        while at < end:
            try:
                if not ours.poll(_PATIENCE):
                    child.kill()
                    tally.findings.append(f"case {at}: no answer in {_PATIENCE:.0f} s")
                    at += 1
                    break
                index, verdict, seconds, peak, finding = ours.recv()
            except EOFError:
                child.join()
                if child.exitcode:
                    tally.findings.append(f"case {at}: the process ended with {child.exitcode}")
                    at += 1
                break
            at = index + 1
            tally.verdicts[verdict] += 1
            tally.slowest = max(tally.slowest, seconds)
            tally.peak_bytes = max(tally.peak_bytes, peak)
            if finding:
                tally.findings.append(f"case {index}: {finding}")
        child.join()


def _work(case: Case, indices: range, pipe: multiprocessing.connection.Connection) -> None:
    faulthandler.disable()  # pytest switches it on; a child that is meant to die should do so quietly
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)  # decoders complain there
    for index in indices:
        started, finding, verdict = time.process_time(), "", "finding"
        try:
            verdict = case(index)
        except BaseException as exc:  # anything at all is worth reporting
            finding = f"{type(exc).__name__}: {str(exc)[:300]}"
        seconds = time.process_time() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        if not finding and seconds > MAX_SECONDS:
            finding = f"took {seconds:.1f} s"
        if not finding and peak > MAX_BYTES:
            finding = f"{peak >> 20} MiB"
        pipe.send((index, verdict, seconds, peak, finding))
        if peak > MAX_BYTES:
            break  # a fresh process, so that one case is blamed once
    pipe.close()
    with contextlib.suppress(BaseException):
        os._exit(0)


def one_line(text: str, path: Path | None = None) -> None:
    """An error as a user should see it."""
    assert text.isprintable(), f"not one printable line: {text[:200]!r}"
    assert len(text) < 1000, f"{len(text)} characters"
    assert path is None or str(path) in text, f"does not name the file: {text[:200]}"


class Native:
    """``fuzz_api load``, restarted when it dies."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._process: subprocess.Popen[str] | None = None

    def load(self, path: Path) -> str:
        """``accepted``, ``refused`` or ``stopped``."""
        if self._process is None:
            command = [self._program, "load"]
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            )
        process = self._process
        assert process.stdin
        assert process.stdout
        answer = ""
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(f"{path}\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        if not answer:
            self._process = None
            assert process.stderr
            report = process.stderr.read().strip()
            raise AssertionError(f"the engine died ({process.wait()}): {' '.join(report.split())[:600]}")
        ms, verdict, text = answer.rstrip("\n").split("\t", 2)
        if verdict != "accepted":
            one_line(text)
        assert float(ms) < 1000 * _PATIENCE
        return verdict
