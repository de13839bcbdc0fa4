"""Whatever happens to the bytes of a model file, reading it ends in a model or in one line about the file."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from gguf_document import parse
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from make_model import narrow_config, random_gguf, random_state

from localvqe_cli import export, gguf_file
from localvqe_cli.config import ModelConfig
from localvqe_cli.errors import GGUFError
from localvqe_cli.tensors import gguf_shapes

LIMIT_SECONDS = 2.0
PROFILE = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SLOW_PROFILE = settings(PROFILE, max_examples=40)


class Victim:
    """A valid model file, damaged in place and mended again."""

    def __init__(self, path: Path) -> None:
        random_gguf(path, narrow_config(3))
        self.path = path
        self.pristine = path.read_bytes()
        self.head_size = len(parse(path).head())

    @contextmanager
    def damaged(self, edits: list[tuple[int, bytes]], size: int | None = None) -> Iterator[Path]:
        """The file with bytes replaced at positions, and cut or extended to ``size``."""
        with self.path.open("r+b") as stream:
            for position, content in edits:
                stream.seek(position)
                stream.write(content)
            if size is not None:
                stream.truncate(size)
        try:
            yield self.path
        finally:
            self.path.write_bytes(self.pristine)


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Victim:
    return Victim(tmp_path_factory.mktemp("property") / "model.gguf")


def read_or_refuse(path: Path) -> bool:
    """True if the file was read as a model; everything else must be one line, and quick."""
    started = time.process_time()
    refusal, model = "", None
    try:
        model = gguf_file.read(path)
    except GGUFError as error:
        refusal = str(error)
    if model is not None:
        assert {name: model.array(name).shape for name in model.tensors} == gguf_shapes(model.config)
        assert all(np.isfinite(model.array(name)).all() for name in model.tensors)
    else:
        assert refusal.startswith(f"{path}: ")
        assert refusal.isprintable()
        assert len(refusal) < 500
    damaged = gguf_file.scan(path)
    gguf_file.check(damaged)
    json.dumps(gguf_file.describe(damaged, tensors=False).to_dict(), allow_nan=False)
    assert time.process_time() - started < LIMIT_SECONDS
    return model is not None


@PROFILE
@given(data=st.data())
def test_bytes_of_the_head_replaced(victim: Victim, data: st.DataObject) -> None:
    position = st.integers(0, victim.head_size - 1)
    content = st.one_of(
        st.binary(min_size=1, max_size=9),
        st.sampled_from([b"\xff" * 8, b"\x00" * 8, b"\xff" * 4, b"\x00\x00\x00\x80", b"\x00" * 7 + b"\x80"]),
    )
    with victim.damaged(data.draw(st.lists(st.tuples(position, content), min_size=1, max_size=4))) as path:
        read_or_refuse(path)


@PROFILE
@given(data=st.data())
def test_single_bits_of_the_head_flipped(victim: Victim, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, victim.head_size - 1))
    bit = data.draw(st.integers(0, 7))
    with victim.damaged([(position, bytes([victim.pristine[position] ^ 1 << bit]))]) as path:
        read_or_refuse(path)


@PROFILE
@given(data=st.data())
def test_numbers_of_the_head_exchanged(victim: Victim, data: st.DataObject) -> None:
    """Counts, lengths, types, dimensions and offsets replaced by others that mean something."""
    position = data.draw(st.integers(4, victim.head_size - 8))
    width = data.draw(st.sampled_from([4, 8]))
    powers = st.integers(0, 62).map(lambda n: 1 << n)
    number = data.draw(st.one_of(st.integers(0, 40), powers, st.sampled_from([2**31 - 1, 2**32 - 1, 2**63])))
    with victim.damaged([(position, (number & (1 << 8 * width) - 1).to_bytes(width, "little"))]) as path:
        read_or_refuse(path)


@PROFILE
@given(data=st.data())
def test_a_file_cut_anywhere_is_refused(victim: Victim, data: st.DataObject) -> None:
    padding = len(victim.pristine) - 32
    size = data.draw(st.one_of(st.integers(0, victim.head_size + 64), st.integers(0, padding)))
    with victim.damaged([], size) as path:
        assert not read_or_refuse(path)


@SLOW_PROFILE
@given(data=st.data())
@example(data=None)
def test_values_replaced_are_accepted_only_if_finite(victim: Victim, data: st.DataObject | None) -> None:
    start = -(-victim.head_size // 32) * 32
    if data is None:
        position, value = start, float("nan")
    else:
        position = start + 4 * data.draw(st.integers(0, 5))  # six values of bottleneck.a_real
        value = data.draw(st.floats(width=32))
    with victim.damaged([(position, np.float32(value).tobytes())]) as path:
        assert read_or_refuse(path) == bool(np.isfinite(value))


@SLOW_PROFILE
@given(
    version=st.sampled_from([1, 2, 3]),
    mic=st.tuples(*[st.integers(1, 12)] * 5),
    far=st.tuples(*[st.integers(1, 12)] * 2),
    dmax=st.integers(2, 512),
    align=st.integers(1, 9),
    hidden=st.integers(1, 20),
    kernel=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    power=st.floats(0.0, 1.0, exclude_min=True, width=32),
    seed=st.integers(0, 2**32),
)
def test_any_config_survives_the_file(
    tmp_path_factory: pytest.TempPathFactory,
    version: int,
    mic: tuple[int, ...],
    far: tuple[int, ...],
    dmax: int,
    align: int,
    hidden: int,
    kernel: tuple[int, int],
    power: float,
    seed: int,
) -> None:
    config = ModelConfig(
        version=version,
        mic_channels=(2, *mic),
        far_channels=(2, *far),
        dmax=dmax,
        align_hidden=align,
        bottleneck_hidden=hidden,
        kernel_size_h=kernel[0],
        kernel_size_w=kernel[1],
        power_law_c=power,
    )
    folder = tmp_path_factory.mktemp("config")
    state = random_state(config, seed)
    tensors = export.fold(config, state)
    gguf_file.write(folder / "a.gguf", config, tensors)
    model = gguf_file.read(folder / "a.gguf")
    shutil.rmtree(folder)
    assert np.float32(model.config.power_law_c) == np.float32(power)
    assert model.config.gguf_fields()[:6] == config.gguf_fields()[:6]
    assert model.config.gguf_fields()[7:] == config.gguf_fields()[7:]
    poles = np.hypot(tensors["bottleneck.a_real"], tensors["bottleneck.a_imag"])
    assert (poles < 1.0).all(), "a pole on or outside the unit circle would let the state grow"


def test_the_victim_is_mended(victim: Victim) -> None:
    with victim.damaged([(0, b"GGUX")], 100):
        assert os.path.getsize(victim.path) == 100
    assert read_or_refuse(victim.path)
