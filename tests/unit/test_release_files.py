"""The workflows and the container: every command that they call exists here, and a release is complete or refused."""

from __future__ import annotations

import hashlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from scripts import load_script

REPOSITORY = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
#: Programs of the runners and modules that a step before installs; whatever else is called lies in this repository.
PROGRAMS = {"docker", "gh", "sudo apt-get"}
MODULES = {"pip", "pytest", "build", "cibuildwheel"}


def workflow(path: Path) -> dict[str, Any]:
    yaml = pytest.importorskip("yaml", reason="PyYAML comes with the extra dev, by gguf")
    # Strings alone: YAML 1.1 takes the key `on` for a truth value.
    document: dict[str, Any] = yaml.load(path.read_text("utf-8"), yaml.BaseLoader)
    return document


def commands() -> Iterator[tuple[str, str]]:
    """Workflow, and each line that a step of it runs."""
    for path in WORKFLOWS:
        for body in re.findall(r"^ +(?:- )?run: (.*)$", path.read_text("utf-8"), re.MULTILINE):
            yield path.name, re.sub(r"\$\{\{.*?\}\}", "VALUE", body)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_jobs_have_what_they_need(path: Path) -> None:
    document = workflow(path)
    assert {"name", "on", "permissions", "jobs"} <= set(document)
    jobs = document["jobs"]
    for name, job in jobs.items():
        needs = job.get("needs", [])
        assert set([needs] if isinstance(needs, str) else needs) <= set(jobs), name
        if "uses" in job:
            assert (REPOSITORY / job["uses"]).is_file()
            continue
        matrix = job.get("strategy", {}).get("matrix", {})
        offered = set(matrix) | {key for row in matrix.get("include", []) for key in row}
        text = str(job)
        assert set(re.findall(r"matrix\.(\w+)", text)) <= offered, name
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step), step
            assert re.fullmatch(r"[\w-]+/[\w-]+@[\w./-]+", step.get("uses", "a/b@c")), step
            assert "\n" not in step.get("run", ""), "more than a line belongs into a script"


def test_steps_are_found() -> None:
    jobs = [job for path in WORKFLOWS for job in workflow(path)["jobs"].values()]
    assert sum("run" in step for job in jobs for step in job.get("steps", [])) == len(list(commands())) > 10


@pytest.mark.parametrize(("name", "command"), list(commands()))
def test_every_command_is_one_that_is_here(name: str, command: str) -> None:
    words = shlex.split(command)
    if any(command.startswith(program) for program in PROGRAMS):
        return
    assert words[0] in ("python", "bash"), command
    if words[1] == "-m":
        assert words[2] in MODULES, command
    else:
        assert (REPOSITORY / words[1]).is_file(), f"{name} calls {words[1]}, which is not in the repository"


def test_release_builds_each_wheel_that_a_release_has(checksums: ModuleType) -> None:
    wheel = workflow(REPOSITORY / ".github/workflows/release.yml")["jobs"]["wheel"]
    targets = [row["target"] for row in wheel["strategy"]["matrix"]["include"]]
    assert len(targets) == len(checksums.KINDS) - 1  # and the source archive
    for target in targets:
        name = f"localvqe-{checksums.version()}-py3-none-{target}.whl"
        name = name.replace("linux_", "linux_2_17_").replace("macosx_", "macosx_11_0_")
        assert name not in "".join(checksums.problems([name], ""))


def test_the_container_takes_what_a_wheel_is_made_of() -> None:
    lines = (REPOSITORY / ".dockerignore").read_text("utf-8").splitlines()
    kept = [line[1:] for line in lines if line.startswith("!")]
    assert lines[next(i for i, line in enumerate(lines) if not line.startswith("#"))] == "*"
    assert all((REPOSITORY / name).exists() for name in kept)
    project = (REPOSITORY / "pyproject.toml").read_text("utf-8")
    named = re.findall(r'^(?:readme|cmake\.source-dir) = "(.*)"', project, re.MULTILINE)
    assert {"pyproject.toml", "LICENSE", "localvqe", "localvqe_cli", *named} == set(kept)
    docker = (REPOSITORY / "Dockerfile").read_text("utf-8")
    assert 'ENTRYPOINT ["localvqe"]' in docker
    assert re.search(r"^USER (?!root)\w+", docker, re.MULTILINE)


@pytest.fixture(scope="module")
def checksums() -> ModuleType:
    return load_script("tools/checksums.py")


@pytest.fixture
def names(checksums: ModuleType) -> list[str]:
    """The files of a whole release."""
    tags = ["manylinux_2_17_x86_64.manylinux2014_x86_64", "manylinux_2_28_aarch64", "musllinux_1_2_x86_64"]
    tags += ["musllinux_1_2_aarch64", "win_amd64", "macosx_11_0_arm64", "macosx_11_0_x86_64"]
    stem = f"localvqe-{checksums.version()}"
    return [f"{stem}.tar.gz", *(f"{stem}-py3-none-{tag}.whl" for tag in tags)]


def test_a_whole_release_gets_checksums(checksums: ModuleType, names: list[str], tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    for name in names:
        (tmp_path / "dist" / name).write_text(name)
    script = str(REPOSITORY / "tools" / "checksums.py")
    command = [sys.executable, script, "dist", f"v{checksums.version()}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    sums = dict(line.split("  ")[::-1] for line in (tmp_path / "SHA256SUMS").read_text().splitlines())
    assert sums == {name: hashlib.sha256(name.encode()).hexdigest() for name in names}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda names: names[:-1], "macOS x86_64: expected one file"),
        (lambda names: names[1:], "source archive: expected one file"),
        (lambda names: [*names, "localvqe-9.9.9.tar.gz"], "localvqe-9.9.9.tar.gz is no part"),
        (lambda names: [*names, names[1].replace("2_17", "2_28")], "manylinux x86_64: expected one file"),
    ],
)
def test_what_is_no_whole_release_is_refused(
    checksums: ModuleType, names: list[str], change: Any, message: str
) -> None:
    assert message in "\n".join(checksums.problems(change(names), ""))
    assert "the tag is v9.9.9" in checksums.problems(names, "v9.9.9")[0]
    assert checksums.problems(names, f"v{checksums.version()}") == []
