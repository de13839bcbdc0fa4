"""The grid that every signal of LocalVQE lies on (report, 2.1). The engine and the weights know no other."""

from __future__ import annotations

__all__ = ["BINS", "FRAME", "HOP", "MODEL_RATE"]

#: Samples a second.
MODEL_RATE = 16000
#: New samples of a frame: 16 ms.
HOP = 256
#: Samples of a frame: the previous hop and the present one.
FRAME = 2 * HOP
#: Bins of a frame's spectrum, DC and Nyquist included. The codec leaves DC out and has HOP bins.
BINS = HOP + 1
