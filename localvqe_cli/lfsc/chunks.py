"""A clip of any length through a network that sees it whole, in flat memory.

The network looks both ways, but not far: a frame depends on so many frames on either side and on no others. A chunk is
run with these beside it, as if the three were a clip of their own, and what is computed of them is thrown away. Where
the clip ends, the chunk ends too, so that its edge is the clip's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from ..audio.recent import Recent
from ..families import LFSCConfig

__all__ = ["CHUNK_FRAMES", "decode_chunks", "encode_chunks", "frames_of", "joined"]

Samples = NDArray[np.float32]
Tokens = NDArray[np.int32]

#: Frames of a chunk, 6 s of sound: the context of a decoder's chunk, 26 frames, is then a fifth more work, and what is
#: computed beside it takes 150 MB.
CHUNK_FRAMES = 128


def frames_of(config: LFSCConfig, samples: int) -> int:
    """Frames that a clip of so many samples has: whole ones, at least as many as the network needs."""
    return max(config.least_frames, math.ceil(samples / config.samples_per_frame))


def encode_chunks(
    config: LFSCConfig,
    blocks: Iterable[Samples],
    run: Callable[[Samples], Tokens],
    *,
    chunk: int = CHUNK_FRAMES,
) -> Iterator[Tokens]:
    """Tokens (groups, n) of a clip that comes in blocks (m,) of any length; zeros fill its last frame.

    Args:
        config: of the codec.
        blocks: the clip at the codec's rate.
        run: encodes a clip of whole frames, at least ``config.least_frames``.
        chunk: frames of a chunk.
    """
    frame, context = config.samples_per_frame, config.encoder_context
    recent = Recent()
    done = 0

    def piece(end: int, last: int) -> Tokens:
        """Frames ``done`` .. ``end`` of a clip that has ``last`` frames, as far as is known yet."""
        high = min(last, max(end + context, config.least_frames))
        low = max(0, min(done - context, high - config.least_frames))
        tokens = run(recent.read(low * frame, high * frame))[:, done - low : end - low]
        recent.forget((end - context) * frame)
        return tokens

    for block in blocks:
        recent.push(block)
        while recent.end >= (done + chunk + context) * frame:
            yield piece(done + chunk, recent.end // frame)
            done += chunk
    total = frames_of(config, recent.end)
    while done < total:
        end = min(done + chunk, total)
        yield piece(end, total)
        done = end


def joined(pieces: Iterable[Tokens]) -> Tokens:
    """Blocks of tokens (groups, n) as one.

    One array that grows, and not a list of small ones: these would stay between the large arrays that come and go with
    each chunk, and keep the system from using their room again.
    """
    tokens: Tokens | None = None
    for piece in pieces:
        tokens = piece.copy() if tokens is None else np.concatenate([tokens, piece], axis=1)
    assert tokens is not None  # there is a frame at least
    return tokens


def decode_chunks(
    config: LFSCConfig,
    tokens: Tokens,
    run: Callable[[Tokens], Samples],
    *,
    chunk: int = CHUNK_FRAMES,
) -> Iterator[Samples]:
    """Sound of tokens (groups, frames), ``config.least_frames`` or more, in blocks of whole frames.

    Args:
        config: of the codec.
        tokens: of the whole clip.
        run: decodes a clip of at least ``config.least_frames``.
        chunk: frames of a chunk.
    """
    frame, context = config.samples_per_frame, config.decoder_context
    total = tokens.shape[1]
    for start in range(0, total, chunk):
        end = min(start + chunk, total)
        high = min(total, max(end + context, config.least_frames))
        low = max(0, min(start - context, high - config.least_frames))
        sound = run(np.ascontiguousarray(tokens[:, low:high]))
        yield sound[(start - low) * frame : (end - low) * frame]
