"""``contract/tensors.h``: the table of tensor names and shapes, from ``localvqe_cli/tensors.py`` run with symbols for
the widths of a model."""

from __future__ import annotations

from typing import Any

from cpp import header_text, text

from localvqe_cli import config
from localvqe_cli.tensors import gguf_shapes, quantizable_shapes

__all__ = ["Size", "header"]


class Size:
    """A whole number that the engine will know, as a C++ expression."""

    def __init__(self, expression: str) -> None:
        self.expression = expression

    def __add__(self, other: Size | int) -> Size:
        return self if other == 0 else Size(f"({self} + {other})")

    def __radd__(self, other: int) -> Size:
        return self + other

    def __mul__(self, other: int) -> Size:
        return Size(f"{other} * {self}")

    __rmul__ = __mul__

    def __bool__(self) -> bool:
        raise TypeError(f"whether there is a tensor must not depend on {self}")

    def __eq__(self, other: object) -> bool:
        if isinstance(other, int) and other == 0:
            return False  # the controller, asked about, is there
        raise TypeError(f"whether there is a tensor must not depend on {self}")

    __hash__ = object.__hash__

    def __str__(self) -> str:
        return self.expression


def header() -> str:
    frontend = _shapeless(config.FrontendConfig, gain_hidden=Size("c.frontend.gain_hidden"))
    without_network = _shapeless(config.ModelConfig, network=False, frontend=frontend)
    body = [
        "// add(name, quantizable, {sizes, contiguous axis first}) of every tensor that a file of such a model has.",
        "template <class Config, class Add> void each_tensor(const Config & c, const Add & add) {",
        "    if (c.has_frontend && c.frontend.gain_hidden > 0) {",
        *_rows(without_network, "        "),
        "    }",
        "    if (!c.has_network) {",
        "        return;",
        "    }",
    ]
    # Versions with the same tensors share a listing.
    listings: dict[tuple[str, ...], list[int]] = {}
    for version in config.DEFAULT_DMAX:
        listings.setdefault(tuple(_rows(_network(version), "        ")), []).append(version)
    for rows, versions in listings.items():
        condition = " || ".join(f"c.version == {version}" for version in versions)
        body += [f"    if ({condition}) {{", *rows, "    }"]
    body.append("}")
    return header_text("localvqe_cli/tensors.py", body)


def _network(version: int) -> Any:
    sizes: dict[str, Any] = {name: Size(f"c.{name}") for name in config.NETWORK_RANGES}
    for name, stages in (("mic_channels", config.MIC_STAGES), ("far_channels", config.FAR_STAGES)):
        sizes[name] = [config.INPUT_WIDTH, *(Size(f"c.{name}[{i}]") for i in range(1, stages + 1))]
    return _shapeless(config.ModelConfig, version=version, **sizes)


def _shapeless(kind: type[Any], **values: Any) -> Any:
    """A configuration that is not checked, since symbols are in no range."""
    made = kind.__new__(kind)
    for name, value in values.items():
        object.__setattr__(made, name, value)
    return made


def _rows(model: Any, indent: str) -> list[str]:
    rows, quantizable = [], quantizable_shapes(model)
    for name, shape in gguf_shapes(model).items():
        sizes = ", ".join(str(size) for size in reversed(shape))
        rows.append(f"{indent}add({text(name)}, {str(name in quantizable).lower()}, {{{sizes}}});")
    return rows
