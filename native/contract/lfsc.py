"""``contract/lfsc.h``: the hyperparameters of the speech codec, and code that reads them key by key."""

from __future__ import annotations

from dataclasses import fields

from cpp import constant, header_text, text

from localvqe_cli.families import lfsc_config
from localvqe_cli.families.lfsc_config import LFSC_RANGES, LFSCConfig, lfsc_key

__all__ = ["header"]


def header() -> str:
    names = ("LFSC_ARCHITECTURE", "LFSC_SHAPE_PREFIX", "LEAK", "SHRINK", "MAX_CHANNELS", "MAX_FRAME", "MAX_ENTRIES")
    body = ["namespace lfsc {", "", *(constant(name, getattr(lfsc_config, name)) for name in names), ""]
    stated = [item for item in fields(LFSCConfig) if item.name != "version"]
    lists = {item.name for item in stated if isinstance(item.default, tuple)}
    body += ["struct Sizes {"]
    body += [f"    {'std::vector<int>' if item.name in lists else 'int'} {item.name}{{}};" for item in stated]
    body += ["};", ""]
    body += [
        "// `number` and `numbers` ask for a key within a range: (const char *, IntRange) -> int, -> std::vector<int>."
    ]
    body += [
        "template <class Number, class Numbers> Sizes read_sizes(const Number & number, const Numbers & numbers) {"
    ]
    version = LFSCConfig().version
    body += [f"    number({text(lfsc_key('version'))}, IntRange{{{version}, {version}}});", "    Sizes c;"]
    for item in stated:
        low, high = LFSC_RANGES[item.name]
        read = "numbers" if item.name in lists else "number"
        body.append(f"    c.{item.name} = {read}({text(lfsc_key(item.name))}, IntRange{{{low}, {high}}});")
    body += ["    return c;", "}", "", "} // namespace lfsc"]
    return header_text("localvqe_cli/families/lfsc_config.py", body, ('"contract/constants.h"', "<vector>"))
