"""What quantization is measured on: the same signals as ``enhance`` would give the model."""

from __future__ import annotations

import numpy as np
from echo_scene import heard, speech_like, steady
from make_model import narrow_config, random_state

from localvqe_cli.export import fold
from localvqe_cli.quantization.clips import CalibrationClip
from localvqe_cli.quantization.measure import Bench
from localvqe_cli.signal_path import align_reference


def test_references_are_moved_as_enhance_moves_them() -> None:
    config = narrow_config(3)
    far = speech_like(6, seed=1)
    mic = heard(far, steady(0, 1.2)) + 0.1 * speech_like(6, seed=2)
    bench = Bench(config, fold(config, random_state(config)), [CalibrationClip("late", mic, far)])
    (clip,) = bench.clips
    wanted = align_reference(mic, far, config)
    np.testing.assert_array_equal(clip.ref, wanted)
    assert not np.array_equal(clip.ref, far)
    (piece,) = bench.excerpts(2.0).clips
    start = next(i for i in range(0, len(mic), 256) if np.array_equal(mic[i : i + len(piece.mic)], piece.mic))
    np.testing.assert_array_equal(piece.ref, wanted[start : start + len(piece.mic)])
