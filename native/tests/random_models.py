"""Models of every kind with random weights, for test_stream and, in FOLDER/codecs, for test_lfsc.

python native/tests/random_models.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from make_codec import NARROW, random_codec  # noqa: E402
from make_model import narrow_config, random_gguf, random_quantized_gguf  # noqa: E402

from localvqe_cli.config import FrontendConfig, ResidualConfig  # noqa: E402
from localvqe_cli.families import LFSCConfig  # noqa: E402

folder = Path(sys.argv[1])
for version in (1, 2, 3):
    random_gguf(folder / f"v{version}.gguf", narrow_config(version), version)
odd = narrow_config(3, mic_channels=(2, 17, 21, 9, 33, 5), dmax=70, kernel_size_w=3)
random_gguf(folder / "odd.gguf", odd, 4)
random_gguf(folder / "frontend.gguf", narrow_config(3, frontend=FrontendConfig(partitions=3, lags=9)), 5)
parts = {"frontend": FrontendConfig(partitions=3, lags=9, gain_hidden=5), "residual": ResidualConfig()}
for name, network in (("gain", True), ("alone", False)):
    random_gguf(folder / f"{name}.gguf", narrow_config(3, network=network, **parts), 6)
for kind in ("Q8_0", "Q4_K"):
    config = narrow_config(2, mic_channels=(2, 17, 21, 9, 33, 11), far_channels=(2, 15, 13), kernel_size_w=3)
    random_quantized_gguf(folder / f"{kind}.gguf", config, kind)
(folder / "codecs").mkdir()
random_codec(folder / "codecs" / "narrow.gguf", NARROW)
# With more inputs to a window than a block of weights has, and several panels.
wide = LFSCConfig(
    encoder_channels=19,
    encoder_rates=(2, 3, 2),
    encoder_kernels=(3, 11),
    decoder_channels=232,
    decoder_rates=(3, 2, 2),
    decoder_kernels=(3, 11),
    decoder_dilations=(1, 3),
    groups=3,
    levels=(5, 4, 3),
)
for kind in ("F32", "F16", "Q8_0"):
    random_codec(folder / "codecs" / f"{kind}.gguf", wide, kind)
