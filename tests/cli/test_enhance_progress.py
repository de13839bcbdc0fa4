"""The progress bar: on a terminal, for long work, and nowhere else."""

from __future__ import annotations

import io

import pytest

from localvqe_cli.cli import common, progress
from localvqe_cli.cli.progress import ListProgress, ProgressBar, StageProgress
from localvqe_cli.enhance_list import Standing


class Screen(io.StringIO):
    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def on_screen(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, patience: float, line_seconds: float = 0.0, columns: int = 60
) -> Screen:
    screen = Screen(terminal)
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr(progress, "_PATIENCE", patience)
    monkeypatch.setattr(progress, "_LINE_SECONDS", line_seconds)
    for name, value in {"TERM": "xterm", "COLUMNS": str(columns)}.items():
        monkeypatch.setenv(name, value)
    return screen


def drawn(monkeypatch: pytest.MonkeyPatch, *, terminal: bool = True, patience: float = -1.0) -> str:
    screen = on_screen(monkeypatch, terminal, patience)
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


def stages(
    monkeypatch: pytest.MonkeyPatch, *, terminal: bool, patience: float = -1.0, line_seconds: float = 0.0
) -> str:
    screen = on_screen(monkeypatch, terminal, patience, line_seconds, columns=60)
    with StageProgress() as told:
        told("decoding", 0.0, 4.0)
        told("decoding", 1.0, 4.0)
        told("rooms", 0.0, 0.0)
    return screen.getvalue()


def test_every_stage_has_its_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = stages(monkeypatch, terminal=True)
    assert drawn.index("decoding") < drawn.index("rooms")
    assert "decoding: " not in drawn


def test_a_log_gets_lines_of_long_stages_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert stages(monkeypatch, terminal=False) == "decoding: 0 %\ndecoding: 25 %\nrooms: 0 %\n"
    assert stages(monkeypatch, terminal=False, line_seconds=60.0) == ""


def of_a_list(
    monkeypatch: pytest.MonkeyPatch, *, terminal: bool, patience: float = -1.0, line_seconds: float = 0.0
) -> str:
    screen = on_screen(monkeypatch, terminal, patience, line_seconds, columns=120)
    with ListProgress() as told:
        told(Standing(0, 0, 4000, 0.0, 0.1, 0.0))
        told(Standing(1000, 2, 4000, 6000.0, 60.0, 0.25))
    return screen.getvalue()


def test_a_list_says_files_speed_failures_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    line = "1000 of 4000 files, 100x real time, 2 failed, 0:03:00 left"
    assert line in of_a_list(monkeypatch, terminal=True)
    first, last = of_a_list(monkeypatch, terminal=False).splitlines()
    assert first == "enhancing: 0 of 4000 files, 0.0x real time"
    assert last == f"enhancing: {line}"
    assert of_a_list(monkeypatch, terminal=False, line_seconds=60.0) == ""
    assert of_a_list(monkeypatch, terminal=True, patience=60.0) == ""
