"""Masking while rows are read: in portions, in their order, told in findings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from danlu.base.errors import DataError
from danlu.base.kinds import PERSONAL_KINDS
from danlu.base.progress import Quiet
from danlu.base.runs import Run
from danlu.prepare import prepare
from danlu.prepare.mask import Masking, mask_key
from danlu.prepare.sources.reading import read_data
from danlu.prepare.step import outlook
from danlu.recipe.schema import Recipe

ROWS = pl.DataFrame(
    {
        "id": [f"{number}" for number in range(60)],
        "age": [str(20 + number) for number in range(60)],
        "note": ["ring 13800138000" if number % 3 == 0 else "nothing" for number in range(60)],
        "y": ["yes", "no"] * 30,
    }
)
MASK = {"columns": {"id": "drop", "age": {"name": "generalize", "step": 10}}, "kinds": {"phone": "redact"}}


def recipe(source: Any = ROWS, mask: dict[str, Any] | None = None, **data: Any) -> Recipe:
    return Recipe(name="masked", data={"source": source, "target": "y", **data}, prepare={"mask": mask or MASK})


def test_rows_in_portions_are_masked_and_counted_as_the_whole() -> None:
    whole, parts = Masking(recipe()), Masking(recipe())
    table = whole.rows(ROWS)
    assert pl.concat([parts.rows(ROWS[start : start + 7]) for start in range(0, 60, 7)]).equals(table)
    assert table.columns == ["age", "note", "y"]
    read = read_data(recipe().data, base=Path())
    found = [one for one in whole.told(read).findings if one.key.startswith("masked:")]
    assert found == [one for one in parts.told(read).findings if one.key.startswith("masked:")]
    assert [(one.key, one.evidence["changed"]) for one in found] == [
        ("masked:id", 60),
        ("masked:age", 54),
        ("masked:note", 20),
    ]
    assert "id was dropped right after reading; it had 60 values in 60 rows" in found[0].message


def test_a_row_in_an_error_is_counted_from_the_first_portion() -> None:
    masking = Masking(recipe())
    masking.rows(ROWS)
    bad = ROWS.with_columns(pl.when(pl.col("id") == "5").then(pl.lit("secret")).otherwise("age").alias("age"))
    with pytest.raises(DataError, match="a value is not a number") as caught:
        masking.rows(bad)
    assert caught.value.where == "column age, row 65"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "mask", [{"columns": {"agee": "drop"}}, {"kinds": {"phone": "redact"}, "skip": ["agee"]}], ids=["columns", "skip"]
)
def test_a_column_that_is_not_there_is_named(mask: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"prepare\.mask names agee, which is not a column .*\n.*did you mean age\?"):
        Masking(recipe(mask=mask)).rows(ROWS)


def test_without_masks_the_rows_are_the_very_same() -> None:
    plain = Recipe(name="plain", data={"source": ROWS, "target": "y"})
    assert Masking(plain).rows(ROWS) is ROWS
    assert mask_key(plain) == mask_key(recipe()) == ""


def test_only_the_columns_that_are_used_keep_their_masks(tmp_path: Path) -> None:
    prepared = prepare(recipe(), Run(tmp_path / "runs" / "masked-0001"))
    assert set(prepared.schema.masks.columns) == {"age"}
    description = json.loads((prepared.folder / "columns.json").read_text(encoding="utf-8"))
    assert description["masks"]["kinds"] == {
        "phone": {"name": "redact", "kinds": list(PERSONAL_KINDS), "language": "auto"}
    }
    assert set(prepared.raw("test")["age"]) <= {20.0, 30.0, 40.0, 50.0, 60.0, 70.0}
    assert [one.key for one in prepared.findings if one.key.startswith("masked:")] == [
        "masked:id",
        "masked:age",
        "masked:note",
    ]


def test_a_look_ahead_masks_too() -> None:
    look = outlook(recipe(), Quiet())
    assert {"masked:id", "masked:age", "masked:note"} <= {one.key for one in look.findings}
    assert not look.schema.masks.are_keyed


def test_keys_of_side_tables_are_looked_up_before_they_are_masked(tmp_path: Path) -> None:
    ROWS.select("id", town=pl.lit("Rome")).write_csv(tmp_path / "towns.csv")
    ROWS.write_csv(tmp_path / "rows.csv")
    given = recipe("rows.csv", join=[{"source": "towns.csv", "key": "id"}])
    masking = Masking(given)
    table = read_data(given.data, base=tmp_path, masked=masking.rows)
    assert table.held.columns == ["age", "note", "y", "town"]
    assert table.held["town"].null_count() == 0
    assert table.held["age"].to_list()[:2] == [20.0, 20.0]
