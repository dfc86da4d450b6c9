"""Codes of categories, and values that are the same however they come."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from danlu.base.errors import DataError
from danlu.columns.column import fit_column, nulled

COLORS = pl.Series("color", ["red", "blue", None, "red", "green", "red", "blue"])


def codes(options: dict[str, object], fresh: list[object], values: pl.Series = COLORS) -> list[int]:
    column = fit_column("color", "category", options, values)
    return list(column.encode(pl.Series("color", fresh))["code"])


def test_missing_then_unseen_then_the_values_in_sorted_order() -> None:
    assert codes({}, [None, "violet", "blue", "green", "red"]) == [0, 1, 2, 3, 4]
    assert fit_column("color", "category", {}, COLORS).fields[0].num_codes == 5


def test_a_target_has_codes_from_zero() -> None:
    options = {"missing": "drop", "unseen": "error"}
    assert codes(options, ["blue", "green", "red"]) == [0, 1, 2]
    column = fit_column("color", "category", options, COLORS)
    assert column.fields[0].num_codes == 3
    assert column.decode({"code": np.array([2, 0])}).to_list() == ["red", "blue"]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"missing": "most_frequent"}, 3), ({"missing": "constant", "fill": "blue"}, 1), ({"missing": "drop"}, 3),
        ({"missing": "constant", "fill": "none"}, 3),
    ],
)  # fmt: skip
def test_what_stands_for_a_missing_value(options: dict[str, object], code: int) -> None:
    assert codes(options, [None]) == [code]


def test_rare_values_are_pooled_with_the_unseen() -> None:
    assert codes({"min_count": 2}, ["blue", "green", "red", "violet"]) == [2, 1, 3, 1]
    assert codes({"max_values": 1}, ["blue", "green", "red", "violet"]) == [1, 1, 2, 1]


def test_all_pooled_leaves_missing_and_unseen() -> None:
    column = fit_column("color", "category", {"min_count": 99}, COLORS)
    assert column.fields[0].num_codes == 2
    assert list(column.encode(COLORS)["code"]) == [1, 1, 0, 1, 1, 1, 1]


def test_an_unseen_value_can_be_an_error() -> None:
    with pytest.raises(
        DataError, match="'reed' is not one of the values of the training rows: blue, green, red"
    ) as caught:
        codes({"unseen": "error"}, ["red", "reed"])
    assert caught.value.where == "column color, row 1"
    assert caught.value.hint == "did you mean red?"


@pytest.mark.parametrize(
    "options",
    [
        {"missing": "constant"},
        {"fill": "red"},
        {"unseen": "error", "min_count": 2},
        {"unseen": "error", "max_values": 3},
    ],
)
def test_options_that_do_not_agree_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(DataError, match=r"missing is|which `unseen: error` refuses"):
        fit_column("color", "category", options, COLORS)


@pytest.mark.parametrize(
    "values",
    [
        pl.Series([1, 2, 1]), pl.Series([1.0, 2.0, 1.0]), pl.Series(["1", "2", "1"]), pl.Series(["1.0", "2.0", "1"]),
        pl.Series([1, 2, 1], dtype=pl.UInt8), pl.Series(["1", "2", "1"], dtype=pl.Categorical),
        pl.Series(["1.00", "2.00", "1.00"]).cast(pl.Decimal(8, 2)), pl.Series([1.0, 2.0, 1.0], dtype=pl.Float32),
    ],
)  # fmt: skip
def test_numbers_are_the_same_category_however_they_come(values: pl.Series) -> None:
    column = fit_column("x", "category", {}, pl.Series("x", ["1", "2", "1.50"]))
    assert list(column.encode(values)["code"]) == [2, 4, 2]


def test_other_dtypes_are_their_text() -> None:
    assert fit_column("x", "category", {}, pl.Series("x", [True, False])).state.values == ("false", "true")
    assert fit_column("x", "category", {}, pl.Series("x", ["True", "FALSE", "maybe"])).state.values == (
        "false",
        "maybe",
        "true",
    )
    assert fit_column("x", "category", {}, pl.Series("x", [date(2024, 1, 5)])).state.values == ("2024-01-05",)
    assert fit_column("x", "category", {}, pl.Series("x", [0.5, -0.0, 1e20])).state.values == ("0", "0.5", "1e+20")
    assert fit_column("x", "category", {}, pl.Series("x", ["007", "7"])).state.values == ("007", "7")


@pytest.mark.parametrize("values", [pl.Series("x", [[1]]), pl.Series("x", [b"a"])])
def test_lists_and_bytes_are_refused(values: pl.Series) -> None:
    with pytest.raises(DataError, match="this needs single values"):
        fit_column("x", "category", {}, values)


def test_blanks_and_signs_of_missing_are_missing() -> None:
    values = nulled(pl.Series("x", [" a ", "?", "", "  ", "a"]), ["?"])
    column = fit_column("x", "category", {}, values)
    assert list(column.encode(values)["code"]) == [2, 0, 0, 0, 2]


@pytest.mark.parametrize("dtype", [pl.Categorical, pl.Enum(["a", " a", "?", "", "b"])])
def test_categories_of_a_frame_are_nulled_as_texts_are(dtype: pl.DataType) -> None:
    values = pl.Series(["a", " a", "?", "", None, "b"])
    assert (
        nulled(values.cast(dtype), ["?"]).to_list() == nulled(values, ["?"]).to_list() == ["a", "a", *[None] * 3, "b"]
    )


def test_numbers_that_stand_for_missing_are_missing_typed_too() -> None:
    for values in (pl.Series([3, -999, None]), pl.Series([3.0, -999.0, None]), pl.Series(["3", "-999", None])):
        assert nulled(values, ["?", "nan", "-999"]).is_null().to_list() == [False, True, True]
    untouched = pl.Series([1, 2**60 + 1])
    assert nulled(untouched, ["?", "NaN", "NA"]) is untouched


def test_a_million_rows_of_many_values() -> None:
    values = pl.Series("x", np.random.default_rng(0).integers(0, 50_000, 1_000_000)).cast(pl.String)
    column = fit_column("x", "category", {}, values)
    found = column.encode(values)["code"]
    assert column.decode({"code": found[:1000]}).to_list() == values.head(1000).to_list()
