"""Every way in which a model file can be bad, as one table for every loader.

``cases(valid, folder)`` writes them all and returns ``(name, path, word)``: ``path`` holds a file that a
loader must refuse with one line that contains ``word``. ``variants(valid, folder)`` returns files that
look unusual and must be accepted.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
from gguf_document import (
    ARR,
    BOOL,
    F32,
    I32,
    STR,
    TYPE_F16,
    TYPE_Q4_K,
    TYPE_Q8_0,
    U8,
    U32,
    U64,
    Document,
    Key,
    Raw,
    Tensor,
    parse,
)

from localvqe_cli.config import (
    FRONTEND_PREFIX,
    NETWORK_KEY,
    RESIDUAL_PREFIX,
    FrontendConfig,
    ModelConfig,
    ResidualConfig,
)

Edit = Callable[[Document], bytes | None]

#: name -> (edit of a valid document, word that the message holds). An edit returns the file's bytes, or None for the
#: edited document's own.
CASES: dict[str, tuple[Edit, str]] = {}
#: name -> edit that leaves the file usable.
VARIANTS: dict[str, Edit] = {}

BIG = 2_000_000_000
HUGE = 1 << 62
ARCHITECTURE = "general.architecture"
SMOOTH = "align.conv.1.weight"
KERNEL = "mic_enc2.conv.weight"
BIAS = "dec3.skip_conv.bias"
# One tensor of every kind that all versions have.
SAMPLE = (
    "bottleneck.a_real",
    "encoder.conv.weight",
    "decoder.linear.weight",
    "mic_enc1.conv.weight",
    "far_enc2.resblock.conv.bias",
    "align.pconv_ref.weight",
    SMOOTH,
    "bottleneck.C_imag",
    "bottleneck.D",
    "bottleneck.input_proj.weight",
    "dec1.deconv.conv.bias",
)


def write_case(name: str, valid: Path, folder: Path) -> tuple[Path, str]:
    """Write one bad file; its path and the word its message must hold."""
    edit, word = CASES[name]
    return _write(edit, valid, folder / f"{name.replace(' ', '_')}.gguf"), word


def write_variant(name: str, valid: Path, folder: Path) -> Path:
    """Write one unusual but usable file."""
    return _write(VARIANTS[name], valid, folder / f"{name.replace(' ', '_')}.gguf")


def cases(valid: Path, folder: Path) -> list[tuple[str, Path, str]]:
    """All bad files made out of ``valid``: (name, path, word)."""
    return [(name, *write_case(name, valid, folder)) for name in CASES]


def variants(valid: Path, folder: Path) -> list[tuple[str, Path]]:
    """All usable files made out of ``valid``: (name, path)."""
    return [(name, write_variant(name, valid, folder)) for name in VARIANTS]


def _write(edit: Edit, valid: Path, path: Path) -> Path:
    document = parse(valid)
    content = edit(document)
    path.write_bytes(document.dump() if content is None else content)
    return path


# -- how to make them -------------------------------------------------------------------------


def _bad(name: str, word: str) -> Callable[[Edit], Edit]:
    def add(edit: Edit) -> Edit:
        assert name not in CASES
        CASES[name] = (edit, word)
        return edit

    return add


def _good(name: str) -> Callable[[Edit], Edit]:
    def add(edit: Edit) -> Edit:
        VARIANTS[name] = edit
        return edit

    return add


def _value(name: str, key: str, value: object, word: str, kind: int | None = None) -> None:
    _bad(name, word)(lambda d: d.set(key, value, kind))


def _poison(name: str, value: float) -> Edit:
    def edit(document: Document) -> None:
        tensor = document.tensor(name)
        values = np.frombuffer(tensor.data, np.float32).copy()
        values[-1] = value
        tensor.data = values.tobytes()

    return edit


def _reshape(name: str, ne: Callable[[list[int]], list[int]]) -> Edit:
    """Another shape with data of the size it asks for."""

    def edit(document: Document) -> None:
        tensor = document.tensor(name)
        tensor.ne = ne(tensor.ne)
        tensor.data = np.full(int(np.prod(tensor.ne)), 0.01, np.float32).tobytes()

    return edit


# -- not a whole GGUF file --------------------------------------------------------------------

_bad("empty", "empty")(lambda d: b"")
_bad("three bytes", "GGUF")(lambda d: b"GGU")
_bad("text", "GGUF")(lambda d: b"# a model card\n" * 40)
_bad("zip", "GGUF")(lambda d: b"PK\x03\x04" + bytes(400))
_bad("random bytes", "GGUF")(lambda d: np.random.default_rng(1).bytes(4096))
_bad("magic only", "truncated")(lambda d: b"GGUF")
_bad("ends in the header", "truncated")(lambda d: d.dump()[:20])
_bad("ends in the keys", "truncated")(lambda d: d.dump()[:200])
_bad("ends in the tensor list", "truncated")(lambda d: d.head()[:-7])
_bad("ends before the data", "truncated")(lambda d: d.head())
_bad("ends in the data", "truncated")(lambda d: d.dump()[: len(d.head()) + 1_000_000])


@_bad("lacks the last value", "truncated")
def _lacks_the_last_value(document: Document) -> bytes:
    padding = -len(document.tensors[-1].data) % document.alignment
    return document.dump()[: -padding - 1]


@_bad("big endian", "big-endian")
def _big_endian(document: Document) -> None:
    document.order = ">"


for _number in (0, 1, 4, 0xFFFFFFFF):

    @_bad(f"format version {_number}", "version")
    def _format_version(document: Document, number: int = _number) -> None:
        document.version = number


# -- numbers that lead out of the file --------------------------------------------------------


@_bad("huge tensor count", "tensor")
def _huge_tensor_count(document: Document) -> None:
    document.tensor_count = HUGE


@_bad("huge key count", "key")
def _huge_key_count(document: Document) -> None:
    document.key_count = HUGE


@_bad("one tensor too many announced", "")
def _one_tensor_too_many(document: Document) -> None:
    document.tensor_count = len(document.tensors) + 1


@_bad("one key too many announced", "")
def _one_key_too_many(document: Document) -> None:
    document.key_count = len(document.keys) + 1


@_bad("one key too few announced", "")
def _one_key_too_few(document: Document) -> None:
    document.key_count = len(document.keys) - 1


@_bad("one tensor too few announced", "")
def _one_tensor_too_few(document: Document) -> None:
    document.tensor_count = len(document.tensors) - 1


def _further(kind: int, value: object, name: str | Raw = "localvqe.note") -> Edit:
    return lambda d: d.keys.append(Key(name, kind, value))


_bad("huge key length", "key")(_further(U32, 1, Raw(struct.pack("<Q", HUGE) + b"abc")))
_bad("key length wraps around", "key")(_further(U32, 1, Raw(struct.pack("<Q", (1 << 64) - 1) + b"abc")))
_bad("empty key name", "key")(_further(U32, 1, ""))
_bad("huge string length", "localvqe.note")(_further(STR, Raw(struct.pack("<Q", HUGE) + b"abc")))
_bad("string longer than the file", "localvqe.note")(_further(STR, Raw(struct.pack("<Q", 3_000_000) + b"abc")))
_bad("huge array", "localvqe.note")(_further(ARR, Raw(struct.pack("<IQ", U64, HUGE))))
_bad("array whose size wraps around", "localvqe.note")(_further(ARR, Raw(struct.pack("<IQ", U64, (1 << 61) + 1))))
_bad("huge array of strings", "localvqe.note")(_further(ARR, Raw(struct.pack("<IQ", STR, HUGE))))
_bad("array of arrays", "localvqe.note")(_further(ARR, Raw(struct.pack("<IQIQ", ARR, 1, U8, 0))))
_bad("array of an unknown type", "localvqe.note")(_further(ARR, Raw(struct.pack("<IQ", 77, 1))))
_bad("unknown value type", "localvqe.note")(_further(13, Raw(b"")))
_bad("absurd value type", "localvqe.note")(_further(0xFFFFFFFF, Raw(b"")))
_bad("a key twice", "localvqe.dmax")(_further(U32, 4, "localvqe.dmax"))


def _edit_tensor(name: str, /, **changes: object) -> Edit:
    def edit(document: Document) -> None:
        tensor = document.tensor(name)
        for attribute, value in changes.items():
            setattr(tensor, attribute, value)

    return edit


_bad("huge tensor name", "name")(_edit_tensor(BIAS, name=Raw(struct.pack("<Q", HUGE) + b"abc")))
_bad("tensor name over 63 bytes", "name")(_edit_tensor(BIAS, name="n" * 64))
_bad("empty tensor name", "name")(_edit_tensor(BIAS, name=""))
_bad("a tensor twice", KERNEL)(lambda d: d.tensors.append(d.tensor(KERNEL)))
_bad("five dimensions", KERNEL)(_edit_tensor(KERNEL, ne=[4, 4, 3, 4, 1]))
_bad("huge dimension count", KERNEL)(_edit_tensor(KERNEL, dims=0xFFFFFFFF))
_bad("dimension of zero", KERNEL)(_edit_tensor(KERNEL, ne=[4, 4, 0, 4]))
_bad("huge dimension", KERNEL)(_edit_tensor(KERNEL, ne=[HUGE, 1, 1, 1]))
_bad("negative dimension", KERNEL)(_edit_tensor(KERNEL, ne=[(1 << 64) - 4, 4, 3, 4]))
_bad("dimensions whose product wraps around", KERNEL)(_edit_tensor(KERNEL, ne=[1 << 32, 1 << 32, 3, 4]))
_bad("unknown tensor type", KERNEL)(_edit_tensor(KERNEL, type=200))
_bad("withdrawn tensor type", KERNEL)(_edit_tensor(KERNEL, type=4))
_bad("absurd tensor type", KERNEL)(_edit_tensor(KERNEL, type=0xFFFFFFFF))
_bad("offset off the alignment", KERNEL)(_edit_tensor(KERNEL, offset=4))
_bad("offset outside the file", KERNEL)(_edit_tensor(KERNEL, offset=1 << 40))
_bad("offset that wraps around", KERNEL)(_edit_tensor(KERNEL, offset=(1 << 64) - 32))


@_bad("overlapping tensors", "")
def _overlapping(document: Document) -> None:
    document.tensor(BIAS).offset = 0


for _alignment in (0, 3, 1 << 31):
    _bad(f"alignment {_alignment}", "alignment")(_further(U32, _alignment, "general.alignment"))
_bad("alignment of the wrong type", "alignment")(_further(STR, "32", "general.alignment"))

# -- not a LocalVQE model ---------------------------------------------------------------------

_value("other architecture", ARCHITECTURE, "llama", "llama")
_value("architecture of the wrong type", ARCHITECTURE, 7, ARCHITECTURE, U32)
_bad("no architecture", ARCHITECTURE)(lambda d: d.remove_key(ARCHITECTURE))
_bad("no keys", ARCHITECTURE)(lambda d: d.keys.clear())

for _key, _kind, _ in ModelConfig().gguf_fields():
    _short = _key.removeprefix("localvqe.")
    _bad(f"without {_short}", _key)(lambda d, key=_key: d.remove_key(key))
    _value(f"{_short} as a string", _key, "32", _key, STR)
    if _kind == "u32":
        _value(f"{_short} as a signed number", _key, 32, _key, I32)
        _value(f"{_short} as a 64-bit number", _key, 32, _key, U64)
_value("power_law_c as an integer", "localvqe.power_law_c", 1, "localvqe.power_law_c", U32)
_value("bn_folded as an integer", "localvqe.bn_folded", 1, "localvqe.bn_folded", U32)
_value("dmax as an array", "localvqe.dmax", (U32, [32]), "localvqe.dmax", ARR)
_value("dmax as a float", "localvqe.dmax", 32.0, "localvqe.dmax", F32)

for _name, _values in {
    "version": (0, 4, 255, BIG),
    "dmax": (0, 1, 513, BIG),
    "hop_length": (0, 128, 512, BIG),
    "n_fft": (0, 256, 1024, BIG),
    "n_freq_bins": (0, 128, 257, BIG),
    "sample_rate": (0, 8000, 48000, BIG),
    "align_hidden": (0, 513, BIG),
    "bottleneck_hidden": (0, 4097, BIG),
    "kernel_size_h": (0, 9, BIG),
    "kernel_size_w": (0, 9, BIG),
    "power_law_c": (0.0, -0.3, 1.5, float("nan"), float("inf")),
    "mic_channels.count": (0, 5, 7, BIG),
    "far_channels.count": (0, 2, 4, BIG),
    "mic_channels.0": (0, 1, 3),
    "far_channels.0": (0, 1, 3),
    "mic_channels.2": (0, 513, BIG),
    "far_channels.1": (0, 513, BIG),
}.items():
    for _value_ in _values:
        _value(f"{_name} {_value_}", f"localvqe.{_name}", _value_, _name.split(".")[0])
_value("bn_folded false", "localvqe.bn_folded", 0, "bn_folded")
_value("bn_folded 2", "localvqe.bn_folded", 2, "bn_folded")

# -- the front-end ----------------------------------------------------------------------------


def _frontend(without: str = "", **changes: object) -> Edit:
    """A file with front-end keys: one left out, or with other values."""

    def edit(document: Document) -> None:
        kinds = {"u32": U32, "f32": F32}
        for key, kind, value in FrontendConfig().gguf_fields():
            name = key.removeprefix(FRONTEND_PREFIX)
            if name != without:
                wrong = changes.get(name, value)
                document.keys.append(Key(key, BOOL if isinstance(wrong, bool) else kinds[kind], wrong))

    return edit


for _name in (f.name for f in fields(FrontendConfig)):
    _bad(f"front-end without {_name}", f"frontend.{_name}")(_frontend(without=_name))
    _bad(f"front-end with a boolean {_name}", f"frontend.{_name}")(_frontend(**{_name: True}))
for _name, _wrong in {
    "version": (0, 3),
    "partitions": (0, 65, 4_000_000_000),
    "lags": (1, 129),
    "iterations": (0, 5),
    "transition": (0.89, 1.01, float("nan")),
    "noise_smoothing": (-0.1, 1.0, float("nan")),
    "initial_variance": (0.0, 2e3, float("inf")),
    "process_floor": (-1e-3, float("nan")),
    "decay": (0.0, 1.1),
    "noise_weight": (0.0, 101.0, float("nan")),
    "gain_hidden": (65,),
}.items():
    for _value_ in _wrong:
        _bad(f"front-end with {_name} {_value_}", "front")(_frontend(**{_name: _value_}))
_bad("front-end without its controller", "frontend.gain")(_frontend(gain_hidden=4))
_good("front-end")(_frontend())


# -- the stage behind it, and no network ------------------------------------------------------


def _residual(without: str = "", *, alone: bool = False, **changes: object) -> Edit:
    """A file with front-end and residual echo keys, or with the latter alone."""

    def edit(document: Document) -> None:
        if not alone:
            _frontend()(document)
        kinds = {"u32": U32, "f32": F32}
        for key, kind, value in ResidualConfig().gguf_fields():
            name = key.removeprefix(RESIDUAL_PREFIX)
            if name != without:
                document.keys.append(Key(key, kinds[kind], changes.get(name, value)))

    return edit


for _name in (f.name for f in fields(ResidualConfig)):
    _bad(f"residual echo without {_name}", f"residual.{_name}")(_residual(without=_name))
for _name, _wrong in {
    "version": (0, 1, 4),
    "overestimate": (-1.0, 2e4, float("nan")),
    "leak_least": (0.0, 0.5, float("nan")),
    "leak_most": (1.5, 1e-3),
    "leak_background": (-1.0, float("inf")),
    "noise_fill": (-0.1, 17.0, float("inf")),
    "noise_reduction": (-1.0, 41.0, float("nan")),
}.items():
    for _value_ in _wrong:
        _bad(f"residual echo with {_name} {_value_}", "residual")(_residual(**{_name: _value_}))
_bad("residual echo without front-end", "front-end")(_residual(alone=True))


def _network(value: object, kind: int = BOOL, *, frontend: bool = True, tensors: bool = False) -> Edit:
    """A file that says whether it has a network; without its tensors unless asked."""

    def edit(document: Document) -> None:
        if frontend:
            _frontend()(document)
        document.keys.append(Key(NETWORK_KEY, kind, value))
        if not tensors:
            document.tensors.clear()

    return edit


_bad("no network nor front-end", "front-end")(_network(0, frontend=False))
_bad("no network, but its tensors", "tensor")(_network(0, tensors=True))
_bad("network as a number", "network")(_network(0, U32, tensors=True))
_bad("network without tensors", "tensor")(_network(1))
_good("network that is said to be there")(_network(1, frontend=False, tensors=True))


# -- keys that contradict the tensors ---------------------------------------------------------

for _name, _tensor in {
    "mic_channels.1": "mic_enc1.conv",
    "mic_channels.2": "mic_enc2.conv",
    "mic_channels.3": "mic_enc3.conv",
    "mic_channels.5": "bottleneck.",
    "far_channels.1": "far_enc1.conv",
    "far_channels.2": "far_enc2.conv",
    "align_hidden": "align.",
    "bottleneck_hidden": "bottleneck.",
    "kernel_size_h": "conv.weight",
    "kernel_size_w": "conv.weight",
}.items():

    @_bad(f"one more {_name} than the tensors have", "tensor")
    def _contradiction(document: Document, key: str = f"localvqe.{_name}") -> None:
        document.key(key).value += 1


@_bad("version of the other norm", "tensor")
def _other_norm(document: Document) -> None:
    key = document.key("localvqe.version")
    key.value = 2 if key.value == 1 else 1


# -- tensors ----------------------------------------------------------------------------------

for _tensor in SAMPLE:
    _bad(f"without {_tensor}", _tensor)(lambda d, name=_tensor: d.remove_tensor(name))
    for _label, _bad_value in (("NaN", float("nan")), ("infinity", float("-inf"))):
        _bad(f"{_label} in {_tensor}", _tensor)(_poison(_tensor, _bad_value))
_bad("no tensors", "missing")(lambda d: d.tensors.clear())
_bad("unknown tensor", "gru.weight")(lambda d: d.tensors.append(Tensor("gru.weight", [8], bytes(32))))
_bad("bias one longer", BIAS)(_reshape(BIAS, lambda ne: [ne[0] + 1]))
_bad("bias one shorter", BIAS)(_reshape(BIAS, lambda ne: [ne[0] - 1]))
_bad("kernel of another size", KERNEL)(_reshape(KERNEL, lambda ne: [3, 3, *ne[2:]]))
_bad("kernel flattened", KERNEL)(_reshape(KERNEL, lambda ne: [int(np.prod(ne))]))
_bad("kernel axes reversed", KERNEL)(_reshape(KERNEL, lambda ne: ne[::-1]))
_bad("scalar weight", KERNEL)(_reshape(KERNEL, lambda ne: []))
_bad("temperature as a scalar", "align.temperature")(
    lambda d: d.tensors.append(Tensor("align.temperature", [], struct.pack("<f", 0.1)))
)
_bad("temperature as a vector", "align.temperature")(
    lambda d: d.tensors.append(Tensor("align.temperature", [1], struct.pack("<f", 0.1)))
)


@_bad("half-precision weights", KERNEL)
def _half_precision(document: Document) -> None:
    tensor = document.tensor(KERNEL)
    tensor.type = TYPE_F16
    tensor.data = np.frombuffer(tensor.data, np.float32).astype(np.float16).tobytes()


@_bad("rows that no block fills", KERNEL)
def _unfilled_blocks(document: Document) -> None:
    document.tensor(KERNEL).type = TYPE_Q8_0


@_bad("bases in a quantized type", "encoder.conv.weight")
def _quantized_basis(document: Document) -> None:
    tensor = document.tensor("encoder.conv.weight")
    tensor.type = TYPE_Q4_K
    tensor.data = bytes(512 * 512 // 256 * 144)


def _as_q8_0(document: Document, name: str, shape: list[int] | None) -> Tensor:
    """Stores an F32 tensor as padded Q8_0 rows of zeros with scale one, and states ``shape``."""
    tensor = document.tensor(name)
    columns = -(-int(np.prod(tensor.ne[:-1])) // 32) * 32
    rows = tensor.ne[-1]
    if shape is not None:
        document.keys.append(Key(f"localvqe.shape.{name}", ARR, (U32, shape)))
    tensor.ne, tensor.type = [columns, rows], TYPE_Q8_0
    tensor.data = (np.float16(1).tobytes() + bytes(32)) * (rows * columns // 32)
    return tensor


KERNEL_SHAPE = [4, 3, 4, 4]  # of the narrow models


@_bad("quantized without its shape", f"localvqe.shape.{KERNEL}")
def _quantized_without_shape(document: Document) -> None:
    _as_q8_0(document, KERNEL, None)


for _label, _shape in (
    ("reversed", KERNEL_SHAPE[::-1]),
    ("flat", [4, 48]),
    ("of another size", [4, 3, 4, 3]),
    ("empty", []),
    ("too long", [*KERNEL_SHAPE, *[1] * 8]),
):

    @_bad(f"quantized with a shape {_label}", f"localvqe.shape.{KERNEL}")
    def _quantized_with_another_shape(document: Document, shape: list[int] = _shape) -> None:
        _as_q8_0(document, KERNEL, shape)


@_bad("quantized with a shape in words", f"localvqe.shape.{KERNEL}")
def _quantized_with_a_text(document: Document) -> None:
    _as_q8_0(document, KERNEL, None)
    document.keys.append(Key(f"localvqe.shape.{KERNEL}", STR, "4 3 4 4"))


for _label, _scale in (("NaN", 0x7E00), ("infinite", 0x7C00), ("negative infinite", 0xFC00)):

    @_bad(f"quantized with a {_label} scale", KERNEL)
    def _quantized_with_a_bad_scale(document: Document, scale: int = _scale) -> None:
        tensor = _as_q8_0(document, KERNEL, KERNEL_SHAPE)
        # A finite weight times zero would hide an infinite scale, so the block's integers are not zero.
        tensor.data = tensor.data[:-34] + struct.pack("<H", scale) + b"\x01" * 32


@_bad("quantized in rows that are too long", KERNEL)
def _quantized_rows_too_long(document: Document) -> None:
    tensor = _as_q8_0(document, KERNEL, KERNEL_SHAPE)
    tensor.ne = [96, 4]
    tensor.data = (np.float16(1).tobytes() + bytes(32)) * 12


@_bad("quantized with a row too few", KERNEL)
def _quantized_row_missing(document: Document) -> None:
    tensor = _as_q8_0(document, KERNEL, KERNEL_SHAPE)
    tensor.ne = [64, 3]
    tensor.data = tensor.data[: 3 * 2 * 34]


@_bad("quantized to a type the engine does not run", KERNEL)
def _quantized_to_q4_0(document: Document) -> None:
    tensor = _as_q8_0(document, KERNEL, KERNEL_SHAPE)
    tensor.type = 2
    tensor.data = (np.float16(1).tobytes() + bytes(16)) * 8


@_bad("a quantized smoothing", SMOOTH)
def _quantized_smoothing(document: Document) -> None:
    _as_q8_0(document, SMOOTH, [1, 3, 5, 3])


@_bad("a quantized bias", "bottleneck.D")
def _quantized_vector(document: Document) -> None:
    tensor = document.tensor("bottleneck.D")
    tensor.type = TYPE_Q8_0
    tensor.ne = [64]
    tensor.data = (np.float16(1).tobytes() + bytes(32)) * 2


_bad("bases left out without a word", "encoder.conv.weight")(lambda d: d.remove_tensor("encoder.conv.weight"))
_bad("bases left out of an unknown kind", "localvqe.bases")(_further(STR, "wavelet", "localvqe.bases"))
_bad("bases of the wrong type", "localvqe.bases")(_further(U32, 1, "localvqe.bases"))
_bad("bases that are there all the same", "decoder.linear.weight")(_further(STR, "standard", "localvqe.bases"))


# -- unusual, and right -----------------------------------------------------------------------


@_good("further keys")
def _further_keys(document: Document) -> None:
    document.keys += [
        Key("general.name", STR, "a model with a näme"),
        Key("localvqe.training.clips", ARR, (STR, ["a", "", "b"])),
        Key("localvqe.training.seeds", ARR, (U64, [1, 2])),
        Key("localvqe.training.flags", ARR, (BOOL, [0, 1])),
        Key("localvqe.training.none", ARR, (F32, [])),
    ]


@_good("wider alignment")
def _wider_alignment(document: Document) -> None:
    document.keys.append(Key("general.alignment", U32, 256))
    document.alignment = 256


@_good("another order")
def _another_order(document: Document) -> None:
    document.keys.reverse()
    document.tensors.reverse()


@_good("trailing dimensions of one dropped")
def _trailing_ones(document: Document) -> None:
    """What a writer built on ggml does, whose tensors do not know how many dimensions they have."""
    for tensor in document.tensors:
        while len(tensor.ne) > 1 and tensor.ne[-1] == 1:
            tensor.ne.pop()


@_good("one value without a dimension")
def _scalar_bias(document: Document) -> None:
    document.tensor("align.conv.1.bias").ne = []


@_good("format version 2")
def _format_version_2(document: Document) -> None:
    document.version = 2


@_good("bytes after the end")
def _bytes_after(document: Document) -> bytes:
    return document.dump() + b"signature"
