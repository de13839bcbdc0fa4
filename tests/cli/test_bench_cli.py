"""``localvqe bench`` end to end on a narrow model; no test depends on how fast the machine is."""

from __future__ import annotations

import importlib.util
import json
import os
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from make_codec import NARROW, random_codec
from make_model import narrow_config, random_gguf, random_quantized_gguf
from typer.testing import CliRunner, Result

from localvqe_cli.benchmark import BenchRun
from localvqe_cli.benchmark import survey as benchmark_survey
from localvqe_cli.benchmark.machine import engine_threads, rss_mb
from localvqe_cli.benchmark.result import is_busy
from localvqe_cli.benchmark.rounds import in_turn
from localvqe_cli.cli import app
from localvqe_cli.complexity import macs_per_hop
from localvqe_cli.engine import Enhancer, measure_peak
from localvqe_cli.families import LFSCConfig
from localvqe_cli.lfsc.complexity import macs_per_frame


@pytest.fixture(autouse=True, scope="module")
def _peak_is_measured_once() -> Iterator[None]:
    """It is the machine's, and every run would spend a quarter of a second on it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("localvqe_cli.benchmark.rounds.measure_peak", cache(measure_peak))
        yield


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bench") / "narrow.gguf"
    random_gguf(path, narrow_config(2), 0)
    return path


@pytest.mark.parametrize(
    ("kind", "arithmetic", "layers"), [("Q8_0", "int16", 27), ("Q8_0", "f32", 0), ("Q4_K", "int16", 27)]
)
def test_a_quantized_model_says_its_type_and_how_it_ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, arithmetic: str, layers: int
) -> None:
    monkeypatch.setenv("LOCALVQE_ARITHMETIC", arithmetic)
    config = narrow_config(2, mic_channels=(2, 12, 16, 9, 16, 8), far_channels=(2, 12, 9))
    random_quantized_gguf(tmp_path / "q.gguf", config, kind)
    report = json.loads(bench("-m", tmp_path / "q.gguf", "-t", 1, "--mode", "stream", "--json").stdout)
    assert report["model"]["type"] == kind
    assert report["integer_layers"] == layers
    random_gguf(tmp_path / "f.gguf", config)
    options = ("-m", tmp_path / "f.gguf", "-t", 1, "--mode", "stream", "--json", "--precision", "int16")
    plain = json.loads(bench(*options).stdout)
    assert plain["integer_layers"] == 27
    assert report["model"]["parameters"] == plain["model"]["parameters"]  # padding is no parameter
    assert f"{layers} convolutions as integer" in bench("-m", tmp_path / "q.gguf", "-t", 1, "--mode", "stream").stdout


def bench(*args: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["bench", "--iters", "1", *map(str, args)])
    assert result.exit_code == code, result.output
    return result


def test_all_models_stand_in_one_table_and_one_plot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    small = narrow_config(2, mic_channels=(2, 16, 16, 16, 16, 16), far_channels=(2, 16, 16))
    monkeypatch.setattr(benchmark_survey, "PUBLISHED", {"v1.1": small})
    monkeypatch.setattr(benchmark_survey, "_OWN", ("default",))
    monkeypatch.setattr(benchmark_survey, "_LIVE", 2)
    plot = tmp_path / "floor.svg"
    rows = json.loads(bench("--all", "-t", 1, "--mode", "stream", "--plot", plot, "--json").stdout)
    names = [row["name"] for row in rows]
    assert names[:4] == ["v1.1", "v1.1 Q8_0", "v1.1 Q4_K", "default"]
    types = [row["model"]["type"] for row in rows[:3]]
    assert types[:2] == ["F32", "Q8_0"]
    assert types[2].startswith("Q4_K")
    for row in rows[:4]:
        assert [run["streams"] for run in row["runs"]] == [1, 2, 2]
        assert all(run["p50_ms"] > 0 for run in row["runs"])
    assert all(name in plot.read_text() for name in ("<svg", "x floor"))
    if importlib.util.find_spec("onnx") and importlib.util.find_spec("onnxruntime"):
        assert names[4:] == ["v1.1, onnxruntime", "default, onnxruntime"]


def test_random_weights_are_a_model_that_runs(tmp_path: Path) -> None:
    for version in (1, 2, 3):
        path = tmp_path / f"{version}.gguf"
        benchmark_survey.write_random_model(path, narrow_config(version))
        mic = np.random.default_rng(0).standard_normal(16000) * 0.1
        out = Enhancer(path).enhance(mic, mic)
        assert np.isfinite(out).all()
        assert 0 < np.abs(out).max() < 100


@pytest.mark.parametrize(
    "more", [("-m", "default"), ("--profile",), ("--streams", "2")], ids=lambda options: options[0]
)
def test_what_all_measures_is_not_for_choosing(more: tuple[str, ...]) -> None:
    assert "--all" in bench("--all", *more, code=2).stderr
    assert "add --all" in bench("--plot", "x.png", code=2).stderr
    assert ".png or .svg" in bench("--all", "--plot", "x.pdf", code=2).stderr


@pytest.fixture(scope="module")
def report(model: Path) -> dict:
    return json.loads(bench("-m", model, "-t", 1, "-t", 2, "--profile", "--json").stdout)


def test_the_report_has_the_documented_keys(report: dict) -> None:
    assert {"machine", "model", "runs", "load_ms", "peak_rss_mb", "rss_per_stream_mb"} <= set(report)
    assert {"cpu", "threads", "isa", "fma_gflops"} == set(report["machine"])
    assert {"name", "version", "parameters", "type", "mmac_per_hop"} == set(report["model"])
    keys = {
        "mode",
        "threads",
        "streams",
        "mean_ms",
        "p50_ms",
        "p95_ms",
        "p99_ms",
        "max_ms",
        "realtime_factor",
        "x_floor",
    }
    for run in report["runs"]:
        assert keys <= set(run)


def test_the_figures_fit_together(report: dict) -> None:
    assert [(r["mode"], r["threads"]) for r in report["runs"]] == [
        ("stream", 1),
        ("stream", 2),
        ("clip", 1),
        ("clip", 2),
    ]
    assert report["model"]["mmac_per_hop"] == macs_per_hop(narrow_config(2)) / 1e6
    assert report["model"]["type"] == "F32"
    for run in report["runs"]:
        assert 0 < run["p50_ms"] <= run["p95_ms"] <= run["p99_ms"] <= run["max_ms"]
        assert run["hops"] == 187
        assert run["x_floor"] == pytest.approx(run["p50_ms"] / run["floor_ms"])
        # Nothing computes faster than the peak: a floor above the time would mean the count or the peak is wrong.
        assert run["x_floor"] > 1.0 / run["threads"]
        assert run["realtime_factor"] == pytest.approx(run["mean_ms"] / 16)
        assert len(run["slowest"]) == (10 if run["mode"] == "stream" else 1)
        assert run["slowest"][0]["ms"] == pytest.approx(run["max_ms"])
    assert sum(report["profile_us"].values()) > 0
    assert "mic_enc1" in report["profile_us"]
    assert 0 < report["load_ms"] < 60_000
    assert report["peak_rss_mb"] > 10


def test_ways_are_measured_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    peaks = iter([3e10, 4e10, 2e10])
    monkeypatch.setattr(
        "localvqe_cli.benchmark.rounds._peak", lambda n: (order.append(f"peak {n}"), (next(peaks), 1))[1]
    )
    ways = [lambda name=name: (order.append(name), np.array([len(order)]))[1] for name in "ab"]
    times, around = in_turn(ways, 2, [1])
    assert order == ["peak 1", "a", "b", "peak 1", "a", "b", "peak 1"]
    assert [ms.tolist() for ms in times] == [[2, 5], [3, 6]]
    assert around.peak == 4e10
    assert around.busy(1)


def test_a_busy_second_processor_is_seen_by_what_needs_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("localvqe_cli.benchmark.rounds.usable_cpus", lambda: 2)
    monkeypatch.setattr("localvqe_cli.benchmark.rounds._peak", lambda threads: (1e10 / threads, 1.0 / threads))
    _, around = in_turn([], 1, [1, 2, 4])
    assert around.peak == 1e10
    assert [around.busy(threads) for threads in (1, 2, 4)] == [False, True, True]
    assert [around.cpu_share(threads) for threads in (1, 2, 4)] == [1.0, 0.5, 0.5]


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system does not tell what is resident")
def test_memory_that_was_freed_is_not_counted() -> None:
    before = rss_mb()
    blocks = [b"x" * 100_000 for _ in range(500)]
    full = rss_mb()
    last = blocks.pop()  # what is above the freed blocks keeps them from going by themselves
    del blocks
    assert full - before > 40
    assert rss_mb() - before < 10
    assert len(last) == 100_000


def test_statistics_of_known_times() -> None:
    run = BenchRun.from_times("stream", 1, np.arange(1.0, 101.0), floor_ms=0.5)
    assert (run.mean_ms, run.p50_ms, run.max_ms, run.hops) == (50.5, 50.5, 100.0, 100)
    assert run.x_floor == 101.0
    assert [(hop.hop, hop.ms) for hop in run.slowest[:2]] == [(99, 100.0), (98, 99.0)]


def test_text_goes_to_a_person(model: Path) -> None:
    out = " ".join(bench("-m", model, "-t", 1, "--profile").stdout.split())
    for text in ("GFLOP/s", "x floor", "stream", "clip", "MB per further stream", "dec1"):
        assert text in out


def test_quiet_leaves_the_exit_code_and_json(report: dict, model: Path, tmp_path: Path) -> None:
    args = ("-m", model, "-t", 1, "--mode", "clip", "-q")
    assert bench(*args).output == ""
    assert bench(*args, "--baseline", edited(report, tmp_path / "fast.json", 0.001), code=1).output == ""
    assert json.loads(bench(*args, "--json").stdout)["runs"]


def workers_of(config: Path, asked: int) -> int:
    """Threads that a stream starts, counted by the system."""
    enhancer = Enhancer(config, threads=asked)
    before = len(os.listdir("/proc/self/task"))
    stream = enhancer.stream()
    stream.process(np.zeros(512, np.float32), np.zeros(512, np.float32))
    return len(os.listdir("/proc/self/task")) - before + 1


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="this system does not list threads")
@pytest.mark.parametrize("lifted", [False, True])
def test_the_engine_starts_as_many_workers_as_are_reported(
    model: Path, monkeypatch: pytest.MonkeyPatch, lifted: bool
) -> None:
    if lifted:
        monkeypatch.setenv("LOCALVQE_OVERSUBSCRIBE", "1")
    else:
        monkeypatch.delenv("LOCALVQE_OVERSUBSCRIBE", raising=False)
    for asked in (1, 2, 32):
        assert engine_threads(asked) == workers_of(model, asked)


def test_fewer_workers_than_asked_are_said(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("localvqe_cli.benchmark.runner.engine_threads", lambda asked: min(asked, 2))
    args = ("-m", model, "-t", 1, "-t", 3, "--mode", "clip")
    runs = json.loads(bench(*args, "--json").stdout)["runs"]
    assert [(run["threads"], run["workers"]) for run in runs] == [(1, 1), (3, 2)]
    out = bench(*args).stdout
    assert "T 3: 2 threads ran, as many as there are processors" in out
    assert "T 1:" not in out


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process to processors")
def test_processors_that_this_process_may_not_use_are_not_counted(model: Path) -> None:
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, [min(mine)])
    try:
        out = bench("-m", model, "-t", 1, "-t", 2, "--mode", "clip").stdout
    finally:
        os.sched_setaffinity(0, mine)
    every = os.cpu_count() or 1
    assert (f", 1 of {every} processors; kernels " if every > 1 else ", 1 processor; kernels ") in out
    if every > 1:
        assert "T 2: 2 threads shared the 1 processor that this process may use" in out
    assert "T 1:" not in out


def test_a_busy_machine_marks_the_run(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    args = ("-m", model, "-t", 1, "--mode", "clip")
    monkeypatch.setattr("localvqe_cli.benchmark.rounds.measure_peak", lambda seconds: time.sleep(seconds) or 1e10)
    (run,) = json.loads(bench(*args, "--json").stdout)["runs"]
    assert run["busy"]
    assert run["cpu_share"] < 0.5
    out = " ".join(bench(*args).stdout.split())
    assert "clip * 1 1" in out
    assert "the machine was busy" in out
    monkeypatch.setattr("localvqe_cli.benchmark.rounds._peak", lambda threads: (1e10, 0.99))
    assert not json.loads(bench(*args, "--json").stdout)["runs"][0]["busy"]
    out = bench(*args).stdout
    assert "busy" not in out
    assert "*" not in out


@pytest.mark.parametrize(
    ("share", "after", "busy"), [(0.99, 1e10, False), (0.99, 9e9, False), (0.99, 7e9, True), (0.8, 1e10, True)]
)
def test_what_counts_as_busy(share: float, after: float, busy: bool) -> None:
    assert is_busy([share, 1.0], [1e10, after]) == busy
    assert is_busy([1.0, share], [after, 1e10]) == busy
    # Of many looks, a quarter decides.
    assert not is_busy([share, *[1.0] * 8], [after, *[1e10] * 8])
    assert is_busy([share] * 3 + [1.0] * 6, [after] * 3 + [1e10] * 6) == busy


def test_live_streams_are_counted(model: Path) -> None:
    runs = json.loads(bench("-m", model, "-t", 1, "--mode", "stream", "--streams", 2, "--json").stdout)["runs"]
    assert [(r["streams"], r["together"]) for r in runs] == [(1, False), (2, False), (2, True)]
    assert runs[0]["real_time_streams"] is None
    assert all(0 <= run["real_time_streams"] <= 2 for run in runs[1:])


def test_streams_that_no_thread_is_left_for(model: Path) -> None:
    text = bench("-m", model, "-t", 3, "--mode", "stream", "--streams", 2).stdout
    assert "of 2 live streams one by one on 3 threads" in text
    assert "of 2 live streams together on 3 threads" in text


def test_recordings_as_input(model: Path, tmp_path: Path) -> None:
    for name, rate in (("mic", 48000), ("ref", 16000)):
        sf.write(tmp_path / f"{name}.wav", np.zeros(rate // 4), rate)
    out = bench("-m", model, "-t", 1, "--mode", "clip", "--input", tmp_path / "mic.wav", tmp_path / "ref.wav", "--json")
    assert json.loads(out.stdout)["runs"][0]["hops"] == 15
    sf.write(tmp_path / "mic.wav", np.zeros(100), 16000)
    assert "at least one hop" in bench("--input", tmp_path / "mic.wav", tmp_path / "ref.wav", code=2).stderr


def edited(report: dict, path: Path, factor: float) -> Path:
    runs = [{**run, "x_floor": run["x_floor"] * factor} for run in report["runs"]]
    path.write_text(json.dumps({**report, "runs": runs}))
    return path


def test_baseline_decides_the_exit_code(report: dict, model: Path, tmp_path: Path) -> None:
    # Factors far beyond any noise, so that the machine's load cannot decide.
    slow = edited(report, tmp_path / "slow.json", 1000.0)
    fast = edited(report, tmp_path / "fast.json", 0.001)
    args = ("-m", model, "-t", 1, "--mode", "clip")
    bench(*args, "--baseline", slow)
    assert "slower than the baseline: clip" in bench(*args, "--baseline", fast, code=1).stderr
    found = json.loads(bench(*args, "--baseline", fast, "--json", code=1).stdout)["baseline"]
    assert found[0]["ratio"] > 1.1
    bench(*args, "--baseline", fast, "--max-ratio", 1e9)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        '{"runs": [{"mode": "stream"}]}',
        '{"runs": [{"mode": "clip", "threads": 1, "streams": 1, "x_floor": 0}]}',
    ],
)
def test_useless_baselines_are_usage_errors(model: Path, tmp_path: Path, content: str) -> None:
    path = tmp_path / "baseline.json"
    path.write_text(content)
    result = bench("-m", model, "-t", 1, "--mode", "clip", "--baseline", path, code=2)
    assert str(path) in result.stderr


def test_a_missing_baseline_or_model_is_said(model: Path, tmp_path: Path) -> None:
    assert "cannot be read" in bench("-m", model, "--baseline", tmp_path / "none.json", code=2).stderr
    assert "no such model" in bench("-m", tmp_path / "none.gguf", code=4).stderr


def test_a_codec_is_measured_in_both_directions(tmp_path: Path) -> None:
    codec = random_codec(tmp_path / "c.gguf", NARROW, "Q8_0")
    found = bench("-m", codec, "-t", 1, "-t", 2, "--json")
    report = json.loads(found.stdout)
    assert [(run["mode"], run["threads"]) for run in report["runs"]] == [
        ("encode", 1), ("decode", 1), ("encode", 2), ("decode", 2)
    ]  # fmt: skip
    facts = report["model"]
    assert facts["type"] == "Q8_0"
    assert facts["frame_ms"] == pytest.approx(8e3 / 22050)
    for run in report["runs"]:
        macs = facts[f"{run['mode']}_mmac"] * 1e6
        assert run["hops"] == round(report["seconds"] * 22050 / 8)
        assert run["x_floor"] == pytest.approx(run["p50_ms"] / run["floor_ms"])
        assert run["realtime_factor"] == pytest.approx(run["mean_ms"] / facts["frame_ms"])
        # The floor is the work over a peak that was measured around this run; the machine's is the largest of them.
        assert macs / (run["floor_ms"] * 1e-3) <= report["machine"]["fma_gflops"] * 1e9 / 2 * (1 + 1e-9)
    (tmp_path / "before.json").write_text(found.stdout)
    bench("-m", codec, "-t", 1, "--baseline", tmp_path / "before.json", "--max-ratio", 1e6, "-q")
    slow = bench("-m", codec, "-t", 1, "--baseline", tmp_path / "before.json", "--max-ratio", 0.01, code=1)
    assert "slower than the baseline: encode" in slow.stderr
    assert "x real time" in slow.stdout


@pytest.mark.parametrize(
    "more",
    [("--mode", "clip"), ("--streams", "2"), ("--profile",), ("--backend", "ggml-cpu"), ("--precision", "int16")],
)
def test_what_a_codec_has_not_is_refused(tmp_path: Path, more: tuple[str, ...]) -> None:
    codec = random_codec(tmp_path / "c.gguf")
    assert "is a speech codec; leave --mode" in bench("-m", codec, *more, code=2).stderr


def test_the_published_codec_does_the_documented_work() -> None:
    macs = macs_per_frame(LFSCConfig())
    per_second = {side: count * 22050 / 1024 / 1e6 for side, count in macs.items()}
    assert per_second == pytest.approx({"encoder": 30395, "decoder": 38166}, rel=1e-4)
