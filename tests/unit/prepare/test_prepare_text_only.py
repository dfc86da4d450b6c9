"""A table of texts only is prepared; where no column is left a run ends, but what the columns tell is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from danlu.base.errors import DataError
from danlu.base.files import read_json
from danlu.base.progress import Quiet
from danlu.base.runs import Run
from danlu.columns.column import fit_column
from danlu.prepare.step import prepare
from danlu.prepare.survey import survey
from danlu.recipe.reading import recipe_from
from tests.unit.prepare.test_prepare_audit_texts import sentences


def texts() -> pl.DataFrame:
    """200 texts with a class, of which 20 come twice: ten as they are, ten with another class."""
    return twice(sentences(180))


def names() -> pl.DataFrame:
    """The same with names, too many to learn from."""
    return twice([f"Maria Xu-{number * 7919 % 10007}" for number in range(180)])


def twice(made: list[str]) -> pl.DataFrame:
    label = np.random.default_rng(0).choice(["good", "bad"], 200)
    label[180:190] = label[:10]
    label[190:] = np.where(label[10:20] == "good", "bad", "good")
    return pl.DataFrame({"remark": made + made[:20], "label": label})


def test_texts_are_used_and_what_they_tell_is_told(tmp_path: Path) -> None:
    accepted = {"prepare": {"accept": ["duplicate_rows", "conflicting_labels"]}}
    recipe = recipe_from({"data": texts(), "target": "label", **accepted}, base=tmp_path)
    found = prepare(recipe, Run(tmp_path / "runs" / "x-0001"))
    assert [column.type for column in found.schema.inputs] == ["text"]
    keys = {one.key for one in found.findings}
    assert {"duplicate_rows", "conflicting_labels", "alike_texts:remark", "repeated_texts:remark"} <= keys
    assert "text:remark" not in keys


def test_a_tokenizers_file_lies_beside_the_recipe_and_a_changed_one_is_read_again(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    (tmp_path / "there").mkdir()
    found = []
    for number, ends in enumerate((False, True)):
        own = fit_column("remark", "text", {"tokenizer": "wordpiece", "ends": ends}, texts()["remark"])
        (tmp_path / "there/own.json").write_text(own.state.tokenizer, encoding="utf-8")  # type: ignore[attr-defined]
        columns = {"remark": {"type": "text", "tokenizer": "own.json"}}
        given = {"data": {"source": texts(), "target": "label", "columns": columns}, "prepare": {"audit": False}}
        prepared = prepare(recipe_from(given, base=tmp_path / "there"), Run(tmp_path / "runs" / f"x-000{number}"))
        found.append(prepared.schema.inputs[0].fields[0].shape[0])
    assert found[1] == found[0] + 2


def test_a_run_ends_and_its_findings_are_kept(tmp_path: Path) -> None:
    recipe = recipe_from({"data": names(), "target": "label"}, base=tmp_path)
    run = Run(tmp_path / "runs" / "x-0001")
    with pytest.raises(DataError, match="no column is left to predict label from: remark: 180 different values"):
        prepare(recipe, run)
    found = {one["key"]: one for one in read_json(run.folder / "findings.json")}
    assert {"high_cardinality:remark", "duplicate_rows", "conflicting_labels"} <= set(found)
    assert found["conflicting_labels"]["evidence"]["wrong"] == 10
    assert "every column that is there" in found["conflicting_labels"]["message"]


def test_the_profile_says_that_a_run_would_end_and_what_the_columns_tell(tmp_path: Path) -> None:
    found = survey(names(), "label", base=tmp_path, progress=Quiet()).findings
    assert found[0].key == "unusable"
    assert found[0].message.startswith("a run would end here: no column is left to predict label from")
    assert sum(one.key == "high_cardinality:remark" for one in found) == 1
    assert "duplicate_rows" in {one.key for one in found}


def test_a_table_of_ids_only_ends_without_a_word_of_copies(tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": range(100), "label": ["good", "bad"] * 50})
    found = survey(frame, "label", base=tmp_path, progress=Quiet()).findings
    assert [one.key for one in found] == ["unusable", "id:id"]
