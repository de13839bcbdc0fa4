"""Inputs, scenarios, statistics, comparison with a baseline, cache."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from eval_data import voice, write_clip, write_manifest, write_outputs, write_set
from fake_model import FakeModel

from localvqe_cli.audio import Job
from localvqe_cli.config import FrontendConfig, ModelConfig
from localvqe_cli.enhance_files import EnhanceOptions, enhance_job
from localvqe_cli.errors import AudioError, LocalVQEError, UsageError
from localvqe_cli.evaluation import (
    ClipOutcome,
    ClipScores,
    Evaluation,
    Settings,
    SystemInfo,
    attach_outputs,
    read_source,
    read_sources,
    score,
    scoring,
)
from localvqe_cli.evaluation.baseline import compare, parse_limits
from localvqe_cli.evaluation.cache import ScoreCache, digest
from localvqe_cli.evaluation.scenario import from_name, normalised, talk_type
from localvqe_cli.evaluation.statistics import aecmos_mean, bootstrap_interval, differences, summaries
from localvqe_cli.metrics import GROUPS, Group, TalkType
from localvqe_cli.worker_pool import Died

MIC = SystemInfo("mic", "unprocessed")


# -- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stem", "scenario", "talk"),
    [
        ("9mkQhVtzTEy2hDk-6u2Sww_farend_singletalk", "farend-singletalk", TalkType.FAR_END),
        ("x_farend-singletalk-with-movement", "farend-singletalk-with-movement", TalkType.FAR_END),
        ("ZZaPBCFUG0O4YPSJ3Ra72g_doubletalk_with_movement_mic", "doubletalk-with-movement", TalkType.DOUBLE),
        ("nearend_singletalk-03", "nearend-singletalk", TalkType.NEAR_END),
        ("Doubletalk-1", "doubletalk", TalkType.DOUBLE),
        ("meeting", "unknown", None),
        ("notdoubletalk", "unknown", None),
    ],
)
def test_scenarios_in_file_names(stem: str, scenario: str, talk: TalkType | None) -> None:
    assert from_name(stem) == scenario
    assert talk_type(scenario) is talk


def test_scenarios_in_columns() -> None:
    assert normalised(" Farend_Singletalk ") == "farend-singletalk"
    assert talk_type("synthetic-doubletalk") is TalkType.DOUBLE
    assert talk_type("kitchen") is None


def test_long_clips_have_rows_of_their_own(tmp_path: Path) -> None:
    rows = [write_clip(tmp_path, name, "doubletalk", 1) for name in ("long-doubletalk-1", "doubletalk-1", "longest-1")]
    rows[0]["scenario"] = "doubletalk_with_movement"
    scenarios = [clip.scenario for clip in read_source(str(write_manifest(tmp_path / "a.tsv", rows)))]
    assert scenarios == ["long-doubletalk-with-movement", "doubletalk", "doubletalk"]
    assert talk_type(scenarios[0]) is TalkType.DOUBLE
    # By the files' names alone, too, and where the command line says who speaks.
    assert [clip.scenario for clip in read_source(str(tmp_path))] == ["doubletalk", "long-doubletalk", "unknown"]
    rows = [{**row, "scenario": "", "mic": f"{number}.wav"} for number, row in enumerate(rows)]
    other = read_source(str(write_manifest(tmp_path / "b.tsv", rows)), scenario="farend-singletalk")
    assert [clip.scenario for clip in other] == ["long-farend-singletalk", "farend-singletalk", "farend-singletalk"]


def test_several_sources_are_one_set(tmp_path: Path) -> None:
    first, second = write_set(tmp_path / "a"), write_set(tmp_path / "b", {"long-1": "doubletalk"})
    clips = read_sources([str(first), str(second)])
    assert [clip.id for clip in clips] == ["a", "b", "c", "d", "e", "long-1"]
    assert clips[-1].scenario == "long-doubletalk"
    with pytest.raises(UsageError, match="has a clip 'a', as an earlier source has"):
        read_sources([str(first), str(first)])


# -- inputs -----------------------------------------------------------------------------------


def test_a_manifest(tmp_path: Path) -> None:
    row = write_clip(tmp_path, "a", "doubletalk", 1)
    rows = [row, {"id": "b", "mic": "x_farend_singletalk_mic.wav", "ref": ""}, {**row, "id": "c", "enhanced": "c.wav"}]
    first, second, third = read_source(str(write_manifest(tmp_path / "list.tsv", rows)))
    assert (first.scenario, first.ref, first.target) == (
        "doubletalk",
        str(tmp_path / "a_ref.wav"),
        str(tmp_path / "a_target.wav"),
    )
    assert (second.scenario, second.ref, second.target, second.outputs) == ("farend-singletalk", None, None, {})
    assert third.outputs == {"enhanced": str(tmp_path / "c.wav")}


def test_a_folder_in_the_challenges_naming(tmp_path: Path) -> None:
    for name in (
        "q1_doubletalk_mic",
        "q1_doubletalk_lpb",
        "q2_farend_singletalk_with_movement_mic",
        "q1_doubletalk_enhanced",
    ):
        (tmp_path / f"{name}.wav").touch()
    first, second = read_source(str(tmp_path))
    assert (first.id, first.scenario, first.outputs.keys()) == ("q1_doubletalk", "doubletalk", {"enhanced"})
    assert first.ref == str(tmp_path / "q1_doubletalk_lpb.wav")
    assert (second.scenario, second.ref) == ("farend-singletalk-with-movement", None)


def test_folders_for_each_role(tmp_path: Path) -> None:
    for place in ("mic/x_doubletalk.wav", "ref/x_doubletalk.flac", "enhanced/x_doubletalk_enhanced.wav", "mic/y.wav"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).touch()
    first, second = read_source(str(tmp_path), scenario="nearend_singletalk")
    assert (first.scenario, second.scenario) == ("doubletalk", "nearend-singletalk")
    assert first.ref is not None
    assert second.ref is None
    assert first.outputs == {"enhanced": str(tmp_path / "enhanced/x_doubletalk_enhanced.wav")}


def test_outputs_are_found_by_id_and_by_the_mics_name(tmp_path: Path) -> None:
    clips = read_source(str(write_set(tmp_path)))
    folder = tmp_path / "out"
    folder.mkdir()
    for name in ("a_enhanced.wav", "b.flac", "c_mic_enhanced.wav"):
        (folder / name).touch()
    found = attach_outputs(clips, {"sys": str(folder)})
    assert [bool(clip.outputs) for clip in found] == [True, True, True, False, False]
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UsageError, match="holds no output"):
        attach_outputs(clips, {"sys": str(empty)})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id\tmic\na\tb\n", "ref is missing"),
        ("id\tmic\tref\n", "lists no clips"),
        ("id\tmic\tref\na\tx\ty\na\tx\ty\n", "twice"),
    ],
)
def test_unusable_manifests(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "list.tsv").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_source(str(tmp_path / "list.tsv"))


# -- statistics -------------------------------------------------------------------------------


def test_the_interval_is_that_of_the_normal_approximation_where_that_holds() -> None:
    sample = np.random.default_rng(1).normal(3.0, 0.5, 400)
    found = bootstrap_interval(list(sample))
    assert found is not None
    half = 1.96 * sample.std() / 20
    assert found == (pytest.approx(sample.mean() - half, abs=0.01), pytest.approx(sample.mean() + half, abs=0.01))
    assert bootstrap_interval([1.0]) is None
    assert bootstrap_interval([2.0, 2.0, 2.0]) == (2.0, 2.0)
    assert bootstrap_interval(list(sample)) == found  # the same on every run


def evaluation(values: dict[str, list[float | None]], scenario: str = "doubletalk", key: str = "erle_db") -> Evaluation:
    """One scenario, one metric; None is undefined."""
    count = len(next(iter(values.values())))
    clips = [ClipOutcome(f"c{i}", scenario) for i in range(count)]
    for name, column in values.items():
        for clip, value in zip(clips, column, strict=True):
            clip.systems[name] = ClipScores({key: value}) if value is not None else ClipScores({}, {key: "why"})
    return Evaluation([SystemInfo(name, "files") for name in values], clips, [key])


def test_undefined_clips_are_counted_not_averaged() -> None:
    found = summaries(evaluation({"x": [1.0, None, 3.0, 8.0]}), "x", "doubletalk")["erle_db"]
    assert (found.n, found.mean, found.median, found.undefined) == (3, 4.0, 3.0, 1)


def test_paired_differences_see_what_means_cannot() -> None:
    base = list(np.random.default_rng(2).normal(10, 5, 27))
    better: list[float | None] = [value + 0.3 + 0.1 * (-1) ** i for i, value in enumerate(base)]
    better[4] = None
    (found,) = differences(evaluation({"old": list(base), "new": better}))
    assert (found.system, found.against, found.n) == ("new", "old", 26)
    assert found.mean == pytest.approx(0.3, abs=0.02)
    assert found.significant
    # The unpaired intervals overlap by far.
    both = [bootstrap_interval([v for v in column if v is not None]) for column in (base, better)]
    assert both[0] is not None
    assert both[1] is not None
    assert both[0][1] > both[1][0]


def test_a_few_clips_make_no_difference_significant() -> None:
    for count in range(1, 8):
        base, better = [float(i) for i in range(count)], [i + 1.0 for i in range(count)]
        (found,) = differences(evaluation({"old": list(base), "new": list(better)}))
        assert found.significant is (count >= 5)


def test_the_overall_mean_weighs_scenarios_not_clips_and_leaves_out_long_and_synthetic_ones() -> None:
    clips = []
    for scenario, echo, count in (
        ("doubletalk", 2.0, 3),
        ("nearend-singletalk", 5.0, 1),
        ("synthetic-doubletalk", 1.0, 9),
        ("long-doubletalk", 3.0, 2),
        ("long-doubletalk-with-movement", 4.0, 1),
    ):
        for index in range(count):
            scores = ClipScores({"aecmos_echo": echo, "aecmos_deg": 4.0})
            clips.append(ClipOutcome(f"{scenario}{index}", scenario, systems={"mic": scores}))
    whole = Evaluation([MIC], clips, ["aecmos_echo", "aecmos_deg"])
    assert aecmos_mean(whole, "mic") == pytest.approx(((2 + 4) / 2 + (5 + 4) / 2) / 2)
    assert aecmos_mean(whole, "mic", long=True) == pytest.approx(((3 + 4) / 2 + (4 + 4) / 2) / 2)


# -- baseline ---------------------------------------------------------------------------------


def test_what_fell_below_the_baseline() -> None:
    now = evaluation({"mic": [0.0], "new": [9.0]})
    old = {"mic": {"doubletalk": {"erle_db": 5.0}}, "old": {"doubletalk": {"erle_db": 10.0}}}
    (fall,) = compare(now, old, {"erle_db": 0.5})  # one system on each side: matched; the mic is not judged
    assert (fall.system, fall.drop) == ("new", pytest.approx(1.0))
    assert "10 -> 9, worse by 1 (allowed 0.5)" in str(fall)
    assert compare(now, old, {"erle_db": 1.5}) == []
    with pytest.raises(UsageError, match="has none of stoi"):
        compare(now, old, {"stoi": 0.1})


def test_what_is_gone_has_fallen() -> None:
    now = evaluation({"mic": [0.0, 0.0], "new": [9.0, None]})
    row = {"erle_db": 9.0, "erle_db_n": 2}
    # A scenario, a value of it, some of its clips, a whole system.
    for old, said in (
        (
            {"new": {"doubletalk": {"erle_db": 1.0}, "farend-singletalk": row}},
            "new, farend-singletalk: in the baseline",
        ),
        (
            {"new": {"doubletalk": {"erle_db": 1.0, "stoi": 0.5}}},
            "new, doubletalk, stoi: 0.5 in the baseline, no value",
        ),
        ({"new": {"doubletalk": row}}, "new, doubletalk, erle_db: of 2 clips in the baseline, of 1 now"),
        ({"new": {"doubletalk": {"erle_db": 9.0}}, "b": {}, "c": {}}, "b: in the baseline, not in this run"),
    ):
        limits = {"erle_db": 1.0, "stoi": 0.1}
        falls = compare(now, old, limits)
        assert str(falls[0]).startswith(said)
        assert falls[0].drop is None
        assert compare(now, old, limits, allow_missing=True) == []
    # What fell has fallen all the same.
    fell = {"new": {"doubletalk": {"erle_db": 19.0}, "farend-singletalk": row}}
    assert [fall.drop for fall in compare(now, fell, {"erle_db": 1.0}, allow_missing=True)] == [10.0]


def test_a_run_that_shares_nothing_with_the_baseline_is_a_mistake() -> None:
    now = evaluation({"mic": [0.0], "new": [9.0]})
    row = {"doubletalk": {"erle_db": 9.0}}
    with pytest.raises(UsageError, match="has none of erle_db"):
        compare(now, {"a": row, "b": row}, {"erle_db": 1.0})
    with pytest.raises(UsageError, match="has none of erle_db"):
        compare(now, {"new": {"kitchen": {"erle_db": 9.0}}}, {"erle_db": 1.0}, allow_missing=True)


def test_lower_is_better_for_some() -> None:
    now = evaluation({"mic": [0.0], "new": [0.4]}, key="realtime_factor")
    old = {"new": {"doubletalk": {"realtime_factor": 0.1}}}
    assert compare(now, old, {"realtime_factor": 0.2})[0].drop == pytest.approx(0.3)
    assert compare(now, {"new": {"doubletalk": {"realtime_factor": 0.9}}}, {"realtime_factor": 0.2}) == []


def test_nearer_is_better_for_the_level() -> None:
    now = evaluation({"mic": [0.0], "new": [3.0]}, key="level_db")
    for before, fell in ((-1.0, 2.0), (1.0, 2.0), (-4.0, None)):
        falls = compare(now, {"new": {"doubletalk": {"level_db": before}}}, {"level_db": 0.5})
        assert [fall.drop for fall in falls] == ([] if fell is None else [pytest.approx(fell)])


@pytest.mark.parametrize("text", ["erle_db", "erle_db=", "erle=1", "delay_ms=1", "erle_db=-1", "erle_db=nan"])
def test_limits_that_make_no_sense(text: str) -> None:
    with pytest.raises(UsageError, match="--max-drop"):
        parse_limits([text])


# -- scoring and cache ------------------------------------------------------------------------


class Counting:
    """Stands in for a metric group and counts its calls."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str = "erle", version: str = "1") -> None:
        self.calls = 0
        group = GROUPS[name]
        outer = self

        class Counted(Group):
            @property
            def version(self) -> str:
                return version

            def compute(self, signals: object) -> object:  # type: ignore[override]
                outer.calls += 1
                return group.compute(signals)  # type: ignore[arg-type]

        monkeypatch.setitem(GROUPS, name, Counted(name))


def run(manifest: Path, cache: Path | None, groups: tuple[str, ...] = ("erle",), **systems: Path) -> Evaluation:
    clips = attach_outputs(read_source(str(manifest)), {name: str(folder) for name, folder in systems.items()})
    infos = [MIC, *(SystemInfo(name, "files", str(folder)) for name, folder in systems.items())]
    return score(clips, infos, Settings(groups, cache=cache))


def test_a_second_run_computes_only_what_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest, cache = write_set(tmp_path / "data"), tmp_path / "cache"
    out = write_outputs(tmp_path / "data", tmp_path / "out", 0.1)
    counting = Counting(monkeypatch)
    first = run(manifest, cache, sys=out)
    assert counting.calls == 10
    again = run(manifest, cache, sys=out)
    assert counting.calls == 10
    assert all(clip.cached for clip in again.clips)
    assert [clip.systems for clip in again.clips] == [clip.systems for clip in first.clips]
    # Another folder with the same content is the same content.
    moved = write_outputs(tmp_path / "data", tmp_path / "moved", 0.1)
    run(manifest, cache, sys=moved)
    assert counting.calls == 10
    write_outputs(tmp_path / "data", moved, 0.2, ["c"])
    changed = run(manifest, cache, sys=moved)
    assert counting.calls == 11
    assert changed.clips[2].systems["sys"].values["erle_db"] == pytest.approx(20 * np.log10(5), abs=1e-3)
    # A changed mic concerns every system of its clip, a new metric every clip, but not the old metric.
    write_clip(tmp_path / "data", "a", "doubletalk", 77)
    run(manifest, cache, sys=moved)
    assert counting.calls == 13
    run(manifest, cache, ("erle", "clipping"), sys=moved)
    assert counting.calls == 13
    newer = Counting(monkeypatch, version="2")
    run(manifest, cache, ("erle", "clipping"), sys=moved)
    assert newer.calls == 10


def test_a_damaged_record_is_computed_again(tmp_path: Path) -> None:
    manifest, cache = write_set(tmp_path / "data", {"a": "doubletalk"}), tmp_path / "cache"
    wanted = run(manifest, cache).clips[0].systems
    for record in cache.rglob("*.json"):
        record.write_text(record.read_text()[:20])
    found = run(manifest, cache).clips[0]
    assert not found.cached
    assert found.systems == wanted


def test_an_interrupted_run_keeps_what_it_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest, cache = write_set(tmp_path / "data"), tmp_path / "cache"
    clips = read_source(str(manifest))

    def stop(done: float, total: float | None) -> None:
        if done == 2:
            raise KeyboardInterrupt

    counting = Counting(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        score(clips, [MIC], Settings(("erle",), cache=cache), progress=stop)
    assert counting.calls == 2
    score(clips, [MIC], Settings(("erle",), cache=cache))
    assert counting.calls == 5


def test_an_unwritable_cache_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = ScoreCache(tmp_path / "file" / "below")
    cache.store(digest("x"), {"a": 1})
    assert cache.load(digest("x")) == {}


def test_problems_survive_the_cache(tmp_path: Path) -> None:
    manifest, cache = write_set(tmp_path / "data", {"a": "farend-singletalk"}), tmp_path / "cache"
    sf.write(tmp_path / "data" / "a_ref.wav", np.zeros(32000), 16000)
    first, second = run(manifest, cache), run(manifest, cache)
    assert second.clips[0].cached
    assert first.problems == second.problems
    assert "the reference is silent" in str(first.problems[0])


def test_a_metric_that_breaks_does_not_stop_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Group):
        def compute(self, signals: object) -> object:  # type: ignore[override]
            raise RuntimeError("no\nluck")

    monkeypatch.setitem(GROUPS, "delay", Broken("delay"))
    found = run(write_set(tmp_path / "data", {"a": "doubletalk"}), None, ("erle", "delay"))
    assert "erle_db" in found.clips[0].systems["mic"].values
    assert [(p.id, p.system, p.metric, p.message) for p in found.problems] == [("a", "mic", "delay", "failed: no")]


# -- the way through a model ------------------------------------------------------------------


def test_a_models_output_is_in_step_with_the_mic() -> None:
    mic, ref = voice(1, 1.01), voice(2, 0.5)
    out, seconds = scoring.enhance_samples(FakeModel(), mic, ref, align=True)
    np.testing.assert_array_equal(out, mic)
    assert seconds > 0


@pytest.mark.parametrize("late", [0.9, -0.2])
def test_a_reference_out_of_sight_is_shifted(late: float) -> None:
    mic, ref = echo_of(voice(1, 6.0), late)
    model = FakeModel(lambda mic, far: far)  # shows the reference that the model was given
    seen, _ = scoring.enhance_samples(model, mic, ref, align=True)
    lag = 768  # 48 ms
    # The echo now follows the reference by 48 ms.
    np.testing.assert_allclose(seen[20000 - lag : 50000 - lag], mic[20000:50000], atol=1e-6)
    unshifted, _ = scoring.enhance_samples(model, mic, ref, align=False)
    np.testing.assert_array_equal(unshifted, ref)


def echo_of(ref: np.ndarray, late: float) -> tuple[np.ndarray, np.ndarray]:
    """A mic that hears ``ref`` that many seconds late (negative: early), and ``ref``."""
    shift = int(abs(late) * 16000)
    pad = np.zeros(shift, np.float32)
    mic = np.concatenate([pad, ref[:-shift]]) if late > 0 else np.concatenate([ref[shift:], pad])
    return mic, ref


@pytest.mark.parametrize("frontend", [None, FrontendConfig()])
@pytest.mark.parametrize("late", [0.05, 0.25, 0.9, -0.2])
def test_the_reference_is_shifted_as_enhance_shifts_it(
    tmp_path: Path, late: float, frontend: FrontendConfig | None
) -> None:
    """0.25 s are out of sight of eight lags of attention, but not of a front-end, which searches further."""
    mic, ref = echo_of(voice(1, 6.0), late)
    model = FakeModel(lambda mic, far: far)
    model.config = replace(ModelConfig(), dmax=8, frontend=frontend)
    files = {role: str(tmp_path / f"{role}.wav") for role in ("mic", "ref", "out")}
    for role, samples in (("mic", mic), ("ref", ref)):
        sf.write(files[role], samples, 16000, subtype="FLOAT")
    result = enhance_job(model, Job("x", files["mic"], files["ref"], files["out"]), EnhanceOptions())
    wanted, _ = sf.read(files["out"], dtype="float32")
    found, _ = scoring.enhance_samples(model, mic, ref, align=True)
    np.testing.assert_array_equal(found, wanted)
    in_sight = 0.0 <= late <= (0.1 if frontend is None else 0.4)
    assert (result.shift_ms == 0.0) is in_sight


def test_a_model_that_gives_no_numbers_is_refused() -> None:
    mic = voice(1)
    with pytest.raises(LocalVQEError, match="not finite"):
        scoring.enhance_samples(FakeModel(lambda mic, ref: mic * np.nan), mic, mic, align=False)
    with pytest.raises(AudioError, match="too short"):
        scoring.enhance_samples(FakeModel(), mic[:200], mic, align=False)


def test_parallel_and_serial_runs_agree(tmp_path: Path) -> None:
    clips = read_source(str(write_set(tmp_path / "data")))
    broken = replace(clips[0], id="z", mic=os.fspath(tmp_path / "none.wav"))
    serial, parallel = (score([*clips, broken], [MIC], Settings(("erle", "delay")), jobs=jobs) for jobs in (1, 2))
    assert [(c.id, c.systems) for c in serial.clips] == [(c.id, c.systems) for c in parallel.clips]
    assert serial.problems == parallel.problems
    assert "no such file" in str(serial.problems[0])


def test_a_process_that_dies_takes_one_clip_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def one_dies(work: Any, items: Any, jobs: int) -> Any:
        for index, made in enumerate(items):
            yield index, Died("the worker process was ended") if index == 1 else work(made, lambda value: None)

    monkeypatch.setattr("localvqe_cli.evaluation.run.run_in_processes", one_dies)
    clips = read_source(str(write_set(tmp_path / "data")))
    found = score(clips, [MIC], Settings(("erle",)), jobs=2)
    assert [str(problem) for problem in found.problems] == [f"{clips[1].id}: the worker process was ended"]
    assert sum(bool(clip.systems) for clip in found.clips) == len(clips) - 1


def test_the_unprocessed_recordings_score_as_published(eval_dev: Path) -> None:
    """The row "mic" of docs/reference/evaluation.md; every scenario, 48 kHz files and short references among them."""
    pytest.importorskip("speechmos", reason="the extra eval is not installed")
    found = score(read_source(str(eval_dev / "pairs.tsv")), [MIC], Settings(("aecmos",)))
    assert found.problems == []
    assert aecmos_mean(found, "mic") == pytest.approx(3.890, abs=2e-3)
    means = {scenario: summaries(found, "mic", scenario) for scenario in found.scenarios}
    assert [round(row["aecmos_echo"].mean or 0, 2) for row in means.values()] == [2.48, 2.50, 1.77, 4.65, 5.00, 2.56]
    assert [round(row["aecmos_deg"].mean or 0, 2) for row in means.values()] == [4.11, 4.07, 5.00, 5.00, 4.33, 4.10]
