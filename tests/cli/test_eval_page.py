"""The page that ``localvqe eval --html`` writes, in a real browser."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from browser import Page, chromium
from eval_data import CLIPS, voice, write_outputs, write_set
from typer.testing import CliRunner

from localvqe_cli.cli import app
from localvqe_cli.report.spectrogram import spectrogram_png


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three systems, one with a name that is no name, and an error."""
    folder = tmp_path_factory.mktemp("page")
    manifest = write_set(folder)
    with manifest.open("a") as file:
        file.write("<img src=x onerror=alert(1)>\tdoubletalk\tnone.wav\tnone.wav\t\t\n")
    write_outputs(folder, folder / "tenth", 0.1)
    args = ["eval", str(manifest), "--enhanced", str(folder / "tenth"), "--enhanced", f"<b>&={folder / 'tenth'}"]
    out = folder / "eval.html"
    result = CliRunner().invoke(app, [*args, "--metrics", "erle,delay", "-j", "1", "--html", str(out), "--audio", "3"])
    assert result.exit_code == 1, result.output
    return out


@pytest.fixture(scope="module")
def browser(page: Path, tmp_path_factory: pytest.TempPathFactory) -> Page:
    with chromium(tmp_path_factory.mktemp("profile")) as tab:
        tab.open(page)
        yield tab


def column(browser: Page, number: int) -> list[str]:
    return browser.run(f"[...document.querySelectorAll('#rows tbody tr')].map(r => r.cells[{number}].textContent)")


def test_it_needs_nothing_else(page: Path) -> None:
    text = page.read_text()
    assert "http" not in text.replace("http-equiv", "")
    assert page.stat().st_size < 2_000_000


def test_it_opens_without_complaint(browser: Page) -> None:
    assert browser.console == []
    assert browser.run("document.querySelectorAll('#means tbody tr').length") == 3 + 3 * 3
    assert browser.run("document.querySelectorAll('svg.plot circle').length") > 0
    assert browser.run("document.querySelectorAll('img').length") == 3 * 4 + 1  # mic, ref, two systems; a target
    assert browser.run("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert "no such file" in browser.run("document.getElementById('errors').textContent")


def test_names_are_text(browser: Page) -> None:
    assert "<img src=x" in browser.run("document.getElementById('errors').textContent")
    assert "<b>&" in column(browser, 2)


def test_marks_tell_whose_they_are(browser: Page) -> None:
    """Also where there is a single clip, whose dot a line would hide."""
    strips = browser.run(
        """[...document.querySelectorAll("svg.plot g")].map(g => [
            g.querySelector("title").textContent,
            g.querySelectorAll("circle").length,
            [...g.querySelectorAll("circle, .mean")].map(m => getComputedStyle(m).fill),
            [...g.querySelectorAll(".bar")].map(m => getComputedStyle(m).stroke),
        ])"""
    )
    legend = browser.run("[...document.querySelectorAll('.legend i')].map(i => getComputedStyle(i).backgroundColor)")
    names = browser.run("[...document.querySelectorAll('.legend span')].map(i => i.textContent)")
    alone = 0
    for title, dots, fills, strokes in strips:
        colour = legend[names.index(title.rpartition(": mean")[0])]
        assert set(fills + strokes) == {colour}
        assert len(fills) - dots == (dots > 1)
        alone += dots == 1
    assert alone == 2 * len(names)  # near-end single talk in both plots


def test_rows_sort_by_any_column(browser: Page) -> None:
    assert len(column(browser, 0)) == 3 * len(CLIPS)
    click = "document.querySelectorAll('#rows th button')[{}].click()"
    headings = browser.run("[...document.querySelectorAll('#rows th')].map(h => h.textContent)")
    erle = headings.index("ERLE (dB)")
    browser.run(click.format(erle))
    values = [float(cell) for cell in column(browser, erle)]
    assert values == sorted(values)
    assert values[0] < values[-1]
    assert browser.run(f"document.querySelectorAll('#rows th')[{erle}].getAttribute('aria-sort')") == "ascending"
    browser.run(click.format(erle))
    assert [float(cell) for cell in column(browser, erle)] == values[::-1]
    browser.run(click.format(0))
    assert column(browser, 0) == sorted(column(browser, 0))
    assert browser.run("document.querySelectorAll('#rows th[aria-sort]').length") == 1


def test_rows_can_be_filtered(browser: Page) -> None:
    browser.run(
        "(f => { f.value = 'farend tenth'; f.dispatchEvent(new Event('input')); })(document.getElementById('filter'))"
    )
    assert (column(browser, 0), set(column(browser, 2))) == (["c", "d"], {"tenth"})
    assert browser.run("document.getElementById('shown').textContent") == "2 of 15 rows"
    browser.run("(f => { f.value = ''; f.dispatchEvent(new Event('input')); })(document.getElementById('filter'))")


def test_players_play_one_at_a_time_and_take_over(browser: Page) -> None:
    found = browser.run(
        """(async () => {
            const [first, second] = document.querySelectorAll(".clip audio");
            const moved = (a) => new Promise((done) => {
                const timer = setInterval(() => { if (a.currentTime > 0.2) { clearInterval(timer); done(); } }, 20);
            });
            await first.play();
            first.currentTime = 0.8;
            await moved(first);
            await second.play();
            const start = second.currentTime;
            await moved(second);
            const state = [first.paused, start, second.paused, second.duration, first.error || second.error];
            second.pause();
            return state;
        })()"""
    )
    assert found[0] is True
    assert 0.7 < found[1] < 1.9
    assert found[2] is False
    assert found[3] == pytest.approx(2.0, abs=0.2)
    assert found[4] is None
    assert browser.console == []


def test_a_spectrogram_shows_what_sounds() -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    tone = 0.5 * np.sin(2 * np.pi * 2000 * np.arange(32000) / 16000)
    tone[16000:] = 0
    picture = np.asarray(image.open(io.BytesIO(spectrogram_png(tone.astype(np.float32)))).convert("L"), float)
    assert picture.shape[0] == 128
    width = picture.shape[1]
    loud = picture[:, 2 : width // 2 - 2].mean(axis=1)
    assert 128 - int(loud.argmax()) == pytest.approx(2000 / 8000 * 128, abs=1.5)  # rows go from 8 kHz down
    assert picture[:, width // 2 + 2 :].max() < 15
    assert spectrogram_png(voice(1, 0.001)).startswith(b"\x89PNG")
