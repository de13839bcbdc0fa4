"""Many files: what is done again and what is not, the record, and the order."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from fake_model import FakeModel

import localvqe
from localvqe_cli import enhance_list
from localvqe_cli.audio import jobs_from_manifest
from localvqe_cli.enhance_files import EnhanceOptions, FileResult
from localvqe_cli.enhance_list import ListRun, Standing, prepare_list
from localvqe_cli.errors import UsageError
from localvqe_cli.worker_pool import Died

RNG = np.random.default_rng(18)
SECONDS = {"a": 0.3, "b": 0.6, "c": 0.1}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, seconds in SECONDS.items():
        for side in ("mic", "ref"):
            sf.write(f"{name}_{side}.wav", 0.1 * RNG.standard_normal(int(16000 * seconds)), 16000)
    Path("list.tsv").write_text("id\tmic\tref\n" + "".join(f"{n}\t{n}_mic.wav\t{n}_ref.wav\n" for n in SECONDS))
    return tmp_path


def enhance(
    model: FakeModel | None = None, *, force: bool = False, resume: bool = False, **options: Any
) -> tuple[list[FileResult], int]:
    """Results, and how many were there already."""
    jobs = jobs_from_manifest("list.tsv", "out")
    record = prepare_list(jobs, "out", force=force, resume=resume)
    run = ListRun(model or FakeModel(), jobs, EnhanceOptions(**options), record=record, resume=resume)
    return list(run.results()), len(run.finished)


def table() -> list[dict[str, str]]:
    with open("out/results.tsv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_table_says_what_became_of_each_file() -> None:
    data = np.full(1600, 0.1)
    data[7] = np.nan
    sf.write("c_mic.wav", data, 16000, subtype="FLOAT")
    Path("b_ref.wav").unlink()
    enhance()
    rows = table()
    assert list(rows[0]) == [
        *("id", "seconds", "wall_seconds", "warnings", "error", "output_sha256", "model_sha256"),
    ]
    assert [row["id"] for row in rows] == ["a", "b", "c"]
    assert [row["seconds"] for row in rows] == ["0.300", "0.000", "0.100"]
    assert [row["error"] for row in rows] == ["", "b_ref.wav: no such file", ""]
    assert "1 sample of the mic NaN" in rows[2]["warnings"]
    assert [row["output_sha256"] for row in rows] == [
        digest(Path("out/a_enhanced.wav")),
        "",
        digest(Path("out/c_enhanced.wav")),
    ]
    assert {row["model_sha256"] for row in rows} == {digest(FakeModel.path)}


def test_what_is_finished_is_left_alone_and_reported_all_the_same() -> None:
    first, _ = enhance()
    before = Path("out/a_enhanced.wav").stat().st_mtime_ns
    again, finished = enhance(resume=True)
    assert (again, finished) == (first, 3)
    assert Path("out/a_enhanced.wav").stat().st_mtime_ns == before


def cut(path: str, by: int) -> None:
    os.truncate(path, os.path.getsize(path) - by)


#: What happens between two runs, the options of the second, and how many outputs still count.
CHANGES = {
    "nothing": (lambda: None, {}, 3),
    "an output is gone": (lambda: os.unlink("out/b_enhanced.wav"), {}, 2),
    "an output was cut": (lambda: cut("out/b_enhanced.wav", 5), {}, 2),
    "a mic has changed": (lambda: os.utime("a_mic.wav", (1, 1)), {}, 2),
    "a reference has changed": (lambda: os.utime("a_ref.wav", (1, 1)), {}, 2),
    "the last line was cut": (
        lambda: cut("out/results.jsonl", 5),
        {},
        2,
    ),
    "another option": (lambda: None, {"strength": 0.5}, 0),
    "the size of blocks": (lambda: None, {"block_frames": 4000}, 3),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_made_otherwise_is_done_again(change: str) -> None:
    enhance()
    happens, options, kept = CHANGES[change]
    happens()
    results, finished = enhance(resume=True, **options)
    assert finished == kept
    assert [result.error for result in results] == [None] * 3
    assert enhance(resume=True, **options)[1] == 3
    assert [row["output_sha256"] for row in table()] == [digest(Path(f"out/{n}_enhanced.wav")) for n in SECONDS]


def test_another_model_does_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    enhance()
    Path("other.gguf").write_text("other")
    monkeypatch.setattr(FakeModel, "path", Path("other.gguf"))
    assert enhance(resume=True)[1] == 0


def test_what_failed_is_tried_again() -> None:
    Path("b_ref.wav").rename("elsewhere.wav")
    assert [result.error is None for result in enhance()[0]] == [True, False, True]
    Path("elsewhere.wav").rename("b_ref.wav")
    results, finished = enhance(resume=True)
    assert ([result.error for result in results], finished) == ([None] * 3, 2)


def test_a_run_that_was_stopped_before_the_record_knew_is_done_again() -> None:
    """Between an output's last name and its line in the record, with an older line of the same output before it."""
    enhance()
    lines = Path("out/results.jsonl").read_text().splitlines(keepends=True)
    enhance(force=True, strength=0.5)
    header = Path("out/results.jsonl").read_text().splitlines(keepends=True)[len(lines)]
    Path("out/results.jsonl").write_text("".join([*lines, header]))
    assert enhance(resume=True)[1] == 0


def test_a_stop_in_the_middle_keeps_what_is_finished_and_what_is_left_behind_goes() -> None:
    calls = 0

    def rule(mic: np.ndarray, ref: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return mic

    with pytest.raises(KeyboardInterrupt):
        enhance(FakeModel(rule))
    done = [row["id"] for row in table()]
    assert done == ["a"]
    Path("out/.c_enhanced.0123456789ab.tmp.wav").write_text("what a killed process leaves")
    Path("out/.mine.0123456789ab.tmp.wav").write_text("of something else")
    assert enhance(resume=True)[1] == 1
    assert sorted(name for name in os.listdir("out") if name.startswith(".")) == [".mine.0123456789ab.tmp.wav"]


def test_a_defect_in_one_file_does_not_stop_the_others() -> None:
    calls = 0

    def rule(mic: np.ndarray, ref: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ValueError("a defect")
        return mic

    results, _ = enhance(FakeModel(rule))
    assert [result.error for result in results] == [
        "a_mic.wav: failed unexpectedly (ValueError: a defect)",
        None,
        None,
    ]


def test_existing_outputs_are_refused_as_ever() -> None:
    enhance()
    with pytest.raises(UsageError, match=r"a_enhanced\.wav exists; use --force"):
        enhance()
    enhance(force=True)
    os.mkdir("other")
    Path("other/a_enhanced.wav").write_text("not of a run")
    jobs = [replace(job, output=f"other/{job.id}_enhanced.wav") for job in jobs_from_manifest("list.tsv", "out")]
    with pytest.raises(UsageError, match=r"a_enhanced\.wav exists; use --force"):
        prepare_list(jobs, "other", force=False, resume=True)
    with pytest.raises(UsageError, match="contradict"):
        prepare_list(jobs, "other", force=True, resume=True)
    with pytest.raises(UsageError, match="takes a folder of outputs"):
        prepare_list(jobs, None, force=False, resume=True)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("results.tsv", "id\tscore\n", r"results\.tsv exists; use --force"),
        ("results.jsonl", '{"mine": 1}\n', "is no record of outputs; move it away"),
        ("results.jsonl", '{"format": 99, "outputs": []}\n', "was written by another version of localvqe"),
    ],
)
def test_a_file_of_the_records_name_is_not_overwritten(name: str, content: str, message: str) -> None:
    os.mkdir("out")
    Path("out", name).write_text(content)
    with pytest.raises(UsageError, match=message):
        enhance()
    assert os.listdir("out") == [name]
    assert Path("out", name).read_text() == content


def test_a_cut_first_line_is_no_foreign_file() -> None:
    os.mkdir("out")
    Path("out/results.jsonl").write_text('{"form')
    assert enhance(resume=True)[1] == 0
    assert enhance(resume=True)[1] == 3


def test_two_lists_share_a_folder() -> None:
    enhance()
    Path("list.tsv").write_text("id\tmic\tref\nz\ta_mic.wav\tb_ref.wav\n")
    enhance()
    assert [row["id"] for row in table()] == ["z", "a", "b", "c"]


def test_ids_that_lead_to_one_file_are_refused() -> None:
    os.mkdir("out")
    os.symlink("b_enhanced.wav", "out/a_enhanced.wav")
    with pytest.raises(UsageError, match="are the same file"):
        enhance(force=True)


def test_processes_get_the_largest_first_and_results_are_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []

    def one_after_another(work: Any, jobs: Iterable[Any], processes: int, report: Any) -> Iterator[tuple[int, Any]]:
        assert processes == 2
        for number, job in enumerate(jobs):
            taken.append(job.id)
            report(number, (0.05, 0.1))
            yield number, Died("it was ended") if job.id == "a" else work(job, lambda at: None)

    monkeypatch.setattr(enhance_list, "run_in_processes", one_after_another)
    seen: list[Standing] = []
    jobs = jobs_from_manifest("list.tsv", "out")
    record = prepare_list(jobs, "out", force=False, resume=False)
    run = ListRun(localvqe.Enhancer(), jobs, EnhanceOptions(), record=record, processes=2)
    results = list(run.results(seen.append))
    assert taken == ["b", "a", "c"]
    assert [(result.id, result.error) for result in results] == [
        ("a", "a_mic.wav: it was ended"),
        ("b", None),
        ("c", None),
    ]
    assert [row["id"] for row in table()] == ["a", "b", "c"]
    last = seen[-1]
    assert (last.done, last.failed, last.files, last.share) == (3, 1, 3, 1.0)
    assert last.seconds == pytest.approx(0.7)
    assert [at.share for at in seen] == sorted(at.share for at in seen)


def test_small_lists_and_devices_get_no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enhance_list, "usable_cpus", lambda: 8)
    jobs = jobs_from_manifest("list.tsv", "out")
    model = localvqe.Enhancer()

    def chosen(asked: int | None = None) -> int:
        return ListRun(model, jobs, EnhanceOptions(), processes=asked).processes

    assert (chosen(), chosen(2), chosen(8)) == (1, 2, 3)
    monkeypatch.setattr(enhance_list, "_WORTH_A_PROCESS", 1)
    assert chosen() == 3
    model.threads = 4
    assert chosen() == 2
    model.backend = "ggml"
    assert chosen() == 1
    for asked, message in ((2, "backend ggml takes all files in one process"), (0, "jobs is 0"), (257, "jobs is 257")):
        with pytest.raises(UsageError, match=message):
            chosen(asked)


def test_outputs_do_not_depend_on_the_processes() -> None:
    Path("list.tsv").write_text(Path("list.tsv").read_text() + "bad\tnone.wav\ta_ref.wav\n")
    ran = {jobs: localvqe.enhance_files("list.tsv", output=f"out{jobs}", jobs=jobs) for jobs in (1, 2)}
    told = [[(r.id, r.seconds, r.notes, r.error) for r in results] for results in ran.values()]
    assert told[0] == told[1]
    assert [error is None for *_, error in told[0]] == [True, True, True, False]
    for name in SECONDS:
        assert Path(f"out1/{name}_enhanced.wav").read_bytes() == Path(f"out2/{name}_enhanced.wav").read_bytes()
    assert [r.error for r in localvqe.enhance_files("list.tsv", output="out2", resume=True)][:3] == [None] * 3
    lines = [json.loads(line) for line in Path("out2/results.jsonl").read_text().splitlines()]
    assert [line["outputs"] for line in lines if "outputs" in line][1] == ["bad_enhanced.wav"]
