"""What shells are offered, asked as they ask: through the environment."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from localvqe_cli.cli import app
from localvqe_cli.metrics import GROUPS
from localvqe_cli.models import EMBEDDED, PUBLISHED
from localvqe_cli.training.presets import WIDTHS

MODELS = [*EMBEDDED, *(file.short for file in PUBLISHED)]
CHECKPOINTS = [file.short for file in PUBLISHED if file.is_checkpoint]
# After the command has answered, the modules that it loaded.
ASK = """
import atexit, sys
atexit.register(lambda: print("|", *sys.modules, file=sys.stderr))
sys.argv = ["localvqe"]
from localvqe_cli.cli import main
main()
"""


def ask(shell: str = "bash", **words: str) -> tuple[str, set[str]]:
    environment = {**os.environ, "_LOCALVQE_COMPLETE": f"complete_{shell}", **words}
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, env=environment, check=False)
    return done.stdout, set(done.stderr.partition("| ")[2].split())


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("enhance mic.wav ref.wav -m ", MODELS),
        ("enhance -m de", ["default", "denoise"]),
        ("enhance -m my-model", []),  # the shell goes on to file names
        ("bench -m ka", ["kalman"]),
        ("inspect v1.3", ["v1.3", "v1.3.pt"]),
        ("models show de", ["default", "denoise"]),
        ("export ", CHECKPOINTS),
        ("verify ", CHECKPOINTS),
        ("verify v1.2.pt v1.2", ["v1.2", "v1.2.pt"]),
        ("eval pairs.tsv --model v1.1", ["v1.1", "v1.1.pt"]),
        ("eval pairs.tsv --model new=den", ["new=denoise"]),
        ("eval pairs.tsv --metrics ", list(GROUPS)),
        ("eval pairs.tsv --metrics erle,aecmos,e", []),
        ("eval pairs.tsv --metrics erle,d", ["erle,dnsmos", "erle,delay"]),
        ("eval pairs.tsv --max-drop aec", ["aecmos_echo=", "aecmos_deg="]),
        ("quantize v1.3", ["v1.3", "v1.3.pt"]),
        ("quantize v1.3 ", ["Q8_0", "Q4_K"]),
        ("quantize v1.3 small.gguf Q8", ["Q8_0"]),
        ("train --width ", list(WIDTHS)),
    ],
)
def test_words_of_ours_are_offered(line: str, offered: list[str]) -> None:
    environment = {"_LOCALVQE_COMPLETE": "complete_bash", **_words(line)}
    shown = CliRunner().invoke(app, prog_name="localvqe", env=environment).stdout
    assert shown.split() == offered


@pytest.mark.parametrize("line", ["enhance -m ", "export ", "eval pairs.tsv --metrics ", "train --width "])
def test_a_shell_does_not_wait_for_libraries_of_the_work(line: str) -> None:
    shown, modules = ask(**_words(line))
    assert shown
    assert not modules & {"torch", "scipy", "onnxruntime", "matplotlib", "librosa", "huggingface_hub"}


def _words(line: str) -> dict[str, str]:
    return {"COMP_WORDS": f"localvqe {line}", "COMP_CWORD": str(len(line.split(" ")))}


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_the_same(shell: str) -> None:
    shown, _ = ask(shell, _TYPER_COMPLETE_ARGS="localvqe enhance -m de", _TYPER_COMPLETE_FISH_ACTION="get-args")
    assert "default" in shown
    assert "denoise" in shown
    assert "kalman" not in shown


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_that_asks_can_be_installed(shell: str) -> None:
    """What --install-completion puts into place, from the same source."""
    script, _ = ask(_LOCALVQE_COMPLETE=f"source_{shell}")
    assert "_LOCALVQE_COMPLETE" in script
    assert f"complete_{shell}" in script
    told = CliRunner().invoke(app, ["--help"]).stdout
    assert "--install-completion" in told
    assert "--show-completion" in told
