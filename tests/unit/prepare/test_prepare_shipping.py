"""Joined columns looked up when predicting: side tables in the bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from danlu.base.errors import DataError
from danlu.base.progress import Quiet
from danlu.bundle.bundle import load
from danlu.columns.schema import Schema
from danlu.prepare.step import outlook
from danlu.recipe.reading import recipe_from
from danlu.serve.refusal import Refusal
from danlu.serve.rows import rows_frame


def write(folder: Path) -> pl.DataFrame:
    """Orders whose customers and cities say what comes of them; the rows with all columns."""
    random = np.random.default_rng(0)
    cities = pl.DataFrame({"name": ["a", "b", "c"], "rain": [10.5, 20.25, 99.0], "mayor": ["p", "q", "r"]})
    customers = pl.DataFrame(
        {"id": range(30), "city": random.choice(["a", "b", "c"], 30), "age": random.integers(20, 70, 30), "odd": "o"}
    )
    orders = pl.DataFrame({"customer": random.integers(0, 30, 300), "price": random.normal(size=300).round(3)})
    whole = orders.join(customers, left_on="customer", right_on="id").join(cities, left_on="city", right_on="name")
    score = whole["age"] / 20 + whole["rain"] / 50 + whole["price"] + random.normal(size=300)
    returned = np.where(score > 3.4, "y", "n")
    cities.write_csv(folder / "cities.csv")
    customers.write_parquet(folder / "customers.parquet")
    orders.with_columns(pl.Series("returned", returned)).write_csv(folder / "orders.csv")
    return whole


def given(**more: Any) -> dict[str, Any]:
    return {
        "name": "shop",
        "data": {
            "source": "orders.csv",
            "target": "returned",
            "join": [
                {"source": "customers.parquet", "key": {"customer": "id"}, "columns": ["city", "age"], "ship": True},
                {"source": "cities.csv", "key": {"city": "name"}, "columns": ["rain"], "ship": True},
            ],
            "columns": {"customer": "ignore", "city": "ignore", "age": "number"},
        },
        "train": {"epochs": 1},
        "evaluate": {"bootstrap": 50, "baselines": ["majority"]},
        "compress": {"try": []},
        **more,
    }


@pytest.fixture
def schema(tmp_path: Path) -> Schema:
    write(tmp_path)
    return outlook(recipe_from(given(), base=tmp_path), Quiet()).schema


def test_only_the_keys_and_what_is_used_is_taken_along(schema: Schema) -> None:
    assert [column.name for column in schema.inputs] == ["price", "age", "rain"]
    customers, cities = schema.sides
    assert (customers.key, customers.names) == (("customer",), ("city", "age"))  # city leads on to the rain there
    assert (cities.key, cities.names) == (("city",), ("rain",))


def test_nothing_is_taken_along_unasked(tmp_path: Path) -> None:
    write(tmp_path)
    recipe = given()
    for join in recipe["data"]["join"]:
        del join["ship"]
    assert outlook(recipe_from(recipe, base=tmp_path), Quiet()).schema.sides == ()


def test_looked_up_rows_are_encoded_as_those_that_bring_the_columns(schema: Schema, tmp_path: Path) -> None:
    whole = write(tmp_path)
    again = Schema.load(*schema.dump())
    for rows in (whole.select("customer", "price"), whole.select("customer", "price", "age")):
        for name, array in again.encode(rows).items():
            assert np.array_equal(array, schema.encode(whole)[name])


def test_an_unknown_key_is_a_missing_value(schema: Schema) -> None:
    rows = pl.DataFrame({"customer": [3, 999], "price": [1.0, 1.0]})
    frame = schema.complete(rows)
    assert frame["age"][1] is frame["rain"][1] is None
    assert all(np.isfinite(array).all() for array in schema.encode(rows).values())


def test_neither_column_nor_key_is_an_error_that_names_both(schema: Schema) -> None:
    with pytest.raises(DataError, match="the column age is not in the data") as caught:
        schema.encode(pl.DataFrame({"price": [1.0]}))
    assert caught.value.hint == "add a column age, or customer, by which it is looked up"


def test_a_request_may_lack_them_too(schema: Schema) -> None:
    frame = rows_frame([{"customer": 3, "price": 1}, {"customer": "4", "price": 2}], schema)
    assert schema.complete(frame)["age"].null_count() == 0
    assert rows_frame([{"price": 1, "age": 3, "rain": None}], schema).columns == ["price", "age", "rain"]
    with pytest.raises(Refusal, match="the column age is not in row 1"):
        rows_frame([{"customer": 3, "price": 1, "age": 3}, {"customer": 4, "price": 2}], schema)
    with pytest.raises(Refusal, match="the column customer is not in row 1"):
        rows_frame([{"customer": 3, "price": 1}, {"price": 2}], schema)


def test_a_column_that_no_model_can_take_along_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    side = pl.read_parquet(tmp_path / "customers.parquet")
    days = pl.Series("age", range(30)).cast(pl.Datetime("ms")).dt.offset_by("1000d").dt.replace_time_zone("UTC")
    side.with_columns((pl.lit(days) + pl.duration(days=pl.int_range(30))).alias("age")).write_parquet(
        tmp_path / "customers.parquet"
    )
    recipe = given()
    del recipe["data"]["columns"]["age"]
    with pytest.raises(DataError, match="customers: age is of type Datetime"):
        outlook(recipe_from(recipe, base=tmp_path), Quiet())


def test_what_is_masked_does_not_go_into_a_bundle_by_the_back_door(tmp_path: Path) -> None:
    write(tmp_path)
    recipe = given(prepare={"mask": {"columns": {"age": {"name": "generalize", "step": 10}}}})
    with pytest.raises(DataError, match=r"prepare\.mask masks age, and ship would put customers into the bundle"):
        outlook(recipe_from(recipe, base=tmp_path), Quiet())


def test_the_bundle_answers_rows_without_the_columns(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from danlu.pipeline import run
    from danlu.serve.app import answer_body
    from danlu.serve.openapi import openapi

    whole = write(tmp_path)
    result = run(recipe_from(given(), base=tmp_path), root=tmp_path / "runs")
    assert result.bundle is not None
    for name in ("orders.csv", "customers.parquet", "cities.csv"):
        (tmp_path / name).unlink()  # the bundle needs none of them
    bundle = load(result.bundle)
    assert bundle.predict(whole.select("customer", "price")).equals(bundle.predict(whole))
    assert b'"prediction"' in answer_body(bundle, b'{"customer": 3, "price": 0.5}')
    row = openapi(bundle)["components"]["schemas"]["Row"]
    assert row["required"] == ["price"]
    assert "looked up by customer" in row["properties"]["age"]["description"]
