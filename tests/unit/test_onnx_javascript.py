"""The guide's JavaScript loop, as it stands there, against onnxruntime in Python."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from localvqe_cli.onnx_file.session import OnnxEnhancer
from localvqe_cli.onnx_file.writer import export_onnx

for _needed in ("onnx", "onnxruntime", "torch"):
    pytest.importorskip(_needed)

REPOSITORY = Path(__file__).resolve().parents[2]
#: A folder in which ``npm install onnxruntime-web`` was run.
MODULES = os.environ.get("LOCALVQE_ONNXRUNTIME_WEB", "")

RUN = """
import { readFileSync, writeFileSync } from "node:fs";
import { enhance } from "./enhance.mjs";
const [mic, ref] = ["mic", "ref"].map((name) => new Float32Array(new Uint8Array(readFileSync(name)).buffer));
writeFileSync("out", new Uint8Array((await enhance(readFileSync("model.onnx"), mic, ref)).buffer));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.skipif(not MODULES, reason="LOCALVQE_ONNXRUNTIME_WEB names no folder with onnxruntime-web from npm")
def test_the_loop_in_javascript_gives_the_same(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "guide" / "onnx.md").read_text(encoding="utf-8")
    script = re.search(r"<!-- file: enhance\.mjs -->\n```js\n(.*?)```", page, re.DOTALL)
    assert script is not None
    (tmp_path / "enhance.mjs").write_text(script[1])
    (tmp_path / "run.mjs").write_text(RUN)
    (tmp_path / "node_modules").symlink_to(Path(MODULES).absolute() / "node_modules")
    model = export_onnx("default", tmp_path / "model.onnx", packed=True).output
    signals = [sf.read(REPOSITORY / "examples" / f"sample_{side}.wav", dtype="float32")[0] for side in ("mic", "ref")]
    for side, samples in zip(("mic", "ref"), signals, strict=True):
        samples.tofile(tmp_path / side)
    subprocess.run(["node", "run.mjs"], cwd=tmp_path, check=True, timeout=300)
    found = np.fromfile(tmp_path / "out", np.float32)
    expected = OnnxEnhancer(model).stream().process(*signals)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-4
