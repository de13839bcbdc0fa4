"""Plots of little: one clip, one step, values that hardly differ."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from localvqe_cli.evaluation.result import ClipOutcome, ClipScores, Evaluation, SystemInfo
from localvqe_cli.metrics import field
from localvqe_cli.report import html
from localvqe_cli.report.html import to_html
from localvqe_cli.report.model import Report
from localvqe_cli.report.plots import COLOURS, distribution_svg
from localvqe_cli.training.journal import LOG, VALID_LOG, Journal, draw


def report(values: dict[str, list[float]], key: str) -> Report:
    systems = [SystemInfo(name, "files") for name in values]
    clips = [
        ClipOutcome(f"clip-{i}", "doubletalk", 2.0, {name: ClipScores({key: v[i]}) for name, v in values.items()})
        for i in range(len(next(iter(values.values()))))
    ]
    return Report(Evaluation(systems, clips, [key]))


def ticks(svg: str) -> list[str]:
    return re.findall(r'text-anchor="end">([^<]+)<', svg)


@pytest.mark.parametrize(
    ("key", "values", "least"),
    [("aecmos_echo", (4.6853, 4.6857), 0.1), ("erle_db", (20.0, 20.0), 1.0), ("clipped", (0.0, 0.0), 10.0)],
)
def test_an_axis_shows_no_difference_that_the_figures_do_not(
    key: str, values: tuple[float, float], least: float
) -> None:
    svg = distribution_svg(report({"mic": [values[0]], "a": [values[1]]}, key), field(key))
    assert svg is not None
    labels = ticks(svg)
    assert len(labels) >= 4
    assert all(len(label.partition(".")[2]) <= field(key).decimals + 1 for label in labels)
    numbers = [float(label) for label in labels]
    assert max(numbers) - min(numbers) >= least
    assert min(numbers) <= min(values) <= max(values) <= max(numbers)
    assert len(set(labels)) == len(labels)


def test_a_single_clip_is_one_dot_in_the_colour_of_its_system() -> None:
    svg = distribution_svg(report({"mic": [1.0], "a": [15.0]}, "erle_db"), field("erle_db"))
    assert svg is not None
    dots = re.findall(r'<circle [^>]*r="([0-9.]+)" fill="([^"]+)"', svg)
    assert [fill for _, fill in dots] == list(COLOURS[:2])
    assert all(float(radius) >= 4 for radius, _ in dots)
    assert "rect" not in svg
    assert 'class="bar"' not in svg


@pytest.mark.parametrize(("count", "said"), [(1, "1 clip, 2 systems."), (2, "2 clips, 2 systems.")])
def test_one_is_said_as_one(count: int, said: str) -> None:
    page = to_html(report({"mic": [1.0] * count, "a": [2.0] * count}, "erle_db"), [], lambda _: {}, title="t")
    assert said in page


def contrast(colour: str, other: str, brightness: float = 1.0) -> float:
    """Of WCAG 2: 1 to 21."""

    def luminance(text: str, factor: float) -> float:
        parts = [min(1.0, factor * int(text[i : i + 2], 16) / 255) for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    first, second = sorted((luminance(colour, brightness), luminance(other, 1.0)))
    return (second + 0.05) / (first + 0.05)


@pytest.mark.parametrize("colour", COLOURS)
def test_marks_stand_out_in_the_dark(colour: str) -> None:
    style = (Path(__file__).parents[2] / "localvqe_cli/report/page/page.css").read_text()
    (dark,) = re.findall(r"scheme: dark\) \{\s*:root \{[^}]*--panel: (#\w{6})", style)
    (brightness,) = re.findall(r"scheme: dark\) \{ svg\.plot g[^}]*brightness\(([0-9.]+)\)", style)
    assert contrast(colour, dark, float(brightness)) > 4.5


def test_curves_of_one_step_can_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figure_module = pytest.importorskip("matplotlib.figure")
    drawn = []
    monkeypatch.setattr(
        figure_module.Figure, "savefig", lambda self, target, **_: (drawn.append(self), target.write_bytes(b"x"))
    )
    log = Journal(tmp_path / LOG, ("hours", "loss"), 0)
    valid = Journal(tmp_path / VALID_LOG, ("hours", "loss", "erle_farend"), 0)
    log.add({"step": 1, "hours": 0.5, "loss": 0.3})
    valid.add({"step": 1, "hours": 0.5, "loss": 0.31})
    assert draw(tmp_path)
    (figure,) = drawn
    assert [axis.get_title() for axis in figure.axes] == ["loss"]  # and no empty panel
    lines = figure.axes[0].lines
    assert [len(line.get_xdata()) for line in lines] == [1, 1]
    assert all(line.get_marker() == "o" for line in lines)
    assert figure.axes[0].get_xlim()[0] == 0.0
    for step in range(2, 50):
        log.add({"step": step, "hours": 0.5 * step, "loss": 0.3})
    assert draw(tmp_path)
    assert drawn[1].axes[0].lines[0].get_marker() == "None"


def test_nothing_is_drawn_of_nothing(tmp_path: Path) -> None:
    Journal(tmp_path / LOG, ("hours", "loss"), 0).add({"step": 1, "hours": 0.5})
    assert not draw(tmp_path)
    assert not list(tmp_path.glob("*.png"))


def test_sound_of_the_page_is_rounded_where_there_is_no_mp3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soundfile.available_formats", lambda: {"WAV": "WAV"})
    samples = np.array([0.6, -0.6, 1.4, -1.4, 40000.0, -40000.0], np.float32) / np.float32(32768)
    sound, kind = html._encoded(samples)
    assert kind == "audio/wav"
    found, rate = soundfile.read(io.BytesIO(base64.b64decode(sound)), dtype="int16")
    assert (found.tolist(), rate) == ([1, -1, 1, -1, 32767, -32768], 16000)
