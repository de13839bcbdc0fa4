"""What npm publishes: small, whole, and it runs as its README says in a folder that has nothing else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import package
import pages
import pytest
import soundfile as sf

import localvqe

README = package.PACKAGE / "README.md"
LARGEST = 1_200_000


def npm(folder: Path, *arguments: str) -> str:
    program = shutil.which("npm")
    if program is None:
        pytest.skip("npm is not installed")
    options = ["--offline", "--no-audit", "--no-fund", f"--cache={folder / 'cache'}"]
    done = subprocess.run([program, *arguments, *options], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_package_is_installed_and_runs_as_its_readme_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = package.require()
    (packed,) = json.loads(npm(tmp_path, "pack", str(package.PACKAGE), "--json"))
    assert packed["size"] < LARGEST
    names = {file["path"] for file in packed["files"]}
    assert {"dist/localvqe.wasm", "dist/worklet.js", "dist/LICENSE", "dist/ATTRIBUTION.md", "types/index.d.ts"} <= names
    assert not any(name.startswith(("test/", "build", "assemble")) for name in names)

    (tmp_path / "package.json").write_text('{"private": true}')
    npm(tmp_path, "install", f"./{packed['filename']}")
    name, body = re.findall(r"^<!-- file: (\S+) -->\n```js\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)[0]
    (tmp_path / name).write_text(body)
    for side in ("mic", "ref"):
        shutil.copy(pages.EXAMPLES / f"sample_{side}.wav", tmp_path / f"{side}.wav")
    subprocess.run([node, name], cwd=tmp_path, check=True, timeout=60)
    got, rate = sf.read(tmp_path / "clean.wav", dtype="float32")
    assert rate == 16000
    expected = localvqe.Enhancer().enhance(pages.sample("mic"), pages.sample("ref"))
    assert np.abs(got - expected).max() < 1e-4


def test_its_version_is_the_projects() -> None:
    stated = json.loads((package.PACKAGE / "package.json").read_text())["version"]
    found = re.search(r'^version = "(.*)"', (package.REPOSITORY / "pyproject.toml").read_text(), re.MULTILINE)
    assert found is not None
    assert stated == found[1]


def test_every_public_name_has_a_type() -> None:
    node = package.require()
    index = (package.PACKAGE / "src" / "index.js").as_uri()
    command = [node, "-e", f"import('{index}').then((m) => console.log(Object.keys(m).join()))"]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().split(",")
    types = (package.PACKAGE / "types" / "index.d.ts").read_text()
    for name in names:
        assert re.search(rf"^export (?:class|function|const) {name}\b", types, re.MULTILINE), name
