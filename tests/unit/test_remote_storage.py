"""Recordings and outputs by URL: in memory, on a server of the S3 protocol, and over http."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import s3_server
import soundfile as sf
from fake_model import FakeModel

from localvqe_cli.audio import AudioInput, jobs_from_manifest, prepare_outputs, single_job
from localvqe_cli.enhance_files import EnhanceOptions, FileResult, enhance_job
from localvqe_cli.enhance_list import ListRun, prepare_list
from localvqe_cli.errors import AudioError, LocalVQEError, MissingExtraError, RemoteError, UsageError
from localvqe_cli.run_journal import Part, RunJournal
from localvqe_cli.storage import is_remote, join, remote, stamp

RNG = np.random.default_rng(18)
NAMES = ("a", "b", "c")


def wav(seconds: float = 0.2) -> bytes:
    file = io.BytesIO()
    sf.write(file, 0.1 * RNG.standard_normal(int(16000 * seconds)), 16000, format="WAV")
    return file.getvalue()


class Storage:
    """What each kind of storage is to a test: a folder, and ways around the code under test."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def url(self, name: str) -> str:
        return f"{self.folder}/{name}"

    def put(self, name: str, data: bytes) -> str:
        raise NotImplementedError

    def get(self, name: str) -> bytes:
        raise NotImplementedError

    def names(self) -> list[str]:
        raise NotImplementedError


class MemoryStorage(Storage):
    def __init__(self) -> None:
        fsspec = pytest.importorskip("fsspec", reason="fsspec, of the extra cluster, is not installed")
        self._files = fsspec.filesystem("memory")
        self._files.store.clear()
        super().__init__("memory://calls")

    def put(self, name: str, data: bytes) -> str:
        self._files.pipe_file(f"/calls/{name}", data)
        return self.url(name)

    def get(self, name: str) -> bytes:
        data: bytes = self._files.cat_file(f"/calls/{name}")
        return data

    def names(self) -> list[str]:
        return [path.removeprefix("/calls/") for path in self._files.find("/calls")]


class S3Storage(Storage):
    def __init__(self, server: s3_server.S3Server, folder: str) -> None:
        self._server, self._folder = server, folder
        super().__init__(f"s3://{s3_server.BUCKET}/{folder}")

    def put(self, name: str, data: bytes) -> str:
        return self._server.put(f"{self._folder}/{name}", data)

    def get(self, name: str) -> bytes:
        return self._server.get(f"{self._folder}/{name}")

    def names(self) -> list[str]:
        return [key.removeprefix(f"{self._folder}/") for key in self._server.keys(f"{self._folder}/")]


@pytest.fixture(scope="module")
def s3() -> Iterator[s3_server.S3Server]:
    with s3_server.serving() as server:
        yield server


@pytest.fixture(params=["memory", "s3"])
def storage(request: pytest.FixtureRequest) -> Storage:
    if request.param == "memory":
        return MemoryStorage()
    return S3Storage(request.getfixturevalue("s3"), request.node.name.replace("[", "-").strip("]"))


@pytest.fixture
def listed(storage: Storage) -> Storage:
    """Three pairs, and their list beside them."""
    for name in NAMES:
        for side in ("mic", "ref"):
            storage.put(f"{name}_{side}.wav", wav())
    storage.put("list.tsv", ("id\tmic\tref\n" + "".join(f"{n}\t{n}_mic.wav\t{n}_ref.wav\n" for n in NAMES)).encode())
    return storage


def enhance(storage: Storage, *, resume: bool = False, model: FakeModel | None = None) -> tuple[list[FileResult], int]:
    """Results, and how many were there already."""
    out = storage.url("out")
    jobs = jobs_from_manifest(storage.url("list.tsv"), out)
    record = prepare_list(jobs, out, force=False, resume=resume)
    run = ListRun(model or FakeModel(), jobs, EnhanceOptions(), record=record, resume=resume)
    return list(run.results()), len(run.finished)


def test_a_list_goes_from_storage_to_storage_as_it_does_on_disk(listed: Storage, tmp_path: Path) -> None:
    for name in (*(f"{n}_{side}.wav" for n in NAMES for side in ("mic", "ref")), "list.tsv"):
        (tmp_path / name).write_bytes(listed.get(name))
    jobs = jobs_from_manifest(str(tmp_path / "list.tsv"), str(tmp_path / "out"))
    record = prepare_list(jobs, str(tmp_path / "out"), force=False, resume=False)
    list(ListRun(FakeModel(), jobs, EnhanceOptions(), record=record).results())

    results, _ = enhance(listed)
    assert [result.error for result in results] == [None] * 3
    assert [result.output for result in results] == [listed.url(f"out/{n}_enhanced.wav") for n in NAMES]
    for name in NAMES:
        assert listed.get(f"out/{name}_enhanced.wav") == (tmp_path / f"out/{name}_enhanced.wav").read_bytes()
    made = [name for name in listed.names() if name.startswith("out/")]
    assert sorted(made) == sorted([*(f"out/{n}_enhanced.wav" for n in NAMES), "out/results.jsonl", "out/results.tsv"])
    rows = list(csv.DictReader(io.StringIO(listed.get("out/results.tsv").decode()), delimiter="\t"))
    assert [(row["id"], row["output_sha256"]) for row in rows] == [
        (n, hashlib.sha256(listed.get(f"out/{n}_enhanced.wav")).hexdigest()) for n in NAMES
    ]


def test_what_is_finished_is_left_alone(listed: Storage) -> None:
    first, _ = enhance(listed)
    assert enhance(listed, resume=True) == (first, 3)
    listed.put("b_mic.wav", wav())
    again, finished = enhance(listed, resume=True)
    assert finished == 2
    assert [result.error for result in again] == [None] * 3


class Crash(BaseException):
    """As sudden as a kill: nothing that tidies up may rely on Exception."""


def test_a_run_that_was_killed_goes_on(listed: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0

    def die_at_the_third(mic: np.ndarray, ref: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Crash
        return mic

    with monkeypatch.context() as patch:
        patch.setattr("localvqe_cli.run_journal._PART_SECONDS", 0.0)
        # A kill leaves these undone.
        patch.setattr("localvqe_cli.run_record.RunRecord.keep", lambda self: None)
        patch.setattr("localvqe_cli.run_record.RunRecord.write_table", lambda self, first: None)
        with pytest.raises(Crash):
            enhance(listed, model=FakeModel(die_at_the_third))
    assert any(name.startswith("out/results.d/") for name in listed.names())
    results, finished = enhance(listed, resume=True)
    assert finished == 2
    assert [result.error for result in results] == [None] * 3
    assert not any(name.startswith("out/results.d/") for name in listed.names())
    assert enhance(listed, resume=True)[1] == 3


def test_an_output_that_is_there_is_refused(listed: Storage) -> None:
    listed.put("out/b_enhanced.wav", b"of somebody else")
    with pytest.raises(UsageError, match=r"out/b_enhanced\.wav exists; use --force to overwrite it"):
        enhance(listed)
    assert listed.get("out/b_enhanced.wav") == b"of somebody else"
    assert not any("a_enhanced" in name for name in listed.names())


def test_a_missing_object_is_the_error_of_its_file_alone(listed: Storage) -> None:
    jobs = jobs_from_manifest(listed.url("list.tsv"), listed.url("out"))
    jobs[1] = type(jobs[1])("b", listed.url("none.wav"), jobs[1].ref, jobs[1].output)
    record = prepare_list(jobs, listed.url("out"), force=False, resume=False)
    results = list(ListRun(FakeModel(), jobs, EnhanceOptions(), record=record).results())
    assert [result.error for result in results] == [None, f"{listed.url('none.wav')}: no such file", None]
    assert "out/b_enhanced.wav" not in listed.names()


def test_one_pair_by_url(storage: Storage) -> None:
    mic, ref = storage.put("x.wav", wav()), storage.put("y.wav", wav())
    job = single_job(mic, ref, storage.url("clean/"))
    assert job.output == storage.url("clean/x_enhanced.wav")
    prepare_outputs([job], force=False)
    enhance_job(FakeModel(), job, EnhanceOptions())
    assert sf.info(io.BytesIO(storage.get("clean/x_enhanced.wav"))).frames == 3200
    with pytest.raises(UsageError, match="exists; use --force"):
        prepare_outputs([job], force=False)
    with pytest.raises(UsageError, match="it is the input itself"):
        prepare_outputs([single_job(mic, ref, mic)], force=True)


def test_nothing_is_left_of_an_output_that_fails(storage: Storage) -> None:
    def explode(mic: np.ndarray, ref: np.ndarray) -> np.ndarray:
        raise LocalVQEError("no")

    job = single_job(storage.put("x.wav", wav()), storage.put("y.wav", wav()), storage.url("z.wav"))
    with pytest.raises(LocalVQEError, match="no"):
        enhance_job(FakeModel(explode), job, EnhanceOptions())
    assert storage.names() == ["x.wav", "y.wav"]


def test_a_large_object_is_read_by_ranges(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_RANGE", 1000)
    data = wav()
    url = storage.put("x.wav", data)
    copy = io.BytesIO()
    remote.fetch(url, copy)
    assert copy.getvalue() == data
    with AudioInput(url) as audio:
        assert audio.frames == 3200


def test_a_stamp_changes_with_the_object(storage: Storage) -> None:
    first = stamp(storage.put("x.wav", wav(0.1)))
    assert first is not None
    assert first[0] == 3244
    assert stamp(storage.url("x.wav")) == first
    assert stamp(storage.put("x.wav", wav(0.1))) != first
    assert stamp(storage.url("none.wav")) is None


def test_parts_count_where_their_run_began(storage: Storage) -> None:
    journal = RunJournal(storage.url("out"))
    first = {"format": 1, "run": "r1", "outputs": ["a"]}
    second = {"format": 1, "run": "r2", "outputs": ["b"]}
    journal.settle([first, second], [first, second], [])
    for run in ("r2", "r1", "r0"):
        part = Part(storage.url("out"), run, "w")
        part.add({"entry": run})
        part.keep()
    lines = [(line.get("run") or line["entry"], in_part) for line, in_part in RunJournal(storage.url("out")).lines()]
    assert lines == [("r1", False), ("r1", True), ("r2", False), ("r2", True)]
    again = Part(storage.url("out"), "r1", "w")
    again.add({"entry": "more"})
    again.keep()
    assert [line["entry"] for line in Part(storage.url("out"), "r1", "w").lines] == ["r1", "more"]


# -- what refuses -----------------------------------------------------------------------------


def test_without_fsspec_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(MissingExtraError, match=r"s3:// \(s3://b/x\.wav\) needs an extra: pip install 'localvqe\[clus"):
        AudioInput("s3://b/x.wav")


@pytest.mark.parametrize(("scheme", "package"), [("gs", "gcsfs"), ("az", "adlfs")])
def test_what_the_extra_leaves_out_is_named(scheme: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fsspec", reason="fsspec, of the extra cluster, is not installed")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=f"needs {package}: pip install {package}"):
        AudioInput(f"{scheme}://b/x.wav")


def test_an_unknown_kind_of_storage_is_refused() -> None:
    with pytest.raises(UsageError, match=r"ftp:// is no storage that is known here; known are s3://, gs://, az://"):
        AudioInput("ftp://host/x.wav")


def test_wrong_credentials_stop_a_list_before_it_begins(s3: s3_server.S3Server, tmp_path: Path) -> None:
    s3.put("denied/x.wav", wav())
    s3.refuse_after(0)
    try:
        with pytest.raises(RemoteError, match=r"s3://calls/denied/out.*: access denied \(.*\); are the credentials"):
            prepare_list([single_job("m.wav", "r.wav", "s3://calls/denied/out/x.wav")], "s3://calls/denied/out",
                         force=False, resume=False)  # fmt: skip
        jobs = [single_job(f"s3://calls/denied/{n}.wav", None, str(tmp_path / f"{n}.wav")) for n in NAMES]
        with pytest.raises(RemoteError, match=r"s3://calls/denied/a\.wav: access denied"):
            ListRun(FakeModel(), jobs, EnhanceOptions())
    finally:
        s3.refuse_after(1_000_000)


def test_a_missing_bucket_is_named(s3: s3_server.S3Server) -> None:
    job = single_job(s3.put("bucket/x.wav", wav()), None, "s3://nowhere-at-all/x.wav")
    with pytest.raises(RemoteError, match=r"could not write s3://nowhere-at-all/x\.wav: there is no such bucket"):
        enhance_job(FakeModel(), job, EnhanceOptions())


def test_an_unreachable_host_is_one_line() -> None:
    pytest.importorskip("aiohttp", reason="aiohttp, of the extra cluster, is not installed")
    with pytest.raises(RemoteError, match=r"http://127\.0\.0\.1:9/x\.wav: cannot be reached \("):
        AudioInput("http://127.0.0.1:9/x.wav")


def test_memory_is_of_one_process() -> None:
    MemoryStorage()
    jobs = [single_job(f"memory://calls/{name}.wav", None, None) for name in NAMES]
    with pytest.raises(UsageError, match="jobs is 2: memory:// is in the memory of one process"):
        ListRun(FakeModel(), jobs, EnhanceOptions(), processes=2)
    assert ListRun(FakeModel(), jobs, EnhanceOptions()).processes == 1


# -- http -------------------------------------------------------------------------------------


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server without ranges, and the folder that it shows."""
    pytest.importorskip("aiohttp", reason="aiohttp, of the extra cluster, is not installed")

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self.send_error(403) if "secret" in self.path else super().do_HEAD()

        def do_GET(self) -> None:
            self.send_error(403) if "secret" in self.path else super().do_GET()

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", tmp_path
    server.shutdown()
    server.server_close()


def test_http_is_read(web: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    url, folder = web
    data = wav()
    (folder / "x.wav").write_bytes(data)
    with AudioInput(f"{url}/x.wav") as audio:
        assert audio.frames == 3200
    monkeypatch.setattr(remote, "_RANGE", 1000)
    copy = io.BytesIO()
    remote.fetch(f"{url}/x.wav", copy)
    assert copy.getvalue() == data
    with pytest.raises(AudioError, match=r"none\.wav: no such file"):
        AudioInput(f"{url}/none.wav")
    with pytest.raises(RemoteError, match=r"secret\.wav: access denied \(403"):
        AudioInput(f"{url}/secret.wav")
    (folder / "text.wav").write_text("no sound")
    with pytest.raises(AudioError, match=r"text\.wav: not readable as audio"):
        AudioInput(f"{url}/text.wav")


def test_http_is_not_written(web: tuple[str, Path]) -> None:
    url, _ = web
    with pytest.raises(UsageError, match="http:// can only be read"):
        prepare_list([], f"{url}/out", force=False, resume=False)
    with pytest.raises(UsageError, match="http:// can only be read"):
        prepare_outputs([single_job("m.wav", None, f"{url}/out.wav")], force=True)


# -- the command ------------------------------------------------------------------------------


def test_the_command_on_a_server(s3: s3_server.S3Server, tmp_path: Path) -> None:
    """Two processes, which find the storage by their environment."""
    for name in NAMES:
        s3.put(f"cli/{name}_mic.wav", wav(1.0))
        s3.put(f"cli/{name}_ref.wav", wav(1.0))
    s3.put("cli/list.csv", ("id,mic,ref\n" + "".join(f"{n},{n}_mic.wav,{n}_ref.wav\n" for n in NAMES)).encode())
    command = [sys.executable, "-m", "localvqe_cli", "enhance", "--pairs", "s3://calls/cli/list.csv"]
    command += ["-o", "s3://calls/cli/out", "--jobs", "2", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert [file["output"] for file in json.loads(done.stdout)["files"]] == [
        f"s3://calls/cli/out/{n}_enhanced.wav" for n in NAMES
    ]
    assert len(s3.keys("cli/out/")) == 5
    refused = subprocess.run(
        [*command[:4], "s3://calls/none.wav", "--no-ref", "-o", str(tmp_path / "x.wav")],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )
    assert refused.returncode == 3
    assert refused.stderr.splitlines()[-1] == "localvqe: error: s3://calls/none.wav: no such file"


@pytest.mark.parametrize(
    ("path", "remote"),
    [("s3://b/x.wav", True), ("C://x.wav", False), ("/tmp/x.wav", False), ("HTTPS://h/x", True), ("a:b.wav", False)],
)
def test_what_is_a_url(path: str, remote: bool) -> None:
    assert is_remote(path) == remote
    assert join("s3://b/", "x.wav") == "s3://b/x.wav"
    assert join("s3://b/list", path) == (path if remote else f"s3://b/list/{path}")
