"""The two type tables of the GGUF format: metadata values and tensors.

Sizes and ids are ggml's (gguf format version 3); a test holds them against the ``gguf`` package.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SCALARS", "TENSOR_TYPES", "VALUE_TYPES", "TensorType", "ValueType"]


@dataclass(frozen=True)
class ValueType:
    """A metadata value type: its id in the file, its name here, its struct code ("" if not a number)."""

    id: int
    name: str
    code: str = ""


_VALUES = (
    ValueType(0, "u8", "B"),
    ValueType(1, "i8", "b"),
    ValueType(2, "u16", "H"),
    ValueType(3, "i16", "h"),
    ValueType(4, "u32", "I"),
    ValueType(5, "i32", "i"),
    ValueType(6, "f32", "f"),
    ValueType(7, "bool", "B"),
    ValueType(8, "str"),
    ValueType(9, "arr"),
    ValueType(10, "u64", "Q"),
    ValueType(11, "i64", "q"),
    ValueType(12, "f64", "d"),
)
VALUE_TYPES = {t.id: t for t in _VALUES}
#: Fixed-size types by name.
SCALARS = {t.name: t for t in _VALUES if t.code}


@dataclass(frozen=True)
class TensorType:
    """How tensor elements are stored: ``block`` elements along the fastest axis take ``nbytes`` bytes.

    ``numpy`` is the dtype that reads the elements directly, "" for formats that need unpacking.
    """

    id: int
    name: str
    block: int
    nbytes: int
    numpy: str = ""


# ids 4, 5, 31-33 and 36-38 were withdrawn by ggml.
_TENSORS = (
    TensorType(0, "F32", 1, 4, "<f4"),
    TensorType(1, "F16", 1, 2, "<f2"),
    TensorType(2, "Q4_0", 32, 18),
    TensorType(3, "Q4_1", 32, 20),
    TensorType(6, "Q5_0", 32, 22),
    TensorType(7, "Q5_1", 32, 24),
    TensorType(8, "Q8_0", 32, 34),
    TensorType(9, "Q8_1", 32, 40),
    TensorType(10, "Q2_K", 256, 84),
    TensorType(11, "Q3_K", 256, 110),
    TensorType(12, "Q4_K", 256, 144),
    TensorType(13, "Q5_K", 256, 176),
    TensorType(14, "Q6_K", 256, 210),
    TensorType(15, "Q8_K", 256, 292),
    TensorType(16, "IQ2_XXS", 256, 66),
    TensorType(17, "IQ2_XS", 256, 74),
    TensorType(18, "IQ3_XXS", 256, 98),
    TensorType(19, "IQ1_S", 256, 50),
    TensorType(20, "IQ4_NL", 32, 18),
    TensorType(21, "IQ3_S", 256, 110),
    TensorType(22, "IQ2_S", 256, 82),
    TensorType(23, "IQ4_XS", 256, 136),
    TensorType(24, "I8", 1, 1, "<i1"),
    TensorType(25, "I16", 1, 2, "<i2"),
    TensorType(26, "I32", 1, 4, "<i4"),
    TensorType(27, "I64", 1, 8, "<i8"),
    TensorType(28, "F64", 1, 8, "<f8"),
    TensorType(29, "IQ1_M", 256, 56),
    TensorType(30, "BF16", 1, 2),
    TensorType(34, "TQ1_0", 256, 54),
    TensorType(35, "TQ2_0", 256, 66),
    TensorType(39, "MXFP4", 32, 17),
    TensorType(40, "NVFP4", 64, 36),
    TensorType(41, "Q1_0", 128, 18),
)
TENSOR_TYPES = {t.id: t for t in _TENSORS}
