"""Archives of codecs: what is read, and what strangers may put into them."""

from __future__ import annotations

import gzip
import io
import os
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_codec import NARROW, archive_config, archive_members, member, pack, random_nemo, random_weights

from localvqe_cli import export, gguf_file
from localvqe_cli.errors import CheckpointError, GGUFError, MissingExtraError, UsageError
from localvqe_cli.lfsc import nemo
from localvqe_cli.lfsc.nemo_config import read_config

torch = pytest.importorskip("torch")
yaml = pytest.importorskip("yaml")

Members = list[tuple[tarfile.TarInfo, bytes]]


def refusal(path: Path) -> str:
    """The line about an archive that cannot be used, and nothing is left in its folder."""
    before = sorted(os.listdir(path.parent))
    with pytest.raises(CheckpointError) as caught:
        nemo.read(path)
    text = str(caught.value)
    assert text.isprintable()
    assert text.startswith(f"{path}: ")
    assert sorted(os.listdir(path.parent)) == before
    return text


@pytest.mark.parametrize("spelling", ["old", "new", "plain"])
def test_every_spelling_of_the_weights_is_read(tmp_path: Path, spelling: str) -> None:
    found = nemo.read(random_nemo(tmp_path / "a.nemo", spelling=spelling))
    assert found.config == NARROW
    expected = random_weights(NARROW)
    assert list(found.weights) == list(expected)
    for name, weight in found.weights.items():
        np.testing.assert_allclose(weight, expected[name], atol=1e-6)
    assert found.notes == ("left out 1 tensors of discriminator",)


def test_an_archive_that_is_compressed_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "a.nemo").write_bytes(gzip.compress(pack(archive_members())))
    assert nemo.read(tmp_path / "a.nemo").config == NARROW


def test_headers_that_python_writes_for_times_are_passed_over(tmp_path: Path) -> None:
    members = archive_members()
    for info, _ in members:
        info.mtime = 1.5  # as tarfile takes it from a file
    (tmp_path / "a.nemo").write_bytes(pack(members))
    assert nemo.read(tmp_path / "a.nemo").config == NARROW


def test_defaults_are_the_formats_and_not_the_published_codecs() -> None:
    document = archive_config(NARROW)
    for part in ("audio_encoder", "audio_decoder"):
        del document[part]["resblock_dilation_sizes"], document[part]["resblock_kernel_sizes"]
    config = read_config(document)
    assert config.encoder_dilations == config.decoder_dilations == (1, 3, 5)
    assert config.encoder_kernels == (3, 7, 11)


@pytest.mark.parametrize(
    ("where", "value", "word"),
    [
        ("audio_encoder._target_", "x.CausalHiFiGANEncoder", "CausalHiFiGANEncoder, but only HiFiGANEncoder"),
        ("vector_quantizer._target_", 7, "its vector_quantizer is a"),
        ("audio_encoder", None, "no audio_encoder"),
        ("audio_decoder.activation", "half_snake", "half_snake"),
        ("audio_decoder.output_activation", "clamp", "clamp"),
        ("audio_encoder.pad_mode", "zeros", "pad_mode zeros"),
        ("audio_decoder.n_groups_equal_to_out_channels", True, "n_groups_equal_to_out_channels True"),
        ("samples_per_frame", 9, "samples_per_frame 9, but the rest of it makes 8"),
        ("audio_encoder.encoded_dim", 5, "encoded_dim 5"),
        ("audio_decoder.input_dim", 5, "input_dim 5"),
        ("sample_rate", "22050", "no whole number sample_rate"),
        ("sample_rate", True, "no whole number sample_rate"),
        ("vector_quantizer.num_levels_per_group", [5, 4.0], "no list"),
        ("audio_encoder.base_channels", 10**30, "encoder_channels is 1000"),
    ],
)
def test_configurations_of_something_else(tmp_path: Path, where: str, value: Any, word: str) -> None:
    document = archive_config(NARROW)
    part, _, entry = where.rpartition(".")
    (document[part] if part else document)[entry] = value
    members = archive_members()
    members[0] = member("model_config.yaml", yaml.safe_dump(document).encode())
    (tmp_path / "a.nemo").write_bytes(pack(members))
    assert word in refusal(tmp_path / "a.nemo")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"audio_encoder.pre_conv.conv.bias": None}, "missing tensor audio_encoder.pre_conv.conv.bias"),
        ({"audio_encoder.pre_conv.conv.weight_g": None}, "missing tensor audio_encoder.pre_conv.conv.weight_g"),
        ({"audio_encoder.pre_conv.conv.weight_v": None}, "missing tensor audio_encoder.pre_conv.conv.weight"),
        ({"audio_encoder.more.bias": torch.zeros(2)}, "unknown tensor audio_encoder.more.bias"),
        ({"audio_decoder.post_conv.conv.bias": torch.zeros(2)}, "shape (2,), expected (1,)"),
        ({"audio_decoder.post_conv.conv.bias": torch.full((1,), float("nan"))}, "NaN"),
        ({"audio_encoder.pre_conv.conv.weight_v": torch.zeros(2, 1, 7)}, "direction of all zeros"),
        ({"audio_encoder.pre_conv.conv.bias": torch.zeros(1).expand(2)}, "claims more values"),
        ({"vector_quantizer.fsqs.0.num_levels": torch.tensor([5, 5])}, "contradicts the configuration"),
        ({"vector_quantizer.fsqs.9.num_levels": torch.tensor([5, 4])}, "unknown tensor"),
        ({"epoch": 3}, "is not a tensor"),
    ],
)
def test_weights_that_do_not_fit(tmp_path: Path, changes: dict[str, Any], word: str) -> None:
    (tmp_path / "a.nemo").write_bytes(pack(archive_members(**changes)))
    assert word in refusal(tmp_path / "a.nemo")


# -- hostile archives -------------------------------------------------------------------------


def linked(kind: bytes) -> Callable[[Members], Members]:
    def change(members: Members) -> Members:
        info = tarfile.TarInfo("./model_config.yaml")
        info.type, info.linkname = kind, "/etc/passwd"
        return [(info, b""), members[1]]

    return change


def run_code() -> bytes:
    class Evil:
        def __reduce__(self) -> Any:
            return os.mkdir, ("executed",)

    out = io.BytesIO()
    torch.save({"a": Evil()}, out)
    return out.getvalue()


def zip_bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(3 << 20))
    return out.getvalue()


def growing() -> bytes:
    """Each line holds twice what the one before it holds."""
    lines = ["a0: &a0 {x: 1}"] + [f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}" for i in range(1, 40)]
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (linked(tarfile.SYMTYPE), "is a link"),
        (linked(tarfile.LNKTYPE), "is a link"),
        (linked(tarfile.FIFOTYPE), "special entry"),
        (lambda m: [member("/model_config.yaml", m[0][1]), m[1]], "holds no model_config.yaml"),
        (lambda m: [member("../model_config.yaml", m[0][1]), m[1]], "holds no model_config.yaml"),
        (lambda m: [m[0]], "holds no model_weights.ckpt"),
        (lambda m: [m[0], *m], "twice"),
        (lambda m: [member("model_config.yaml", b"a: [" * 5000), m[1]], "not readable as YAML"),
        (lambda m: [member("model_config.yaml", b"a: \xff\xfe"), m[1]], "not readable as YAML"),
        (lambda m: [member("model_config.yaml", b"!!python/object/apply:os.mkdir [executed]"), m[1]], "not readable"),
        (lambda m: [member("model_config.yaml", b"a: " + b"9" * 5000), m[1]], "not readable as YAML"),
        (lambda m: [member("model_config.yaml", b"x" * 70_000), m[1]], "over 64 KiB"),
        (lambda m: [member("model_config.yaml", growing()), m[1]], "aliases"),
        (lambda m: [member("model_config.yaml", b"- 1"), m[1]], "no list of entries"),
        (lambda m: [m[0], member("model_weights.ckpt", b"")], "not a PyTorch checkpoint"),
        (lambda m: [m[0], member("model_weights.ckpt", run_code())], "code in a checkpoint is never run"),
        (lambda m: [member(f"{i}", b"") for i in range(5000)] + m, "more than 4096 members"),
    ],
)
def test_hostile_archives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Members], Members], word: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.nemo").write_bytes(pack(change(archive_members())))
    assert word in refusal(tmp_path / "a.nemo")


def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.nemo"
    path.write_bytes(gzip.compress(bytes(64 << 20)))
    assert "unpacks to more than" in refusal(path)
    path.write_bytes(pack([archive_members()[0], member("model_weights.ckpt", zip_bomb())]))
    monkeypatch.setattr(nemo, "MAX_BYTES", 1 << 20)
    assert "more than the limit of 1 MiB" in refusal(path)
    path.write_bytes(bytes(2 << 20))
    assert "more than the limit of 1 MiB" in refusal(path)


def test_a_header_that_claims_to_go_on_for_gigabytes(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 1 << 30
    (tmp_path / "a.nemo").write_bytes(info.tobuf(tarfile.USTAR_FORMAT) + bytes(1024))
    assert "header" in refusal(tmp_path / "a.nemo")


def test_members_that_end_outside(tmp_path: Path) -> None:
    whole = pack(archive_members())
    (tmp_path / "a.nemo").write_bytes(whole[: len(whole) // 2])
    assert "ends outside the file" in refusal(tmp_path / "a.nemo")


@pytest.mark.parametrize("content", [b"", b"GGUF", b"PK\x03\x04", b"\x1f\x8b\x08" + bytes(20), bytes(10240)])
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.nemo").write_bytes(content)
    refusal(tmp_path / "a.nemo")


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        nemo.read(tmp_path / "a.nemo")
    with pytest.raises(CheckpointError, match="is a directory"):
        nemo.read(tmp_path)


def test_without_yaml_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = random_nemo(tmp_path / "a.nemo")
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(MissingExtraError, match=r"localvqe\[codec\]"):
        nemo.read(path)


# -- export -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "tolerance"), [("F32", 1e-6), ("F16", 1e-3), ("Q8_0", 1e-2)])
def test_export_keeps_the_weights(tmp_path: Path, kind: str, tolerance: float) -> None:
    summary = export.export(random_nemo(tmp_path / "a.nemo"), type=kind)
    assert summary.output == tmp_path / f"a-{kind.lower()}.gguf"
    assert summary.config == NARROW
    assert summary.temperature is None
    assert summary.nbytes == summary.output.stat().st_size
    assert any("non-commercial" in note for note in summary.notes)
    model = gguf_file.read(summary.output)
    assert model.codec_config == NARROW
    assert model.metadata["general.architecture"] == "lfsc"
    assert model.metadata["general.license"] == "NSCLv1"
    expected = random_weights(NARROW)
    assert summary.parameters == model.parameters == sum(array.size for array in expected.values())
    assert list(model.tensors) == list(expected)
    for name, weight in expected.items():
        found = model.array(name).astype(np.float32)
        np.testing.assert_allclose(found, weight, atol=tolerance * np.abs(weight).max())
    assert {info.type.name for info in model.tensors.values()} == {"F32", kind}


def test_a_licence_of_ones_own(tmp_path: Path) -> None:
    summary = export.export(random_nemo(tmp_path / "a.nemo"), license="cc0-1.0")
    assert gguf_file.read(summary.output).metadata["general.license"] == "cc0-1.0"
    assert not any("non-commercial" in note for note in summary.notes)


def test_options_of_other_checkpoints_are_refused(tmp_path: Path) -> None:
    path = random_nemo(tmp_path / "a.nemo")
    with pytest.raises(UsageError, match="--arch"):
        export.export(path, arch=2)
    with pytest.raises(UsageError, match="cannot be stored as Q4_K"):
        export.export(path, type="Q4_K")
    with pytest.raises(UsageError, match="quantize"):
        export.export(tmp_path / "a.pt", type="Q8_0")
    assert sorted(os.listdir(tmp_path)) == ["a.nemo"]


def test_a_weight_that_half_precision_cannot_hold(tmp_path: Path) -> None:
    huge = {"audio_encoder.post_conv.conv.weight_g": torch.full((4, 1, 1), 1e9)}
    (tmp_path / "a.nemo").write_bytes(pack(archive_members(**huge)))
    with pytest.raises(CheckpointError, match="half precision cannot hold"):
        export.export(tmp_path / "a.nemo", type="F16")
    with pytest.raises(CheckpointError, match="scales cannot hold"):
        export.export(tmp_path / "a.nemo", type="Q8_0")
    assert sorted(os.listdir(tmp_path)) == ["a.nemo"]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda w: w.pop("encoder.pre.bias"), "missing tensor"),
        (lambda w: w.update({"more": np.zeros(1, np.float32)}), "unknown tensor"),
        (lambda w: w.update({"encoder.pre.weight": w["encoder.pre.weight"].astype(np.float16)}), "expected float32"),
    ],
)
def test_files_of_the_family_are_checked_when_written(tmp_path: Path, change: Any, word: str) -> None:
    weights: dict[str, Any] = dict(random_weights(NARROW))
    change(weights)
    with pytest.raises(GGUFError, match=word):
        gguf_file.write(tmp_path / "a.gguf", NARROW, weights)
    assert os.listdir(tmp_path) == []
