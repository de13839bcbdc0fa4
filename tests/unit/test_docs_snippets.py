"""The code of README and docs that is marked ``<!-- run -->`` runs as it stands, in a folder with the beginning of the
sample pair under the names that the guide uses.

``<!-- file: NAME -->`` before a block writes it to that file. Blocks that need the network, an hour of computing or
recordings of one's own are not marked; tests/unit/test_docs.py parses their command lines.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

REPOSITORY = Path(__file__).resolve().parents[2]
_MARKED = re.compile(r"^<!-- (?:(run)|file: (\S+)) -->\n```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]


def marked(page: Path) -> list[tuple[str, str, str]]:
    """Language, file name or nothing, and text of each marked block of ``page``."""
    return [(language, name, body) for _, name, language, body in _MARKED.findall(page.read_text(encoding="utf-8"))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A place to work in, with the recordings that the guide names."""
    signals = {}
    for name in ("mic", "ref"):
        signals[name], rate = soundfile.read(REPOSITORY / "examples" / f"sample_{name}.wav", frames=2 * 16000)
        soundfile.write(tmp_path / f"{name}.wav", signals[name], rate)
        (tmp_path / f"{name}s").mkdir()
        for clip in ("kitchen", "office"):
            soundfile.write(tmp_path / f"{name}s" / f"{clip}.wav", signals[name], rate)
    soundfile.write(tmp_path / "call.wav", np.stack([signals["mic"], signals["ref"]], axis=1), rate)
    scenarios = {"kitchen": "doubletalk", "office": "farend-singletalk"}
    rows = [f"{clip}\t{scenario}\tmics/{clip}.wav\trefs/{clip}.wav" for clip, scenario in scenarios.items()]
    for table in ("pairs.tsv", "list.tsv"):
        (tmp_path / table).write_text("\n".join(["id\tscenario\tmic\tref", *rows]) + "\n")
    shutil.copy(REPOSITORY / "localvqe_cli" / "weights" / "denoise-q8_0.gguf", tmp_path / "model.gguf")
    return tmp_path


@pytest.mark.parametrize("page", [page for page in PAGES if marked(page)], ids=lambda page: page.name)
def test_marked_code_runs(page: Path, folder: Path) -> None:
    paths = [str(Path(sys.executable).parent), os.environ["PATH"]]
    environment = {**os.environ, "PATH": os.pathsep.join(paths)}
    for language, name, body in marked(page):
        if name:
            (folder / name).write_text(body, encoding="utf-8")
            continue
        command = {"bash": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-W", "error", "-c"]}[
            language
        ]
        done = subprocess.run(
            [*command, body], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, f"{body}\n{done.stdout}\n{done.stderr}"


def test_pages_that_show_a_first_step_are_run() -> None:
    assert {page.name for page in PAGES if marked(page)} >= {"README.md", "enhance.md", "python.md", "c.md", "bench.md"}
