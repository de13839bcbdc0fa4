"""One-thread sessions of onnxruntime: many clips run in parallel processes, which must not each take every core."""

from __future__ import annotations

from typing import Any

__all__ = ["one_thread_session"]


def one_thread_session(path: str) -> Any:
    """An ``InferenceSession`` that computes in the calling thread only."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # A pool of its own that waits in a loop would take the core from the process beside this one.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
