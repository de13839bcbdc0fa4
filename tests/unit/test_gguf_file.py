"""gguf_file: every bad file of the table is refused in one line, every unusual one is read."""

from __future__ import annotations

import json
import os
import struct
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import pytest
from bad_gguf import CASES, VARIANTS, write_case, write_variant
from gguf_document import BOOL, STR, TYPE_F16, TYPE_Q4_K, TYPE_Q8_0, U32, Key, Raw, Tensor, parse
from make_model import narrow_config, random_gguf

from localvqe import Enhancer
from localvqe_cli import export, gguf_file
from localvqe_cli.config import FrontendConfig, ResidualConfig
from localvqe_cli.errors import GGUFError, ModelError
from localvqe_cli.gguf_file.types import VALUE_TYPES
from localvqe_cli.tensors import gguf_shapes


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """A valid narrow model of each version."""
    folder = tmp_path_factory.mktemp("valid")
    paths = {version: folder / f"v{version}.gguf" for version in (1, 2, 3)}
    for version, path in paths.items():
        random_gguf(path, narrow_config(version))
    return paths


# Damage is the same for every version; what depends on the tensors is tried on both kinds of norm.
TENSOR_CASES = [name for name in CASES if name.startswith(("without ", "one more", "version of", "temperature"))]


@pytest.mark.parametrize(("version", "name"), [*((3, name) for name in CASES), *((1, name) for name in TENSOR_CASES)])
def test_a_bad_file_is_refused_in_one_line(valid: dict[int, Path], tmp_path: Path, name: str, version: int) -> None:
    path, word = write_case(name, valid[version], tmp_path)
    model = gguf_file.scan(path)
    with pytest.raises(GGUFError) as caught:
        gguf_file.validate(model)
    # What inspect does with it must not fail either.
    report = gguf_file.describe(model).to_dict()
    json.dumps(report, allow_nan=False)
    path.unlink()
    message = str(caught.value)
    assert caught.value.exit_code == 4
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert message.isprintable()
    assert len(message) < 400
    assert word in message
    assert report["usable"] is False
    assert report["problems"]


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("version", [1, 2])
def test_an_unusual_file_is_read(valid: dict[int, Path], tmp_path: Path, name: str, version: int) -> None:
    path = write_variant(name, valid[version], tmp_path)
    plain, model = gguf_file.read(valid[version]), gguf_file.read(path)
    assert model.config is not None
    assert (model.config.frontend is not None) == (name == "front-end")
    assert replace(model.config, frontend=None) == plain.config
    assert all(np.array_equal(model.array(n), plain.array(n)) for n in plain.tensors)
    assert {n: t.shape for n, t in model.tensors.items()} == {n: t.shape for n, t in plain.tensors.items()}


@pytest.mark.parametrize("network", [True, False])
@pytest.mark.parametrize("hidden", [0, 3])
def test_a_front_end_with_all_its_parts_is_read(hidden: int, network: bool, tmp_path: Path) -> None:
    config = narrow_config(
        3,
        frontend=FrontendConfig(gain_hidden=hidden, decay=0.5),
        residual=ResidualConfig(noise_fill=0.25),
        network=network,
    )
    state = random_gguf(tmp_path / "model.gguf", config)
    model = gguf_file.read(tmp_path / "model.gguf")
    stated = model.config
    assert stated.network == network
    assert stated.residual == config.residual
    assert stated.frontend is not None
    assert (stated.frontend.gain_hidden, stated.frontend.decay) == (hidden, 0.5)
    assert all(np.array_equal(model.array(n), state[n]) for n in state if n.startswith("frontend."))
    assert list(model.tensors) == list(gguf_shapes(stated))


def test_keys_of_a_network_that_is_not_there_mean_nothing(tmp_path: Path) -> None:
    random_gguf(tmp_path / "model.gguf", narrow_config(3, frontend=FrontendConfig(), network=False))
    document = parse(tmp_path / "model.gguf")
    document.keys += [Key("localvqe.bn_folded", BOOL, 0), Key("localvqe.dmax", U32, 0)]
    (tmp_path / "model.gguf").write_bytes(document.dump())
    assert not gguf_file.read(tmp_path / "model.gguf").config.network
    Enhancer(tmp_path / "model.gguf")


def test_a_residual_echo_stage_needs_the_codec_of_version_2_or_3() -> None:
    parts = {"frontend": FrontendConfig(), "residual": ResidualConfig()}
    with pytest.raises(ModelError, match="version"):
        narrow_config(1, **parts)
    assert narrow_config(1, network=False, **parts).residual is not None


def test_the_reading_of_a_file(valid: dict[int, Path]) -> None:
    model = gguf_file.read(valid[2])
    assert (model.format_version, model.alignment, model.nbytes) == (3, 32, valid[2].stat().st_size)
    assert model.config == narrow_config(2)
    assert model.metadata["general.architecture"] == "localvqe"
    assert model.metadata["localvqe.power_law_c"] == 0.3
    assert model.metadata_types["localvqe.dmax"] == "u32"
    assert model.tensors["mic_enc1.conv.weight"].shape == (3, 2, 4, 4)
    assert model.problems == []


def test_metadata_of_every_type_is_read(valid: dict[int, Path], tmp_path: Path) -> None:
    document = parse(valid[2])
    values = {
        0: 255, 1: -128, 2: 65535, 3: -32768, 4: 2**32 - 1, 5: -(2**31), 6: 0.5, 7: 1, 8: "ö", 9: (STR, ["a", "b"]),
        10: 2**64 - 1, 11: -(2**63), 12: 1e300,
    }  # fmt: skip
    document.keys += [Key(f"t.{kind}", kind, value) for kind, value in values.items()]
    path = tmp_path / "a.gguf"
    path.write_bytes(document.dump())
    model = gguf_file.read(path)
    for kind, value in values.items():
        assert model.metadata[f"t.{kind}"] == (["a", "b"] if kind == 9 else value)
        assert model.metadata_types[f"t.{kind}"] == ("arr[str]" if kind == 9 else VALUE_TYPES[kind].name)


# float32 numbers, among them those whose short decimals need 6, 7, 8 and 9 digits and the largest there is
@pytest.mark.parametrize("number", [0.3, 1 / 3, 16777217.0, 1.00000012, 3.4028234663852886e38, 1e-45, 0.0])
def test_float_metadata_survives_both_ways(valid: dict[int, Path], tmp_path: Path, number: float) -> None:
    config = narrow_config(2)
    model = gguf_file.read(valid[2])
    tensors = {name: model.array(name) for name in model.tensors}
    gguf_file.write(tmp_path / "a.gguf", config, tensors, {"x": number})
    read = gguf_file.read(tmp_path / "a.gguf").metadata["x"]
    assert np.float32(read) == np.float32(number)
    gguf_file.write(tmp_path / "b.gguf", config, tensors, {"x": read})
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()


def test_types_are_those_of_ggml() -> None:
    theirs = {int(kind): sizes for kind, sizes in gguf.GGML_QUANT_SIZES.items()}
    common = set(theirs) & set(gguf_file.TENSOR_TYPES)
    assert common >= {0, 1, 2, 8, 10, 11, 12, 13, 14, 15, 24, 26, 28, 30}
    for number in common:
        ours = gguf_file.TENSOR_TYPES[number]
        assert ours.name == gguf.GGMLQuantizationType(number).name
        assert (ours.block, ours.nbytes) == theirs[number]
    assert {k: v.name.upper() for k, v in VALUE_TYPES.items()} == {
        int(t): {"UINT": "U", "INT": "I", "FLOAT": "F"}.get(t.name.rstrip("0123456789"), "")
        + (t.name[-1] if t.name[-1] == "8" else t.name[-2:])
        if t.name[-1].isdigit()
        else {"STRING": "STR", "ARRAY": "ARR"}.get(t.name, t.name)
        for t in gguf.GGUFValueType
    }


def test_other_readers_read_what_we_write(valid: dict[int, Path]) -> None:
    reader = gguf.GGUFReader(valid[3])
    model = gguf_file.read(valid[3])
    assert [t.name for t in reader.tensors] == list(model.tensors)
    for tensor in reader.tensors:
        assert np.array_equal(tensor.data.reshape(model.tensors[tensor.name].shape), model.array(tensor.name))


@pytest.mark.parametrize(("kind", "name"), [(TYPE_Q8_0, "Q8_0"), (TYPE_Q4_K, "Q4_K"), (TYPE_F16, "F16")])
def test_other_storage_types_are_described(valid: dict[int, Path], tmp_path: Path, kind: int, name: str) -> None:
    document = parse(valid[2])
    basis = document.tensor("encoder.conv.weight")
    ours = gguf_file.TENSOR_TYPES[kind]
    basis.type, basis.data = kind, bytes(512 * 512 // ours.block * ours.nbytes)
    path = tmp_path / "q.gguf"
    path.write_bytes(document.dump())
    model = gguf_file.scan(path)
    gguf_file.check(model)
    report = gguf_file.describe(model).to_dict()
    row = next(r for r in report["tensors"] if r["name"] == "encoder.conv.weight")
    assert (row["type"], row["bytes"], row["shape"]) == (name, len(basis.data), [512, 1, 512])
    assert report["totals"]["types"][name] == 1
    assert (row["rms"] is None) == (name != "F16")
    assert [p for p in report["problems"] if "encoder.conv.weight" in p and name in p]


def test_the_description_of_a_usable_model(valid: dict[int, Path]) -> None:
    model = gguf_file.read(valid[3])
    report = gguf_file.describe(model).to_dict()
    assert json.loads(json.dumps(report, allow_nan=False)) == report | {
        "config": report["config"] | {"mic_channels": [2, 3, 4, 5, 6, 7], "far_channels": [2, 5, 3]}
    }
    assert report["usable"] is True
    assert report["totals"]["tensors"] == len(report["tensors"]) == 135
    assert report["totals"]["parameters"] == sum(a.size for a in map(model.array, model.tensors))
    row = next(r for r in report["tensors"] if r["name"] == "bottleneck.B_imag")
    values = model.array("bottleneck.B_imag").astype(float)
    assert (row["min"], row["max"]) == (values.min(), values.max())
    assert row["rms"] == pytest.approx(np.sqrt(np.mean(values**2)))
    assert "tensors" not in gguf_file.describe(model, tensors=False).to_dict()


def test_several_problems_are_counted(valid: dict[int, Path], tmp_path: Path) -> None:
    document = parse(valid[2])
    document.tensors.append(Tensor("gru.weight", [4], bytes(16)))
    document.remove_tensor("bottleneck.D")
    document.tensor("dec1.deconv.conv.bias").data = np.full(54, np.nan, np.float32).tobytes()
    path = tmp_path / "a.gguf"
    path.write_bytes(document.dump())
    with pytest.raises(GGUFError, match=r"missing tensor bottleneck\.D \(and 2 more; see `localvqe inspect`\)"):
        gguf_file.read(path)


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "missing.gguf"])
def test_a_file_that_is_not_there(name: str) -> None:
    with pytest.raises(GGUFError) as caught:
        gguf_file.scan(name)
    assert "\n" not in str(caught.value)


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, word in ((tmp_path, "directory"), (tmp_path / "pipe", "regular file"), (Path("/dev/zero"), "regular")):
        with pytest.raises(GGUFError, match=word):
            gguf_file.read(path)


def test_a_name_from_a_file_cannot_reach_the_terminal(valid: dict[int, Path], tmp_path: Path) -> None:
    document = parse(valid[2])
    document.tensor("bottleneck.D").name = "\x1b[2J\nlocalvqe: all is well"
    path = tmp_path / "a.gguf"
    path.write_bytes(document.dump())
    model = gguf_file.scan(path)
    assert all(problem.isprintable() for problem in gguf_file.check(model))


def test_a_file_cut_while_in_use_is_an_error_and_not_a_crash(valid: dict[int, Path], tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(valid[2].read_bytes())
    model = gguf_file.read(path)
    os.truncate(path, 50_000)
    with pytest.raises(GGUFError, match="truncated"):
        model.array("decoder.linear.weight")
    path.unlink()
    with pytest.raises(GGUFError, match="cannot be read"):
        model.array("decoder.linear.weight")


def test_a_hostile_file_costs_neither_memory_nor_time(valid: dict[int, Path], tmp_path: Path) -> None:
    document = parse(valid[2])
    path = tmp_path / "a.gguf"
    # The most strings that fit into the head, of length zero; then nothing but holes up to 900 MiB.
    document.keys.insert(0, Key("localvqe.note", 9, Raw(struct.pack("<IQ", STR, 500_000) + bytes(4_000_000))))
    path.write_bytes(document.dump())
    os.truncate(path, 900 << 20)
    started = time.process_time()
    assert len(gguf_file.read(path).metadata["localvqe.note"]) == 500_000
    assert time.process_time() - started < 3.0
    tracemalloc.start()
    gguf_file.read(path)
    assert tracemalloc.get_traced_memory()[1] < 64e6
    tracemalloc.stop()
    os.truncate(path, 2 << 30)
    with pytest.raises(GGUFError, match="more than the limit of 1024 MiB"):
        gguf_file.read(path)


def test_writing_replaces_a_file_as_a_whole(valid: dict[int, Path], tmp_path: Path) -> None:
    config = narrow_config(2)
    model = gguf_file.read(valid[2])
    tensors = {name: model.array(name) for name in reversed(model.tensors)}
    path = tmp_path / "a.gguf"
    path.write_bytes(b"old")
    gguf_file.write(path, config, tensors)
    assert path.read_bytes() == valid[2].read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == ["a.gguf"]
    assert export.default_output("x/y.z.pt") == Path("x/y.z-f32.gguf")
