"""The run's log: one line per stretch of steps, one per validation, and a plot of both."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..atomic import atomic_output

__all__ = ["LOG", "PLOT", "VALID_LOG", "Journal", "draw"]

LOG, VALID_LOG, PLOT = "log.tsv", "valid.tsv", "curves.png"

_MARKED = 12  # points from which on a curve needs no dots

#: Rows of a journal, a column of them, and what to call it.
_Curve = tuple[list[dict[str, float]], str, str]


class Journal:
    """A TSV file that grows; its first column is ``step``.

    Args:
        path: the file.
        columns: the others.
        step: rows of later steps, left by a run that was killed after its last checkpoint, are dropped.
    """

    def __init__(self, path: Path, columns: Sequence[str], step: int) -> None:
        self._path = path
        self._columns = ("step", *columns)
        rows = [row for row in read_rows(path) if row.get("step", math.inf) <= step]
        with atomic_output(path) as target:
            target.write_text("\t".join(self._columns) + "\n")
        for row in rows:
            self.add(row)

    def add(self, row: Mapping[str, float]) -> None:
        """Append a row; a column that it lacks is nan."""
        cells = (f"{row.get(name, math.nan):.6g}" if name != "step" else str(int(row[name])) for name in self._columns)
        with open(self._path, "a", encoding="utf-8") as stream:
            stream.write("\t".join(cells) + "\n")


def read_rows(path: Path) -> list[dict[str, float]]:
    """Rows of a journal; none if there is no such file. Lines that are cut off are left out."""
    if not path.is_file():
        return []
    with open(path, encoding="utf-8", newline="") as stream:
        rows = []
        for row in csv.DictReader(stream, delimiter="\t"):
            try:
                rows.append({name: float(value) for name, value in row.items() if name})
            except (TypeError, ValueError):
                continue
    return rows


def draw(folder: Path) -> bool:
    """Draw the journals of a run into ``curves.png``, what they have; False without matplotlib or without a value."""
    training, validation = read_rows(folder / LOG), read_rows(folder / VALID_LOG)
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    panels: list[tuple[str, list[_Curve]]] = [
        ("loss", [(training, "loss", "training"), (validation, "loss", "validation, averaged weights")]),
        (
            "echo and noise removed, dB",
            [(validation, "erle_farend", "far end only"), (validation, "gain_noise", "noise")],
        ),
        (
            "SI-SDR improvement, dB",
            [(validation, "sisdri_doubletalk", "doubletalk"), (validation, "sisdri_nearend", "near end only")],
        ),
        (
            "output level over target, dB",
            [(validation, "level_doubletalk", "doubletalk"), (validation, "level_nearend", "near end only")],
        ),
    ]
    drawn = [(title, found) for title, curves in panels if (found := _found(curves))]
    if not drawn:
        return False
    figure = Figure(figsize=(11, 3.5 * math.ceil(len(drawn) / 2)), layout="constrained")
    axes = figure.subplots(math.ceil(len(drawn) / 2), min(2, len(drawn)), squeeze=False)
    for axis in axes.flat[len(drawn) :]:
        axis.remove()
    for axis, (title, found) in zip(axes.flat, drawn, strict=False):
        for label, points in found.items():
            # A line of one point is nothing, and one of two says more with its ends.
            axis.plot(*zip(*points, strict=True), label=label, marker="o" if len(points) < _MARKED else None)
        axis.set_title(title)
        axis.set_xlabel("hours of audio")
        axis.set_xlim(left=0.0)
        axis.grid(alpha=0.3)
        axis.legend()
    with atomic_output(folder / PLOT) as target:
        figure.savefig(target, dpi=110)
    return True


def _found(curves: Sequence[_Curve]) -> dict[str, list[tuple[float, float]]]:
    """label -> (hours, value) of each curve that has a value."""
    found = {}
    for rows, column, label in curves:
        points = [(row["hours"], row[column]) for row in rows if math.isfinite(row.get(column, math.nan))]
        if points:
            found[label] = points
    return found
