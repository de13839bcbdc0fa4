"""``localvqe devices``: what a network can run on here."""

from __future__ import annotations

from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from ..engine import devices as find_devices
from .common import JsonOption, emit_json

__all__ = ["devices"]


def devices(as_json: JsonOption = False) -> None:
    """List where networks can run: names for --backend and --device.

    cpu is the engine's own kernels, the default and the fastest for live streams. Devices of ggml are there in builds
    that have its backends (LOCALVQE_BACKENDS); backend ggml numbers all of them.
    """
    found = find_devices()
    if as_json:
        emit_json([asdict(device) for device in found])
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("backend")
    table.add_column("device", justify="right")
    table.add_column("what it is")
    for device in found:
        table.add_row(device.backend, str(device.index), device.description)
    Console(highlight=False, markup=False, soft_wrap=True).print(table)
