"""AECMOS in the validation log."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

pytest.importorskip("torch")
pytest.importorskip("speechmos")

from localvqe_cli.engine import Enhancer
from localvqe_cli.signal_path import align_reference
from localvqe_cli.training.initial import new_model
from localvqe_cli.training.opinion import Opinion
from localvqe_cli.training.presets import preset
from localvqe_cli.training.validation import OPINION_COLUMNS

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_both_figures_of_the_sample_pair(tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.tsv"
    mic, ref = EXAMPLES / "sample_mic.wav", EXAMPLES / "sample_ref.wav"
    pairs.write_text(f"id\tscenario\tmic\tref\na\tdoubletalk\t{mic}\t{ref}\nb\tunheard-of\t{mic}\t{ref}\n")
    alone, filtered = (new_model(preset("micro", frontend=frontend), 1) for frontend in (False, True))
    opinion = Opinion(pairs)
    before, after = (opinion.run(model.config, model.state_dict()) for model in (alone, filtered))
    assert set(before) == set(OPINION_COLUMNS)
    assert all(1.0 <= value <= 5.0 for value in before.values())
    assert after["aecmos_echo"] > before["aecmos_echo"]
    assert np.isfinite(list(after.values())).all()


def test_the_reference_is_moved_as_enhance_moves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mic, ref = (sf.read(EXAMPLES / f"sample_{role}.wav", dtype="float32")[0] for role in ("mic", "ref"))
    early = ref[16000:]
    sf.write(tmp_path / "mic.wav", mic, 16000, subtype="FLOAT")
    sf.write(tmp_path / "ref.wav", early, 16000, subtype="FLOAT")
    (tmp_path / "pairs.tsv").write_text("id\tscenario\tmic\tref\na\tdoubletalk\tmic.wav\tref.wav\n")
    seen = []

    class Watched(Enhancer):
        def enhance(self, mic: np.ndarray, ref: np.ndarray) -> np.ndarray:  # type: ignore[override]
            seen.append(ref)
            return super().enhance(mic, ref)

    monkeypatch.setattr("localvqe_cli.training.opinion.Enhancer", Watched)
    model = new_model(preset("micro", frontend=True), 1)
    Opinion(tmp_path / "pairs.tsv").run(model.config, model.state_dict())
    np.testing.assert_array_equal(seen, [align_reference(mic, early, model.config)])
    # The sample's echo follows by 60 ms, so a second earlier it is out of sight; 48 ms are what alignment leaves.
    np.testing.assert_array_equal(seen[0][16192:50000], ref[16000 : 50000 - 192])
