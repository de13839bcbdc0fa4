"""The progress bar: on a terminal, for long work, and nowhere else."""

from __future__ import annotations

import io

import pytest

from localvqe_cli.cli import common, progress
from localvqe_cli.cli.progress import ProgressBar


class Screen(io.StringIO):
    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def drawn(monkeypatch: pytest.MonkeyPatch, *, terminal: bool = True, patience: float = -1.0) -> str:
    screen = Screen(terminal)
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr(progress, "_PATIENCE", patience)
    for name, value in {"TERM": "xterm", "COLUMNS": "60"}.items():
        monkeypatch.setenv(name, value)
    with ProgressBar("call [1].wav") as bar:
        bar(1.0, 4.0)
        bar(2.0, None)
    return screen.getvalue()


def test_a_terminal_sees_the_name_and_the_share(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "call [1].wav" in drawn(monkeypatch)


@pytest.mark.parametrize("settings", [{"terminal": False}, {"patience": 60.0}])
def test_files_and_short_work_see_nothing(monkeypatch: pytest.MonkeyPatch, settings: dict[str, float]) -> None:
    assert drawn(monkeypatch, **settings) == ""


def test_quiet_sees_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    common.configure_console(quiet=True)
    try:
        assert drawn(monkeypatch) == ""
    finally:
        common.configure_console()
