"""AECMOS in the validation log."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("speechmos")

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
