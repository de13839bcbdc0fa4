"""checkpoint: what is accepted, what is inferred, and what is refused without being run."""

from __future__ import annotations

import os
import pickle
import resource
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from make_model import narrow_config, random_gguf, random_state, save_checkpoint

from localvqe_cli import checkpoint
from localvqe_cli.config import ModelConfig
from localvqe_cli.errors import CheckpointError, MissingExtraError, UsageError

State = dict[str, Any]


def tensors(version: int = 2) -> State:
    return {name: torch.from_numpy(np.array(value)) for name, value in random_state(narrow_config(version)).items()}


def save(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def refusal(path: Path, **options: Any) -> str:
    """The one line that explains why a checkpoint is refused."""
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load(path, **options)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert caught.value.exit_code == 4
    return message


# -- accepted ---------------------------------------------------------------------------------

CONFIG = narrow_config(2).to_mapping()


LAYOUTS: dict[str, Callable[[State], Any]] = {
    "model_state_dict": lambda s: {"model_state_dict": s},
    "model, beside training state": lambda s: {"model": s, "epoch": 3, "optimizer": {"state": {}, "lr": [1e-3]}},
    "top level": dict,
    "data parallel": lambda s: {"model_state_dict": {f"module.{n}": t for n, t in s.items()}},
    "compiled": lambda s: {"model": {f"_orig_mod.{n}": t for n, t in s.items()}},
    "compiled and data parallel": lambda s: {"model": {f"module._orig_mod.{n}": t for n, t in s.items()}},
    "the report's names": lambda s: {"model": {n.replace("neck.A_", "neck.A."): t for n, t in s.items()}},
    "parameters": lambda s: {"model": {n: torch.nn.Parameter(t) if t.is_floating_point() else t for n, t in s.items()}},
    "temperature as a vector": lambda s: {
        "model": {n: t[None] if n == "align.temperature" else t for n, t in s.items()}
    },
    "double precision": lambda s: {"model": {n: t.double() if t.is_floating_point() else t for n, t in s.items()}},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_model(tmp_path: Path, layout: str) -> None:
    state = tensors()
    config, loaded = checkpoint.load(save(tmp_path / "a.pt", LAYOUTS[layout](state) | {"model_config": CONFIG}))
    assert config == narrow_config(2)
    assert set(loaded) == set(state)
    for name, tensor in state.items():
        assert loaded[name].dtype == tensor.dtype
        assert not loaded[name].requires_grad
        assert torch.equal(loaded[name], tensor), name


def test_the_old_file_format_is_read(tmp_path: Path) -> None:
    path = tmp_path / "old.pt"
    torch.save({"model": tensors(), "model_config": CONFIG}, path, _use_new_zipfile_serialization=False)
    assert checkpoint.load(path)[0] == narrow_config(2)


def test_half_precision_is_widened(tmp_path: Path) -> None:
    state = {n: t.bfloat16() if n.endswith("conv.weight") else t for n, t in tensors().items()}
    _, loaded = checkpoint.load(save(tmp_path / "a.pt", {"model": state, "model_config": CONFIG}))
    assert loaded["mic_enc1.conv.weight"].dtype == torch.float32
    assert torch.equal(loaded["mic_enc1.conv.weight"], state["mic_enc1.conv.weight"].float())


# -- inferred ---------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 2, 3])
def test_widths_and_kernel_come_from_the_shapes(tmp_path: Path, version: int) -> None:
    config = narrow_config(version, kernel_size_h=3, kernel_size_w=5, dmax=7)
    save_checkpoint(tmp_path / "a.pt", random_state(config))
    found = checkpoint.read(tmp_path / "a.pt", arch=version, dmax=7)
    assert found.config == config
    assert found.notes == ()


@pytest.mark.parametrize(("version", "dmax"), [(1, 32), (2, 32), (3, 64)])
def test_dmax_defaults_to_that_of_the_version_with_a_note(tmp_path: Path, version: int, dmax: int) -> None:
    save_checkpoint(tmp_path / "a.pt", random_state(narrow_config(version)))
    found = checkpoint.read(tmp_path / "a.pt", arch=version)
    assert found.config.dmax == dmax
    assert len(found.notes) == 1
    assert f"dmax; {dmax}" in found.notes[0]


def test_a_config_without_some_entries_is_completed(tmp_path: Path) -> None:
    raw = {"arch_version": 3, "power_law_c": 0.5}
    found = checkpoint.read(save(tmp_path / "a.pt", {"model": tensors(3), "model_config": raw}), dmax=9)
    assert found.config == narrow_config(3, dmax=9, power_law_c=0.5)


def test_version_1_shows_in_its_tensors(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a.pt", random_state(narrow_config(1)))
    assert checkpoint.load(tmp_path / "a.pt")[0].version == 1


def test_versions_2_and_3_cannot_be_told_apart(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "best.pt", random_state(narrow_config(3)))
    message = refusal(tmp_path / "best.pt")
    assert "--arch 2" in message
    assert "--arch 3" in message


@pytest.mark.parametrize(
    ("name", "version"),
    [("localvqe-v1.1-1.3M.pt", 2), ("localvqe-v1.2-1.3M.pt", 3), ("LocalVQE_V1.3_4.8M.pt", 3), ("v1.1.pt", 2)],
)
def test_the_name_of_a_published_line_decides(tmp_path: Path, name: str, version: int) -> None:
    save_checkpoint(tmp_path / name, random_state(narrow_config(2)))
    found = checkpoint.read(tmp_path / name, dmax=4)
    assert found.config.version == version
    assert "file name" in found.notes[0]
    assert checkpoint.read(tmp_path / name, dmax=4, arch=5 - version).config.version == 5 - version


@pytest.mark.parametrize("name", ["conv1.2.pt", "v1.pt", "v1.10.pt", "v2.pt", "rev1.1.pt"])
def test_other_names_decide_nothing(tmp_path: Path, name: str) -> None:
    save_checkpoint(tmp_path / name, random_state(narrow_config(2)))
    assert "--arch" in refusal(tmp_path / name)


# -- contradictions ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "value", "word"),
    [
        ("mic_channels", [2, 32, 40, 40, 40, 40], "mic_channels"),
        ("far_channels", [2, 5, 4], "far_channels"),
        ("align_hidden", 4, "align_hidden"),
        ("bottleneck_hidden", 162, "bottleneck_hidden"),
        ("kernel_size", [3, 4], "kernel_size_h"),
        ("arch_version", 1, "version 1"),
        ("arch_version", 4, "version 4"),
        ("arch_version", "two", "wrong kind"),
        ("n_freqs", 512, "n_freq_bins"),
        ("dmax", 0, "dmax"),
        ("dmax", "many", "wrong kind"),
        ("dmax", torch.zeros(3), "wrong kind"),
        ("power_law_c", float("nan"), "power_law_c"),
    ],
)
def test_a_config_that_contradicts_the_tensors_or_itself(tmp_path: Path, entry: str, value: Any, word: str) -> None:
    path = save(tmp_path / "a.pt", {"model": tensors(), "model_config": CONFIG | {entry: value}})
    assert word in refusal(path)


def test_a_version_1_config_on_other_tensors_and_the_reverse(tmp_path: Path) -> None:
    path = save(tmp_path / "a.pt", {"model": tensors(1), "model_config": CONFIG})
    assert "BatchNorm" in refusal(path)


@pytest.mark.parametrize("options", [{"dmax": 5}, {"arch": 3}])
def test_options_that_contradict_the_config(tmp_path: Path, options: dict[str, int]) -> None:
    path = save(tmp_path / "a.pt", {"model": tensors(), "model_config": CONFIG})
    with pytest.raises(UsageError, match="contradicts"):
        checkpoint.load(path, **options)
    checkpoint.load(path, dmax=4, arch=2)


@pytest.mark.parametrize(("version", "arch"), [(1, 2), (2, 1), (2, 9)])
def test_an_arch_that_the_tensors_exclude(tmp_path: Path, version: int, arch: int) -> None:
    save_checkpoint(tmp_path / "a.pt", random_state(narrow_config(version)))
    with pytest.raises(UsageError, match="--arch"):
        checkpoint.load(tmp_path / "a.pt", arch=arch)


@pytest.mark.parametrize("dmax", [0, 1, 513, 2_000_000_000])
def test_an_absurd_dmax_is_refused(tmp_path: Path, dmax: int) -> None:
    save_checkpoint(tmp_path / "a.pt", random_state(narrow_config(1)))
    assert "dmax" in refusal(tmp_path / "a.pt", dmax=dmax)


# -- tensors ----------------------------------------------------------------------------------


def change(name: str, value: Any) -> Callable[[State], None]:
    return lambda s: s.__setitem__(name, value)


def fill(name: str, value: float) -> Callable[[State], None]:
    return lambda s: s[name].view(-1)[-1:].fill_(value) and None


@pytest.mark.parametrize(
    ("edit", "word"),
    [
        (lambda s: s.pop("bottleneck.D"), "missing tensor bottleneck.D"),
        (lambda s: s.pop("bottleneck.A_theta"), "missing tensor bottleneck.A_theta"),
        (lambda s: s.pop("align.temperature"), "missing tensor align.temperature"),
        (lambda s: s.pop("mic_enc4.conv.weight"), "missing tensor mic_enc4.conv.weight"),
        (lambda s: s.pop("encoder.conv.weight"), "encoder.conv.weight"),
        (lambda s: [s.pop(n) for n in list(s) if n.startswith("dec")], "dec5.skip_norm.weight, "),
        (change("gru.weight", torch.zeros(3)), "unknown tensor gru.weight"),
        (change("a\nb\x1b[31m", torch.zeros(3)), r"unknown tensor a\x0ab\x1b[31m"),
        (change("bottleneck.D", torch.zeros(3)), "bottleneck.D has shape (3,), expected (56,)"),
        (change("mic_enc2.conv.weight", torch.zeros(4, 3, 16)), "mic_enc2.conv.weight has 3 dimensions"),
        (change("mic_enc2.conv.weight", torch.zeros(0, 3, 4, 4)), "mic_channels[2] is 0"),
        (change("mic_enc2.conv.weight", torch.zeros(9999, 3, 4, 4)), "mic_channels[2] is 9999"),
        (change("encoder.conv.weight", torch.zeros(512, 1, 1024)), "n_fft is 1024"),
        (change("bottleneck.D", torch.zeros(1).expand(10**12)), "bottleneck.D has shape (1000000000000,)"),
        (change("bottleneck.D", torch.zeros(56, dtype=torch.complex64)), "bottleneck.D is not a plain"),
        (change("bottleneck.D", torch.zeros(56).to_sparse()), "bottleneck.D is not a plain"),
        (change("bottleneck.D", torch.zeros(56, device="meta")), "bottleneck.D is not a plain"),
        (change("bottleneck.A.theta", torch.zeros(6)), "bottleneck.A_theta appears twice"),
        (fill("dec2.resblock.norm.bias", float("nan")), "dec2.resblock.norm.bias holds NaN"),
        (fill("align.pconv_mic.weight", float("inf")), "align.pconv_mic.weight holds NaN or infinite"),
        (fill("mask.v_imag", 0.5), "mask.v_imag"),
        (change("bottleneck.D", "not a tensor"), "bottleneck.D of the state dict is not a tensor"),
    ],
)
def test_tensors_that_break_the_table(tmp_path: Path, edit: Callable[[State], Any], word: str) -> None:
    state = tensors()
    edit(state)
    path = save(tmp_path / "a.pt", {"model": state, "model_config": {"arch_version": 2}})
    assert word in refusal(path)


# -- files ------------------------------------------------------------------------------------


class Payload:
    """Unpickling an instance runs a command; here it would leave a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch '{self.mark}'",)


@pytest.mark.parametrize("place", ["alone", "beside the tensors", "in the config", "old format", "plain pickle"])
def test_code_in_a_checkpoint_is_not_run(tmp_path: Path, place: str) -> None:
    mark = tmp_path / "mark"
    path = tmp_path / "a.pt"
    payload = Payload(mark)
    if place == "plain pickle":
        path.write_bytes(pickle.dumps({"model": payload}))
    elif place == "old format":
        torch.save({"model": payload}, path, _use_new_zipfile_serialization=False)
    elif place == "alone":
        torch.save(payload, path)
    elif place == "beside the tensors":
        torch.save({"model": tensors(), "model_config": CONFIG, "extra": payload}, path)
    else:
        torch.save({"model": tensors(), "model_config": CONFIG | {"hook": payload}}, path)
    message = refusal(path)
    assert ("not a PyTorch checkpoint" if place == "plain pickle" else "system), and code") in message
    assert not mark.exists()
    # The payload is live: whoever unpickles it without care does run it.
    os.system(payload.__reduce__()[1][0])
    assert mark.exists()


def write_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "not tensors")


def write_cut(path: Path, fraction: float) -> None:
    save_checkpoint(path, random_state(narrow_config(2)), narrow_config(2))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * fraction)])


def write_huge(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(2 << 30)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda p: None, "no such file"),
        (lambda p: p.mkdir(), "is a directory"),
        (lambda p: p.write_bytes(b""), "is empty"),
        (lambda p: p.write_bytes(b"\x80"), "not a PyTorch checkpoint"),
        (lambda p: p.write_bytes(np.random.default_rng(0).bytes(5000)), "not a PyTorch checkpoint"),
        (lambda p: p.write_bytes(b"PK\x03\x04" + bytes(100)), "not a PyTorch checkpoint"),
        (lambda p: p.write_text("version https://git-lfs.github.com/spec/v1"), "not a PyTorch checkpoint"),
        (write_zip, "not a PyTorch checkpoint"),
        (lambda p: write_cut(p, 0.5), "not a PyTorch checkpoint"),
        (lambda p: write_cut(p, 0.999), "not a PyTorch checkpoint"),
        (lambda p: random_gguf(p, narrow_config(2)), "GGUF file already"),
        (lambda p: torch.save([1, 2], p), "holds a list"),
        (lambda p: torch.save(torch.zeros(3), p), "holds a Tensor"),
        (lambda p: torch.save({}, p), "no LocalVQE model"),
        (lambda p: torch.save({"model": {}}, p), "no LocalVQE model"),
        (lambda p: torch.save({"model": {"layer.weight": torch.zeros(3)}}, p), "no LocalVQE model"),
        (lambda p: torch.save({1: 2, "a": {}}, p), "no LocalVQE model"),
        (lambda p: torch.save({"model": tensors(), "model_config": [1]}, p), "model_config is a list"),
        (lambda p: os.mkfifo(p), "not a regular file"),
        (write_huge, "more than the limit"),
    ],
)
def test_files_that_are_no_checkpoint(tmp_path: Path, make: Callable[[Path], Any], word: str) -> None:
    path = tmp_path / "a.pt"
    make(path)
    assert word in refusal(path)


def test_an_archive_that_unpacks_to_more_than_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(3 << 20))
    assert path.stat().st_size < 100_000
    monkeypatch.setattr(checkpoint, "MAX_FILE_BYTES", 1 << 20)
    assert "3145728 bytes, more than the limit" in refusal(path)


def test_a_name_with_a_nul_byte_is_one_line() -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        checkpoint.load("a\0b.pt")


def test_without_torch_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(tmp_path / "a.pt", random_state(narrow_config(2)), narrow_config(2))
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'localvqe\[torch\]'") as caught:
        checkpoint.load(tmp_path / "a.pt")
    assert caught.value.exit_code == 5


def test_any_width_in_range_is_read_back(tmp_path: Path) -> None:
    config = replace(ModelConfig(version=1), mic_channels=(2, 1, 1, 1, 1, 1), far_channels=(2, 1, 1), dmax=2)
    save_checkpoint(tmp_path / "a.pt", random_state(config), config)
    assert checkpoint.load(tmp_path / "a.pt")[0] == config


def test_a_pickle_that_reserves_memory_is_refused(tmp_path: Path) -> None:
    class Greedy:
        def __reduce__(self) -> Any:
            return bytearray, (1 << 36,)

    path = tmp_path / "greedy.pt"
    with zipfile.ZipFile(save(tmp_path / "good.pt", tensors())) as good, zipfile.ZipFile(path, "w") as bad:
        for name in good.namelist():
            greedy = pickle.dumps({"model": Greedy()}, 2)
            bad.writestr(name, greedy if name.endswith("data.pkl") else good.read(name))
    refusal(path)
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY


def test_a_tensor_that_claims_more_than_is_stored_is_refused(tmp_path: Path) -> None:
    state = tensors()
    name = "mic_enc3.conv.weight"
    state[name] = torch.zeros(1).as_strided(state[name].shape, (0, 0, 0, 0))
    assert "claims more values than are stored" in refusal(save(tmp_path / "a.pt", state), arch=2)
