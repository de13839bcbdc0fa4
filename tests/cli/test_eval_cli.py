"""``localvqe eval`` as a user types it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from eval_data import CLIPS, write_clip, write_manifest, write_outputs, write_set
from make_model import narrow_config, random_gguf
from typer.testing import CliRunner, Result

from localvqe_cli import metrics
from localvqe_cli.cli import app
from localvqe_cli.errors import MissingExtraError

#: Metrics that need no extra.
FAST = ("--metrics", "erle,clipping,delay", "-j", "1")


def run(*args: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["eval", *map(str, args)])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("eval")
    write_set(folder)
    write_outputs(folder, folder / "tenth", 0.1)
    write_outputs(folder, folder / "half", 0.5)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "narrow.gguf"
    random_gguf(path, narrow_config(2), 0)
    return path


def test_json_has_the_documented_form(data: Path, model: Path) -> None:
    args = (data / "pairs.tsv", "-m", model, "--enhanced", f"A={data / 'tenth'}", *FAST, "--json")
    document = json.loads(run(*args).stdout)
    assert list(document["systems"]) == ["mic", "narrow", "A"]
    assert document["errors"] == []
    ours = document["systems"]["A"]
    assert (ours["kind"], document["systems"]["narrow"]["kind"]) == ("files", "model")
    assert list(ours["scenarios"]) == ["doubletalk", "farend-singletalk", "nearend-singletalk"]
    row = ours["scenarios"]["doubletalk"]
    assert row["n"] == 2
    assert row["erle_db"] == pytest.approx(20.0, abs=1e-3)
    assert row["erle_db_ci"] == pytest.approx([20.0, 20.0], abs=1e-3)
    assert row["erle_db_median"] == pytest.approx(20.0, abs=1e-3)
    assert [clip["id"] for clip in ours["clips"]] == list(CLIPS)
    assert ours["clips"][2]["scenario"] == "farend-singletalk"
    assert ours["clips"][2]["blind_erle_db"] == pytest.approx(20.0, abs=1e-3)
    assert document["systems"]["mic"]["scenarios"]["doubletalk"]["erle_db"] == 0.0
    assert 0 < document["systems"]["narrow"]["clips"][0]["realtime_factor"] < 10
    gaps = [d for d in document["differences"] if (d["system"], d["against"], d["metric"]) == ("A", "mic", "erle_db")]
    assert [(d["scenario"], d["n"], d["significant"]) for d in gaps][:2] == [
        ("doubletalk", 2, False),  # nothing is claimed of two clips
        ("farend-singletalk", 2, False),
    ]


def test_opinion_scores_of_the_default_model(tmp_path: Path) -> None:
    pytest.importorskip("speechmos", reason="the extra eval is not installed")
    manifest = write_set(tmp_path, {"a": "doubletalk", "b": "farend_singletalk"}, seconds=9.1)
    document = json.loads(run(manifest, "--metrics", "aecmos,dnsmos", "--json", "-j", 1).stdout)
    assert list(document["systems"]) == ["mic", "default"]
    for system in document["systems"].values():
        assert 1 <= system["aecmos_mean"] <= 5
        for row in system["scenarios"].values():
            for key in ("aecmos_echo", "aecmos_deg", "dnsmos_sig", "dnsmos_bak", "dnsmos_ovrl"):
                if row[key] is None:  # the filter leaves nothing of an echo without noise
                    assert row[f"{key}_undefined"] == 1
                    continue
                assert 0.5 < row[key] < 5.01
                assert row[f"{key}_ci"] is None  # of a single clip


def test_long_calls_have_a_mean_of_their_own(tmp_path: Path) -> None:
    pytest.importorskip("speechmos", reason="the extra eval is not installed")
    short = write_set(tmp_path / "a", {"a": "doubletalk"})
    long = write_set(tmp_path / "b", {"long-b": "doubletalk"})
    args = (short, long, "--enhanced", write_outputs(tmp_path / "b", tmp_path / "out", 0.3, ["long-b"]))
    found = run(*args, "--metrics", "aecmos", "-j", 1, "--json", code=1)  # there is no output for a
    mic = json.loads(found.stdout)["systems"]["mic"]
    rows = mic["scenarios"]
    assert list(rows) == ["doubletalk", "long-doubletalk"]
    for key, row in (("aecmos_mean", rows["doubletalk"]), ("aecmos_mean_long", rows["long-doubletalk"])):
        assert mic[key] == pytest.approx((row["aecmos_echo"] + row["aecmos_deg"]) / 2)
    assert "over the long scenarios: mic" in run(*args, "--metrics", "aecmos", "-j", 1, code=1).stdout


def test_the_table_is_for_people(data: Path) -> None:
    out = run(data / "pairs.tsv", "--enhanced", data / "tenth", "--enhanced", data / "half", *FAST, "--no-cache").stdout
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "ERLE, mic" not in out
    assert any(line.split()[:2] == ["tenth", "2"] and "20.0" in line for line in lines)
    assert "differences to tenth on the same clips" in out
    assert "3 of 3 comparisons tell nothing: too few clips" in out


def test_the_table_claims_what_five_clips_bear_out(tmp_path: Path) -> None:
    names = "abcde"
    manifest = write_set(tmp_path, dict.fromkeys(names, "doubletalk"))
    folders = [write_outputs(tmp_path, tmp_path / name, gain, names) for name, gain in (("tenth", 0.1), ("half", 0.5))]
    args = (manifest, "--enhanced", folders[0], "--enhanced", folders[1], "--metrics", "erle,level", "-j", 1)
    out = run(*args).stdout
    assert max(map(len, out.splitlines())) <= 80
    assert "half ERLE (dB) -14.0 [-14.0 .. -14.0], n 5" in out
    assert "half near-end level (dB) 14.0 [14.0 .. 14.0], n 5" in out.replace("+", "")
    table = run(*args, "--markdown", "-").stdout
    means, to_mic, between = (part.splitlines() for part in table.split("\n## ")[:3])
    assert "| doubletalk | tenth | 5 | 20.0 (20.0 .. 20.0) | 20.0 (20.0 .. 20.0) | -20.0 (-20.0 .. -20.0) |" in means
    assert to_mic[0] == "Differences to mic on the same clips"
    assert [line for line in to_mic if line.startswith("| doubletalk")] == [
        "| doubletalk | tenth | 5 | **+20.0** (20.0 .. 20.0) | **+20.0** (20.0 .. 20.0) | **-20.0** (-20.0 .. -20.0) |",
        "| doubletalk | half | 5 | **+6.0** (6.0 .. 6.0) | **+6.0** (6.0 .. 6.0) | **-6.0** (-6.0 .. -6.0) |",
    ]
    assert "| doubletalk | ERLE (dB) | half - tenth | 5 | -14.0 | -14.0 .. -14.0 |" in between


def test_csv_and_markdown(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    args = (data / "pairs.tsv", "--enhanced", data / "tenth", *FAST)
    rows = list(csv.DictReader(io.StringIO(run(*args, "--csv", "-").stdout)))
    assert len(rows) == 10
    assert rows[1]["system"] == "tenth"
    assert float(rows[1]["erle_db"]) == pytest.approx(20.0, abs=1e-3)
    table = run(*args, "--markdown", "-").stdout
    assert "| doubletalk | tenth | 2 | 20.0 (20.0 .. 20.0) | 20.0 (20.0 .. 20.0) |" in table
    assert "| nearend-singletalk | tenth | 1 | 20.0 | 20.0 |" in table
    # Of two clips nothing is claimed, of one there is no interval.
    assert "| doubletalk | tenth | 2 | +20.0 (20.0 .. 20.0) | +20.0 (20.0 .. 20.0) |" in table
    assert "| nearend-singletalk | tenth | 1 | +20.0 | +20.0 |" in table
    assert table.index("## Other scores") < table.index("| doubletalk | tenth | 2 | 0.0 | 0 |")
    monkeypatch.chdir(tmp_path)  # without a name they have one
    run(*args, "--csv", "--markdown", "--html", "--audio", 0)
    assert {path.name for path in tmp_path.iterdir()} == {"eval.csv", "eval.md", "eval.html"}
    assert "exists; use --force" in run(*args, "--html", code=2).stderr
    assert (tmp_path / "eval.md").read_text() == table


def test_reports_that_have_no_place_to_go(data: Path, tmp_path: Path) -> None:
    assert "stdout takes one report" in run(data / "pairs.tsv", "--json", "--csv", "-", code=2).stderr
    both = tmp_path / "both"
    manifest = data / "pairs.tsv"
    for path in (manifest, data / "a_mic.wav", data / "half" / "a_enhanced.wav"):
        args = (manifest, "--enhanced", data / "half", "--csv", path, "--force")
        assert "it is an input" in run(*args, code=2).stderr
    assert "cannot hold two reports" in run(data / "pairs.tsv", "--csv", both, "--html", both, *FAST, code=2).stderr


def test_every_mishap_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    rows = [write_clip(tmp_path, name, scenario, seed) for seed, (name, scenario) in enumerate(CLIPS.items())]
    rows[1]["ref"] = ""
    rows[2]["mic"] = "none.wav"
    (tmp_path / "d_ref.wav").write_text("no audio at all")
    sf.write(tmp_path / "e_mic.wav", np.zeros(32000), 16000)
    rows.append(write_clip(tmp_path, "f", "kitchen", 9))
    rows.append(write_clip(tmp_path, "g", "farend-singletalk", 10, seconds=0.05))
    manifest = write_manifest(tmp_path / "pairs.tsv", rows)
    out = write_outputs(tmp_path, tmp_path / "out", 0.1, ["a", "e"])
    result = run(manifest, "--enhanced", out, "-j", 1, "--metrics", "aecmos,erle", "--json", code=1)
    document = json.loads(result.stdout)
    said = {(e["id"], e["system"], e["metric"]): e["message"] for e in document["errors"]}
    assert said["b", None, None] == "no reference found for it"
    assert "no such file" in said["c", None, None]
    assert "not readable as audio" in said["d", None, None]
    assert said["e", None, None] == "the mic is silent"
    assert said["e", "out", None] == "the output is silent"
    assert said["f", "out", None] == "no output found for it"
    assert "unknown scenario" in said["f", "mic", "aecmos"]
    assert "shorter than AECMOS' window" in said["g", "mic", "aecmos"]
    assert document["systems"]["out"]["scenarios"]["doubletalk"]["erle_db"] == pytest.approx(20.0, abs=1e-3)
    assert document["systems"]["mic"]["scenarios"]["kitchen"]["erle_db"] == 0.0
    nearend = document["systems"]["out"]["scenarios"]["nearend-singletalk"]
    assert (nearend["n"], nearend["erle_db"], nearend["erle_db_undefined"]) == (1, None, 1)
    assert "b: no reference found for it" in result.stderr
    # On the terminal, too.
    plain = run(manifest, "--enhanced", out, "-j", 1, "--metrics", "aecmos,erle", code=1)
    assert "e: the mic is silent" in plain.stderr


def test_a_missing_extra_is_said_once_and_the_rest_goes_on(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Missing(metrics.Group):
        def compute(self, signals: object) -> object:  # type: ignore[override]
            raise MissingExtraError("AECMOS", "eval")

    monkeypatch.setitem(metrics.GROUPS, "aecmos", Missing("aecmos"))
    args = (
        data / "pairs.tsv",
        "--enhanced",
        data / "tenth",
        "--metrics",
        "aecmos,erle",
        "-j",
        1,
        "--no-cache",
        "--json",
    )
    document = json.loads(run(*args, code=1).stdout)
    (error,) = document["errors"]
    assert error["metric"] == "aecmos"
    assert "pip install 'localvqe[eval]'" in error["message"]
    assert document["systems"]["tenth"]["scenarios"]["doubletalk"]["erle_db"] == pytest.approx(20.0, abs=1e-3)


def test_without_the_extra_there_is_a_table_and_a_line(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "find_spec", lambda package: None)
    args = (data / "pairs.tsv", "--enhanced", data / "tenth", "-j", 1)
    out = run(*args).stdout
    assert out.replace("\n", " ").count("not computed: aecmos, dnsmos; they need pip install 'localvqe[eval]'") == 1
    assert any(line.split()[:2] == ["tenth", "2"] and "20.0" in line for line in out.splitlines())
    document = json.loads(run(*args, "--json").stdout)
    assert document["errors"] == []
    row = document["systems"]["tenth"]["scenarios"]["doubletalk"]
    assert row["level_db"] == pytest.approx(-20.0, abs=0.1)
    assert "aecmos_echo" not in row
    assert "not computed" not in run(*args, "--metrics", "erle").stdout


def test_baseline_decides_the_exit_code(data: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.json"
    old.write_text(run(data / "pairs.tsv", "--enhanced", data / "tenth", *FAST, "--json").stdout)
    gate = ("--baseline", old, "--max-drop", "erle_db=1", "--max-drop", "clipped=0")
    run(data / "pairs.tsv", "--enhanced", data / "tenth", *FAST, *gate)
    fell = run(data / "pairs.tsv", "--enhanced", data / "half", *FAST, *gate, "--json", code=1)
    falls = json.loads(fell.stdout)["baseline"]["falls"]
    assert {(row["scenario"], row["metric"]) for row in falls} == {(s, "erle_db") for s in set(CLIPS.values())}
    assert "half, doubletalk, erle_db: 20 -> 6.021, worse by 14 (allowed 1)" in fell.stderr
    run(data / "pairs.tsv", "--enhanced", data / "half", *FAST, "--baseline", old, "--max-drop", "erle_db=15")


def test_a_system_that_vanished_fails_the_gate(data: Path, tmp_path: Path) -> None:
    three = [arg for name in "xyz" for arg in ("--enhanced", f"{name}={data / 'tenth'}")]
    old = tmp_path / "old.json"
    old.write_text(run(data / "pairs.tsv", *three, *FAST, "--json").stdout)
    gate = ("--baseline", old, "--max-drop", "erle_db=1")
    run(data / "pairs.tsv", *three, *FAST, *gate)
    said = run(data / "pairs.tsv", *three[:2], *FAST, *gate, code=1).stderr
    assert "fell below the baseline: y: in the baseline, not in this run" in said
    assert "z: in the baseline, not in this run" in said
    run(data / "pairs.tsv", *three[:2], *FAST, *gate, "--allow-missing")
    # A scenario that vanished, of the system that is left.
    rows = [row for row in (data / "pairs.tsv").read_text().splitlines(keepends=True) if "farend" not in row]
    few = data / "few.tsv"
    few.write_text("".join(rows))
    said = run(few, *three, *FAST, *gate, code=1).stderr
    assert "x, farend-singletalk: in the baseline, not in this run" in said
    run(few, *three, *FAST, *gate, "--allow-missing")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "nothing to score"),
        (("none.tsv",), "cannot be read"),
        (("DATA/pairs.tsv", "--metrics", "loudness"), "no such metric"),
        (("DATA/pairs.tsv", "--enhanced", "nowhere"), "cannot be listed"),
        (
            ("DATA/pairs.tsv", "--enhanced", "DATA/half", "--enhanced", "DATA/half"),
            "two folders of outputs are called half",
        ),
        (("DATA/pairs.tsv", "--max-drop", "erle_db=1"), "belong together"),
        (("DATA/pairs.tsv", "--allow-missing"), "goes with --baseline"),
        (("DATA/pairs.tsv", "--baseline", "DATA/pairs.tsv", "--max-drop", "erle_db=1"), "not a report"),
        (("DATA/pairs.tsv", "--mic", "DATA"), "drop --mic"),
        (("DATA/pairs.tsv", "-m", "default", "-m", "default"), "two systems are called default"),
    ],
)
def test_requests_that_make_no_sense(data: Path, args: tuple[str, ...], message: str) -> None:
    assert message in run(*(arg.replace("DATA", str(data)) for arg in args), code=2).stderr


def test_a_bad_model_is_said_before_any_work(data: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"GGUF")
    run(data / "pairs.tsv", "-m", tmp_path / "bad.gguf", *FAST, code=4)


def test_folders_by_option(data: Path, tmp_path: Path) -> None:
    for role in ("mic", "ref"):
        (tmp_path / role).mkdir()
        (tmp_path / role / "x.wav").write_bytes((data / f"a_{role}.wav").read_bytes())
    args = ("--mic", tmp_path / "mic", "--ref", tmp_path / "ref", "--scenario", "doubletalk", *FAST, "--json")
    document = json.loads(run(*args, "--enhanced", f"same={tmp_path / 'mic'}").stdout)
    assert document["systems"]["mic"]["scenarios"]["doubletalk"]["n"] == 1


@pytest.mark.parametrize("arguments", [("*.tsv",), ("--mic", "mic[s]"), ("pairs.tsv", "--enhanced", "new=out/*")])
def test_a_pattern_that_the_shell_left_alone_gets_a_hint(arguments: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, ["eval", *arguments])
    assert result.exit_code == 2
    assert result.stderr.startswith("localvqe: error: ")
    assert "the shell did not expand this pattern" in result.stderr
