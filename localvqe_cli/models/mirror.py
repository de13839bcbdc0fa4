"""Plain HTTP from Hugging Face or a mirror, going on where an earlier download stopped. Standard library only.

No server is trusted: what it sends is bounded in size here and checked against the pinned SHA-256 in
``cache.accept``. It must be https all the same, so that a proxy on the way does not see or meddle; http is for
servers on this machine. ``HF_TOKEN`` goes to Hugging Face itself and to nobody else, wherever that redirects.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from http.client import HTTPException, HTTPMessage
from ipaddress import ip_address
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

from ..errors import LocalVQEError, UsageError
from ..tensor_check import printable
from . import registry

__all__ = [
    "ENDPOINT_VARIABLE",
    "MIRROR_VARIABLE",
    "TOKEN_VARIABLE",
    "Progress",
    "fetch",
    "hub_address",
    "mirror_address",
]

MIRROR_VARIABLE = "LOCALVQE_MIRROR"
ENDPOINT_VARIABLE, TOKEN_VARIABLE = "HF_ENDPOINT", "HF_TOKEN"

#: Called with the bytes held so far and the whole size, None where the server does not say.
Progress = Callable[[float, "float | None"], None]

_TIMEOUT = 30.0  # seconds without a byte
_BLOCK = 1 << 16
# The largest published file has 20 MB; a server that sends far more than that sends something else.
_MAX_BYTES = 256 << 20

_PARTIAL_CONTENT = 206
_RANGE_NOT_SATISFIABLE = 416


def mirror_address() -> str | None:
    """The base address in ``LOCALVQE_MIRROR``, with a slash at its end; None if there is none.

    Raises:
        UsageError: it is not an https address, nor an http address on this machine.
    """
    return _address(MIRROR_VARIABLE)


def hub_address() -> str:
    """The base address of the published files on Hugging Face, or on the server in ``HF_ENDPOINT`` that stands for it.

    Raises:
        UsageError: as :func:`mirror_address`.
    """
    endpoint = _address(ENDPOINT_VARIABLE)
    return registry.BASE_URL if endpoint is None else endpoint + registry.BASE_URL.removeprefix(f"{registry.HUB}/")


def _address(variable: str) -> str | None:
    text = os.environ.get(variable, "").strip()
    if not text:
        return None
    try:
        parts = urlsplit(text)
        usable = (
            re.fullmatch(r"[!-~]+", text) is not None
            and (parts.scheme == "https" or _is_local(parts))
            and bool(parts.hostname)
            and parts.port != 0
            and "@" not in parts.netloc
            and "?" not in text
            and "#" not in text
        )
    except ValueError:
        usable = False
    if not usable:  # the value may hold a password, so it is not shown
        raise UsageError(
            f"{variable} must be an https address without user name and query "
            "(http only on this machine), for example https://example.org/models"
        )
    return text.rstrip("/") + "/"


def fetch(url: str, part: Path, progress: Progress) -> None:
    """Complete ``part`` from ``url``, from its present size on where the server can.

    Raises:
        LocalVQEError: the server cannot be reached, refuses, sends nonsense or stops early; what has
            arrived stays in ``part``.
        OSError: ``part`` cannot be written.
    """
    held = part.stat().st_size if part.exists() else 0
    response = _ask(url, held)
    with response:
        if held and not _continues(response, held):
            held = 0
            if response.status == _PARTIAL_CONTENT:  # of another range than the one asked for
                response.close()
                response = _ask(url, 0)
        with response:
            _receive(url, response, part, held, progress)


def _ask(url: str, start: int) -> Any:
    """The answer to a GET of the bytes from ``start`` on, or of all where that range does not exist."""
    # Compression would make the range and the length mean something else.
    headers = {"Accept-Encoding": "identity", "User-Agent": "localvqe"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        return _opener(url).open(_authorized(Request(url, headers=headers)), timeout=_TIMEOUT)
    except HTTPError as exc:
        exc.close()
        if start and exc.code == _RANGE_NOT_SATISFIABLE:
            return _ask(url, 0)
        raise LocalVQEError(f"{url}: the server answered {exc.code} {_one_line(exc.reason)}".rstrip()) from exc
    except (OSError, HTTPException) as exc:
        raise LocalVQEError(f"cannot reach {url}: {_network_reason(exc)}") from exc


def _continues(response: Any, held: int) -> bool:
    content_range = str(response.headers.get("Content-Range", ""))
    return response.status == _PARTIAL_CONTENT and content_range.startswith(f"bytes {held}-")


def _receive(url: str, response: Any, part: Path, held: int, progress: Progress) -> None:
    stated = str(response.headers.get("Content-Length") or "")
    total = held + int(stated) if stated.isascii() and stated.isdigit() else None
    if total is not None and total > _MAX_BYTES:
        raise LocalVQEError(f"{url}: the server offers {total / 1e6:.0f} MB, which is no published model")
    done = held
    with part.open("ab" if held else "wb") as stream:
        for block in _blocks(url, response, held, total):
            stream.write(block)
            done += len(block)
            progress(done, total)


def _blocks(url: str, response: Any, held: int, total: int | None) -> Iterator[bytes]:
    """What the server sends. Its errors become ours here, so that an OSError beyond is about the disk."""
    done = held
    reason = "the server closed it"
    while total is None or done < total:
        try:
            block = response.read1(_BLOCK)  # unlike read() it gives what there is before a connection breaks
        except (OSError, HTTPException) as exc:
            block, reason, total = b"", _network_reason(exc), total or -1
        if not block:
            break
        done += len(block)
        if done > _MAX_BYTES:
            raise LocalVQEError(f"{url}: the server sends more than {_MAX_BYTES / 1e6:.0f} MB; no published model is")
        yield block
    if total is not None and done != total:
        size = f"{done / 1e6:.1f} of {total / 1e6:.1f} MB" if total > 0 else f"{done / 1e6:.1f} MB"
        raise LocalVQEError(f"{url}: the connection was lost after {size} ({reason}); run the command again to resume")


class _Redirects(HTTPRedirectHandler):
    """Follows redirects as long as they stay with https, or on this machine."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        target = urlsplit(newurl)
        if target.scheme != "https" and not (_is_local(target) and _is_local(urlsplit(req.full_url))):
            raise LocalVQEError(f"{req.full_url}: the server redirects to an address that is not https; not followed")
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        return None if request is None else _authorized(request)


def _authorized(request: Request) -> Request:
    """``request``, with the user's token if it goes to Hugging Face. The token does not follow redirects by itself."""
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if token and _origin(request.full_url) == _origin(registry.HUB):
        if not re.fullmatch(r"[!-~]+", token):
            raise UsageError(f"{TOKEN_VARIABLE} holds characters that no token has; set it anew or unset it")
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    return request


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _opener(url: str) -> OpenerDirector:
    # A proxy cannot reach this machine's own servers.
    proxies = ProxyHandler({}) if _is_local(urlsplit(url)) else ProxyHandler()
    return build_opener(proxies, _Redirects())


def _is_local(parts: SplitResult) -> bool:
    """Is this an http address on this machine?"""
    if parts.scheme != "http" or not parts.hostname:
        return False
    try:
        return parts.hostname == "localhost" or ip_address(parts.hostname).is_loopback
    except ValueError:
        return False


def _network_reason(exc: Exception) -> str:
    cause = exc.reason if isinstance(exc, URLError) else exc
    if isinstance(cause, TimeoutError):
        return f"no answer for {_TIMEOUT:.0f} s"
    return _one_line((cause.strerror if isinstance(cause, OSError) else None) or cause) or type(cause).__name__


def _one_line(text: object) -> str:
    return printable(" ".join(str(text).split()))
