"""A table of texts only: a run ends since no column is left, but what the texts tell is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from danlu.base.errors import DataError
from danlu.base.files import read_json
from danlu.base.progress import Quiet
from danlu.base.runs import Run
from danlu.prepare.step import prepare
from danlu.prepare.survey import survey
from danlu.recipe.reading import recipe_from
from tests.unit.prepare.test_prepare_audit_texts import sentences


def texts() -> pl.DataFrame:
    """200 texts with a class, of which 20 come twice: ten as they are, ten with another class."""
    made = sentences(180)
    label = np.random.default_rng(0).choice(["good", "bad"], 200)
    label[180:190] = label[:10]
    label[190:] = np.where(label[10:20] == "good", "bad", "good")
    return pl.DataFrame({"remark": made + made[:20], "label": label})


def test_a_run_ends_and_its_findings_are_kept(tmp_path: Path) -> None:
    recipe = recipe_from({"data": texts(), "target": "label"}, base=tmp_path)
    run = Run(tmp_path / "runs" / "x-0001")
    with pytest.raises(DataError, match="no column is left to predict label from: remark: free text"):
        prepare(recipe, run)
    found = {one["key"]: one for one in read_json(run.folder / "findings.json")}
    assert {"text:remark", "duplicate_rows", "conflicting_labels", "alike_texts:remark"} <= set(found)
    assert found["conflicting_labels"]["evidence"]["wrong"] == 10
    assert "every column that is there" in found["conflicting_labels"]["message"]


def test_the_profile_says_that_a_run_would_end_and_what_the_texts_tell(tmp_path: Path) -> None:
    found = survey(texts(), "label", base=tmp_path, progress=Quiet()).findings
    assert found[0].key == "unusable"
    assert found[0].message.startswith("a run would end here: no column is left to predict label from")
    assert {"text:remark", "alike_texts:remark", "repeated_texts:remark"} <= {one.key for one in found}
    assert sum(one.key == "text:remark" for one in found) == 1


def test_a_table_of_ids_only_ends_without_a_word_of_copies(tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": range(100), "label": ["good", "bad"] * 50})
    found = survey(frame, "label", base=tmp_path, progress=Quiet()).findings
    assert [one.key for one in found] == ["unusable", "id:id"]
