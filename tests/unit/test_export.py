"""export: folding changes the form of a model and nothing that it computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from make_model import narrow_config, random_state, save_checkpoint
from torch import nn

from localvqe_cli import export, gguf_file
from localvqe_cli.errors import CheckpointError, GGUFError, ModelError, UsageError
from localvqe_cli.tensors import gguf_shapes

Array = np.ndarray[Any, Any]


def folded(version: int, **changes: Any) -> tuple[dict[str, Array], dict[str, Array]]:
    """(state dict, its folded tensors) of a narrow model with the given entries replaced."""
    config = narrow_config(version)
    state = random_state(config) | {name: np.asarray(value, np.float32) for name, value in changes.items()}
    return state, export.fold(config, state)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_fold_gives_the_table_in_its_order(version: int) -> None:
    config = narrow_config(version)
    state = random_state(config)
    before = {name: value.copy() for name, value in state.items()}
    tensors = export.fold(config, state)
    assert [(n, a.shape) for n, a in tensors.items()] == list(gguf_shapes(config).items())
    assert all(a.dtype == np.float32 for a in tensors.values())
    assert all(np.array_equal(state[n], before[n]) for n in before), "fold changed its argument"


@pytest.mark.parametrize(
    ("conv", "norm"), [("mic_enc3.conv", "mic_enc3.bn"), ("dec4.resblock.conv", "dec4.resblock.bn")]
)
def test_a_folded_convolution_equals_convolution_and_batch_norm(conv: str, norm: str) -> None:
    state, tensors = folded(1)
    weight = torch.from_numpy(state[f"{conv}.weight"])
    bn = nn.BatchNorm2d(weight.shape[0]).eval()
    parts = {p: torch.from_numpy(state[f"{norm}.{p}"]) for p in ("weight", "bias", "running_mean", "running_var")}
    bn.load_state_dict({**parts, "num_batches_tracked": torch.tensor(1)})
    x = torch.randn(2, weight.shape[1], 9, 11, generator=torch.Generator().manual_seed(0))
    expected = bn(torch.conv2d(x, weight, torch.from_numpy(state[f"{conv}.bias"])))
    actual = torch.conv2d(x, torch.from_numpy(tensors[f"{conv}.weight"]), torch.from_numpy(tensors[f"{conv}.bias"]))
    torch.testing.assert_close(actual, expected, atol=2e-6, rtol=1e-5)


def test_a_norm_behind_the_pixel_shuffle_becomes_scale_and_bias() -> None:
    state, tensors = folded(1)
    bn = nn.BatchNorm2d(6).eval()
    parts = {p: torch.from_numpy(state[f"dec5.bn.{p}"]) for p in ("weight", "bias", "running_mean", "running_var")}
    bn.load_state_dict({**parts, "num_batches_tracked": torch.tensor(1)})
    x = torch.randn(1, 6, 3, 4, generator=torch.Generator().manual_seed(0))
    scale, shift = (torch.from_numpy(tensors[f"dec5.bn.{p}"])[None, :, None, None] for p in ("scale", "bias"))
    torch.testing.assert_close(x * scale + shift, bn(x), atol=1e-6, rtol=1e-5)
    # The convolution before the shuffle is not touched.
    assert np.array_equal(tensors["dec5.deconv.conv.weight"], state["dec5.deconv.conv.weight"])


def test_version_2_and_3_weights_pass_through() -> None:
    for version in (2, 3):
        state, tensors = folded(version)
        changed = {"align.conv.1.weight", "align.conv.1.bias", "bottleneck.a_real", "bottleneck.a_imag"}
        assert all(np.array_equal(tensors[n], state[n]) for n in tensors if n not in changed)


def test_temperature_is_divided_out_once() -> None:
    state, tensors = folded(2, **{"align.temperature": 0.25})
    assert np.array_equal(tensors["align.conv.1.weight"], state["align.conv.1.weight"] * 4)
    assert np.array_equal(tensors["align.conv.1.bias"], state["align.conv.1.bias"] * 4)
    again = {n: tensors[n] for n in ("align.conv.1.weight", "align.conv.1.bias")}
    _, twice = folded(2, **again, **{"align.temperature": 1.0})
    assert all(np.array_equal(twice[n], tensors[n]) for n in tensors)


@pytest.mark.parametrize("tau", [0.0, -0.1, float("inf"), float("nan")])
def test_a_temperature_that_is_no_temperature_is_refused(tau: float) -> None:
    with pytest.raises(CheckpointError, match=r"align\.temperature"):
        folded(3, **{"align.temperature": tau})


def test_values_beyond_float32_after_folding_are_refused() -> None:
    with pytest.raises(CheckpointError, match=r"align\.conv\.1"):
        folded(3, **{"align.temperature": 1e-40})


def test_a_negative_variance_is_refused() -> None:
    with pytest.raises(CheckpointError, match="variance"):
        folded(1, **{"mic_enc1.bn.running_var": [1.0, -0.5, 1.0]})


def test_poles_follow_equation_12() -> None:
    rho = np.array([-30.0, -6.0, 0.0, 2.0, 800.0])
    theta = np.array([0.3, 0.0, np.pi / 2, np.pi, 1.0])
    real, imag = export.polar_to_cartesian(rho, theta)
    magnitude = np.hypot(real, imag)
    # softplus(-30) is below the floor of 0.01, softplus(0) is ln 2, softplus(800) leaves nothing.
    expected = [np.exp(-0.01), np.exp(-0.01), 0.5, 1.0 / (1.0 + np.exp(2.0)), 0.0]
    np.testing.assert_allclose(magnitude, expected, rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(np.arctan2(imag, real)[:4], theta[:4], atol=1e-12)


def test_fold_names_what_does_not_fit() -> None:
    config = narrow_config(2)
    state = random_state(config)
    del state["bottleneck.D"]
    with pytest.raises(CheckpointError, match=r"missing tensor bottleneck\.D"):
        export.fold(config, state)


# -- files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 2, 3])
def test_export_writes_what_fold_says(tmp_path: Path, version: int) -> None:
    config = narrow_config(version)
    state = random_state(config)
    save_checkpoint(tmp_path / "ckpt.pt", state, config)
    summary = export.export(tmp_path / "ckpt.pt")
    assert summary.output == tmp_path / "ckpt-f32.gguf"
    assert summary.nbytes == summary.output.stat().st_size
    assert summary.temperature == pytest.approx(0.1)
    assert summary.notes == ()
    model = gguf_file.read(summary.output)
    assert model.config == summary.config == config
    expected = export.fold(config, state)
    assert list(model.tensors) == list(expected)
    assert all(np.array_equal(model.array(n), expected[n]) for n in expected)
    assert summary.tensors == len(expected)
    assert summary.parameters == sum(a.size for a in expected.values())


def test_two_exports_are_the_same_bytes(tmp_path: Path) -> None:
    config = narrow_config(3)
    save_checkpoint(tmp_path / "a.pt", random_state(config), config)
    first = export.export(tmp_path / "a.pt", tmp_path / "1.gguf").output.read_bytes()
    assert export.export(tmp_path / "a.pt", tmp_path / "2.gguf").output.read_bytes() == first


def test_a_folded_checkpoint_is_recognised(tmp_path: Path) -> None:
    config = narrow_config(2)
    state = random_state(config)
    tensors = export.fold(config, state)
    state |= {n: tensors[n] for n in ("align.conv.1.weight", "align.conv.1.bias")}
    state["align.temperature"] = np.asarray(1.0, np.float32)
    save_checkpoint(tmp_path / "a.pt", state, config)
    summary = export.export(tmp_path / "a.pt")
    assert any("folded before" in note for note in summary.notes)
    model = gguf_file.read(summary.output)
    assert all(np.array_equal(model.array(n), tensors[n]) for n in tensors)


def test_what_export_wrote_is_not_exported_again(tmp_path: Path) -> None:
    config = narrow_config(2)
    save_checkpoint(tmp_path / "a.pt", random_state(config), config)
    output = export.export(tmp_path / "a.pt").output
    with pytest.raises(CheckpointError, match="GGUF file already"):
        export.export(output)


def test_metadata_follows_the_contract_keys(tmp_path: Path) -> None:
    config = narrow_config(2)
    save_checkpoint(tmp_path / "a.pt", random_state(config), config)
    extra = {"general.name": "näme", "localvqe.clips": 12, "localvqe.snr": 0.5, "localvqe.real": True}
    model = gguf_file.read(export.export(tmp_path / "a.pt", meta=extra).output)
    assert dict(list(model.metadata.items())[-4:]) == extra


def test_an_existing_output_needs_force(tmp_path: Path) -> None:
    config = narrow_config(2)
    save_checkpoint(tmp_path / "a.pt", random_state(config), config)
    target = tmp_path / "a-f32.gguf"
    target.write_bytes(b"precious")
    with pytest.raises(UsageError, match="--force"):
        export.export(tmp_path / "a.pt")
    assert target.read_bytes() == b"precious"
    export.export(tmp_path / "a.pt", force=True)
    assert gguf_file.read(target).config == config


def test_the_checkpoint_itself_is_never_overwritten(tmp_path: Path) -> None:
    config = narrow_config(2)
    source = tmp_path / "a.pt"
    save_checkpoint(source, random_state(config), config)
    before = source.read_bytes()
    with pytest.raises(UsageError, match="the input itself"):
        export.export(source, source, force=True)
    assert source.read_bytes() == before


def test_a_failed_export_leaves_nothing_behind(tmp_path: Path) -> None:
    config = narrow_config(3)
    state = random_state(config)
    state["align.temperature"] = np.asarray(-1.0, np.float32)
    source = tmp_path / "a.pt"
    save_checkpoint(source, state, config)
    with pytest.raises(ModelError, match=r"a\.pt: align\.temperature"):
        export.export(source)
    save_checkpoint(source, random_state(config), config)
    with pytest.raises(UsageError, match="metadata key"):
        export.export(source, meta={"localvqe.dmax": 3})
    assert [p.name for p in tmp_path.iterdir()] == ["a.pt"]


def test_write_refuses_what_a_reader_would_refuse(tmp_path: Path) -> None:
    config = narrow_config(3)
    good = export.fold(config, random_state(config))
    bad = {
        "missing": {n: a for n, a in good.items() if n != "bottleneck.D"},
        "unknown": good | {"gru.weight": np.zeros(3, np.float32)},
        "shape": good | {"bottleneck.D": np.zeros(3, np.float32)},
        "float32": good | {"bottleneck.D": good["bottleneck.D"].astype(np.float64)},
        "NaN": good | {"bottleneck.D": good["bottleneck.D"] * np.float32("nan")},
    }
    for word, tensors in bad.items():
        with pytest.raises(GGUFError, match=word):
            gguf_file.write(tmp_path / "a.gguf", config, tensors)
    for key, value in (("Bad Key", 1), ("", 1), ("general.architecture", "x"), ("general.alignment", 64), ("a", "")):
        with pytest.raises(UsageError, match="metadata key"):
            gguf_file.write(tmp_path / "a.gguf", config, good, {key: value})
    assert list(tmp_path.iterdir()) == []
