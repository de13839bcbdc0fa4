"""Block formats: ggml's bits, the matrix form of weights, and sizes and values that cannot be."""

from __future__ import annotations

import ctypes
from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf.quants import dequantize, quantize
from make_model import narrow_config, random_quantized_gguf

from localvqe_cli import engine, gguf_file
from localvqe_cli.errors import EngineError, GGUFError, UsageError
from localvqe_cli.gguf_file import QUANTIZED_TYPES
from localvqe_cli.quantization.formats import choices, pack, stored_bytes, unpacked, weight_error
from localvqe_cli.tensors import gguf_shapes, quantizable_shapes

SHAPES = [(5, 12, 4, 4), (3, 1, 1, 1), (40, 40, 4, 4), (7, 33), (1, 16, 3, 2)]
#: Largest error relative to the root mean square of normal weights.
ERRORS = {"Q8_0": 0.02, "Q6_K": 0.1, "Q5_K": 0.2, "Q4_K": 0.45}


def weights(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 0.1, shape).astype(np.float32)


@pytest.mark.parametrize("kind", QUANTIZED_TYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_unpacking_gives_nearly_the_weights_in_the_same_places(kind: str, shape: tuple[int, ...]) -> None:
    weight = weights(shape)
    packed = pack(weight, kind)
    assert packed.blocks.nbytes == stored_bytes(shape, kind)
    back = unpacked(packed)
    assert back.shape == shape
    assert np.abs(back - weight).max() < 0.1 * ERRORS[kind] * 1.5


@pytest.mark.parametrize("kind", QUANTIZED_TYPES)
def test_a_row_holds_kernel_rows_then_columns_then_channels(kind: str) -> None:
    weight = weights((4, 3, 2, 5))
    block = QUANTIZED_TYPES[kind].block
    matrix = gguf_file.to_matrix(weight, block)
    assert matrix.shape == (4, block)
    assert matrix[2, (1 * 5 + 3) * 3 + 2] == weight[2, 2, 1, 3]
    assert not matrix[:, 30:].any()
    np.testing.assert_array_equal(gguf_file.from_matrix(matrix, weight.shape), weight)


def test_the_bits_are_those_of_another_writer() -> None:
    matrix = weights((6, 96))
    ours = engine.quantize_rows(8, matrix)
    np.testing.assert_array_equal(ours, quantize(matrix, gguf.GGMLQuantizationType.Q8_0))


@pytest.mark.parametrize("kind", QUANTIZED_TYPES)
def test_another_reader_unpacks_to_the_same_numbers(kind: str, tmp_path: Path) -> None:
    config = narrow_config(2, mic_channels=(2, 12, 16, 9, 6, 7))
    path = tmp_path / "m.gguf"
    random_quantized_gguf(path, config, kind)
    model = gguf_file.read(path)
    seen = {t.name: t for t in gguf.GGUFReader(path).tensors}
    assert list(seen) == list(gguf_shapes(config))
    for name, shape in quantizable_shapes(config).items():
        tensor = seen[name]
        assert tensor.tensor_type.name == kind
        columns = int(tensor.shape[0])
        theirs = dequantize(tensor.data, tensor.tensor_type)
        ours = engine.dequantize_rows(int(tensor.tensor_type), tensor.data, columns)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)
        np.testing.assert_array_equal(gguf_file.from_matrix(ours, shape), model.array(name))
        assert model.metadata[f"localvqe.shape.{name}"] == list(shape)


def test_only_weights_of_layers_are_quantizable() -> None:
    names = quantizable_shapes(narrow_config(1))
    assert len(names) == 2 * 7 + 3 * 5 + 2 + 2
    assert all(name.endswith(".weight") for name in names)
    assert not {"encoder.conv.weight", "decoder.linear.weight", "align.conv.1.weight"} & set(names)


def test_importance_moves_the_error_to_where_it_matters_less() -> None:
    weight = weights((16, 32, 4, 4))
    importance = np.ones((32, 4, 4), np.float32)
    importance[:4] = 100.0
    plain, told = pack(weight, "Q4_K"), pack(weight, "Q4_K", importance)
    assert weight_error(weight, told, importance) < 0.9 * weight_error(weight, plain, importance)
    assert weight_error(weight, told) > weight_error(weight, plain)


def test_short_rows_skip_formats_that_would_be_larger() -> None:
    assert choices((40, 40, 4, 4), "Q4_K") == ["Q4_K", "Q5_K", "Q6_K", "Q8_0", "F32"]
    assert choices((40, 40, 1, 1), "Q4_K") == ["Q8_0", "F32"]  # 40 of 256 would be padding mostly
    assert choices((40, 40, 4, 4), "Q8_0") == ["Q8_0", "F32"]
    assert choices((3, 2, 1, 1), "Q8_0") == ["F32"]


@pytest.mark.parametrize("kind", QUANTIZED_TYPES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -65536.0])
def test_values_that_no_block_holds_are_refused(kind: str, value: float) -> None:
    weight = weights((2, 300))
    weight[1, 299] = value
    with pytest.raises(EngineError, match="cannot quantize"):
        pack(weight, kind)


@pytest.mark.parametrize("kind", QUANTIZED_TYPES)
@pytest.mark.parametrize("level", [0.0, 1e-44, 1e-30, 1e-9, 1e-4, 50000.0])
def test_any_finite_level_is_packed_without_harm(kind: str, level: float) -> None:
    weight = (weights((3, 256)) * 3.0).clip(-1, 1) * np.float32(level)
    back = unpacked(pack(weight, kind))
    assert np.isfinite(back).all()
    # Scales are half precision, so weights of 1e-4 may all become zero.
    assert np.abs(back - weight).max() <= 0.3 * np.abs(weight).max() + 1e-4
    for importance in (np.zeros(256, np.float32), np.full(256, 1e30, np.float32)):
        assert np.isfinite(unpacked(pack(weight, kind, importance))).all()


def test_sizes_types_and_pointers_that_cannot_be() -> None:
    lib = engine._library()
    good = weights((2, 256))
    for type_id in (0, 1, 2, 9, 39, 200, -1, 2**31 - 1):
        assert lib.localvqe_quantized_size(type_id, 1, 256) == 0
        with pytest.raises(EngineError):
            engine.quantize_rows(type_id, good)
    for rows, columns in ((0, 32), (1, 0), (1, 31), (2**63, 32), (2**33, 2**33), (2**40, 32)):
        assert lib.localvqe_quantized_size(8, rows, columns) == 0
    for importance in ([-1.0] * 256, [np.nan] * 256, [1.0] * 255):
        with pytest.raises(EngineError):
            engine.quantize_rows(12, good, importance)
    floats = good.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
    out = np.zeros(1000, np.uint8)
    assert lib.localvqe_quantize_rows(8, None, 2, 256, None, out.ctypes.data, 1000) == -1
    assert lib.localvqe_quantize_rows(8, floats, 2, 256, None, None, 1000) == -1
    assert lib.localvqe_quantize_rows(8, floats, 2, 256, None, out.ctypes.data, 543) == -2
    assert lib.localvqe_quantize_rows(8, floats, 2, 256, None, out.ctypes.data, 544) == 0
    assert lib.localvqe_dequantize_rows(8, out.ctypes.data, 2, 256, floats, 511) == -2
    assert lib.localvqe_dequantize_rows(8, None, 2, 256, floats, 512) == -1


@pytest.mark.parametrize(("kind", "offset"), [("Q8_0", 0), ("Q6_K", 208), ("Q5_K", 0), ("Q5_K", 2), ("Q4_K", 2)])
def test_a_scale_that_is_no_number_is_found(kind: str, offset: int) -> None:
    packed = pack(weights((2, 256)), kind)
    for half in (0x7E00, 0x7C00):
        blocks = packed.blocks.copy()
        blocks[1, offset : offset + 2] = np.frombuffer(np.uint16(half).tobytes(), np.uint8)
        assert not gguf_file.packed.has_finite_scales(blocks, packed.type)
        with pytest.raises(EngineError, match="cannot unpack"):
            engine.dequantize_rows(packed.type.id, blocks, 256)


def test_a_file_is_not_written_with_tensors_packed_wrongly(tmp_path: Path) -> None:
    config = narrow_config(2)
    random_quantized_gguf(tmp_path / "m.gguf", config, "Q8_0")
    model = gguf_file.read(tmp_path / "m.gguf")
    tensors = {name: model.array(name) for name in model.tensors}
    basis = pack(tensors["encoder.conv.weight"][:, 0], "Q8_0")
    good = pack(tensors["dec3.deconv.conv.weight"], "Q8_0")
    short = gguf_file.PackedTensor(good.type, good.shape, good.blocks[:-1])
    for name, packed in (("decoder.linear.weight", basis), ("dec3.deconv.conv.weight", short)):
        with pytest.raises(GGUFError, match=name):
            gguf_file.write(tmp_path / "n.gguf", config, {**tensors, name: packed})
    with pytest.raises(UsageError, match="set by the model"):
        gguf_file.write(tmp_path / "n.gguf", config, tensors, {"localvqe.shape.dec1.deconv.conv.weight": "x"})
    assert not (tmp_path / "n.gguf").exists()
