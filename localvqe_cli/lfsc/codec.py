"""What programs use: a codec out of a model file, for sound and tokens in memory or in blocks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import gguf_file
from ..config import MAX_THREADS
from ..engine import CodecEngine, as_samples
from ..errors import AudioError, ModelError, UsageError
from ..families import LFSCConfig
from ..tensor_check import printable
from .chunks import decode_chunks, encode_chunks, frames_of, joined
from .nemo import SUFFIX

__all__ = ["Codec"]

Samples = NDArray[np.float32]
Tokens = NDArray[np.int32]


class Codec:
    """A speech codec: mono sound to tokens and back.

    Args:
        model: path of a GGUF file that ``localvqe export`` has made of a ``.nemo`` archive.
        threads: of the engine, 1..32.

    Attributes:
        config: hyperparameters.
        sample_rate: of the sound, Hz.
        samples_per_frame: samples that a column of tokens stands for.
        name: of the model, else of its file.
        metadata: further keys of the file.
        path: the file.

    Raises:
        ModelError: there is no such file, or it holds no codec.
        UsageError: ``threads`` is out of range.
    """

    config: LFSCConfig
    sample_rate: int
    samples_per_frame: int
    name: str
    metadata: dict[str, Any]
    path: Path

    def __init__(self, model: str | os.PathLike[str], *, threads: int = 1) -> None:
        if not 1 <= threads <= MAX_THREADS:
            raise UsageError(f"threads is {threads}, expected 1 to {MAX_THREADS}")
        self.path = Path(model)
        if self.path.suffix == SUFFIX:
            raise ModelError(f"{self.path}: is an archive to be converted first; run localvqe export")
        file = gguf_file.read(self.path)
        self.config = file.codec_config
        self.sample_rate = self.config.sample_rate
        self.samples_per_frame = self.config.samples_per_frame
        self.metadata = dict(file.metadata)
        self.name = printable(str(self.metadata.get("general.name") or self.path.stem))
        self._engine = CodecEngine(self.path, self.config.groups, self.samples_per_frame, threads)

    def encode(self, sound: ArrayLike) -> Tokens:
        """Tokens of a clip.

        Args:
            sound: (n,) mono at ``sample_rate``, floats in [-1, 1] or integers in the range of their type.

        Returns:
            int32 (groups, frames), each 0 .. ``config.codes`` - 1. The last frame is filled with zeros, and a clip of
            less than ``config.least_frames`` has that many.

        Raises:
            AudioError: no samples, more than one channel, or values that are not finite.
            LocalVQEError: with these weights numbers grow beyond bounds.
        """
        values, _ = as_samples("sound", sound)
        return joined(self.encode_blocks([values]))

    def decode(self, tokens: ArrayLike, samples: int | None = None) -> Samples:
        """Sound of tokens.

        Args:
            tokens: (groups, frames) whole numbers.
            samples: of the clip that they were made of, to cut the sound to; None leaves all frames.

        Returns:
            float32 (samples,) in [-1, 1] at ``sample_rate``, in step with what was encoded.

        Raises:
            AudioError: tokens of another shape, out of range, or too few for ``samples``.
        """
        return np.concatenate(list(self.decode_blocks(tokens, samples)))

    def encode_blocks(self, blocks: Iterable[Samples]) -> Iterator[Tokens]:
        """As :meth:`encode`, for a clip of any length in flat memory: float32 blocks (n,) in, blocks of tokens out."""
        total = 0

        def checked() -> Iterator[Samples]:
            nonlocal total
            for block in blocks:
                if not np.isfinite(block).all():
                    raise AudioError("the sound holds NaN or infinite values")
                total += len(block)
                yield block

        for tokens in encode_chunks(self.config, checked(), self._encode):
            if not total:
                raise AudioError("there is no sound to encode")
            yield tokens

    def decode_blocks(self, tokens: ArrayLike, samples: int | None = None) -> Iterator[Samples]:
        """As :meth:`decode`, in blocks."""
        checked = self._check_tokens(tokens, samples)
        left = checked.shape[1] * self.samples_per_frame if samples is None else samples
        for block in decode_chunks(self.config, checked, self._decode):
            yield block[:left]
            left -= min(left, len(block))

    def _check_tokens(self, tokens: ArrayLike, samples: int | None) -> Tokens:
        array = np.asarray(tokens)
        if array.dtype.kind not in "iu":
            raise AudioError(f"tokens are {array.dtype}, expected whole numbers")
        if array.ndim != 2 or array.shape[0] != self.config.groups:
            raise AudioError(f"tokens have the shape {array.shape}, expected ({self.config.groups}, frames)")
        if array.size == 0:
            raise AudioError("there are no tokens to decode")
        if array.min() < 0 or array.max() >= self.config.codes:
            raise AudioError(f"a token is {array.min()} or {array.max()}, expected 0 to {self.config.codes - 1}")
        least = self.config.least_frames if samples is None else frames_of(self.config, samples)
        if array.shape[1] < least:
            raise AudioError(f"there are {array.shape[1]} frames of tokens, expected at least {least}")
        if samples is not None and samples < 1:
            raise AudioError(f"samples is {samples}, expected 1 or more")
        return array.astype(np.int32)

    def _encode(self, sound: Samples) -> Tokens:
        return self._engine.encode(sound)

    def _decode(self, tokens: Tokens) -> Samples:
        return self._engine.decode(tokens)
