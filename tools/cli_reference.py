"""docs/reference/cli.md, written from the commands themselves:

    python tools/cli_reference.py            # writes it
    python tools/cli_reference.py --check    # exit code 1 if it is not what the commands say

Everything but the first section, the examples and the links under each verb comes from the help of the commands and
from ``errors.py``. A test runs the check.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import typer
from generated_page import main

from localvqe_cli import errors
from localvqe_cli.cli import EXIT_INTERRUPTED, EXIT_TERMINATED, app

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "cli.md"
COMMAND = "python tools/cli_reference.py"
_WIDTH = 116

#: Verb -> examples, and where more is said.
EXAMPLES = {
    "enhance": (
        ("localvqe enhance mic.wav ref.wav", "localvqe enhance mics/ refs/ -o clean/ -m denoise"),
        "[Guide](../guide/enhance.md); [formats, levels, alignment, JSON](enhance.md).",
    ),
    "live": (
        ("localvqe live", "localvqe live --virtual-mic my_mic --record call --duration 60", "localvqe live --list"),
        "[Guide](../guide/live.md), with what each stage takes. Needs `localvqe[live]`.",
    ),
    "export": (
        ("localvqe export ckpt.pt -o model.gguf --name 'my model'", "localvqe export denoise --format onnx"),
        "[Guide](../guide/export.md), [for ONNX](../guide/onnx.md), [of a speech codec](../guide/codec.md); "
        "[the file](gguf-format.md), [that of ONNX](onnx.md). "
        "Needs `localvqe[torch]`, for ONNX `localvqe[onnx]`, for a codec `localvqe[codec]`.",
    ),
    "inspect": (("localvqe inspect model.gguf --deep",), "[Guide](../guide/export.md#look-into-a-file)."),
    "verify": (
        ("localvqe verify ckpt.pt model.gguf",),
        "[Guide](../guide/export.md#what-verify-shows). Needs `localvqe[torch]`.",
    ),
    "quantize": (
        ("localvqe quantize model-f32.gguf out.gguf Q8_0 --calibrate pairs.tsv",),
        "[Guide](../guide/quantize.md); [method and figures](quantization.md).",
    ),
    "bench": (
        ("localvqe bench -m denoise -t 1 -t 2 --json",),
        "[Guide](../guide/bench.md); [the measure, and figures](performance.md).",
    ),
    "devices": (
        ("localvqe devices", "localvqe enhance mic.wav ref.wav -m v1.1 --backend ggml --device 0"),
        "[How a network gets onto a device](architecture.md#the-engine); "
        "[what it is worth](performance.md#other-backends).",
    ),
    "train": (
        ("localvqe train --data recordings --minutes 120 -o runs/mine",),
        "[Guide](../guide/train.md); [scenes and losses](training.md). Needs `localvqe[train]`.",
    ),
    "eval": (
        ("localvqe eval pairs.tsv -m default -m mine=model.gguf --html",),
        "[Guide](../guide/evaluate.md); [each score](metrics.md); [inputs and reports](eval.md). "
        "AECMOS and DNSMOS need `localvqe[eval]`.",
    ),
    "models": ((), "[Guide](../guide/models.md); [downloads and cache](models.md)."),
    "models list": (("localvqe models list",), ""),
    "models show": (("localvqe models show v1.1",), ""),
    "models pull": (("localvqe models pull v1.1 v1.2",), ""),
    "models verify": (("localvqe models verify",), ""),
    "models rm": (("localvqe models rm v1.1",), ""),
    "codec": (
        (),
        "[Guide](../guide/codec.md); [network, files, scores](codec.md). Needs `localvqe[codec]`.",
    ),
    "codec encode": (("localvqe codec encode speech.wav -m codec.gguf -o speech.npz",), ""),
    "codec decode": (("localvqe codec decode speech.npz -m codec.gguf -o decoded.wav",), ""),
    "codec roundtrip": (("localvqe codec roundtrip speech.wav -m codec.gguf",), ""),
    "codec eval": (("localvqe codec eval recordings/ -m codec.gguf --json",), ""),
}

_HEAD = """\
# The command line

Written by `{command}` from the commands themselves: change their help, not this page.
`localvqe VERB --help` (or `-h`) says the same.

{verbs}

## What holds for every verb

- **stdout** carries results for other programs: JSON, audio, tables. All that is meant for you goes to stderr: the
  model in use, notes (`note:`, something was done on your behalf), warnings (`warning:`, probably not what you
  meant), progress bars (only on a terminal, only for work of more than a second).
- **Files** appear whole or not at all. An output is written beside its target under a temporary name and renamed at
  the end, so an error, a full disk or Ctrl-C leaves neither half a file nor a damaged old one. An existing file is
  refused before any work starts, unless `--force` is given.
- **MODEL** is a file or a [name](../guide/models.md#choose-a-model); without it the default runs, which takes echo
  only. A dash (`-`) stands for stdin or stdout.
- **An error** is one line that begins with `localvqe: error:`, and an exit code:

| code | meaning |
|---|---|
{codes}
- **Environment**: [models.md](models.md#settings) has the variables of models and downloads,
  [c-api.md](c-api.md#environment) those of the engine.
"""

#: What the help shows as the type of a value that has no name.
_TYPES = {
    "<str>": "text",
    "<int>": "integer",
    "<int range>": "integer",
    "<float>": "number",
    "<float range>": "number",
}


class Row(NamedTuple):
    """One line of a table: an argument or option."""

    name: str
    value: str
    default: str
    meaning: str


def walk(command: Any, context: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every verb and sub-verb below ``command``: its path such as "models pull", itself, its context."""
    for name in command.list_commands(context):
        verb = command.get_command(context, name)
        inner = verb.make_context(name, [], parent=context, resilient_parsing=True)
        where = f"{path} {name}".strip()
        yield where, verb, inner
        if hasattr(verb, "list_commands"):
            yield from walk(verb, inner, where)


def root() -> tuple[Any, Any]:
    """The ``localvqe`` command and a context for it."""
    command: Any = typer.main.get_command(app)
    return command, command.make_context("localvqe", [], resilient_parsing=True)


def _row(parameter: Any, context: Any) -> Row | None:
    record = parameter.get_help_record(context)
    if record is None:
        return None
    name, text = record
    value = ""
    if parameter.param_type_name == "argument":
        name = re.sub(r" <[^<>]*>$", "", name)
    elif not getattr(parameter, "is_flag", False):
        name, _, value = name.partition(" ") if "," not in name else _split_names(name)
        value = _TYPES.get(value, value.removeprefix("<").removesuffix(">"))
    default = ""
    text, _, extra = text.partition("  [")
    for part in extra.removesuffix("]").split("; "):
        if part.startswith("default: "):
            default = part.removeprefix("default: ")
        elif "x" in part and ("<" in part or ">" in part):
            value = value if ".." in value else f"{value}, {_range(part)}"
        elif part == "required":
            default = "required"
        elif part:
            raise ValueError(f"{name}: the help ends in [{extra}, which has a part that this script does not know")
    # A default that depends on something stands in the text. Where a value may be left out, that is another thing.
    if not value.endswith("[FILE]") and (said := re.search(r" \[(?:default: )?([^]]*)\]$", text)):
        default, text = said[1], text[: said.start()]
    return Row(name, value, default, text)


def _split_names(text: str) -> tuple[str, str, str]:
    """``-o, --output PATH`` in names and value."""
    names, space, value = re.fullmatch(r"((?:-\S+, )*-\S+)( ?)(.*)", text).groups()  # type: ignore[union-attr]
    return names, space, value


def _range(text: str) -> str:
    """``0.0<=x<=1.0`` as "0 to 1", ``x>=1`` as "at least 1"."""

    def plain(number: str) -> str:
        return number.removesuffix(".0")

    if both := re.fullmatch(r"([-\d.]+)<=x<=([-\d.]+)", text):
        return f"{plain(both[1])} to {plain(both[2])}"
    if low := re.fullmatch(r"x>=([-\d.]+)", text):
        return f"at least {plain(low[1])}"
    if high := re.fullmatch(r"x<=([-\d.]+)", text):
        return f"at most {plain(high[1])}"
    raise ValueError(f"a range of another form: {text}")


def _cell(text: str) -> str:
    return re.sub(r"[|*<]", r"\\\g<0>", text)


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|") if text else ""


def _names(text: str) -> str:
    """Each spelling as code, the long one last: ``-o``, ``--output``."""
    parts = re.split(r", | / ", text)
    separator = " / " if " / " in text else ", "
    return separator.join(f"`{part}`" for part in parts)


def _tables(verb: Any, context: Any) -> list[str]:
    arguments, options = [], []
    for parameter in verb.get_params(context):
        row = _row(parameter, context)
        if row is not None and (parameter.name != "help" or context.parent is None):
            (arguments if parameter.param_type_name == "argument" else options).append(row)
    lines = []
    if arguments:
        lines += ["", "| argument | meaning |", "|---|---|"]
        for row in arguments:
            needed = " Required." if row.default == "required" else ""
            lines.append(f"| {_code(row.name.strip('{}'))} | {_cell(row.meaning)}{needed} |")
    if options:
        lines += ["", "| option | value | default | meaning |", "|---|---|---|---|"]
        lines += [f"| {_names(r.name)} | {_cell(r.value)} | {_cell(r.default)} | {_cell(r.meaning)} |" for r in options]
    return lines


def _paragraphs(text: str) -> list[str]:
    lines: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        lines += ["", *textwrap.wrap(" ".join(paragraph.split()), _WIDTH, break_on_hyphens=False)]
    return lines


def _section(path: str, verb: Any, context: Any) -> list[str]:
    examples, more = EXAMPLES[path]
    lines = ["", f"{'#' * (2 + path.count(' '))} {path}", *_paragraphs(verb.help or "")]
    usage = " ".join(["localvqe", path, *verb.collect_usage_pieces(context)])
    lines += ["", f"    {usage}"]
    if examples:
        lines += ["", "For example:", "", *(f"    {example}" for example in examples)]
    if more:
        lines += ["", *textwrap.wrap(more, _WIDTH, break_on_hyphens=False, break_long_words=False)]
    return lines + _tables(verb, context)


def exit_codes() -> dict[int, str]:
    """Every exit code and what it means, from the tree in ``errors.py``."""
    codes = {0: "done"}
    for name, code, text in re.findall(r"(\w+) +(\d+) +(\S.*)", errors.__doc__ or ""):
        if getattr(errors, name).exit_code != int(code):
            raise ValueError(f"errors.py says that {name} has exit code {code}, and gives it another")
        codes[int(code)] = f"{codes[int(code)]}; {text}" if int(code) in codes else text
    return codes | {EXIT_INTERRUPTED: "interrupted by Ctrl-C", EXIT_TERMINATED: "ended by `kill`"}


def page() -> str:
    """The text of docs/reference/cli.md."""
    command, context = root()
    verbs = list(walk(command, context))
    if unknown := {path for path, _, _ in verbs} ^ set(EXAMPLES):
        raise SystemExit(f"EXAMPLES in tools/cli_reference.py and the commands differ in {', '.join(sorted(unknown))}")
    table = ["| verb | what it does |", "|---|---|"]
    for path, verb, _ in verbs:
        if " " not in path:
            table.append(f"| [{path}](#{path}) | {(verb.help or '').strip().splitlines()[0]} |")
    codes = "".join(f"| {code} | {text} |\n" for code, text in exit_codes().items())
    lines = [_HEAD.format(command=COMMAND, verbs="\n".join(table), codes=codes).rstrip()]
    lines += ["", "## localvqe", *_tables(command, context)]
    for path, verb, inner in verbs:
        lines += _section(path, verb, inner)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main((__doc__ or "").splitlines()[0], PAGE, page(), COMMAND, "the commands")
