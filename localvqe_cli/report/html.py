"""One page that needs nothing else: tables, plots, every clip, and some clips to hear and see."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Mapping
from html import escape
from importlib.resources import files
from string import Template

import numpy as np
import soundfile

from ..audio.resample import MODEL_RATE, FloatArray
from ..audio.writer import AudioOutput
from ..evaluation.result import ClipOutcome
from ..evaluation.statistics import FEWEST, Difference
from ..metrics import Field, field
from .model import HEADLINE, Report
from .numbers import MISSING, counted, fixed
from .plots import COLOURS, distribution_svg
from .spectrogram import spectrogram_png

__all__ = ["LISTEN_SECONDS", "chosen_clips", "to_html"]

#: How much of a clip can be heard, so that the page stays small.
LISTEN_SECONDS = 20
_PLOTTED = HEADLINE

Signals = Mapping[str, FloatArray]


def chosen_clips(report: Report, count: int) -> list[ClipOutcome]:
    """Up to ``count`` clips to hear: from each scenario in turn, those on which the first system scores worst."""
    system = report.systems[min(1, len(report.systems) - 1)].name

    def score(clip: ClipOutcome) -> float:
        values = clip.systems[system].values
        found = [values[key] for key in ("aecmos_echo", "aecmos_deg") if key in values]
        return sum(found) / len(found) if found else float("inf")

    queues = []
    for scenario in report.table:
        clips = [c for c in report.evaluation.clips if c.scenario == scenario and system in c.systems]
        queues.append(sorted(clips, key=score))
    turns = max((len(queue) for queue in queues), default=0)
    return [queue[turn] for turn in range(turns) for queue in queues if turn < len(queue)][:count]


def to_html(report: Report, clips: list[ClipOutcome], load: Callable[[ClipOutcome], Signals], *, title: str) -> str:
    """The page.

    Args:
        clips: those to hear.
        load: the signals of one of them by name, 16 kHz; an empty mapping leaves the clip out.
    """
    page = files(__package__) / "page"
    parts = {name: (page / f"page.{name}").read_text(encoding="utf-8") for name in ("html", "css", "js")}
    names = [info.name for info in report.systems]
    return Template(parts["html"]).substitute(
        title=escape(title),
        style=parts["css"],
        script=parts["js"],
        facts=escape(_facts(report)),
        legend="".join(f'<span><i style="background:{_colour(report, n)}"></i>{escape(n)}</span>' for n in names),
        errors=_errors(report),
        scores=_scores(report),
        overall=_overall(report) + _notes(report),
        differences=_differences(report),
        plots=_plots(report),
        listening=_listening(report, clips, load),
        data=_data(report),
    )


def _facts(report: Report) -> str:
    count = len(report.evaluation.clips)
    models = [f"{info.name} is {info.model}" for info in report.systems if info.model]
    return ". ".join([f"{counted(count, 'clip')}, {counted(len(report.systems), 'system')}", *models]) + "."


def _colour(report: Report, name: str) -> str:
    index = [info.name for info in report.systems].index(name)
    return COLOURS[index % len(COLOURS)]


def _errors(report: Report) -> str:
    lines = [f"below the baseline: {fall}" for fall in report.falls or []] + [str(item) for item in report.problems]
    if not lines:
        return ""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<div class="errors" id="errors"><strong>{counted(len(lines), "error")}</strong><ul>{items}</ul></div>'


def _scores(report: Report) -> str:
    columns = report.fields
    head = "".join(f"<th>{escape(item.label)}</th>" for item in columns)
    rows = []
    for scenario, systems in report.table.items():
        rows.append(f'<tr class="scenario"><td colspan="{len(columns) + 2}">{escape(scenario)}</td></tr>')
        for name in systems:
            count = report.count(scenario, name)
            if not count:
                continue
            cells = "".join(_score_cell(report, scenario, name, item, count) for item in columns)
            dot = f'<i style="background:{_colour(report, name)}"></i>'
            rows.append(f'<tr><td class="system">{dot}{escape(name)}</td><td>{count}</td>{cells}</tr>')
    return (
        f'<div class="wide"><table id="means"><thead><tr><th>system</th><th>n</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _score_cell(report: Report, scenario: str, name: str, item: Field, count: int) -> str:
    summary = report.table[scenario][name].get(item.key)
    if summary is None or summary.mean is None:
        return f"<td>{MISSING}</td>"
    small = []
    if summary.ci is not None:
        small.append(f"{fixed(summary.ci[0], item)} to {fixed(summary.ci[1], item)}")
    if summary.n < count:
        small.append(f"n {summary.n}")
    note = "".join(f"<small>{text}</small>" for text in small)
    return f'<td title="median {fixed(summary.median, item)}">{fixed(summary.mean, item)}{note}</td>'


def _overall(report: Report) -> str:
    return "".join(f"<p>{escape(line)}.</p>" for line in report.overall_lines)


def _notes(report: Report) -> str:
    return "".join(f"<p>{escape(note)}</p>" for note in report.notes)


def _differences(report: Report) -> str:
    """One row per scenario and pair of systems, one column per headline metric."""
    columns = [item for item in report.fields if item.key in HEADLINE]
    rows: dict[tuple[str, str, str], dict[str, Difference]] = {}
    for row in report.differences:
        if row.metric in HEADLINE:
            rows.setdefault((row.scenario, row.system, row.against), {})[row.metric] = row
    if not rows:
        return "<p>No clip has scores of two systems.</p>"
    body = []
    scenario = None
    for (place, system, against), found in rows.items():
        if place != scenario:
            body.append(f'<tr class="scenario"><td colspan="{len(columns) + 2}">{escape(place)}</td></tr>')
            scenario = place
        cells = "".join(_difference_cell(found.get(item.key), item) for item in columns)
        n = max(row.n for row in found.values())
        body.append(f"<tr><td>{escape(system)} against {escape(against)}</td><td>{n}</td>{cells}</tr>")
    head = "".join(f"<th>{escape(item.label)}</th>" for item in columns)
    return (
        "<p>Coloured where the 95&nbsp;% bootstrap interval of the paired difference, in small print, leaves out zero "
        f"and {FEWEST} clips or more are behind it. With fewer than ten clips intervals are still too narrow.</p>"
        f'<div class="wide"><table><thead><tr><th>systems</th><th>n</th>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _difference_cell(row: Difference | None, item: Field) -> str:
    if row is None:
        return f"<td>{MISSING}</td>"
    text = fixed(row.mean, item)
    visible = float(text) != 0.0
    kind = "unclear"
    if row.significant and visible:
        kind = ("better" if row.mean * item.better > 0 else "worse") if item.better else "told"
    small = f"<small>{fixed(row.ci[0], item)} to {fixed(row.ci[1], item)}</small>" if row.ci else ""
    return f'<td class="{kind}">{"+" if row.mean > 0 and visible else ""}{text}{small}</td>'


def _plots(report: Report) -> str:
    figures = []
    for key in _PLOTTED:
        svg = distribution_svg(report, field(key)) if any(item.key == key for item in report.fields) else None
        if svg is not None:
            figures.append(f"<figure><figcaption>{escape(field(key).label)}</figcaption>{svg}</figure>")
    return "".join(figures)


def _listening(report: Report, clips: list[ClipOutcome], load: Callable[[ClipOutcome], Signals]) -> str:
    blocks: list[str] = []
    for clip in clips:
        signals = load(clip)
        # The end, where cancellers have adapted and the challenge rates them.
        start = max(0, round(clip.seconds * MODEL_RATE) - LISTEN_SECONDS * MODEL_RATE)
        tracks = "".join(_track(name, samples[start:], clip) for name, samples in signals.items())
        if tracks:
            what = f"<span>{escape(clip.scenario)}, {clip.seconds:.1f} s</span>"
            is_open = "" if blocks else " open"
            blocks.append(
                f'<details class="clip"{is_open}><summary>{escape(clip.id)} {what}</summary>'
                f'<div class="tracks">{tracks}</div></details>'
            )
    if not blocks:
        return ""
    return (
        '<section id="listening"><h2>To hear and see</h2>'
        f"<p>{counted(len(blocks), 'clip')}, those with the lowest AECMOS of each scenario, the last {LISTEN_SECONDS} "
        "s of longer ones. Spectrograms: 0 to 8 kHz, the same colours for the same level. Another player of a clip "
        f"goes on where the last one was.</p>{''.join(blocks)}</section>"
    )


def _track(name: str, samples: FloatArray, clip: ClipOutcome) -> str:
    samples = samples[: LISTEN_SECONDS * MODEL_RATE]
    if samples.size == 0:
        return ""
    values = clip.systems[name].values if name in clip.systems else {}
    shown = [(field(key), values[key]) for key in HEADLINE if key in values]
    text = ", ".join(f"{item.label} {fixed(value, item)}" for item, value in shown)
    sound, kind = _encoded(samples)
    picture = base64.b64encode(spectrogram_png(samples)).decode()
    label = escape(f"{name} of {clip.id}")
    return (
        f'<div class="track"><div class="name">{escape(name)}</div>'
        f'<img alt="spectrogram: {label}" src="data:image/png;base64,{picture}">'
        f'<audio controls preload="metadata" aria-label="{label}" src="data:{kind};base64,{sound}"></audio>'
        f'<div class="score">{escape(text)}</div></div>'
    )


def _encoded(samples: FloatArray) -> tuple[str, str]:
    """MP3, which every browser plays, a third of FLAC's size; WAV where libsndfile cannot write it. (base64, type)"""
    buffer = io.BytesIO()
    if "MP3" in soundfile.available_formats():
        clipped = np.clip(samples, -1.0, 1.0)
        soundfile.write(buffer, clipped, MODEL_RATE, format="MP3", subtype="MPEG_LAYER_III", compression_level=0.8)
        kind = "audio/mpeg"
    else:
        with soundfile.SoundFile(buffer, "w", MODEL_RATE, 1, "PCM_16", format="WAV") as file:
            AudioOutput(file, "a clip of the page").write(samples)
        kind = "audio/wav"
    return base64.b64encode(buffer.getvalue()).decode(), kind


def _data(report: Report) -> str:
    """What the script needs, as JSON that cannot end its element."""
    columns = report.fields
    rows = [
        [clip.id, clip.scenario, system, *[scores.values.get(item.key) for item in columns]]
        for clip in report.evaluation.clips
        for system, scores in clip.systems.items()
    ]
    document = {"fields": [{"label": item.label, "decimals": item.decimals} for item in columns], "rows": rows}
    return json.dumps(document, separators=(",", ":")).replace("<", "\\u003c")
