"""How values are spelled in C++."""

from __future__ import annotations

__all__ = ["camel", "constant", "header_text", "literal", "text"]


def header_text(source: str, body: list[str], includes: tuple[str, ...] = ()) -> str:
    """A header in the engine's namespace; ``source``: what it was made of."""
    lines = [f"// Written by native/contract from {source}: change it there.", "#pragma once", ""]
    lines += [f"#include {name}" for name in includes]
    lines += [""] if includes else []
    return "\n".join([*lines, "namespace localvqe {", "", *body, "", "} // namespace localvqe", ""])


def literal(value: int | float) -> str:
    """A float is of single precision: what the engine computes with."""
    return f"{value!r}f" if isinstance(value, float) else str(value)


def text(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def camel(name: str) -> str:
    """``NOISE_FLOOR`` or ``noise_floor`` -> ``NoiseFloor``."""
    return "".join(part.capitalize() for part in name.split("_"))


def constant(name: str, value: int | float | str) -> str:
    """``NOISE_FLOOR``, 1e-10 -> ``constexpr float kNoiseFloor = 1e-10f;``"""
    if isinstance(value, str):
        return f"constexpr const char * k{camel(name)} = {text(value)};"
    kind = "float" if isinstance(value, float) else "int"
    return f"constexpr {kind} k{camel(name)} = {literal(value)};"
