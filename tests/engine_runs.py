"""Running the compiled engine in the ways its results must not depend on."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from localvqe_cli.engine import Enhancer, devices, kernels
from localvqe_cli.geometry import HOP, MODEL_RATE

Samples = NDArray[np.float32]

#: Where a network can run in this build, of the two that tests know.
BACKENDS = [name for name in ("cpu", "ggml") if any(device.backend == name for device in devices())]
#: For what needs ggml's own backends, which builds have on request; .ci/run does.
needs_ggml = pytest.mark.skipif("ggml" not in BACKENDS, reason="this build is without ggml-cpu")

#: Kernel sets for any x86-64 machine with AVX2; "wide" is the 16-lane code of AVX-512 without its instructions.
KERNELS = ("avx2", "portable", "wide")


@cache
def usable_kernels() -> tuple[str, ...]:
    """The sets of KERNELS (and the CPU's own best) that this machine can run."""
    with pytest.MonkeyPatch.context() as patch:
        usable = []
        for name in ("avx512", *KERNELS, "neon"):
            patch.setenv("LOCALVQE_KERNELS", name)
            usable += [name] if kernels() == name else []
        return tuple(usable)


def signals(seconds: float = 1.0, seed: int = 0, delay: int = 800) -> tuple[Samples, Samples]:
    """A reference of amplitude-modulated noise, and a microphone with its delayed echo and other noise.

    The microphone is never without any: an adaptive filter would remove a bare echo down to rounding errors, which the
    network's norms would then lift to full size.
    """
    rng = np.random.default_rng(seed)
    n = int(seconds * MODEL_RATE) // HOP * HOP
    envelope = 0.1 * (1.0 + np.sin(np.arange(n) / 1600.0))
    ref = rng.standard_normal(n) * envelope
    echo = np.concatenate([np.zeros(delay), 0.5 * ref])[:n]
    near = rng.standard_normal(n) * np.where(np.arange(n) > n // 2, 0.1, 1e-3)
    return (echo + near).astype(np.float32), ref.astype(np.float32)


def with_a_note(mic: Samples, ref: Samples, start: int) -> tuple[Samples, Samples]:
    """The same, but that from sample ``start`` on the reference is a single note, which the microphone hears too."""
    mic, ref = mic.copy(), ref.copy()
    note = 0.2 * np.sin(2 * np.pi * 440.0 / MODEL_RATE * np.arange(len(ref) - start))
    mic[start:] += 0.5 * note - 0.5 * ref[start - 800 : -800]
    ref[start:] = note
    return mic, ref


def by_hop(enhancer: Enhancer, mic: Samples, ref: Samples) -> Samples:
    """Raw stream output, one hop per call."""
    stream = enhancer.stream()
    return np.concatenate([stream.process(mic[i : i + HOP], ref[i : i + HOP]) for i in range(0, mic.size, HOP)])


def by_clip(enhancer: Enhancer, mic: Samples, ref: Samples) -> Samples:
    """Raw stream output, the whole clip in one call, many hops per graph run."""
    return enhancer.stream(max_hops=16).process(mic, ref)
