"""A list of files on many machines, by dask.distributed.

A task is a chunk of about a minute of work. What it makes are outputs in a folder that all machines see; beside them it
keeps a part of the record, so that a task which runs again, after a kill, leaves alone what is there. Back comes what
the record says of each file, and no sound.

``scheduler`` finds one, ``run`` hands out ``chunks``, ``task`` is what workers do.
"""

from __future__ import annotations

from .run import run_on_cluster
from .scheduler import check_address, connect
from .task import RunRecipe

__all__ = ["RunRecipe", "check_address", "connect", "run_on_cluster"]
