"""A local HTTP server that stands for a mirror or for the hub, and for everything that can go wrong with one."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from localvqe_cli.models.registry import REPOSITORY, PublishedFile

#: Paths below which the server offers its files, as a mirror and as the hub.
MIRROR_PATH = "/files/"
HUB_PATH = f"/{REPOSITORY}/resolve/main/"

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def published(content: bytes, filename: str = "localvqe-v9-tiny-f32.gguf", line: str = "v9") -> PublishedFile:
    """A registry entry for ``content``."""
    return PublishedFile(filename, hashlib.sha256(content).hexdigest(), line, version=2, parameters=1000)


@dataclass
class ModelServer:
    """What the server offers and how it misbehaves; all of it may be changed between requests.

    Attributes:
        files: file name -> content.
        requests: (method, file name, Range header) of each request so far.
        cut_after: close the connection after this many bytes of a body.
        ranges: "honoured", "ignored" (200 with everything) or "wrong" (206 with everything).
        status: answer every request with this status and no content.
        redirect: answer every request for a path that begins with ``redirected`` with a redirect to this address.
        authorizations: the Authorization header of each request so far.
        lengths: send Content-Length; without it the end of the connection ends the body.
        gate: set to let bodies through.
        seconds: how long a body takes.
    """

    port: int
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    cut_after: int | None = None
    ranges: str = "honoured"
    status: int | None = None
    redirect: str | None = None
    redirected: str = "/"
    authorizations: list[str | None] = field(default_factory=list)
    lengths: bool = True
    gate: threading.Event = field(default_factory=threading.Event)
    seconds: float = 0.0

    @property
    def endpoint(self) -> str:
        """Address of the whole server, for HF_ENDPOINT."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def mirror(self) -> str:
        """Base address for LOCALVQE_MIRROR."""
        return self.endpoint + MIRROR_PATH.rstrip("/")


@contextmanager
def serving() -> Iterator[ModelServer]:
    """A running server on a free port of this machine."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    http.daemon_threads = True
    model_server = ModelServer(http.server_address[1])
    model_server.gate.set()
    http.model_server = model_server  # type: ignore[attr-defined]
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield model_server
    finally:
        model_server.gate.set()
        http.shutdown()
        http.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, *, body: bool) -> None:
        server: ModelServer = self.server.model_server  # type: ignore[attr-defined]
        self.close_connection = True
        base = next((b for b in (MIRROR_PATH, HUB_PATH) if self.path.startswith(b)), "?")
        name = self.path[len(base) :]
        asked = self.headers.get("Range")
        server.requests.append((self.command, name, asked))
        server.authorizations.append(self.headers.get("Authorization"))
        content = server.files.get(name)
        if server.redirect is not None and self.path.startswith(server.redirected):
            self._empty(302, {"Location": server.redirect})
        elif server.status is not None or content is None:
            self._empty(server.status or 404, {"X-Error-Code": "EntryNotFound"})
        else:
            self._send(server, content, asked, body=body)

    def _send(self, server: ModelServer, content: bytes, asked: str | None, *, body: bool) -> None:
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and server.ranges == "honoured" else 0  # type: ignore[index]
        if start >= len(content):
            self._empty(416, {"Content-Range": f"bytes */{len(content)}"})
            return
        partial = asked is not None and server.ranges != "ignored"
        self.send_response(206 if partial else 200)
        if partial:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Connection", "close")
        if server.lengths:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if body:
            server.gate.wait(30)
            end = None if server.cut_after is None else start + server.cut_after
            piece = len(content) // 50 + 1 if server.seconds else len(content)
            with suppress(ConnectionError):  # the client may be killed meanwhile
                for at in range(start, len(content) if end is None else end, piece):
                    self.wfile.write(content[at : min(at + piece, end or len(content))])
                    time.sleep(server.seconds * piece / len(content))

    def _empty(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()
