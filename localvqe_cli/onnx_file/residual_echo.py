"""What an adaptive filter leaves of the echo, taken down bin by bin; see ``reference/residual_echo.py``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..config import ResidualConfig
from ..geometry import BINS, FRAME, HOP
from ..reference import noise_reduction
from ..reference import residual_echo as numbers
from .filterbank import frames, overlap_add
from .frontend import FrameCounter
from .graph import Graph
from .transforms import Transforms, power

__all__ = ["PERIODS", "ResidualGain"]

#: After how many hops a block of minima ends.
PERIODS = (numbers.BLOCK_FRAMES, numbers.LEAK_BLOCK_FRAMES)


def _window() -> NDArray[np.float64]:
    return np.sin(np.pi * (np.arange(FRAME) + 0.5) / FRAME)


class ResidualGain:
    """Error and echo hops of the filter, (1, 256) each.

    Attributes:
        gain: of the frame that ends here, 0..1, (1, 257).
    """

    def __init__(
        self, g: Graph, config: ResidualConfig, transforms: Transforms, counter: FrameCounter, error: str, echo: str
    ) -> None:
        self._g, self._config, self._transforms = g, config, transforms
        both = frames(g, "residual.samples", g.concat(0, error, echo), 2)
        spectra = transforms.of_frame(g.op("Mul", both, _window()))
        powers = power(g, transforms.parts(spectra))  # (2, 257), of error and echo
        self._spectrum = g.slice(spectra, 0, 0, 1)
        past = numbers.FRAMES - 1
        latest = g.concat(1, g.state("residual.power", 2, past, BINS), g.reshape(powers, 2, 1, BINS))
        g.keep("residual.power", g.slice(latest, 1, 1, past + 1))
        error_mean, echo_mean = g.split(g.reduce("Mean", latest, [1]), 0, 1, 1)
        error_power = g.slice(powers, 0, 0, 1)

        before = g.state("residual.smooth", 1, BINS)
        smoothed = g.op(
            "Add",
            g.op("Mul", before, numbers.NOISE_MEMORY),
            g.op("Mul", error_power, 1.0 - numbers.NOISE_MEMORY),
        )
        smooth = g.op("Where", counter.first, error_power, smoothed)
        g.keep("residual.smooth", smooth)
        background = self._least("residual.minima", smooth, numbers.BLOCKS, numbers.BLOCK_FRAMES, counter, float("inf"))

        floor = numbers.POWER_FLOOR
        ratio = g.op("Div", g.op("Add", error_mean, floor), g.op("Add", echo_mean, floor))
        told = g.op("Where", g.op("Greater", echo_mean, background), ratio, 1.0)
        leak = self._leak(told, error_mean, background, counter)
        left = g.op("Div", g.op("Mul", leak, config.overestimate), ratio)
        gain = g.op("Div", 1.0, g.op("Add", g.op("Mul", left, left), 1.0))
        fill = g.op("Div", g.op("Mul", background, config.noise_fill), g.op("Add", error_power, floor))
        self.gain = g.op("Max", gain, g.op("Min", g.op("Sqrt", fill), 1.0))
        if config.noise_reduction:
            self.gain = g.op("Mul", self.gain, self._speech(error_power, background))

    def samples(self) -> str:
        """The error by the gain, for models without a network: the hop before, (1, 256)."""
        g = self._g
        scaled = g.op("Mul", self._spectrum, g.concat(1, self.gain, self.gain))
        return overlap_add(g, "residual.overlap", g.op("Mul", self._transforms.frame(scaled), _window()))

    def of_codec(self) -> str:
        """The gain of the codec's bins, which has no DC: (1, 1, 1, 256)."""
        return self._g.reshape(self._g.slice(self.gain, 1, 1, BINS), 1, 1, 1, HOP)

    def _speech(self, error_power: str, background: str) -> str:
        g, memory = self._g, noise_reduction.DECISION_MEMORY
        noise = g.op("Mul", g.op("Add", background, numbers.POWER_FLOOR), noise_reduction.NOISE_BIAS)
        ratio = g.op("Div", g.op("Mul", g.op("Mul", self.gain, self.gain), error_power), noise)
        present = g.op("Max", g.op("Sub", ratio, 1.0), 0.0)
        before = g.state("residual.speech", 1, BINS)
        speech = g.op("Add", g.op("Mul", before, memory), g.op("Mul", present, 1.0 - memory))
        least = 10.0 ** (-self._config.noise_reduction / 20.0)
        gain = g.op("Max", g.op("Div", speech, g.op("Add", speech, 1.0)), least)
        g.keep("residual.speech", g.op("Mul", g.op("Mul", gain, gain), ratio))
        return gain

    def _leak(self, ratio: str, error: str, background: str, counter: FrameCounter) -> str:
        g, config, width = self._g, self._config, numbers.LEAK_BINS
        least = self._least(
            "residual.leaks", g.op("Min", ratio, 1.0), numbers.LEAK_BLOCKS, numbers.LEAK_BLOCK_FRAMES, counter, 1.0
        )
        # Padding does not count.
        around = g.op(
            "AveragePool",
            g.reshape(g.op("Log", least), 1, 1, BINS),
            kernel_shape=[width],
            pads=[width // 2, width // 2],
            count_include_pad=0,
        )
        floor = numbers.POWER_FLOOR
        error_level, background_level = (
            g.op("Add", g.reduce("Mean", x, [1], keep=True), floor) for x in (error, background)
        )
        share = g.op("Div", g.op("Mul", background_level, config.leak_background), error_level)
        bounded = g.op("Clip", share, config.leak_least, config.leak_most)
        return g.op("Max", g.op("Exp", g.reshape(around, 1, BINS)), bounded)

    def _least(self, name: str, value: str, blocks: int, period: int, counter: FrameCounter, empty: float) -> str:
        """The smallest ``value`` (1, F) of the last ``blocks`` blocks of ``period`` hops, the present one included."""
        g = self._g
        fresh = np.full((1, BINS), empty)
        minima = g.op("Where", counter.first, empty, g.state(name, blocks, BINS))
        starts = g.op("Equal", counter.place(period), 0.0)
        minima = g.op("Where", starts, g.concat(0, g.slice(minima, 0, 1, blocks), fresh), minima)
        earlier, present = g.split(minima, 0, blocks - 1, 1)
        minima = g.concat(0, earlier, g.op("Min", present, value))
        g.keep(name, minima)
        return g.reduce("Min", minima, [0], keep=True)
