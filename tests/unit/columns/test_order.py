"""Categories with an order: ranks."""

import json

import polars as pl
import pytest

from danlu.base.errors import DataError
from danlu.columns.column import FittedColumn, fit_column
from danlu.columns.schema import Schema

ORDER = ["low", "middle", "high", "top", "best"]


def fitted(options: dict[str, object], values: list[object]) -> FittedColumn:
    return fit_column("grade", "category", {"order": ORDER, **options}, pl.Series("grade", values))


def test_ranks_go_from_0_to_1_whatever_the_training_rows_hold() -> None:
    column = fitted({}, ["middle", "best", "middle"])
    assert [field.name for field in column.fields] == ["value"]
    arrays = column.encode(pl.Series([*ORDER, None, "unheard of"]))
    assert arrays["value"].tolist() == [0, 0.25, 0.5, 0.75, 1, 0.25, 0.25]
    assert column.decode(arrays).to_list() == [*ORDER, "middle", "middle"]


def test_missing_and_unseen_are_marked_where_training_rows_are_missing() -> None:
    column = fitted({}, ["low", None, "low", "top"])
    arrays = column.encode(pl.Series(["high", None, "unheard of"]))
    assert arrays["value"].tolist() == [0.5, 0, 0]
    assert arrays["missing"].tolist() == [0, 1, 1]
    assert column.decode(arrays).to_list() == ["high", None, None]
    assert fitted({"missing": "drop"}, ["low", None]).fields == fitted({}, ["low"]).fields


def test_a_constant_stands_for_a_missing_value() -> None:
    column = fitted({"missing": "constant", "fill": "top"}, ["low", None])
    assert column.encode(pl.Series([None, "low"]))["value"].tolist() == [0.75, 0]


def test_numbers_have_an_order_too_and_it_survives_saving() -> None:
    column = fit_column("x", "category", {"order": [1, 2.0, "3"]}, pl.Series("x", ["1", "3.0", "2"]))
    description, arrays = Schema((column,), column).dump()
    again = Schema.load(json.loads(json.dumps(description)), arrays).inputs[0]
    for one in (column, again):
        assert one.encode(pl.Series([3, 1, 2]))["value"].tolist() == [1, 0, 0.5]


@pytest.mark.parametrize(
    ("options", "values", "message", "hint"),
    [
        ({}, ["low", "hihg"], "order has no place for 'hihg'; it is low, middle", "is 'hihg' high"),
        ({"missing": "constant", "fill": "none"}, ["low"], "order has no place for 'none'", "add what is missing"),
        ({"order": ["low"]}, ["low"], "needs two values or more", "mend the order"),
        ({"order": ["a", "A"], "normalize": "lowercase"}, ["a"], "each once", "mend the order"),
        ({"order": []}, ["low"], "needs two values or more", "mend the order"),
        ({"min_count": 2}, ["low"], "pool rare values", "leave them out"),
        ({"missing": "constant"}, ["low"], "missing is constant and fill is None", "give fill"),
    ],
)
def test_what_does_not_agree_is_refused(
    options: dict[str, object], values: list[object], message: str, hint: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        fitted(options, values)
    assert caught.value.where == "column grade"
    assert hint in caught.value.hint


def test_an_unseen_value_can_be_an_error() -> None:
    with pytest.raises(DataError, match="'loww' is not one of the values of the training rows"):
        fitted({"unseen": "error"}, ["low"]).encode(pl.Series(["loww"]))
