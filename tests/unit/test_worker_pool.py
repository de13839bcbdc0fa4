"""Work in processes: results, deaths, defects, and that nothing of it stays."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pool_work
import pytest

from localvqe_cli.errors import LocalVQEError
from localvqe_cli.worker_pool import Died, run_in_processes


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    yield
    assert [child for child in multiprocessing.active_children() if child.name == "localvqe-worker"] == []


def test_results_reports_and_a_death_that_takes_one_item_along() -> None:
    reports = []
    items = [1, "die", 2, "report", *range(10, 20)]
    found = dict(run_in_processes(pool_work.work, iter(items), 2, lambda index, what: reports.append((index, what))))
    died = found.pop(1)
    assert isinstance(died, Died)
    assert "signal 9, perhaps for lack of memory" in died.reason
    assert found == {0: 2, 2: 4, 3: "reported"} | {4 + i: 2 * (10 + i) for i in range(10)}
    assert reports == [(3, "halfway")]


def test_every_process_takes_part_and_no_more_than_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    found = [result for _, result in run_in_processes(pool_work.work, ["process"] * 8, 2)]
    assert len(set(found)) == 2
    assert {threads for _, threads in found} == {"1"}  # type: ignore[misc]


def test_a_defect_is_raised_here_with_its_lines() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)pool_work\.py.*a defect"):
        list(run_in_processes(pool_work.work, ["raise", "sleep"], 2))


def test_work_that_no_process_can_take_over_is_one_line() -> None:
    with pytest.raises(LocalVQEError, match="no worker process can be started: no such model any more"):
        list(run_in_processes(pool_work.Unloadable(), [1], 1))


def test_a_script_without_a_guard_is_told_so(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import pool_work\nfrom localvqe_cli.worker_pool import run_in_processes\n"
        "print(list(run_in_processes(pool_work.work, [1], 1)))\n"
    )
    places = [str(Path(pool_work.__file__).parent), str(Path(pool_work.__file__).parents[1])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(places)}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert 'a script needs if __name__ == "__main__"' in done.stderr.splitlines()[-1]


def test_to_stop_does_not_wait_for_what_is_in_work() -> None:
    started = time.monotonic()
    found = run_in_processes(pool_work.work, [1, "sleep"], 2)
    assert next(found) == (0, 2)
    found.close()  # type: ignore[attr-defined]
    assert time.monotonic() - started < 40.0  # it sleeps for 60


def test_no_items_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("localvqe_cli.worker_pool._Worker", None)
    assert list(run_in_processes(pool_work.work, [], 2)) == []


_FORKS = """
import os, threading
import pool_work
from localvqe_cli.worker_pool import run_in_processes, share_imports

if __name__ == "__main__":
    share_imports(["pool_work"])
    def parents():
        return {parent for _, (_, parent) in run_in_processes(pool_work.work, ["parent"], 1)}
    alone = parents()
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    print(alone == {os.getpid()}, parents() == {os.getpid()})
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only there workers are forks")
def test_workers_are_forks_of_a_process_without_threads_and_of_no_other(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(_FORKS)
    places = [str(Path(pool_work.__file__).parent), str(Path(pool_work.__file__).parents[1])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(places), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("True False\n", "")
