"""Distributions as inline SVG: every clip a dot, the mean a line and its interval a bar, in the system's colour."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from ..metrics import Field
from .model import Report
from .numbers import fixed

__all__ = ["COLOURS", "distribution_svg"]

#: One per system, in order; told apart by people who see few colours, too.
COLOURS = ("#8a8f98", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195")

_HEIGHT, _TOP, _BOTTOM, _LEFT = 220, 12, 40, 44
_STRIP = 26
_GAP = 22
_LABEL = 106
_DOTS = 120
_DOT, _ALONE = 2.2, 4.0  # radius of a dot, and of one that is the only one
_WIDE = 560  # from here on a plot has a row of the page to itself
_TICKS = 4
_LEAST = 10  # steps of the last decimal that an axis covers: what differs by less is equal


def distribution_svg(report: Report, item: Field) -> str | None:
    """A plot of one metric: scenarios side by side, in each a strip per system; None where nothing has a value."""
    groups = []
    for scenario in report.table:
        clips = [clip for clip in report.evaluation.clips if clip.scenario == scenario]
        strips = []
        for info in report.systems:
            values = [c.systems[info.name].values.get(item.key) for c in clips if info.name in c.systems]
            strips.append(sorted(value for value in values if value is not None))
        if any(strips):
            groups.append((scenario, strips))
    if not groups:
        return None
    plotted = [v for _, strips in groups for strip in strips for v in strip]
    low, high, step = _scale(plotted, _LEAST * 10.0**-item.decimals)

    def y(value: float) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1.0 - (value - low) / (high - low))

    # A group is at least as wide as its scenario's name.
    group = max(len(report.systems) * _STRIP + _GAP, _LABEL)
    width = _LEFT + len(groups) * group + 8
    parts = []
    for index in range(round((high - low) / step) + 1):
        value = low + index * step
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{width}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{_tick(value, step)}</text>')
    for place, (scenario, strips) in enumerate(groups):
        middle = _LEFT + (place + 0.5) * group
        x = middle - len(strips) * _STRIP / 2
        lines = _wrapped(scenario)
        for row, line in enumerate(lines):
            at = _HEIGHT - _BOTTOM + 14 + 11 * row
            parts.append(f'<text x="{middle:.1f}" y="{at}" text-anchor="middle">{escape(line)}</text>')
        for number, strip in enumerate(strips):
            summary = report.table[scenario][report.systems[number].name].get(item.key)
            ci = summary.ci if summary else None
            colour = COLOURS[number % len(COLOURS)]
            parts += _strip(strip, ci, x + number * _STRIP + _STRIP / 2, y, colour, report.systems[number].name, item)
    body = "".join(parts)
    label = escape(f"{item.label} by scenario and system")
    kind = "plot wide" if width > _WIDE else "plot"
    return (
        f'<svg class="{kind}" role="img" aria-label="{label}" viewBox="0 0 {width} {_HEIGHT}" '
        f'style="min-width: {width * 0.75:.0f}px; max-width: {width * 1.4:.0f}px">{body}</svg>'
    )


def _strip(
    values: Sequence[float], ci: tuple[float, float] | None, x: float, y: object, colour: str, name: str, item: Field
) -> list[str]:
    assert callable(y)
    if not values:
        return []
    mean = sum(values) / len(values)
    title = f"{escape(name)}: mean {fixed(mean, item)}, n {len(values)}"
    if len(values) == 1:
        # One clip has no spread: the dot says all, and a line through it would only hide whose it is.
        dot = f'<circle cx="{x:.1f}" cy="{y(mean):.1f}" r="{_ALONE}" fill="{colour}"/>'
        return [f"<g><title>{title}</title>{dot}</g>"]
    # Of many clips as many as can be seen, evenly by rank, the extremes among them.
    count = min(len(values), _DOTS)
    ranks = [round(i * (len(values) - 1) / max(1, count - 1)) for i in range(count)]
    parts = []
    for place, rank in enumerate(ranks):
        jitter = ((place * 7) % 11 - 5) / 5 * _STRIP * 0.26
        parts.append(
            f'<circle cx="{x + jitter:.1f}" cy="{y(values[rank]):.1f}" r="{_DOT}" fill="{colour}" fill-opacity="0.45"/>'
        )
    if ci is not None:
        title += f", 95 % interval {fixed(ci[0], item)} to {fixed(ci[1], item)}"
        parts.append(
            f'<line class="bar" stroke="{colour}" x1="{x:.1f}" x2="{x:.1f}" y1="{y(ci[0]):.1f}" y2="{y(ci[1]):.1f}"/>'
        )
    parts.append(
        f'<rect class="mean" fill="{colour}" x="{x - 9:.1f}" y="{y(mean) - 1.25:.1f}" width="18" height="2.5"/>'
    )
    return [f"<g><title>{title}</title>{''.join(parts)}</g>"]


def _scale(values: Sequence[float], least: float) -> tuple[float, float, float]:
    """Lower end, upper end and step of an axis with round numbers that holds ``values``, and covers ``least``."""
    low, high = min(values), max(values)
    missing = max(0.0, least - (high - low))
    low, high = low - missing / 2, high + missing / 2
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough)
    return math.floor(low / step) * step, max(math.ceil(high / step), math.floor(low / step) + 1) * step, step


def _tick(value: float, step: float) -> str:
    decimals = max(0, -math.floor(math.log10(step) + 1e-9)) + (1 if f"{step:e}".startswith("2.5") else 0)
    return f"{value + 0.0:.{decimals}f}" if abs(value) > 1e-12 else "0"


def _wrapped(scenario: str) -> list[str]:
    head, _, tail = scenario.partition("-with-")
    return [head, f"with {tail}"] if tail else [head]
