"""Side tables that go with a model."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import polars as pl
import pytest

from danlu.base.errors import DanluError
from danlu.columns.side import SideTable, key_frame, kind_of

VALUES = pl.DataFrame(
    {
        "名": ["甲", "", None],
        "n": [1, None, -(2**62)],
        "x": [0.1, float("inf"), None],
        "b": [True, False, None],
        "d": [date(2024, 1, 31), None, date(1815, 6, 18)],
        "t": [datetime(2024, 1, 31, 12, 0, 1, 5), datetime(1, 1, 1), None],
    }
)


def side(values: pl.DataFrame = VALUES) -> SideTable:
    keys = pl.DataFrame({"a": [1, 2, 3][: values.height], "b": ["x", "x", "y"][: values.height]})
    return SideTable(("id", "kind"), key_frame(keys, ["a", "b"], ()), values)


def test_it_is_the_same_after_dump_and_load() -> None:
    told, arrays = side().dump("p/")
    again = SideTable.load(told, arrays, "p/")
    assert again.key == ("id", "kind")
    assert again.keys.equals(side().keys)
    assert again.values.equals(VALUES)
    assert again.values.schema == VALUES.schema


def test_an_empty_one_too() -> None:
    told, arrays = side(VALUES.head(0)).dump("p/")
    assert SideTable.load(told, arrays, "p/").values.schema == VALUES.schema


def test_absent_columns_are_looked_up_and_unknown_keys_are_missing() -> None:
    rows = pl.DataFrame({"id": ["3", "1.0", "9", None], "kind": ["y", "x", "x", "x"]})
    found = side().complete(rows, ())
    assert found["n"].to_list() == [-(2**62), 1, None, None]
    assert found["名"].to_list() == [None, "甲", None, None]


def test_a_column_that_rows_bring_is_theirs() -> None:
    rows = pl.DataFrame({"id": [1], "kind": ["x"], "n": [7]})
    found = side().complete(rows, ())
    assert found["n"].to_list() == [7]
    assert found["x"].to_list() == [0.1]


def test_rows_without_the_key_stay_as_they_are() -> None:
    rows = pl.DataFrame({"id": [1]})
    assert side().complete(rows, ()).columns == ["id"]


@pytest.mark.parametrize(
    "values",
    [
        pl.Series("v", [[1]]),
        pl.Series("v", [b"1"]),
        pl.Series("v", [datetime(2024, 1, 1)]).dt.replace_time_zone("UTC"),
        pl.Series("v", [2**63], dtype=pl.UInt64),
    ],
)
def test_what_cannot_be_stored_is_named(values: pl.Series) -> None:
    with pytest.raises(DanluError, match=r"v is of type .*, which a model cannot take along"):
        kind_of(values)


def test_two_columns_of_one_name_are_refused() -> None:
    told, arrays = side().dump("p/")
    told["columns"][1] = told["columns"][0]
    with pytest.raises(DanluError, match="two columns of a side table have one name"):
        SideTable.load(told, arrays, "p/")


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("p/2/values", None, "is not whole"),
        ("p/2/missing", np.zeros(2, bool), "not whole|differ in length"),
        ("p/2/ends", np.array([5, 2, 3]), "texts of 名 in a side table are not whole"),
        ("p/2/ends", np.array([0, 0, 99]), "texts of 名 in a side table are not whole"),
        ("p/2/values", np.frombuffer(b"\xff\xfe\xfd", np.uint8), "are not UTF-8"),
        ("p/3/values", np.zeros(3, np.float32), "is not of kind int"),
        ("p/0/values", np.frombuffer(b"111", np.uint8), None),
    ],
)
def test_damaged_arrays_are_refused(name: str, array: np.ndarray | None, message: str | None) -> None:
    told, arrays = side().dump("p/")
    if array is None:
        del arrays[name]
    else:
        arrays[name] = array
    if message is None:  # keys 1 x, 1 x, 1 y
        message = "a key stands twice"
    with pytest.raises(DanluError, match=message):
        SideTable.load(told, arrays, "p/")
