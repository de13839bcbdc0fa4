"""A list of files on Dask workers: what they make, what a dead one costs, and who is refused."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

import localvqe
from localvqe_cli.audio import Job, jobs_from_manifest
from localvqe_cli.cluster import check_address, connect
from localvqe_cli.cluster.chunks import Chunks
from localvqe_cli.enhance_files import EnhanceOptions
from localvqe_cli.enhance_list import ListRun, prepare_list
from localvqe_cli.errors import MissingExtraError, RemoteError, UsageError

distributed = pytest.importorskip("distributed", reason="distributed, of the extra cluster, is not installed")
task = pytest.importorskip("localvqe_cli.cluster.task")

FILES = 6


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A scheduler with two workers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent.parent), *sys.path]))
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, memory_limit=0, silence_logs=50
        ) as cluster:
            yield cluster.scheduler_address.replace("tcp://", "dask://")


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    rng = np.random.default_rng(18)
    rows = ["id\tmic\tref"]
    for index in range(FILES):
        for side in ("mic", "ref"):
            sf.write(tmp_path / f"{index}_{side}.wav", 0.1 * rng.standard_normal(8000 + 1600 * index), 16000)
        rows.append(f"{index}\t{index}_mic.wav\t{index}_ref.wav")
    (tmp_path / "list.tsv").write_text("\n".join(rows) + "\n")
    return tmp_path / "list.tsv"


def outputs(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.wav")}


def rows(folder: Path) -> list[str]:
    return [line.split("\t")[0] for line in (folder / "results.tsv").read_text().splitlines()[1:]]


def test_outputs_do_not_depend_on_where_they_are_made(listed: Path, address: str, tmp_path: Path) -> None:
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    first = localvqe.enhance_files(listed, output=alone)
    results = localvqe.enhance_files(listed, output=shared, cluster=address)
    assert [result.error for result in results] == [None] * FILES
    assert [(result.id, result.mic, result.seconds) for result in results] == [
        (result.id, result.mic, result.seconds) for result in first
    ]
    assert outputs(shared) == outputs(alone)
    assert len(outputs(shared)) == FILES
    assert rows(shared) == [str(index) for index in range(FILES)]
    assert sorted(path.name for path in shared.iterdir() if path.suffix != ".wav") == ["results.jsonl", "results.tsv"]
    before = {path: path.stat().st_mtime_ns for path in shared.glob("*.wav")}
    again = localvqe.enhance_files(listed, output=shared, cluster=address, resume=True)
    assert again == results
    assert before == {path: path.stat().st_mtime_ns for path in shared.glob("*.wav")}
    # Whoever goes on need not be a cluster.
    (shared / "3_enhanced.wav").unlink()
    localvqe.enhance_files(listed, output=shared, resume=True)
    assert outputs(shared) == outputs(alone)


def test_a_worker_computes_in_the_numbers_that_were_asked_for(listed: Path, address: str, tmp_path: Path) -> None:
    made = []
    for precision in ("f32", "int16"):
        model = localvqe.Enhancer("denoise", precision=precision)
        for cluster in (None, address):
            out = tmp_path / f"{precision}-{cluster is None}"
            localvqe.enhance_files(listed, output=out, model=model, cluster=cluster)
            made.append(outputs(out))
    assert made[0] == made[1] != made[2] == made[3]


def test_an_error_is_its_files_alone(listed: Path, address: str, tmp_path: Path) -> None:
    (tmp_path / "2_ref.wav").unlink()
    results = localvqe.enhance_files(listed, output=tmp_path / "out", cluster=address)
    assert [result.error is None for result in results] == [index != 2 for index in range(FILES)]
    assert str(results[2].error).endswith("2_ref.wav: no such file")


def chunk_of(listed: Path, out: Path, run: str) -> Any:
    model = localvqe.Enhancer()
    digest = task.file_sha256(model.path)
    recipe = task.RunRecipe(str(out), run, "recipe", digest, 1, None, "auto", EnhanceOptions())
    return task.Chunk("000000", recipe, jobs_from_manifest(str(listed), str(out)))


def test_a_chunk_that_runs_again_leaves_alone_what_is_there(
    listed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task, "_own_address", lambda: "here")
    monkeypatch.setattr("localvqe_cli.run_journal._PART_SECONDS", 0.0)
    out = tmp_path / "out"
    out.mkdir()
    chunk = chunk_of(listed, out, "run")
    task.keep_model(chunk.recipe.model_sha256, localvqe.Enhancer().path.read_bytes())
    first = task.run_chunk(chunk)
    assert first.made == list(range(FILES))
    assert task.run_chunk(chunk).made == []
    assert task.run_chunk(chunk).entries == first.entries
    (out / "1_enhanced.wav").unlink()
    os.utime(tmp_path / "4_mic.wav", (1, 1))
    assert task.run_chunk(chunk).made == [1, 4]


def test_a_worker_that_cannot_help_says_why(listed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task, "_own_address", lambda: "tcp://there")
    chunk = chunk_of(listed, tmp_path / "nowhere", "run")
    assert f"worker tcp://there sees no folder {tmp_path / 'nowhere'}" in task.run_chunk(chunk).refusal
    old = replace(chunk, recipe=replace(chunk.recipe, version="0.0.1"))
    assert task.run_chunk(old).refusal.startswith("worker tcp://there has localvqe ")
    unknown = replace(chunk, recipe=replace(chunk.recipe, folder=str(tmp_path), model_sha256="0" * 64))
    assert task.run_chunk(unknown).lacks_model == "tcp://there"


def test_another_version_on_a_worker_is_one_line(
    listed: Path, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("localvqe_cli.enhance_list.RunRecipe", partial(task.RunRecipe, version="9.9.9"))
    with pytest.raises(RemoteError, match=r"has localvqe .*, and here it is 9\.9\.9; install one version everywhere"):
        localvqe.enhance_files(listed, output=tmp_path / "out", cluster=address)
    assert outputs(tmp_path / "out") == {}


def test_the_model_goes_to_workers_that_lack_it(listed: Path, address: str, tmp_path: Path) -> None:
    """One that no worker has, since nobody made it before."""
    content = localvqe.Enhancer().path.read_bytes()
    model = tmp_path / "own.gguf"
    model.write_bytes(content + bytes(32))
    results = localvqe.enhance_files(listed, output=tmp_path / "out", cluster=address, model=str(model))
    assert [result.error for result in results] == [None] * FILES


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_worker_costs_nothing(listed: Path, address: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with connect(address) as client:
        jobs = jobs_from_manifest(str(listed), str(out))
        record = prepare_list(jobs, str(out), force=False, resume=False)
        results = ListRun(localvqe.Enhancer(), jobs, EnhanceOptions(), record=record, client=client).results()
        found = [next(results)]
        (out / ".5_enhanced.0123456789ab.tmp.wav").touch()  # as it may leave one
        client.submit(die, pure=False, retries=0)
        found += results
    assert [result.error for result in found] == [None] * FILES
    assert len(list(out.iterdir())) == FILES + 2


class Deadly:
    """A file whose worker does not survive it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, chunk: Any) -> Any:
        if any(Path(job.mic).name == self._name for job in chunk.jobs):
            die()
        return task.run_chunk(chunk)


def test_a_file_that_kills_its_workers_is_found_out(
    listed: Path, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("localvqe_cli.cluster.run.run_chunk", Deadly("3_mic.wav"))
    with connect(address) as client:
        client.run_on_scheduler(allow_one_death)
    results = localvqe.enhance_files(listed, output=tmp_path / "out", cluster=address)
    assert [result.error is None for result in results] == [index != 3 for index in range(FILES)]
    assert "3_mic.wav: the worker process that had it died, again and again" in str(results[3].error)


def allow_one_death(dask_scheduler: Any) -> None:
    dask_scheduler.allowed_failures = 0


def test_what_a_cluster_needs(listed: Path, address: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a cluster needs a folder of outputs that all its machines see"):
        localvqe.enhance_files(listed, cluster=address)
    with pytest.raises(UsageError, match="memory:// is in the memory of one process"):
        ListRun(
            localvqe.Enhancer(),
            [Job("a", "memory://a.wav", None, str(tmp_path / "a.wav"))],
            EnhanceOptions(),
            record=prepare_list([], str(tmp_path), force=False, resume=False),
            client=object(),
        )


@pytest.mark.parametrize("text", ["dask://host", "tcp://host:1", "local", "local:0", "local:1000", "slurm:3", ""])
def test_another_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--cluster .*: (give dask://HOST:PORT, local:N or slurm|expected 1 to)"):
        check_address(text, None)


def test_jobs_are_for_slurm() -> None:
    check_address("slurm", 4)
    with pytest.raises(UsageError, match="jobs is 4: that is for --cluster slurm"):
        check_address("local:2", 4)


def test_an_unreachable_scheduler_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("localvqe_cli.cluster.scheduler._PATIENCE", 0.3)
    with (
        pytest.raises(RemoteError, match=r"dask://127\.0\.0\.1:9: no scheduler can be reached there \("),
        connect("dask://127.0.0.1:9"),
    ):
        pass


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'localvqe\[cluster\]'"), connect("local:1"):
        pass


def test_slurm_without_slurm_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("dask_jobqueue", reason="dask-jobqueue, of the extra cluster, is not installed")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RemoteError, match="there is no sbatch on this machine"), connect("slurm"):
        pass


def test_slurm_gets_a_job_and_the_work_is_done(listed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """dask-jobqueue itself, with an sbatch that runs the job at once: what a real Slurm does was not tried."""
    dask = pytest.importorskip("dask")
    pytest.importorskip("dask_jobqueue", reason="dask-jobqueue, of the extra cluster, is not installed")
    commands = tmp_path / "bin"
    commands.mkdir()
    fakes = {
        # Slurm keeps a copy too, since the script is removed once it is submitted.
        "sbatch": f'cp "$1" {tmp_path}/job.sh; setsid bash {tmp_path}/job.sh >{tmp_path}/job.log 2>&1 &\n'
        f'echo $! >>{tmp_path}/jobs\necho "Submitted batch job $!"\n',
        "scancel": 'for job in "$@"; do kill -- "-$job"; done 2>/dev/null; true\n',
    }
    for name, body in fakes.items():
        (commands / name).write_text(f"#!/bin/bash\n{body}")
        (commands / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    settings = {"jobqueue.slurm.cores": 1, "jobqueue.slurm.memory": "2GB", "jobqueue.slurm.processes": 1,
                "jobqueue.slurm.interface": "lo", "jobqueue.slurm.worker-extra-args": ["--no-dashboard"]}  # fmt: skip
    with dask.config.set(settings):
        results = localvqe.enhance_files(listed, output=tmp_path / "out", cluster="slurm", jobs=1)
    assert [result.error for result in results] == [None] * FILES
    assert len((tmp_path / "jobs").read_text().split()) == 1


# -- chunks -----------------------------------------------------------------------------------


def test_chunks_are_small_until_the_speed_is_known_and_then_a_minute() -> None:
    chunks = Chunks(dict.fromkeys(range(100_000), 1 << 20))
    first = chunks.take(workers=2)
    assert len(first) == 3
    chunks.done(first, 0.3)  # ten files a second
    assert len(chunks.take(workers=2)) == pytest.approx(600, abs=1)


def test_the_last_chunks_are_small_so_that_all_end_together() -> None:
    chunks = Chunks(dict.fromkeys(range(100), 1 << 20))
    chunks.done(chunks.take(workers=4), 1.0)
    sizes = []
    while chunks:
        sizes.append(len(chunks.take(workers=4)))
    assert sizes[0] == 12
    assert sizes[-1] == 1
    assert sum(sizes) == 97


def test_the_largest_go_first_and_each_goes_once() -> None:
    chunks = Chunks(dict(enumerate([5, 50 << 20, 0, 7 << 20])))
    taken = []
    while chunks:
        taken += chunks.take(workers=1)
    assert taken == [1, 3, 0, 2]


def test_the_command_on_workers_of_its_own(listed: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "localvqe_cli", "enhance", "--pairs", str(listed), "-o", str(tmp_path / "out")]
    started = time.monotonic()
    done = subprocess.run([*command, "--cluster", "local:1"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stderr, time.monotonic() - started)
    assert f"{FILES} of {FILES} files enhanced" in done.stderr
    assert "distributed" not in done.stderr
    refused = subprocess.run([*command, "--resume", "--cluster", "x"], capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stderr) == (
        2,
        "localvqe: error: --cluster x: give dask://HOST:PORT, local:N or slurm\n",
    )
