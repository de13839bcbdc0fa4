"""``contract/constants.h``: the grid, counts, names and limits of a model, and the numbers of filter and gain stage.

Values only, so that code compiled for one instruction set can include it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

from cpp import camel, constant, header_text, literal

from localvqe_cli import config, geometry, tensors

__all__ = ["RANGES", "STAGE_FILES", "header", "stage_constants"]

_REFERENCE = Path(config.__file__).parent / "reference"
#: Stages that the engine has on the host. Their modules import torch, so their constants are read without running them.
_STAGES = ("frontend", "kalman", "frontend_gain", "residual_echo", "noise_reduction")
STAGE_FILES = [_REFERENCE / f"{name}.py" for name in _STAGES]


def _ends(versions: Iterable[int]) -> tuple[int, int]:
    known = sorted(versions)
    if known != list(range(known[0], known[-1] + 1)):
        raise SystemExit(f"versions {known} are no range")
    return known[0], known[-1]


#: By name in ``localvqe::limits``.
RANGES: dict[str, tuple[float, float]] = {
    "version": _ends(config.DEFAULT_DMAX),
    "width": config.WIDTH_RANGE,
    **config.NETWORK_RANGES,
    "frontend_version": _ends(config.FRONTEND_VERSIONS),
    **{f"frontend_{name}": ends for name, ends in config.FRONTEND_RANGES.items()},
    "residual_version": _ends(config.RESIDUAL_VERSIONS),
    **{f"residual_{name}": ends for name, ends in config.RESIDUAL_RANGES.items()},
}


def header() -> str:
    body = [
        *(constant(name, value) for name, value in _counts().items()),
        "",
        *(constant(name, value) for name, value in _names().items()),
        "// What the tensors of the bottleneck's recurrence end with, a pair for each of A, B and C.",
        f"constexpr const char * kS4dParts[] = {{{', '.join(_quoted_parts())}}};",
        "",
        "struct IntRange {",
        "    int low, high;",
        "};",
        "struct FloatRange {",
        "    float low, high;",
        "};",
        "namespace limits {",
        *(_range(name, ends) for name, ends in RANGES.items()),
        "} // namespace limits",
    ]
    for path in STAGE_FILES:
        body += ["", f"namespace {path.stem} {{"]
        body += [constant(name, value) for name, value in stage_constants(path).items()]
        body += [f"}} // namespace {path.stem}"]
    return header_text("localvqe_cli/config.py, geometry.py, tensors.py and reference/", body)


def _counts() -> dict[str, int]:
    hops, lags = config.SMOOTH_KERNEL
    return {
        "fft": geometry.FRAME,
        "hop": geometry.HOP,
        "bins": config.ModelConfig.n_freq_bins,
        "sample_rate": geometry.MODEL_RATE,
        "mic_stages": config.MIC_STAGES,
        "far_stages": config.FAR_STAGES,
        "mask_channels": config.MASK_CHANNELS,
        "input_width": config.INPUT_WIDTH,
        "gain_features": config.GAIN_FEATURES,
        "max_threads": config.MAX_THREADS,
        "smooth_hops": hops,
        "smooth_lags": lags,
    }


def _names() -> dict[str, str]:
    from_config = ("ARCHITECTURE", "BN_FOLDED_KEY", "NETWORK_KEY", "BASES_KEY", "STANDARD_BASES", "SHAPE_PREFIX")
    from_tensors = ("ENCODER_BASIS", "DECODER_BASIS", "TEMPERATURE", "ALIGN_SMOOTH")
    names = {name: getattr(config, name) for name in from_config}
    names |= {"power_law_c_key": f"{config.KEY_PREFIX}power_law_c"}
    names |= {"frontend_prefix": config.FRONTEND_PREFIX, "residual_prefix": config.RESIDUAL_PREFIX}
    return names | {name: getattr(tensors, name) for name in from_tensors}


def _quoted_parts() -> list[str]:
    return [f'".{part}"' for part in (*tensors.S4D_POLES, *tensors.S4D_GAINS)]


def _range(name: str, ends: tuple[float, float]) -> str:
    low, high = ends
    whole = isinstance(low, int) and isinstance(high, int)
    kind, convert = ("IntRange", int) if whole else ("FloatRange", float)
    return f"constexpr {kind} {name}{{{literal(convert(low))}, {literal(convert(high))}}};"


def stage_constants(path: Path) -> dict[str, int | float]:
    """Module-level numbers in capitals; each may be computed from those before it and from the grid."""
    known: dict[str, int | float] = {name: getattr(geometry, name) for name in geometry.__all__}
    found: dict[str, int | float] = {}
    for statement in ast.parse(path.read_text(encoding="utf-8"), str(path)).body:
        if not isinstance(statement, ast.Assign):
            continue
        for target in statement.targets:
            names = [name.id for name in ast.walk(target) if isinstance(name, ast.Name)]
            if not all(name.isupper() and not name.startswith("_") for name in names):
                continue
            code = compile(ast.Expression(statement.value), str(path), "eval")
            value = eval(code, {"__builtins__": {}}, known | found)
            values = value if isinstance(target, ast.Tuple) else (value,)
            if not all(type(number) in (int, float) for number in values):
                raise SystemExit(f"{path}:{statement.lineno}: {camel(names[0])} is no number")
            found |= dict(zip(names, values, strict=True))
    return found
