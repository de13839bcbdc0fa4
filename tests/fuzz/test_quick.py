"""The quick portion of tests/fuzz/run.py, with fixed seeds. The full one is a command: docs/reliability.md."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import campaign
import cases
import mutate
import seeds

SEED = 20261121


def _none_found(case: campaign.Case, count: int) -> campaign.Tally:
    tally = campaign.Tally()
    campaign.run(case, 0, count, tally)
    assert tally.findings == []
    assert tally.total == count
    return tally


def test_models(tmp_path: Path) -> None:
    tally = _none_found(cases.model_case(tmp_path, seeds.models(tmp_path), SEED), 200)
    assert tally.verdicts["refused"] > 100
    assert tally.verdicts["accepted"] > 0


def test_audio(tmp_path: Path) -> None:
    tally = _none_found(cases.audio_case(tmp_path, seeds.sounds(tmp_path), SEED), 100)
    assert min(tally.verdicts["accepted"], tally.verdicts["refused"]) > 0


def test_checkpoints(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    tally = _none_found(cases.checkpoint_case(tmp_path, seeds.checkpoints(tmp_path), SEED), 40)
    assert min(tally.verdicts["accepted"], tally.verdicts["refused"]) > 0


def test_manifests(tmp_path: Path) -> None:
    tally = _none_found(cases.manifest_case(tmp_path, SEED), 300)
    assert min(tally.verdicts["accepted"], tally.verdicts["refused"]) > 0


def test_a_case_is_always_the_same(tmp_path: Path) -> None:
    document = seeds.models(tmp_path)[0]
    first, again = (mutate.damage_gguf(mutate.source(1, 5), document) for _ in range(2))
    assert first == again
    assert first != mutate.damage_gguf(mutate.source(1, 6), document)


def test_the_harness_sees_crashes_and_errors_that_escape() -> None:
    def case(index: int) -> str:
        if index == 3:
            import os

            os.abort()
        if index == 5:
            raise ValueError("escaped")
        return "fine"

    tally = campaign.Tally()
    campaign.run(case, 0, 8, tally)
    assert len(tally.findings) == 2
    assert tally.verdicts["fine"] == 6
    assert "-6" in tally.findings[0]
    assert "escaped" in tally.findings[1]
