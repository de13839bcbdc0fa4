"""A server of Amazon's S3 protocol on this machine, for tests of remote storage: moto's, from PyPI."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

BUCKET = "calls"


@dataclass(frozen=True)
class S3Server:
    """Where it listens, and a client of its own beside the one under test."""

    url: str
    client: Any

    def put(self, key: str, data: bytes) -> str:
        """The URL of the new object."""
        self.client.put_object(Bucket=BUCKET, Key=key, Body=data)
        return f"s3://{BUCKET}/{key}"

    def get(self, key: str) -> bytes:
        data: bytes = self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return data

    def keys(self, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]

    def refuse_after(self, requests: int) -> None:
        """Know no credentials any more, after so many requests."""
        url, kind = f"{self.url}/moto-api/reset-auth", {"Content-Type": "text/plain"}
        with urllib.request.urlopen(urllib.request.Request(url, str(requests).encode(), kind)) as answer:
            json.load(answer)


@contextmanager
def serving() -> Iterator[S3Server]:
    """A server with an empty bucket; the variables that lead clients to it are set meanwhile."""
    reason = "no S3 server to test against: pip install s3fs 'moto[s3]' flask flask-cors"
    pytest.importorskip("s3fs", reason=reason)
    boto3 = pytest.importorskip("boto3", reason=reason)
    server_module = pytest.importorskip("moto.moto_server.threaded_moto_server", reason=reason)
    import logging

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", url)
            patch.setenv("AWS_ACCESS_KEY_ID", "of-the-test")
            patch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-test")
            patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
            client = boto3.client("s3")
            client.create_bucket(Bucket=BUCKET)
            yield S3Server(url, client)
    finally:
        server.stop()
