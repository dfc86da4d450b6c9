"""Several columns of a table that are one series: from the table to the network, and in requests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from danlu.base.errors import DataError
from danlu.base.runs import Run
from danlu.columns.schema import Schema
from danlu.prepare.sources.reading import read_data
from danlu.prepare.step import prepare
from danlu.recipe.schema import Data, Recipe
from danlu.serve.rows import rows_frame

FRAME = pl.DataFrame(
    {
        "id": ["a", "b", "c"],
        "t10": [4.0, None, None],
        "t1": [1.0, 5.0, None],
        "t2": ["2", "?", ""],
        "u1": [7, 8, 9],
        "u2": [7, 8, None],
        "u10": [7, None, None],
        "kind": ["x", "y", "x"],
    }
)


def read(series: dict[str, Any]) -> pl.DataFrame:
    return read_data(Data(source=FRAME, target="kind", series=series), base=Path(".")).held


def test_a_pattern_takes_columns_in_the_order_of_their_numbers_and_rows_end_at_their_last() -> None:
    found = read({"load": "t*"})
    assert found.columns == ["id", "u1", "u2", "u10", "kind", "load"]
    rows = found["load"].to_list()
    assert rows[:2] == [[1.0, 2.0, 4.0], [5.0]]
    assert rows[2] is None


def test_channels_stand_side_by_side() -> None:
    found = read({"load": {"up": ["t1", "t2", "t10"], "down": "u*"}})["load"].to_list()
    assert found[0] == [[1.0, 7.0], [2.0, 7.0], [4.0, 7.0]]
    assert found[1][0] == [5.0, 8.0]
    assert np.isnan(found[1][1][0])
    assert len(found[1]) == 2
    assert len(found[2]) == 1


@pytest.mark.parametrize(
    ("series", "message"),
    [
        ({"load": "v*"}, r"data\.series\.load is v\*, which fits no column"),
        ({"load": ["t1", "t3"]}, "names t3, which is not there"),
        ({"load": ["t1", "t1"]}, "has the column t1 twice"),
        ({"load": ["t1", "kind"]}, "has the target kind among its columns"),
        ({"load": {"up": "t*", "down": ["u1"]}}, "has channels of 3, 1 columns"),
        ({"id": "t*"}, "is called like a column of the data"),
        ({"t1": "t*"}, "is called like a column of the data"),  # a request's `t1` could be the one or the other
        ({"load": ["t1", "id"]}, "'a' is not a number of a series"),
    ],
)
def test_what_is_wrong_is_told(series: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(series)


def table(num_rows: int) -> pl.DataFrame:
    random = np.random.default_rng(1)
    kind = random.integers(0, 2, num_rows)
    steps = {f"t{step}": kind * step + random.normal(size=num_rows) for step in range(12)}
    return pl.DataFrame({**steps, "kind": np.where(kind == 1, "up", "flat")})


def test_rows_to_predict_for_bring_the_columns_or_the_series(tmp_path: Path) -> None:
    table(60).write_csv(tmp_path / "rows.csv")
    given = {"source": "rows.csv", "target": "kind", "series": {"load": "t*"}}
    prepared = prepare(Recipe.model_validate({"data": given}).based(tmp_path), Run(tmp_path / "run"))
    schema = Schema.load(*prepared.schema.dump())
    assert [one.type for one in schema.inputs] == ["series"]
    rows = table(60).drop("kind")
    whole = schema.encode(rows)["series_0"]
    assert whole.shape == (60, 12, 1)
    made = rows.select(pl.concat_list(pl.all()).alias("load"))
    np.testing.assert_array_equal(schema.encode(made)["series_0"], whole)
    sent = rows_frame(rows.head(3).to_dicts(), schema)
    np.testing.assert_array_equal(schema.encode(sent)["series_0"], whole[:3])
    named = rows_frame(made.head(3).to_dicts(), schema)
    np.testing.assert_array_equal(schema.encode(named)["series_0"], whole[:3])
    with pytest.raises(DataError, match="the column load is not in the data"):
        schema.encode(rows.drop("t3"))


def test_columns_of_a_series_are_masked_in_requests_as_they_were_in_training(tmp_path: Path) -> None:
    table(60).write_csv(tmp_path / "rows.csv")
    given = {
        "data": {"source": "rows.csv", "target": "kind", "series": {"load": "t*"}},
        "prepare": {"mask": {"columns": {"t11": {"name": "generalize", "step": 5}}}},
    }
    prepared = prepare(Recipe.model_validate(given).based(tmp_path), Run(tmp_path / "run"))
    schema = Schema.load(*prepared.schema.dump())
    rows = table(60).drop("kind")
    coarse = rows.with_columns((pl.col("t11") / 5).floor() * 5)
    asked = schema.encode(rows)["series_0"]
    np.testing.assert_array_equal(asked, schema.encode(coarse)["series_0"])
    trained = np.concatenate([prepared.split(name).inputs["series_0"][:, 11, 0] for name in prepared.sizes])
    assert set(trained.tolist()) == set(asked[:, 11, 0].tolist())
