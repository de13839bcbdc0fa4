r"""Put the stress scenes through a front-end and print a table of figures.

    python -m tests.frontend.run                         # the filter alone, in the compiled engine
    python -m tests.frontend.run --reference             # the filter alone, in PyTorch
    python -m tests.frontend.run --reference -m ckpt.pt  # the filter of a checkpoint
    python -m tests.frontend.run --stage output          # the whole built-in model; -m model.gguf for another
    python -m tests.frontend.run --json new.json --compare old.json
    python -m tests.frontend.run --hour                  # an hour of conversation

Means over the seeds stand under "echo"; every other column has the seed that came off worst.
docs/reference/frontend.md says what the columns mean.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from . import scenes, systems
from .measure import measure

#: Figure -> (column, decimals, how to join seeds).
COLUMNS: dict[str, tuple[str, int, Callable[[list[float]], float]]] = {
    "echo_db": ("echo", 1, lambda x: sum(x) / len(x)),
    "worst_db": ("worst", 1, min),
    "double_echo_db": ("dt echo", 1, min),
    "first_db": ("first", 1, min),
    "converged": ("conv s", 1, max),
    "converged_again": ("again s", 1, max),
    "resume_db": ("resume", 1, min),
    "near_db": ("near", 1, min),
    "double_db": ("dt near", 1, min),
    "near_level_db": ("level", 1, min),
    "false_db": ("false", 1, max),
    "jumps": ("jumps", 0, max),
    "late_jumps": ("late", 0, max),
    "misplaced": ("ahead", 0, lambda x: 100.0 * max(x)),
}
Results = dict[str, dict[str, dict[str, Any]]]


def judge(cases: list[tuple[str, int]], args: argparse.Namespace) -> Results:
    """Name -> seed -> figures."""
    results: Results = {name: {} for name, _ in cases}
    with ExitStack() as stack:
        if args.reference:
            made = [scenes.make(name, seed, args.seconds) for name, seed in cases]
            heard: Iterable[tuple[scenes.Scene, systems.Heard]] = zip(
                made, systems.through_reference(made, args.model), strict=True
            )
        else:
            alone = args.model is None and args.stage == "filter"
            model = stack.enter_context(systems.filter_model()) if alone else args.model
            lazily = (scenes.make(name, seed, args.seconds) for name, seed in cases)
            heard = ((scene, systems.through_engine(model, scene)) for scene in lazily)
        for (name, seed), (scene, result) in zip(cases, heard, strict=True):
            out = result.out if args.stage == "output" else result.error
            figures = measure(scene, out, result.offset, subtracted=args.stage == "filter")
            results[name][str(seed)] = asdict(figures)
    return results


def pooled(seeds: dict[str, dict[str, Any]], figure: str) -> float | None:
    """One number of several seeds, or None if no seed has it."""
    values = [seed[figure] for seed in seeds.values() if seed.get(figure) is not None]
    return COLUMNS[figure][2](values) if values else None


def cell(value: float | None, decimals: int) -> str:
    """A number as the table shows it."""
    if value is None:
        return ""
    return "never" if math.isinf(value) else f"{value:.{decimals}f}"


def table(results: Results, before: Results | None = None) -> str:
    """Markdown; with ``before``, changed cells read "old > new"."""
    shown = [f for f in COLUMNS if any(pooled(seeds, f) is not None for seeds in results.values())]
    rows = [["scene", *(COLUMNS[f][0] for f in shown)]]
    for name, seeds in results.items():
        row = [name]
        for figure in shown:
            text = cell(pooled(seeds, figure), COLUMNS[figure][1])
            old = cell(pooled((before or {}).get(name, {}), figure), COLUMNS[figure][1])
            row.append(f"{old} > {text}" if old and old != text else text)
        rows.append(row)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        " | ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths, strict=True)))
        for r in rows
    ]
    rule = " | ".join("-" * w if i == 0 else "-" * (w - 1) + ":" for i, w in enumerate(widths))
    return "\n".join(f"| {line} |" for line in [lines[0], rule, *lines[1:]])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "-m",
        "--model",
        help="file or registry name; without it, the filter alone or, for its output, the built-in model",
    )
    parser.add_argument("--reference", action="store_true", help="PyTorch instead of the engine; -m is a checkpoint")
    parser.add_argument("--stage", choices=["filter", "output"], default="filter", help="what to judge")
    parser.add_argument("--only", action="append", metavar="NAME", help="scenes whose name contains this; repeatable")
    parser.add_argument("--seeds", type=int, default=4, metavar="N", help="seeds 0 to N - 1 (4)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure of every seed")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="an earlier --json to show beside")
    parser.add_argument("--hour", action="store_true", help="only one conversation, of 3600 s")
    args = parser.parse_args()
    args.seconds = 3600.0 if args.hour else None
    names = (
        ["conversation"]
        if args.hour
        else [name for name in scenes.SCENES if not args.only or any(part in name for part in args.only)]
    )
    if not names:
        parser.error(f"no scene is called like that; there are: {', '.join(scenes.SCENES)}")
    cases = [(name, seed) for name in names for seed in range(1 if args.hour else args.seeds)]
    results = judge(cases, args)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1))
    print(table(results, json.loads(args.compare.read_text()) if args.compare else None))
    return 0


if __name__ == "__main__":
    sys.exit(main())
