"""``localvqe verify`` with the compiled engine."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from golden_vectors import FEW, FOREIGN, Vectors
from make_model import V13, narrow_config, random_quantized_gguf, random_state, save_checkpoint
from typer.testing import CliRunner, Result

from localvqe_cli import export, gguf_file
from localvqe_cli.cli import app
from localvqe_cli.verify import builtin_signals

CONFIG = narrow_config(3)


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["verify", *map(str, arguments)])


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    checkpoint = tmp_path / "ckpt.pt"
    save_checkpoint(checkpoint, random_state(CONFIG, seed=1), CONFIG)
    export.export(checkpoint, tmp_path / "model.gguf")
    return checkpoint, tmp_path / "model.gguf"


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> list[str | Path]:
    """Options for half a second of the built-in signal, of which there are four by themselves."""
    folder = tmp_path_factory.mktemp("short")
    options: list[str | Path] = []
    for side, signal in zip(("mic", "ref"), builtin_signals(0.5), strict=True):
        soundfile.write(folder / f"{side}.wav", signal, 16000, subtype="FLOAT")
        options += [f"--{side}", folder / f"{side}.wav"]
    return options


@pytest.mark.parametrize("vectors", FEW, indirect=True, scope="module")
def test_golden_exports_are_verified(
    vectors: Vectors, golden_model: Path, short: list[str | Path], tmp_path: Path
) -> None:
    result = _run(vectors.save_checkpoint(tmp_path / "state.pt"), golden_model, *short)
    assert result.exit_code == 0, result.output
    rows = [line.split()[0] for line in result.stdout.splitlines() if line.rstrip().endswith("ok")]
    assert rows[0] == next(iter(vectors.blocks if "filter" in vectors.name else vectors.norms))
    assert rows[-1] == "output"
    attention = {"delay"} if vectors.config.network else set()
    assert sorted(rows) == sorted({*vectors.blocks, *vectors.norms, *attention, "output"})
    assert "NOT" not in result.stdout


@pytest.mark.parametrize("vectors", FOREIGN, indirect=True, scope="module")
def test_a_golden_file_made_elsewhere_is_verified(vectors: Vectors, short: list[str | Path], tmp_path: Path) -> None:
    assert vectors.foreign is not None
    assert _run(vectors.save_checkpoint(tmp_path / "state.pt"), vectors.foreign, *short).exit_code == 0


@pytest.mark.parametrize(
    ("version", "kind", "arithmetic"),
    [
        *((version, "Q8_0", arithmetic) for version in (1, 2, 3) for arithmetic in ("f32", "int16")),
        *((version, "Q4_K", "int16") for version in (1, 2, 3)),
        (3, "Q6_K", "int16"),
        (3, "Q5_K", "f32"),
    ],
)
def test_a_quantized_file_is_verified_with_its_own_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short: list[str | Path], version: int, kind: str, arithmetic: str
) -> None:
    monkeypatch.setenv("LOCALVQE_ARITHMETIC", arithmetic)
    config = narrow_config(version, mic_channels=(2, 12, 16, 9, 16, 8), far_channels=(2, 12, 9))
    model, checkpoint = tmp_path / "q.gguf", tmp_path / "ckpt.pt"
    save_checkpoint(checkpoint, random_quantized_gguf(model, config, kind, seed=version), config)
    result = _run(checkpoint, model, *short, "--json")
    assert result.exit_code == 0, result.stderr + result.stdout[-2000:]
    assert ("integers" in result.stderr) == (arithmetic == "int16")
    save_checkpoint(checkpoint, random_state(config, seed=version + 10), config)  # not the one it was made from
    soundfile.write(tmp_path / "mic.wav", np.zeros(256), 16000)  # weights show without a call
    report = json.loads(_run(checkpoint, model, "--mic", tmp_path / "mic.wav", "--json").stdout)
    changed = {row["name"] for row in report["tensors"] if not row["passed"]}
    assert "mic_enc2.conv.weight" in changed
    assert "dec1.deconv.conv.weight" in changed


def test_integers_are_verified_within_their_rounding(tmp_path: Path) -> None:
    config = narrow_config(2, mic_channels=(2, 12, 16, 9, 16, 8), far_channels=(2, 12, 9))
    save_checkpoint(tmp_path / "c.pt", random_state(config, seed=1), config)
    export.export(tmp_path / "c.pt", tmp_path / "c.gguf")
    result = _run(tmp_path / "c.pt", tmp_path / "c.gguf", "--precision", "int16")
    assert result.exit_code == 0, result.stderr + result.stdout
    assert "integers" in result.stderr
    assert _run(tmp_path / "c.pt", tmp_path / "c.gguf", "--precision", "int8").exit_code == 2


def test_the_widths_of_v13_are_verified(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "wide.pt", random_state(V13, seed=4), V13)
    export.export(tmp_path / "wide.pt", tmp_path / "wide.gguf")
    soundfile.write(tmp_path / "mic.wav", np.random.default_rng(0).normal(0, 0.05, 16000), 16000)
    result = _run(tmp_path / "wide.pt", tmp_path / "wide.gguf", "--mic", tmp_path / "mic.wav")
    assert result.exit_code == 0, result.output


def test_one_changed_weight_exits_with_1_and_is_named(files: tuple[Path, Path]) -> None:
    checkpoint, model = files
    content = gguf_file.read(model)
    arrays = {name: content.array(name) for name in content.tensors}
    arrays["mic_enc4.conv.weight"].flat[5] += 0.1
    gguf_file.write(model, CONFIG, arrays)
    result = _run(checkpoint, model)
    assert result.exit_code == 1
    assert "mic_enc4.conv.weight" in result.stdout
    assert "1 of 135" in result.stdout
    assert "the first block that drifts is mic_enc4" in result.stdout


def test_json_goes_to_stdout_alone(files: tuple[Path, Path]) -> None:
    result = _run(*files, "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["passed"] is True
    assert found["blocks"][-1]["name"] == "output"


def test_recordings_of_any_rate_and_unequal_length(files: tuple[Path, Path], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "mic.wav", rng.normal(0, 0.1, (24000, 2)), 48000)
    soundfile.write(tmp_path / "ref.wav", rng.normal(0, 0.1, 5000), 16000)
    result = _run(*files, "--mic", tmp_path / "mic.wav", "--ref", tmp_path / "ref.wav", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["seconds"] == 0.5


def test_no_tolerance_at_all_is_drift(files: tuple[Path, Path]) -> None:
    result = _run(*files, "--tolerance", "0", "--quiet")
    assert result.exit_code == 1
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--ref", "ref.wav"], 2),
        (["--tolerance", "-1"], 2),
        (["--mic", "missing.wav"], 3),
    ],
)
def test_bad_requests(files: tuple[Path, Path], arguments: list[str], code: int) -> None:
    result = _run(*files, *arguments)
    assert result.exit_code == code
    assert result.stderr.startswith("localvqe: error: ")
    assert result.stderr.count("\n") == 1


def test_files_in_the_wrong_order(files: tuple[Path, Path]) -> None:
    checkpoint, model = files
    result = _run(model, checkpoint)
    assert result.exit_code == 4
    assert result.stderr.count("\n") == 1
