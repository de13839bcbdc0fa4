"""How many threads a stream starts: those that were asked for where a model has work to share, else none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from make_model import narrow_config, random_gguf

from localvqe import Enhancer
from localvqe_cli.config import ModelConfig

#: Its largest convolution does 20,000 multiply-adds.
TINY = narrow_config(2, kernel_size_h=1, kernel_size_w=1)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts the entries of /proc/self/task")
@pytest.mark.parametrize(("config", "more"), [(ModelConfig(version=2), 2), (TINY, 0)])
def test_workers_are_started_where_there_is_work_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: ModelConfig, more: int
) -> None:
    monkeypatch.setenv("LOCALVQE_OVERSUBSCRIBE", "1")
    random_gguf(tmp_path / "m.gguf", config)
    enhancer = Enhancer(tmp_path / "m.gguf", threads=3)

    def running() -> int:
        return len(list(Path("/proc/self/task").iterdir()))

    before = running()
    stream = enhancer.stream()
    assert running() == before + more
    stream.close()
