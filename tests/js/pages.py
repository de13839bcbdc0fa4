"""The demo page in a headless Chromium whose microphone is a sound file, served as any static host would."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import package
import soundfile as sf
import soxr
from browser import Page, chromium

EXAMPLES = package.REPOSITORY / "examples"
RATE = 48000


class _Quiet(SimpleHTTPRequestHandler):
    def guess_type(self, path: Any) -> str:
        """Whatever this machine's own tables say."""
        kinds = {".js": "text/javascript", ".wasm": "application/wasm"}
        return kinds.get(Path(path).suffix) or super().guess_type(path)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server for ``folder``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://localhost:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def sample(side: str, rate: int = 16000) -> package.Samples:
    samples, _ = sf.read(EXAMPLES / f"sample_{side}.wav", dtype="float32")
    return samples if rate == 16000 else soxr.resample(samples, 16000, rate).astype(np.float32)


@contextmanager
def demo(folder: Path) -> Iterator[Page]:
    """The page, open; its microphone hears the sample pair's, again and again."""
    microphone = folder / "microphone.wav"
    sf.write(microphone, sample("mic", RATE), RATE, "PCM_16")
    options = [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={microphone}",
    ]
    with served(package.DEMO) as address, chromium(folder / "profile", *options) as page:
        page.open(address)
        yield page
