"""``contract/keys.h``: what a model's configuration holds, and code that reads and checks it key by key."""

from __future__ import annotations

from dataclasses import Field, fields
from typing import Any

from cpp import header_text, literal, text

from localvqe_cli import config

__all__ = ["header"]


def header() -> str:
    body = [
        "// Each read_...() asks `read` for a key within a range: (const char *, IntRange) -> int and (const char *,",
        "// FloatRange) -> float, which throw where a file has no such value.",
        "",
        *_network(),
        "",
        *_part("FrontendConfig", "read_frontend", config.FRONTEND_PREFIX, config.FrontendConfig),
        "",
        *_part("ResidualConfig", "read_residual", config.RESIDUAL_PREFIX, config.ResidualConfig),
    ]
    return header_text("localvqe_cli/config.py", body, ('"contract/constants.h"', "<array>"))


def _network() -> list[str]:
    whole = config.NETWORK_RANGES
    widths = {"mic_channels": "kMicStages", "far_channels": "kFarStages"}
    lines = ["// Widths and sizes of the network, in whole numbers.", "struct NetworkConfig {"]
    lines += [f"    std::array<int, {count} + 1> {name}{{}};" for name, count in widths.items()]
    lines += [f"    int {name} = 0;" for name in whole]
    lines += ["};", ""]
    lines += ["template <class Read> int read_version(const Read & read) {"]
    lines += [f"    return {_read('version', 'limits::version')};", "}", ""]
    lines += ["// Refuses another codec than ours.", "template <class Read> void check_codec(const Read & read) {"]
    for name in config.CODEC_KEYS:
        value = getattr(config.ModelConfig, name)
        lines.append(f"    {_read(name, f'IntRange{{{value}, {value}}}')};")
    lines += ["}", "", "template <class Read> void read_network(const Read & read, NetworkConfig & c) {"]
    lines += [f"    c.{name} = {_read(name, f'limits::{name}')};" for name in whole]
    for name, count in widths.items():
        stages = {"kMicStages": config.MIC_STAGES, "kFarStages": config.FAR_STAGES}[count]
        lines.append(f"    {_read(f'{name}.count', f'IntRange{{{stages + 1}, {stages + 1}}}')};")
        for i in range(stages + 1):
            allowed = "limits::width" if i else "IntRange{kInputWidth, kInputWidth}"
            lines.append(f"    c.{name}[{i}] = {_read(f'{name}.{i}', allowed)};")
    return [*lines, "}"]


def _read(name: str, allowed: str) -> str:
    return f"read({text(config.KEY_PREFIX + name)}, {allowed})"


def _part(struct: str, reader: str, prefix: str, part: type[Any]) -> list[str]:
    """A stage whose files have a version of their own."""
    own = prefix.removeprefix(config.KEY_PREFIX)
    stated = [f for f in fields(part) if f.name != "version"]
    first = min(f.metadata.get("since", 1) for f in stated)
    lines = [f"// {prefix}*", f"struct {struct} {{"]
    lines += [f"    {_kind(f)} {f.name} = {literal(_unstated(f))};" for f in stated]
    lines += ["};", "", f"template <class Read> {struct} {reader}(const Read & read) {{"]
    versions = f"limits::{own.removesuffix('.')}_version"
    several = any(f.metadata.get("since", first) > first for f in stated)
    lines.append(f"    {'const int version = ' if several else ''}{_read(own + 'version', versions)};")
    lines.append(f"    {struct} c;")
    for f in stated:
        since = f.metadata.get("since", first)
        when = f"if (version >= {since}) " if since > first else ""
        limit = f"limits::{own.removesuffix('.')}_{f.name}"
        lines.append(f"    {when}c.{f.name} = {_read(own + f.name, limit)};")
    return [*lines, "    return c;", "}"]


def _kind(field: Field[Any]) -> str:
    return "int" if isinstance(field.default, int) else "float"


def _unstated(field: Field[Any]) -> int | float:
    """What a file means that does not state it."""
    before: int | float = field.metadata.get("before", 0 if isinstance(field.default, int) else 0.0)
    return before
