"""Sounds that are equal byte for byte, under other names and in other splits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from danlu.base.errors import DataError
from danlu.base.runs import Run
from danlu.prepare.step import prepare
from danlu.recipe.schema import Recipe


def test_copies_of_sounds_across_splits_are_found(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    random = np.random.default_rng(0)
    for label in ("owl", "fox"):
        (tmp_path / "calls" / label).mkdir(parents=True)
        for number in range(20):
            samples = 0.1 * random.normal(size=400)
            soundfile.write(tmp_path / "calls" / label / f"{number}.wav", samples, 8000)
            soundfile.write(tmp_path / "calls" / label / f"{number + 50}.wav", samples, 8000)
    run = Run(tmp_path / "run")
    recipe = Recipe.model_validate({"data": {"source": str(tmp_path / "calls"), "target": "label"}})
    with pytest.raises(DataError, match="test rows"):
        prepare(recipe, run)
    found = json.loads((run.folder / "findings.json").read_text())
    assert "duplicate_rows" in json.dumps(found)
