"""docs/reference/python.md, written from the docstrings of what ``import localvqe`` offers:

python tools/python_reference.py            # writes it
python tools/python_reference.py --check    # exit code 1 if it is not what the docstrings say
"""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from generated_page import main

import localvqe
import localvqe.live

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "python.md"
COMMAND = "python tools/python_reference.py"
_WIDTH = 116

_HEAD = """\
# What `import localvqe` offers

Written by `{command}` from the docstrings: change those, not this page.
`help(localvqe.Enhancer)` says the same. [The guide](../guide/python.md) has the first steps.

| name | what it is |
|---|---|
{names}
"""


#: What the plug-ins for voice agents import; the page is the same where these are missing, and needs no other version.
_STAND_INS = (
    *("livekit", "livekit.agents", "livekit.agents.voice"),
    *("pipecat.audio.filters.base_audio_filter", "pipecat.frames.frames", "pipecat.processors.frame_processor"),
)


class _Anything(ModuleType):
    """Has every name: classes to derive from, and modules that have them."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name[0].islower():
            return _Anything(name)
        return type(name, (), {"__class_getitem__": classmethod(lambda cls, item: cls)})


@contextmanager
def _stand_ins() -> Iterator[None]:
    """Inside, the plug-ins can be imported; afterwards nobody knows of it."""
    before = dict(sys.modules)
    for name in _STAND_INS:
        sys.modules[name] = _Anything(name)
    try:
        yield
    finally:
        for name in set(sys.modules) - set(before):
            if name in _STAND_INS or name.startswith(("localvqe.", "localvqe_cli.agents.")):
                del sys.modules[name]
        sys.modules.update(before)


def _plug_ins() -> dict[str, Any]:
    with _stand_ins():
        modules = [import_module(f"localvqe.{name}") for name in ("livekit", "pipecat")]
    return {
        f"{module.__name__.partition('.')[2]}.{name}": getattr(module, name)
        for module in modules
        for name in module.__all__
    }


def _summary(thing: Any) -> str:
    """The first sentence of a docstring."""
    text = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    return _markup(re.split(r"(?<=[.])\s|[:;] ", text)[0].removesuffix("."))


def _markup(text: str) -> str:
    """reStructuredText in a docstring as Markdown."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text)
    return re.sub(r"``([^`]+)``", r"`\1`", text).replace("|", "\\|")


def _wrapped(text: str, first: str = "", rest: str = "") -> list[str]:
    return textwrap.wrap(
        _markup(" ".join(text.split())),
        _WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_on_hyphens=False,
        break_long_words=False,
    )


def _items(lines: list[str]) -> Iterator[str]:
    """``name: text`` entries of a section, continued on lines that are indented further."""
    for entry in re.split(r"\n(?=\S)", textwrap.dedent("\n".join(lines)).strip()):
        name, colon, text = entry.partition(": ")
        if not colon:
            name, text = "", entry
        names = ", ".join(f"`{part}`" for part in name.split(", ")) if name else ""
        yield f"{names}: {text}" if names else text


def _docstring(thing: Any) -> list[str]:
    """The docstring of ``thing`` as Markdown: paragraphs, then a list for each of Args, Attributes, Raises."""
    out: list[str] = []
    for block in re.split(r"\n\s*\n", inspect.getdoc(thing) or ""):
        lines = block.splitlines()
        if section := re.fullmatch(r"(Args|Attributes|Raises|Returns|Yields):", lines[0]):
            out += ["", f"{section[1]}:", ""]
            for item in _items(lines[1:]):
                out += _wrapped(item, "- ", "  ")
        elif lines[0].startswith((" ", ">>>")):
            out += ["", *(f"    {line}" for line in textwrap.dedent(block).splitlines())]
        else:
            out += ["", *_wrapped(block.removesuffix("::"))]
    return out


def _type(annotation: Any) -> str:
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return text.replace("localvqe_cli.", "").replace("os.PathLike", "PathLike")


def _parameter(parameter: inspect.Parameter) -> str:
    text = parameter.name
    if parameter.annotation is not parameter.empty:
        text += f": {_type(parameter.annotation)}"
    if parameter.default is not parameter.empty:
        default = "..." if inspect.isfunction(parameter.default) else repr(parameter.default)
        text += f" = {'[]' if default == '<factory>' else default}"
    return text


def _signature(name: str, thing: Any) -> list[str]:
    """A call of ``thing`` as Python has it, on one line or with a parameter on each."""
    signature = inspect.signature(thing)
    parts: list[str] = []
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        if parameter.name != "self":
            parts.append(_parameter(parameter))
    gives = "" if signature.return_annotation in (signature.empty, None, "None") else signature.return_annotation
    result = f" -> {_type(gives)}" if gives else ""
    line = f"{name}({', '.join(parts)}){result}"
    lines = [line] if len(line) <= 100 else [f"{name}(", *(f"    {part}," for part in parts), f"){result}"]
    return ["", "```python", *lines, "```"]


def _members(cls: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties that ``cls`` defines, in the order of its source."""
    for name, member in vars(cls).items():
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
            yield name, member


def _section(name: str, thing: Any) -> list[str]:
    lines = ["", f"## {name}"]
    if inspect.isclass(thing) and issubclass(thing, Exception):
        base = thing.__bases__[0].__name__
        kind = f"A `{base}`; on the command line" if base != "Exception" else "On the command line"
        return [*lines, *_docstring(thing), "", f"{kind} exit code {getattr(thing, 'exit_code', 1)}."]
    lines += [*_signature(name, thing), *_docstring(thing)]
    if inspect.isclass(thing):
        for member_name, member in _members(thing):
            lines += ["", f"### {name}.{member_name}"]
            if not isinstance(member, property):
                lines += _signature(f"{name}.{member_name}", member)
            lines += _docstring(member)
    return lines


def page() -> str:
    """The text of docs/reference/python.md."""
    things = {name: getattr(localvqe, name) for name in localvqe.__all__ if not name.startswith("__")}
    things |= {f"live.{name}": getattr(localvqe.live, name) for name in localvqe.live.__all__}
    things |= _plug_ins()
    # What one calls, then what one gets and may catch.
    order = sorted(things, key=lambda name: (name[0].isupper() and name != "Enhancer", name.endswith("Error")))
    anchors = {name: name.lower().replace(".", "") for name in order}
    names = "\n".join(f"| [{name}](#{anchors[name]}) | {_summary(things[name])} |" for name in order)
    lines = [_HEAD.format(command=COMMAND, names=names).rstrip()]
    for name in order:
        lines += _section(name, things[name])
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main((__doc__ or "").splitlines()[0], PAGE, page(), COMMAND, "the docstrings")
