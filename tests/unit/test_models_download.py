"""models: downloading from a mirror and from Hugging Face, with everything that can go wrong on the way."""

from __future__ import annotations

import errno
import os
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request

import pytest
from model_server import HUB_PATH, ModelServer, published, serving

from localvqe_cli.errors import LocalVQEError, ModelError, UsageError
from localvqe_cli.models import cache, registry, resolve
from localvqe_cli.models.download import pull
from localvqe_cli.models.mirror import _authorized, hub_address, mirror_address

CONTENT = random.Random(1).randbytes(300_000)
FILE = published(CONTENT)
CUT = 100_000


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serving() as running:
        running.files[FILE.filename] = CONTENT
        yield running


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of our own, the test's registry, and no setting of the machine's."""
    for name in ("LOCALVQE_MIRROR", "LOCALVQE_OFFLINE", "HF_HUB_OFFLINE", "HF_ENDPOINT", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOCALVQE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(registry, "PUBLISHED", (FILE,))
    return tmp_path / "cache" / "models"


@pytest.fixture
def mirror(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> ModelServer:
    monkeypatch.setenv("LOCALVQE_MIRROR", server.mirror)
    return server


@pytest.fixture
def hub(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> ModelServer:
    monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
    return server


def names(folder: Path) -> set[str]:
    """Files in the cache that a user would notice, and any lock or temporary file."""
    return {p.name for p in folder.iterdir() if not p.name.endswith(".verified")} if folder.is_dir() else set()


# -- from a mirror ------------------------------------------------------------------------------


def test_a_download_ends_under_its_name_and_resolves(mirror: ModelServer, folder: Path) -> None:
    steps: list[tuple[float, float | None]] = []
    said: list[str] = []
    result = pull(FILE, progress=lambda done, total: steps.append((done, total)), report=said.append)
    assert result.downloaded
    assert result.path == folder / FILE.filename
    assert result.path.read_bytes() == CONTENT
    assert names(folder) == {FILE.filename}
    assert resolve("V9") == result.path
    assert steps[-1] == (len(CONTENT), len(CONTENT))
    assert steps == sorted(steps)
    assert said == [f"downloading {FILE.filename} from the mirror 127.0.0.1:{mirror.port}"]


def test_what_is_here_is_not_downloaded_again_unless_forced(mirror: ModelServer) -> None:
    pull(FILE)
    assert not pull(FILE).downloaded
    assert not pull(FILE, offline=True).downloaded
    assert len(mirror.requests) == 1
    assert pull(FILE, force=True).downloaded
    assert len(mirror.requests) == 2


def test_a_damaged_file_is_downloaded_again(mirror: ModelServer) -> None:
    path = pull(FILE).path
    path.write_bytes(b"damaged")
    assert pull(FILE).downloaded
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("lengths", [True, False])
def test_a_cut_connection_keeps_what_came_and_resumes(mirror: ModelServer, folder: Path, lengths: bool) -> None:
    mirror.cut_after = CUT
    with pytest.raises(
        LocalVQEError, match=r"connection was lost after 0\.1 of 0\.3 MB.*run the command again"
    ) as lost:
        pull(FILE)
    assert lost.value.exit_code == 1
    assert names(folder) == {f"{FILE.filename}.part"}
    assert (folder / f"{FILE.filename}.part").read_bytes() == CONTENT[:CUT]
    mirror.cut_after, mirror.lengths = None, lengths
    assert pull(FILE).path.read_bytes() == CONTENT
    assert mirror.requests[-1] == ("GET", FILE.filename, f"bytes={CUT}-")
    assert names(folder) == {FILE.filename}


def test_cut_again_and_again(mirror: ModelServer) -> None:
    mirror.cut_after = CUT
    for _ in range(2):
        with pytest.raises(LocalVQEError, match="connection was lost"):
            pull(FILE)
    assert pull(FILE).path.read_bytes() == CONTENT


@pytest.mark.parametrize("ranges", ["ignored", "wrong"])
def test_a_server_without_ranges_starts_anew(mirror: ModelServer, ranges: str) -> None:
    mirror.cut_after = CUT
    with pytest.raises(LocalVQEError):
        pull(FILE)
    mirror.cut_after, mirror.ranges = None, ranges
    assert pull(FILE).path.read_bytes() == CONTENT


@pytest.mark.parametrize("extra", [b"", b"more"])
def test_a_part_as_long_as_the_file_or_longer_starts_anew(mirror: ModelServer, folder: Path, extra: bytes) -> None:
    folder.mkdir(parents=True)
    (folder / f"{FILE.filename}.part").write_bytes(bytes(len(CONTENT)) + extra)
    assert pull(FILE).path.read_bytes() == CONTENT


@pytest.mark.parametrize("held", [0, CUT])
def test_a_wrong_file_is_deleted_and_never_named(mirror: ModelServer, folder: Path, held: int) -> None:
    damaged = bytearray(CONTENT)
    damaged[200_000] ^= 1
    mirror.files[FILE.filename] = bytes(damaged)
    if held:
        folder.mkdir(parents=True)
        (folder / f"{FILE.filename}.part").write_bytes(CONTENT[:held])
    with pytest.raises(ModelError, match=r"SHA-256.*deleted"):
        pull(FILE)
    assert names(folder) == set()
    with pytest.raises(ModelError, match="not downloaded"):
        resolve("v9")


def test_a_forced_download_that_fails_leaves_the_old_file(mirror: ModelServer) -> None:
    path = pull(FILE).path
    mirror.files[FILE.filename] = b"nonsense"
    with pytest.raises(ModelError, match="SHA-256"):
        pull(FILE, force=True)
    assert resolve("v9") == path
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(("status", "word"), [(404, "404 Not Found"), (403, "403"), (503, "503")])
def test_a_refusal_is_one_line(mirror: ModelServer, folder: Path, status: int, word: str) -> None:
    mirror.status = status
    with pytest.raises(LocalVQEError, match=word) as refused:
        pull(FILE)
    assert refused.value.exit_code == 1
    assert f"{mirror.mirror}/{FILE.filename}" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert names(folder) == set()


def test_a_refusal_keeps_an_unfinished_download(mirror: ModelServer, folder: Path) -> None:
    mirror.cut_after = CUT
    with pytest.raises(LocalVQEError):
        pull(FILE)
    mirror.status = 500
    with pytest.raises(LocalVQEError, match="500"):
        pull(FILE)
    assert (folder / f"{FILE.filename}.part").stat().st_size == CUT


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        monkeypatch.setenv("LOCALVQE_MIRROR", f"http://127.0.0.1:{reserved.getsockname()[1]}/")
        with pytest.raises(LocalVQEError, match=r"cannot reach .*refused"):
            pull(FILE)
    assert names(folder) == set()


def test_a_server_that_speaks_no_http(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        monkeypatch.setenv("LOCALVQE_MIRROR", f"http://127.0.0.1:{listening.getsockname()[1]}/")

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"\x1b[2JSSH-2.0 hello\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(LocalVQEError, match="cannot reach") as refused:
            pull(FILE)
    assert "\x1b" not in str(refused.value)


def test_a_server_that_goes_silent(mirror: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from localvqe_cli.models import mirror as module

    monkeypatch.setattr(module, "_TIMEOUT", 0.2)
    mirror.gate.clear()
    with pytest.raises(LocalVQEError, match=r"connection was lost after 0\.0 of 0\.3 MB"):
        pull(FILE)


@pytest.mark.parametrize("lengths", [True, False])
def test_too_much_is_not_taken(
    mirror: ModelServer, monkeypatch: pytest.MonkeyPatch, folder: Path, lengths: bool
) -> None:
    from localvqe_cli.models import mirror as module

    monkeypatch.setattr(module, "_MAX_BYTES", 200_000)
    mirror.lengths = lengths
    with pytest.raises(LocalVQEError, match="no published model"):
        pull(FILE)
    assert FILE.filename not in names(folder)


def test_redirects_stay_on_this_machine_or_go_to_https(mirror: ModelServer, folder: Path) -> None:
    with serving() as other:
        other.files[FILE.filename] = CONTENT
        mirror.redirect = f"{other.mirror}/{FILE.filename}"
        assert pull(FILE).path.read_bytes() == CONTENT
    for target in ("http://example.org/file", "ftp://example.org/file", "file:///etc/passwd"):
        mirror.redirect = target
        with pytest.raises(LocalVQEError, match=r"not https|not allowed"):
            pull(FILE, force=True)
    mirror.redirect = f"{mirror.mirror}/{FILE.filename}"
    with pytest.raises(LocalVQEError, match="302") as loop:
        pull(FILE, force=True)
    assert "\n" not in str(loop.value)


@pytest.mark.parametrize(
    "address",
    [
        "http://example.org/models",
        "ftp://example.org/",
        "file:///etc/",
        "example.org/models",
        "https://",
        "https://user:secret@example.org/",
        "https://example.org/?token=secret",
        "https://example.org/#secret",
        "https://example.org:99999/",
        "https://exa mple.org/",
        "https://[::1/",
        "http://127.0.0.1.example.org/",
        "http://localhost@example.org/secret",
    ],
)
def test_an_unusable_mirror_is_a_usage_error(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALVQE_MIRROR", address)
    with pytest.raises(UsageError, match="LOCALVQE_MIRROR must be an https address") as refused:
        pull(FILE)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("address", "base"),
    [
        ("https://example.org/a/b", "https://example.org/a/b/"),
        (" https://example.org:8443// ", "https://example.org:8443/"),
        ("http://localhost:8000", "http://localhost:8000/"),
        ("http://[::1]:8000/x/", "http://[::1]:8000/x/"),
        ("", None),
        ("  ", None),
    ],
)
def test_mirror_addresses(address: str, base: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALVQE_MIRROR", address)
    assert mirror_address() == base


def test_a_proxy_is_not_asked_for_this_machine(mirror: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    monkeypatch.delenv("no_proxy", raising=False)
    assert pull(FILE).downloaded


# -- the disk and other processes ---------------------------------------------------------------


class _FullFile:
    """A file on a disk with little room left."""

    def __init__(self, file: Any, room: int) -> None:
        self._file, self._room = file, room

    def __enter__(self) -> _FullFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, data: bytes) -> int:
        self._room -= len(data)
        if self._room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return int(self._file.write(data))


def fill_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.open

    def limited(self: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        file = real(self, mode, *args, **kwargs)
        return _FullFile(file, CUT) if mode in ("wb", "ab") else file

    monkeypatch.setattr(Path, "open", limited)


def test_a_full_disk_is_one_line_and_gets_its_room_back(
    mirror: ModelServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_disk(monkeypatch)
    with pytest.raises(LocalVQEError, match=r"could not write to the model cache .*: no space left on device$") as full:
        pull(FILE)
    assert full.value.exit_code == 1
    assert names(folder) == set()


def test_a_cache_that_cannot_be_made(mirror: ModelServer, tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"a file in its place")
    with pytest.raises(LocalVQEError, match="cannot write to the model cache"):
        pull(FILE)


def test_two_pulls_at_once_download_once(mirror: ModelServer, folder: Path) -> None:
    mirror.gate.clear()
    waits = threading.Event()
    results = []

    def other() -> None:
        results.append(pull(FILE, report=lambda text: waits.set() if "waiting" in text else None))

    def first() -> None:
        results.append(pull(FILE))

    threads = [threading.Thread(target=first), threading.Thread(target=other)]
    threads[0].start()
    while not mirror.requests:
        pass
    threads[1].start()
    assert waits.wait(10)
    mirror.gate.set()
    for thread in threads:
        thread.join(10)
    assert sorted(result.downloaded for result in results) == [False, True]
    assert len(mirror.requests) == 1
    assert names(folder) == {FILE.filename}
    assert resolve("v9").read_bytes() == CONTENT


def test_many_processes_at_once(mirror: ModelServer, folder: Path) -> None:
    script = (
        "from localvqe_cli.models.registry import PublishedFile; from localvqe_cli.models.download import pull;"
        f"print(pull(PublishedFile({FILE.filename!r}, {FILE.sha256!r}, 'v9', 2, 1)).downloaded)"
    )
    running = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = sorted(process.communicate(timeout=60)[0].strip() for process in running)
    assert said == ["False", "False", "False", "True"]
    assert names(folder) == {FILE.filename}
    assert (folder / FILE.filename).read_bytes() == CONTENT


def test_what_is_being_downloaded_cannot_be_removed(mirror: ModelServer) -> None:
    mirror.gate.clear()
    thread = threading.Thread(target=lambda: pull(FILE))
    thread.start()
    while not mirror.requests:
        pass
    with pytest.raises(LocalVQEError, match="being downloaded"):
        cache.remove(FILE)
    mirror.gate.set()
    thread.join(10)
    assert cache.remove(FILE) == len(CONTENT)


def test_a_system_without_locks_downloads_too(
    mirror: ModelServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "fcntl", None)
    assert pull(FILE).path.read_bytes() == CONTENT
    assert names(folder) == {FILE.filename}


# -- offline ------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["1", "ON", "yes", "True"])
@pytest.mark.parametrize("name", ["LOCALVQE_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_by_environment(mirror: ModelServer, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(LocalVQEError, match=f"v9 is not downloaded: {name}={value} forbids the network"):
        pull(FILE)
    assert mirror.requests == []


@pytest.mark.parametrize("value", ["", "0", "no"])
def test_not_offline(mirror: ModelServer, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("LOCALVQE_OFFLINE", value)
    assert pull(FILE).downloaded


def test_offline_by_option(mirror: ModelServer) -> None:
    with pytest.raises(LocalVQEError, match="--offline forbids the network"):
        pull(FILE, offline=True)
    pull(FILE)
    with pytest.raises(LocalVQEError, match="cannot be downloaded again"):
        pull(FILE, offline=True, force=True)
    assert len(mirror.requests) == 1


# -- from Hugging Face ---------------------------------------------------------------------------


def test_the_hub(hub: ModelServer, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    steps: list[float] = []
    said: list[str] = []
    path = pull(FILE, progress=lambda done, _total: steps.append(done), report=said.append).path
    assert path.read_bytes() == CONTENT
    assert names(folder) == {FILE.filename}
    assert resolve("v9") == path
    assert hub.requests == [("GET", FILE.filename, None)]
    assert steps[-1:] == [len(CONTENT)]
    assert said == [f"downloading {FILE.filename} from 127.0.0.1:{hub.port} (LocalAI-io/LocalVQE)"]
    assert capfd.readouterr() == ("", "")


def test_a_lost_connection_to_the_hub_is_taken_up_again(hub: ModelServer) -> None:
    hub.cut_after = CUT
    with pytest.raises(LocalVQEError, match="run the command again to resume"):
        pull(FILE)
    hub.cut_after = None
    assert pull(FILE).path.read_bytes() == CONTENT
    assert hub.requests[-1] == ("GET", FILE.filename, f"bytes={CUT}-")


def test_without_any_setting_it_is_hugging_face(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hub_address() == "https://huggingface.co/LocalAI-io/LocalVQE/resolve/main/"
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.example.org/")
    assert hub_address() == "https://hub.example.org/LocalAI-io/LocalVQE/resolve/main/"


@pytest.mark.parametrize("address", ["http://hub.example.org", "ftp://x.org", "https://name:secret@hub.example.org"])
def test_a_stand_in_has_an_address_as_a_mirror_has(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("HF_ENDPOINT", address)
    with pytest.raises(UsageError, match=r"^HF_ENDPOINT must be an https address") as refused:
        pull(FILE)
    assert "secret" not in str(refused.value)


# -- the token ------------------------------------------------------------------------------------

BEARER = "Bearer hf_secret"


@pytest.fixture
def other() -> Iterator[ModelServer]:
    """A server of another origin: another port of this machine."""
    with serving() as running:
        running.files[FILE.filename] = CONTENT
        yield running


@pytest.fixture
def with_token(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> ModelServer:
    """Hugging Face as far as tokens go, and the user has one."""
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setattr(registry, "HUB", server.endpoint)
    monkeypatch.setattr(registry, "BASE_URL", server.endpoint + HUB_PATH)
    return server


def test_hugging_face_gets_the_token(with_token: ModelServer) -> None:
    pull(FILE)
    assert with_token.authorizations == [BEARER]


def test_the_token_does_not_follow_a_redirect_to_another_host(with_token: ModelServer, other: ModelServer) -> None:
    with_token.redirect = f"{other.mirror}/{FILE.filename}"
    assert pull(FILE).downloaded
    assert with_token.authorizations == [BEARER]
    assert other.authorizations == [None]


def test_the_token_follows_a_redirect_within_hugging_face(with_token: ModelServer) -> None:
    with_token.redirect, with_token.redirected = f"{with_token.mirror}/{FILE.filename}", HUB_PATH
    assert pull(FILE).downloaded
    assert with_token.authorizations == [BEARER, BEARER]


def test_after_a_host_that_is_not_hugging_face_the_token_stays_where_it_belongs(
    with_token: ModelServer, other: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as third:
        third.files[FILE.filename] = CONTENT
        with_token.redirect = f"{other.mirror}/{FILE.filename}"
        other.redirect = f"{third.mirror}/{FILE.filename}"
        pull(FILE)
        assert (other.authorizations, third.authorizations) == ([None], [None])


@pytest.mark.parametrize("variable", ["LOCALVQE_MIRROR", "HF_ENDPOINT"])
def test_neither_a_mirror_nor_a_stand_in_gets_the_token(
    with_token: ModelServer, other: ModelServer, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, other.mirror if variable == "LOCALVQE_MIRROR" else other.endpoint)
    assert pull(FILE).downloaded
    assert other.authorizations == [None]
    assert with_token.requests == []


@pytest.mark.parametrize("token", ["hf_se cret", "hf_se\r\nX-Evil: 1", "hf_s\u00e9cret"])
def test_a_token_that_cannot_be_one_is_not_sent_and_not_shown(
    with_token: ModelServer, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(UsageError, match=r"^HF_TOKEN holds characters that no token has") as refused:
        pull(FILE)
    assert "cret" not in str(refused.value)
    assert with_token.requests == []


@pytest.mark.parametrize(
    "address",
    [
        "http://huggingface.co/x",
        "https://huggingface.co.example.org/x",
        "https://huggingface.co@example.org/x",
        "https://cdn-lfs.huggingface.co/x",
        "https://huggingface.co:8443/x",
        "https://example.org/huggingface.co",
    ],
)
def test_what_looks_like_hugging_face_gets_no_token(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert not _authorized(Request(address)).has_header("Authorization")
    assert _authorized(Request("https://huggingface.co:443/x")).has_header("Authorization")
