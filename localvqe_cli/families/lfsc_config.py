"""The hyperparameters of a Low Frame-rate Speech Codec and the GGUF keys that carry them.

What every such model shares is no key: activations (leaky rectifier of slope 0.01, hyperbolic tangent at the end),
padding by reflection, and the quantizer's rule; ``lfsc.version`` stands for them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any, TypeAlias

from ..errors import ModelError

__all__ = [
    "LEAK",
    "LFSC_ARCHITECTURE",
    "LFSC_PREFIX",
    "LFSC_RANGES",
    "LFSC_SHAPE_PREFIX",
    "SHRINK",
    "LFSCConfig",
    "lfsc_key",
]

LFSC_ARCHITECTURE = "lfsc"
LFSC_PREFIX = "lfsc."
#: As ``config.SHAPE_PREFIX``.
LFSC_SHAPE_PREFIX = "lfsc.shape."
LFSC_VERSION = 1

#: Of the leaky rectifier below zero.
LEAK = 0.01
#: Keeps the outermost levels of the quantizer within reach.
SHRINK = 1.0 - 1e-3

#: (smallest, largest) of each number; the upper ends are far above the published model's.
LFSC_RANGES: dict[str, tuple[int, int]] = {
    "sample_rate": (8000, 96000),
    "encoder_channels": (1, 256),
    "encoder_rates": (2, 16),
    "encoder_kernels": (1, 31),
    "encoder_dilations": (1, 32),
    "encoder_in_kernel": (1, 31),
    "encoder_out_kernel": (1, 31),
    "decoder_channels": (1, 4096),
    "decoder_rates": (2, 16),
    "decoder_kernels": (1, 31),
    "decoder_dilations": (1, 32),
    "decoder_in_kernel": (1, 31),
    "decoder_out_kernel": (1, 31),
    "groups": (1, 64),
    "levels": (2, 64),
}
MAX_ENTRIES = 8
#: Widths double at each stage, so a few stages make many channels.
MAX_CHANNELS = 8192
MAX_FRAME = 1 << 14
#: So that a token is an int32.
MAX_CODES = 1 << 31

_Field: TypeAlias = tuple[str, str, int | list[int]]


@dataclass(frozen=True)
class LFSCConfig:
    """Everything that determines the shapes and the arithmetic of a codec; the defaults are the published one's.

    Attributes:
        version: of this list; 1.
        sample_rate: Hz.
        encoder_channels: of its first stage; each stage doubles them.
        encoder_rates: by how much each stage of the encoder shortens time, 2..16.
        encoder_kernels: of the chains of a residual layer, odd.
        encoder_dilations: of the blocks of a chain.
        encoder_in_kernel, encoder_out_kernel: of its first and last convolution, odd.
        decoder_channels: before its first stage; each stage halves them.
        decoder_rates, decoder_kernels, decoder_dilations, decoder_in_kernel, decoder_out_kernel: likewise.
        groups: codebooks, tokens of a frame.
        levels: of each dimension of a group.

    Raises:
        ModelError: a number is out of range, or numbers contradict each other.
    """

    version: int = LFSC_VERSION
    sample_rate: int = 22050
    encoder_channels: int = 48
    encoder_rates: tuple[int, ...] = (2, 2, 4, 8, 8)
    encoder_kernels: tuple[int, ...] = (3, 7, 11)
    encoder_dilations: tuple[int, ...] = (1,)
    encoder_in_kernel: int = 7
    encoder_out_kernel: int = 7
    decoder_channels: int = 1024
    decoder_rates: tuple[int, ...] = (8, 8, 4, 2, 2)
    decoder_kernels: tuple[int, ...] = (3, 7, 11)
    decoder_dilations: tuple[int, ...] = (1, 3, 5)
    decoder_in_kernel: int = 7
    decoder_out_kernel: int = 3
    groups: int = 8
    levels: tuple[int, ...] = (8, 7, 6, 6)

    def __post_init__(self) -> None:
        if self.version != LFSC_VERSION:
            raise ModelError(f"unknown version {self.version} of the codec's keys; this build knows {LFSC_VERSION}")
        for name, (low, high) in LFSC_RANGES.items():
            value = getattr(self, name)
            values = value if isinstance(value, tuple) else (value,)
            if isinstance(value, tuple) and not 1 <= len(value) <= MAX_ENTRIES:
                raise ModelError(f"{name} has {len(value)} entries, expected 1..{MAX_ENTRIES}")
            for item in values:
                if not low <= item <= high:
                    raise ModelError(f"{name} is {item}, expected {low}..{high}")
                if name.endswith(("kernel", "kernels")) and item % 2 == 0:
                    raise ModelError(f"{name} is {item}, expected an odd number")
        frame, decoded = math.prod(self.encoder_rates), math.prod(self.decoder_rates)
        if frame != decoded:
            raise ModelError(f"the encoder's rates make {frame} samples a frame, but the decoder's {decoded}")
        if frame > MAX_FRAME:
            raise ModelError(f"the rates make {frame} samples a frame, expected at most {MAX_FRAME}")
        if self.decoder_channels % (1 << len(self.decoder_rates)):
            raise ModelError(
                f"decoder_channels is {self.decoder_channels}, which cannot be halved {len(self.decoder_rates)} times"
            )
        if self.encoder_channels << len(self.encoder_rates) > MAX_CHANNELS:
            raise ModelError(f"the encoder ends in more than {MAX_CHANNELS} channels")
        if math.prod(self.levels) >= MAX_CODES:
            raise ModelError("a group has more codes than fit into 32 bits")

    # -- geometry -----------------------------------------------------------------------------

    @property
    def samples_per_frame(self) -> int:
        """Samples of sound that a column of tokens stands for."""
        return math.prod(self.encoder_rates)

    @property
    def code_channels(self) -> int:
        """Channels between encoder and quantizer, and between quantizer and decoder."""
        return self.groups * len(self.levels)

    @property
    def codes(self) -> int:
        """Different tokens of a group."""
        return math.prod(self.levels)

    @property
    def bits_per_second(self) -> float:
        """What the tokens of a second carry."""
        return self.groups * math.log2(self.codes) * self.sample_rate / self.samples_per_frame

    def encoder_width(self, stage: int) -> int:
        """Channels of the encoder's residual layer ``stage``, and after the last stage's down-sampling."""
        return self.encoder_channels << stage

    def decoder_width(self, stage: int) -> int:
        """Channels of the decoder before its stage ``stage``; stage + 1 is after it."""
        return self.decoder_channels >> stage

    @property
    def least_frames(self) -> int:
        """Frames that a clip must have: with fewer, some reflection reaches beyond what there is to reflect."""
        return max(pad // length + 1 for pad, length in self._reflections())

    @property
    def encoder_context(self) -> int:
        """Frames on either side that a frame's tokens depend on."""
        reach = self.encoder_in_kernel // 2
        step = 1
        for rate in self.encoder_rates:
            reach += step * (_chain_reach(self.encoder_kernels, self.encoder_dilations) + (rate + 1) // 2)
            step *= rate
        return math.ceil(Fraction(reach, step)) + self.encoder_out_kernel // 2

    @property
    def decoder_context(self) -> int:
        """Frames on either side that a frame's sound depends on."""
        reach = Fraction(self.decoder_in_kernel // 2)
        step = Fraction(1)
        for rate in self.decoder_rates:
            reach += step  # of the transposed convolution
            step /= rate
            reach += step * _chain_reach(self.decoder_kernels, self.decoder_dilations)
        return math.ceil(reach + step * (self.decoder_out_kernel // 2))

    def _reflections(self) -> Iterator[tuple[int, int]]:
        """(values that a convolution reflects, positions that a frame has there) of every kind of convolution."""
        length = self.samples_per_frame
        yield self.encoder_in_kernel // 2, length
        for rate in self.encoder_rates:
            yield max(self.encoder_kernels) // 2 * max(self.encoder_dilations), length
            yield (rate + 1) // 2, length
            length //= rate
        yield self.encoder_out_kernel // 2, length
        yield self.decoder_in_kernel // 2, length
        for rate in self.decoder_rates:
            length *= rate
            yield max(self.decoder_kernels) // 2 * max(self.decoder_dilations), length
        yield self.decoder_out_kernel // 2, length

    # -- conversions --------------------------------------------------------------------------

    def summary(self) -> str:
        """What kind of model this is, in a few words."""
        frames = self.sample_rate / self.samples_per_frame
        return (
            f"speech codec, {self.sample_rate} Hz, {frames:.1f} frames/s, {self.groups} codebooks of {self.codes}, "
            f"{self.bits_per_second / 1000:.2f} kbit/s"
        )

    def gguf_fields(self) -> list[_Field]:
        """(key, type, value) of every key, in file order."""
        rows: list[_Field] = []
        for item in fields(self):
            value = getattr(self, item.name)
            kind = "arr[u32]" if isinstance(value, tuple) else "u32"
            rows.append((lfsc_key(item.name), kind, list(value) if isinstance(value, tuple) else value))
        return rows

    @classmethod
    def from_gguf_fields(cls, values: Mapping[str, object]) -> LFSCConfig:
        """Inverse of :meth:`gguf_fields`; the caller has checked that the keys exist with the right type.

        Raises:
            ModelError: a number is out of range.
        """
        found: dict[str, Any] = {}
        for item in fields(cls):
            value = values[lfsc_key(item.name)]
            found[item.name] = tuple(value) if isinstance(value, list) else value
        return cls(**found)


def lfsc_key(name: str) -> str:
    """``encoder_rates`` is ``lfsc.encoder.rates`` in a file."""
    side, _, rest = name.partition("_")
    return LFSC_PREFIX + (f"{side}.{rest}" if side in ("encoder", "decoder") else name)


def _chain_reach(kernels: tuple[int, ...], dilations: tuple[int, ...]) -> int:
    """Positions on either side that a residual layer's output depends on."""
    return max(kernels) // 2 * sum(dilation + 1 for dilation in dilations)
