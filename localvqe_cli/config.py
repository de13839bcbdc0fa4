"""The hyperparameters of a LocalVQE model, each defined once, and the GGUF keys that carry them.

Report, Table 1 and section 5.1. A re-implementer reads these out of the file; nothing else in the
package hard-codes a width, a lag count or a key name. The engine has them from here as well: its build
writes C++ of this module (``native/contract``), so it imports the standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from typing import Any, ClassVar, TypeAlias, TypeVar

from .errors import ModelError
from .geometry import FRAME, HOP, MODEL_RATE

__all__ = [
    "ARCHITECTURE",
    "BASES_KEY",
    "BN_FOLDED_KEY",
    "DEFAULT_DMAX",
    "FRONTEND_PREFIX",
    "KEY_PREFIX",
    "MASK_CHANNELS",
    "MAX_JOBS",
    "MAX_THREADS",
    "NETWORK_KEY",
    "QUANTIZATION_PREFIX",
    "RESIDUAL_PREFIX",
    "SHAPE_PREFIX",
    "STANDARD_BASES",
    "FrontendConfig",
    "ModelConfig",
    "ResidualConfig",
    "block_name",
]

#: (key, type, value) of a GGUF file; the type is u32, f32 or bool.
KeyField: TypeAlias = tuple[str, str, int | float | bool]

ARCHITECTURE = "localvqe"
KEY_PREFIX = "localvqe."
BN_FOLDED_KEY = "localvqe.bn_folded"
#: A file with any key below this one has an adaptive filter before the network, and then all of them.
FRONTEND_PREFIX = "localvqe.frontend."
#: Likewise for the gain stage behind that filter.
RESIDUAL_PREFIX = "localvqe.residual."
#: Present and false in a file that holds a front-end without a network.
NETWORK_KEY = "localvqe.network"
#: Present, with the value STANDARD_BASES, where a file leaves the codec's bases out.
BASES_KEY = "localvqe.bases"
STANDARD_BASES = "standard"
#: Before a quantized tensor's name: the shape that its padded matrix stands for.
SHAPE_PREFIX = "localvqe.shape."
#: Before what is known about how a file was quantized.
QUANTIZATION_PREFIX = "localvqe.quantization."

#: By architecture version; these are consecutive. dmax is visible in no tensor shape; this is what each was published
#: with.
DEFAULT_DMAX = {1: 32, 2: 32, 3: 64}

#: Channels of the complex convolving mask: 3 basis indices times a 3x3 kernel (report, 2.6).
MASK_CHANNELS = 27
#: Kernel of the AlignBlock's smoothing: hops and lags.
SMOOTH_KERNEL = (5, 3)
MIC_STAGES = 5
FAR_STAGES = 2
#: Numbers per bin that the front-end's controller sees.
GAIN_FEATURES = 11

# The range of each number a file may state. The upper ends are far above any published model and
# low enough that a hostile file cannot make the loader reserve more than a few hundred MB.
WIDTH_RANGE = (1, 512)
#: Real and imaginary part.
INPUT_WIDTH = 2
DMAX_RANGE = (2, 512)
NETWORK_RANGES: dict[str, tuple[int, int]] = {
    "dmax": DMAX_RANGE,
    "align_hidden": (1, 512),
    "kernel_size_h": (1, 8),
    "kernel_size_w": (1, 8),
    "bottleneck_hidden": (1, 4096),
}

#: Threads that the engine takes for one model.
MAX_THREADS = 32
#: Processes that many files are shared out over.
MAX_JOBS = 256

CODEC_KEYS = ("n_fft", "hop_length", "n_freq_bins", "sample_rate")
_SCALAR_KEYS_BEFORE_C = (*CODEC_KEYS, "dmax")
_SCALAR_KEYS_AFTER_BN = ("kernel_size_h", "kernel_size_w", "bottleneck_hidden")


def block_name(side: str, stage: int) -> str:
    """Name of a convolution block: ``block_name("mic_enc", 3) == "mic_enc3"``."""
    return f"{side}{stage}"


#: Front-ends that this build knows by ``localvqe.frontend.version``; versions are consecutive.
FRONTEND_VERSIONS = {1: "Kalman filter", 2: "Kalman filter with a learned gain"}
#: Gain stages behind it, by ``localvqe.residual.version``.
RESIDUAL_VERSIONS = {2: "takes down what is left of the echo", 3: "takes down noise as well"}


def _since(version: int, default: Any, *, before: Any) -> Any:
    """A field that files of earlier versions of its stage do not have: they mean the value ``before``."""
    return field(default=default, metadata={"since": version, "before": before})


_AnyStage = TypeVar("_AnyStage", bound="_Stage")


@dataclass(frozen=True)
class _Stage:
    """A stage before the network. What its files state depends on a version of its own."""

    _WHAT: ClassVar[str]
    _PREFIX: ClassVar[str]
    _VERSIONS: ClassVar[Mapping[int, str]]

    version: int

    def to_mapping(self) -> dict[str, object]:
        """Plain values, for a checkpoint's ``model_config``."""
        return {f.name: getattr(self, f.name) for f in self._file_fields(self.version)}

    def gguf_fields(self) -> list[KeyField]:
        """(key, type, value) of every key, in file order."""
        return [
            (self._PREFIX + f.name, "u32" if _kind(f) is int else "f32", getattr(self, f.name))
            for f in self._file_fields(self.version)
        ]

    @classmethod
    def _file_fields(cls, version: int) -> list[Field[Any]]:
        """What files of a version state, in file order."""
        return [f for f in fields(cls) if f.metadata.get("since", 1) <= version]

    @classmethod
    def _known(cls, stated: object) -> int:
        """The version that is stated, or the newest."""
        return next((version for version in cls._VERSIONS if version == stated), max(cls._VERSIONS))

    @classmethod
    def from_values(cls: type[_AnyStage], values: Mapping[str, Any]) -> _AnyStage:
        """From names without prefix; unknown ones are ignored, missing ones have their defaults.

        Raises:
            ModelError: a value of the wrong kind or out of range.
        """
        try:
            stated = cls._file_fields(cls._known(values.get("version")))
            values = {**values, **{f.name: f.metadata["before"] for f in fields(cls) if f not in stated}}
            known: dict[str, Any] = {f.name: _kind(f)(values[f.name]) for f in fields(cls) if f.name in values}
            return cls(**known)
        except (TypeError, ValueError, OverflowError) as exc:
            raise ModelError(f"the {cls._WHAT} has a value of the wrong kind: {exc}") from exc

    def _check(self, ranges: Mapping[str, tuple[float, float]]) -> None:
        if self.version not in self._VERSIONS:
            known = " and ".join(map(str, self._VERSIONS))
            raise ModelError(f"unknown {self._WHAT} version {self.version}; this build knows {known}")
        name = self._PREFIX.removeprefix(KEY_PREFIX)
        for field_, (low, high) in ranges.items():
            value = getattr(self, field_)
            if not low <= value <= high:  # false for NaN as well
                raise ModelError(f"{name}{field_} is {value}, expected {low}..{high}")


@dataclass(frozen=True)
class FrontendConfig(_Stage):
    """The adaptive linear filter before the network (``reference/frontend.py``). Not in the report.

    Attributes:
        version: 1, the partitioned-block Kalman filter with a delay search; 2, the same with the fields below that say
            so, and a learned controller of its gain where ``gain_hidden`` is not 0.
        partitions: length of the filter in hops of 256 taps (1..64).
        lags: frames that the delay search covers (2..128).
        iterations: Kalman updates per hop (1..4).
        transition: how much of a coefficient survives a hop, 0.9..1.
        noise_smoothing: share of the past in the observation noise's spectrum, 0..0.999.
        initial_variance: of a coefficient of the first partition before anything was heard, 1e-6..1e3.
        process_floor: squared coefficient size below which its process noise does not fall, 0..1e3.
        decay: by how much both are smaller from each partition to the next, as a room's response is, 0.01..1.
        noise_weight: factor of the observation noise, 0.01..100; version 2.
        gain_hidden: states per bin of the recurrent controller (``reference/frontend_gain.py``), 0..64, 0 for none;
            version 2.
    """

    _WHAT = "front-end"
    _PREFIX = FRONTEND_PREFIX
    _VERSIONS = FRONTEND_VERSIONS

    version: int = 2
    partitions: int = 10
    lags: int = 32
    iterations: int = 2
    transition: float = 0.998
    noise_smoothing: float = 0.9
    initial_variance: float = 0.05
    process_floor: float = 0.005
    decay: float = 0.6
    noise_weight: float = _since(2, 0.5, before=1.0)
    gain_hidden: int = _since(2, 0, before=0)

    def __post_init__(self) -> None:
        self._check(FRONTEND_RANGES)


@dataclass(frozen=True)
class ResidualConfig(_Stage):
    """The gain per bin behind the adaptive filter (``reference/residual_echo.py``). Not in the report.

    Attributes:
        version: 2, what is left of the echo; 3, noise as well (``reference/noise_reduction.py``).
        overestimate: how many times the power that leaks is taken to be left in the error, 0..1e4.
        leak_least, leak_most: bounds of the least leak that is believed, a share of the estimated echo, 1e-6..1.
        leak_background: the least leak times the error's power over the background's, between those bounds, 0..1e4.
        noise_fill: share of the smallest recent power below which no echo is lowered, 0..16.
        noise_reduction: by how many dB what goes on all the time is lowered, 0..40; version 3.
    """

    _WHAT = "residual echo stage"
    _PREFIX = RESIDUAL_PREFIX
    _VERSIONS = RESIDUAL_VERSIONS

    version: int = 3
    overestimate: float = 75.0
    leak_least: float = 0.005
    leak_most: float = 0.1
    leak_background: float = 3.3
    noise_fill: float = 1.0
    noise_reduction: float = _since(3, 8.0, before=0.0)

    def __post_init__(self) -> None:
        self._check(RESIDUAL_RANGES)
        if self.leak_least > self.leak_most:
            raise ModelError(
                f"residual.leak_least is {self.leak_least}, more than residual.leak_most, {self.leak_most}"
            )


def _kind(field: Field[Any]) -> type[int] | type[float]:
    return int if isinstance(field.default, int) else float


FRONTEND_RANGES: dict[str, tuple[float, float]] = {
    "partitions": (1, 64),
    "lags": (2, 128),
    "iterations": (1, 4),
    "transition": (0.9, 1.0),
    "noise_smoothing": (0.0, 0.999),
    "initial_variance": (1e-6, 1e3),
    "process_floor": (0.0, 1e3),
    "decay": (0.01, 1.0),
    "noise_weight": (0.01, 100.0),
    "gain_hidden": (0, 64),
}
RESIDUAL_RANGES: dict[str, tuple[float, float]] = {
    "overestimate": (0.0, 1e4),
    "leak_least": (1e-6, 1.0),
    "leak_most": (1e-6, 1.0),
    "leak_background": (0.0, 1e4),
    "noise_fill": (0.0, 16.0),
    "noise_reduction": (0.0, 40.0),
}


@dataclass(frozen=True)
class ModelConfig:
    """Everything that determines the shapes and the arithmetic of a model.

    Attributes:
        version: architecture version; 1 = BatchNorm/ELU/DCT-II, 2 = CausalGroupNorm/ReLU6/STFT,
            3 = CausalGroupNorm/SiLU/STFT.
        mic_channels: widths of the microphone encoder, input (2) first, six numbers.
        far_channels: widths of the far-end encoder, input (2) first, three numbers.
        dmax: lags the AlignBlock can see, in frames of 16 ms (2..512); d_max in the report.
        align_hidden: heads of the AlignBlock's similarity.
        bottleneck_hidden: complex states H of the S4D bottleneck.
        power_law_c: magnitude compression exponent, 0 < c <= 1 (report, 2.2).
        n_fft, hop_length, n_freq_bins, sample_rate: analysis geometry; the codec is defined for
            512, 256, 256 and 16000 Hz only.
        kernel_size_h, kernel_size_w: convolution kernel in frames and bins.
        frontend: the adaptive filter before the network; None for a network alone.
        residual: the gain per bin behind that filter; None for none.
        network: False for a front-end alone; what describes the network then means nothing.
    """

    version: int = 2
    mic_channels: tuple[int, ...] = (2, 32, 40, 40, 40, 40)
    far_channels: tuple[int, ...] = (2, 32, 40)
    dmax: int = 32
    align_hidden: int = 32
    bottleneck_hidden: int = 162
    power_law_c: float = 0.3
    n_fft: int = FRAME
    hop_length: int = HOP
    n_freq_bins: int = HOP
    sample_rate: int = MODEL_RATE
    kernel_size_h: int = 4
    kernel_size_w: int = 4
    frontend: FrontendConfig | None = None
    residual: ResidualConfig | None = None
    network: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "mic_channels", tuple(int(c) for c in self.mic_channels))
        object.__setattr__(self, "far_channels", tuple(int(c) for c in self.far_channels))
        self._validate()

    def _validate(self) -> None:
        if self.version not in DEFAULT_DMAX:
            raise ModelError(f"unknown architecture version {self.version}; this build knows 1, 2 and 3")
        for name in CODEC_KEYS:
            value, expected = getattr(self, name), getattr(type(self), name)
            if value != expected:
                raise ModelError(f"{name} is {value}, but the LocalVQE codec is defined for {expected} only")
        _check_widths("mic_channels", self.mic_channels, MIC_STAGES + 1)
        _check_widths("far_channels", self.far_channels, FAR_STAGES + 1)
        for name, (low, high) in NETWORK_RANGES.items():
            _check_range(name, getattr(self, name), low, high)
        if not (math.isfinite(self.power_law_c) and 0.0 < self.power_law_c <= 1.0):
            raise ModelError(f"power_law_c is {self.power_law_c}, expected a number in (0, 1]")
        if self.frontend is None and not self.network:
            raise ModelError("a model needs a network, a front-end or both")
        if self.frontend is None and self.residual is not None:
            raise ModelError("the residual echo stage works on what a front-end estimates, and there is none")
        if self.residual is not None and self.network and self.version == 1:
            raise ModelError("the residual echo stage needs the codec of version 2 or 3 before a network")

    # -- geometry -----------------------------------------------------------------------------

    def freqs(self, stage: int) -> int:
        """Frequency bins after ``stage`` encoder stages: 256, 128, 64, 32, 16, 8."""
        return self.n_freq_bins >> stage

    @property
    def bottleneck_features(self) -> int:
        """C*F' of the deepest stage, the width of the bottleneck's projections (report, 2.5)."""
        return self.mic_channels[MIC_STAGES] * self.freqs(MIC_STAGES)

    def summary(self) -> str:
        """What kind of model this is, in a few words."""
        if not self.network:
            return "adaptive filter without a network"
        behind = ", behind an adaptive filter" if self.frontend else ""
        return f"network of architecture version {self.version}{behind}, dmax {self.dmax}"

    @property
    def echo_only(self) -> bool:
        """Without a far end there is nothing that the model would take away."""
        return not self.network and (self.residual is None or self.residual.noise_reduction == 0.0)

    @property
    def latency_samples(self) -> int:
        """Samples by which the streaming form lags its input."""
        return self.hop_length

    @property
    def visible_lags(self) -> int:
        """Frames by which an echo may lag the reference to be found: the search's, or the AlignBlock's alone."""
        return self.dmax if self.frontend is None else self.frontend.lags

    # -- conversions --------------------------------------------------------------------------

    @classmethod
    def from_mapping(cls, raw: Mapping[str, object]) -> ModelConfig:
        """Config from a checkpoint's ``model_config`` dictionary; unknown entries are ignored.

        Accepts the spellings found in checkpoints (``arch_version``, ``n_freqs``, ``kernel_size``,
        ``hop``, ``c``). Raises ModelError for a missing version or a value of the wrong kind.
        """
        known = {f.name for f in fields(cls)}
        values: dict[str, Any] = {k: v for k, v in raw.items() if k in known}
        for alias, name in _ALIASES.items():
            if name not in values and alias in raw:
                values[name] = raw[alias]
        if "version" not in values:
            raise ModelError("model_config does not say which architecture version the model has (arch_version)")
        kernel = raw.get("kernel_size")
        if isinstance(kernel, Sequence) and not isinstance(kernel, str) and len(kernel) == 2:
            values.setdefault("kernel_size_h", kernel[0])
            values.setdefault("kernel_size_w", kernel[1])
        parts: dict[str, Any] = {}
        for name, kind in (("frontend", FrontendConfig), ("residual", ResidualConfig)):
            part = values.pop(name, None)
            if part is not None:
                if not isinstance(part, Mapping):
                    raise ModelError(f"model_config: {name} is {type(part).__name__}, expected a mapping")
                parts[name] = kind.from_values(part)
        try:
            return cls(**parts, **{k: _coerce(k, v) for k, v in values.items()})
        except (TypeError, ValueError, OverflowError) as exc:
            raise ModelError(f"model_config holds a value of the wrong kind: {exc}") from exc

    def to_mapping(self) -> dict[str, object]:
        """The ``model_config`` dictionary a checkpoint carries."""
        return {
            "arch_version": self.version,
            "mic_channels": list(self.mic_channels),
            "far_channels": list(self.far_channels),
            "dmax": self.dmax,
            "bottleneck_hidden": self.bottleneck_hidden,
            "align_hidden": self.align_hidden,
            "power_law_c": self.power_law_c,
            "n_freqs": self.n_freq_bins,
            "kernel_size": [self.kernel_size_h, self.kernel_size_w],
            **({} if self.frontend is None else {"frontend": self.frontend.to_mapping()}),
            **({} if self.residual is None else {"residual": self.residual.to_mapping()}),
            **({} if self.network else {"network": False}),
        }

    def gguf_fields(self) -> list[KeyField]:
        """(key, type, value) of every contract key, in file order; type is u32, f32 or bool."""
        rows: list[KeyField] = [(f"{KEY_PREFIX}version", "u32", self.version)]
        codec = _SCALAR_KEYS_BEFORE_C if self.network else CODEC_KEYS
        rows += [(KEY_PREFIX + name, "u32", getattr(self, name)) for name in codec]
        rows += self._network_fields() if self.network else [(NETWORK_KEY, "bool", False)]
        for part in (self.frontend, self.residual):
            rows += [] if part is None else part.gguf_fields()
        return rows

    def _network_fields(self) -> list[KeyField]:
        rows: list[KeyField] = [
            (f"{KEY_PREFIX}power_law_c", "f32", self.power_law_c),
            (f"{KEY_PREFIX}align_hidden", "u32", self.align_hidden),
            (BN_FOLDED_KEY, "bool", True),
        ]
        rows += [(KEY_PREFIX + name, "u32", getattr(self, name)) for name in _SCALAR_KEYS_AFTER_BN]
        for name in ("mic_channels", "far_channels"):
            widths = getattr(self, name)
            rows.append((f"{KEY_PREFIX}{name}.count", "u32", len(widths)))
            rows += [(f"{KEY_PREFIX}{name}.{i}", "u32", width) for i, width in enumerate(widths)]
        return rows

    @classmethod
    def resembling(cls, values: Mapping[str, object]) -> ModelConfig:
        """Some config whose :meth:`gguf_fields` have the keys and types that a file with ``values`` must have."""

        def has(prefix: str) -> bool:
            return any(key.startswith(prefix) for key in values)

        def stage(kind: type[_AnyStage]) -> _AnyStage:
            return kind(version=kind._known(values.get(f"{kind._PREFIX}version")))

        network = values.get(NETWORK_KEY) is not False
        frontend = stage(FrontendConfig) if has(FRONTEND_PREFIX) or not network else None
        residual = stage(ResidualConfig) if frontend is not None and has(RESIDUAL_PREFIX) else None
        return cls(frontend=frontend, residual=residual, network=network)

    @classmethod
    def from_gguf_fields(cls, values: Mapping[str, int | float | bool]) -> ModelConfig:
        """Inverse of :meth:`gguf_fields`; ``values`` maps full key names to numbers.

        The caller has checked that the scalar keys and both counts exist with the right type.
        """

        def widths(name: str, expected: int) -> tuple[int, ...]:
            count = values[f"{KEY_PREFIX}{name}.count"]
            if count != expected:
                raise ModelError(f"{KEY_PREFIX}{name}.count is {count}, expected {expected}")
            return tuple(int(values[f"{KEY_PREFIX}{name}.{i}"]) for i in range(expected))

        network = values.get(NETWORK_KEY) is not False
        scalars: tuple[str, ...] = ("version", *CODEC_KEYS)
        if network:
            scalars = ("version", "align_hidden", *_SCALAR_KEYS_BEFORE_C, *_SCALAR_KEYS_AFTER_BN)
        kwargs: dict[str, Any] = {name: int(values[KEY_PREFIX + name]) for name in scalars}
        if network:
            kwargs |= {
                "mic_channels": widths("mic_channels", MIC_STAGES + 1),
                "far_channels": widths("far_channels", FAR_STAGES + 1),
                "power_law_c": float(values[f"{KEY_PREFIX}power_law_c"]),
            }
        frontend, residual = _below(FRONTEND_PREFIX, values), _below(RESIDUAL_PREFIX, values)
        return cls(
            frontend=FrontendConfig.from_values(frontend) if frontend else None,
            residual=ResidualConfig.from_values(residual) if residual else None,
            network=network,
            **kwargs,
        )


def _below(prefix: str, values: Mapping[str, object]) -> dict[str, Any]:
    return {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}


_ALIASES = {"arch_version": "version", "n_freqs": "n_freq_bins", "hop": "hop_length", "c": "power_law_c"}


def _coerce(name: str, value: Any) -> Any:
    if name in ("mic_channels", "far_channels"):
        return tuple(int(v) for v in value)
    if name == "network":
        return bool(value)
    return float(value) if name == "power_law_c" else int(value)


def _check_widths(name: str, widths: Sequence[int], count: int) -> None:
    if len(widths) != count:
        raise ModelError(f"{name} has {len(widths)} entries, expected {count}")
    if widths[0] != INPUT_WIDTH:
        raise ModelError(f"{name}[0] is {widths[0]}, expected {INPUT_WIDTH} (real and imaginary part)")
    for i, width in enumerate(widths):
        _check_range(f"{name}[{i}]", width, *WIDTH_RANGE)


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ModelError(f"{name} is {value}, expected {low}..{high}")
