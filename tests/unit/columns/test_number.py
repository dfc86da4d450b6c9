"""Reading numbers from texts, filling and marking missing ones."""

import numpy as np
import polars as pl
import pytest

from danlu.base.errors import DataError
from danlu.columns.column import fit_column
from danlu.columns.number import Number, read_numbers


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12), ("-1.5", -1.5), ("+5", 5), (".5", 0.5), ("5.", 5), ("1e3", 1000), ("-2E-2", -0.02),
        ("1,234", 1234), ("1,234,567.5", 1234567.5), ("-12,345", -12345),
        ("$5", 5), ("-$1,200.50", -1200.5), ("€ 3", 3), ("5 €", 5), ("¥7", 7), ("￥7", 7), ("12元", 12), ("$-3", -3),
        ("45%", 0.45), ("-5 %", -0.05), ("1,000%", 10),
    ],
)  # fmt: skip
def test_numbers_as_people_write_them(text: str, number: float) -> None:
    assert read_numbers(pl.Series([text])).item() == pytest.approx(number, rel=1e-15)


@pytest.mark.parametrize(
    "text", ["a", "1,23", "1,2345", "0,567", "12,34.5", "1.2.3", "1 2", "5$5", "--1", "%", "$", "1_000", "0x1"]
)
def test_what_is_no_number_is_not_read_as_one(text: str) -> None:
    assert read_numbers(pl.Series([text])).item() is None


@pytest.mark.parametrize(
    ("text", "number"), [("1,5", 1.5), ("1.234,5", 1234.5), ("12", 12), ("-,5", -0.5), ("45,5%", 0.455)]
)
def test_a_decimal_comma(text: str, number: float) -> None:
    assert read_numbers(pl.Series([text]), ",").item() == pytest.approx(number)


def test_a_point_is_no_decimal_mark_beside_a_decimal_comma() -> None:
    assert read_numbers(pl.Series(["1.5", "1.23"]), ",").to_list() == [None, None]


def test_a_value_that_is_no_number_is_named_with_its_row_and_the_remedy() -> None:
    values = pl.Series("age", ["1", None, "old", "2", "new"])
    with pytest.raises(DataError, match=r"'old' is not a number \(and 1 more such rows\)") as caught:
        Number().parse(values)
    assert caught.value.where == "column age, row 2"
    assert "add it to data.missing_values, or set data.columns.age to another type" in caught.value.hint


@pytest.mark.parametrize("values", [["1", "inf"], [1.0, float("-inf")], ["1", "1e999"]])
def test_an_infinite_number_is_an_error(values: list[object]) -> None:
    with pytest.raises(DataError, match="is not a finite number") as caught:
        Number().parse(pl.Series("x", values))
    assert caught.value.where == "column x, row 1"


def test_nan_is_missing() -> None:
    assert Number().parse(pl.Series([1.0, float("nan")])).to_list() == [1.0, None]


@pytest.mark.parametrize(
    "values", [pl.Series("x", [[1]]), pl.Series("x", [b"1"]), pl.Series("x", [None, 1]).cast(pl.Date)]
)
def test_other_types_are_refused(values: pl.Series) -> None:
    with pytest.raises(DataError, match="this needs numbers"):
        Number().parse(values)


@pytest.mark.parametrize(
    "values",
    [
        pl.Series([1, 2]), pl.Series([1, 2], dtype=pl.UInt8), pl.Series(["1", "2"]),
        pl.Series([1.0, 2.0], dtype=pl.Float32),
        pl.Series(["1", "2"], dtype=pl.Categorical), pl.Series(["1", "2"]).cast(pl.Decimal(10, 2)),
    ],
)  # fmt: skip
def test_the_dtype_a_number_comes_in_does_not_matter(values: pl.Series) -> None:
    parsed = Number().parse(values)
    assert parsed.dtype == pl.Float64
    assert parsed.to_list() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("options", "fill"),
    [
        ({"missing": "mean"}, 22.2), ({"missing": "median"}, 5), ({"missing": "most_frequent"}, 1), ({}, 5),
        ({"missing": "constant", "fill": -1}, -1), ({"missing": "drop"}, 5),
    ],
)  # fmt: skip
def test_what_stands_for_a_missing_value(options: dict[str, object], fill: float) -> None:
    values = pl.Series("x", [1, 1, 5, None, 6, 98])
    column = fit_column("x", "number", {**options, "scale": "none"}, values)
    assert column.encode(pl.Series("x", [None]))["value"].item() == pytest.approx(fill)


def test_most_frequent_is_the_smallest_of_equals() -> None:
    column = fit_column("x", "number", {"missing": "most_frequent", "scale": "none"}, pl.Series("x", [9, 9, 2, 2, 5]))
    assert column.encode(pl.Series("x", [None]))["value"].item() == 2


@pytest.mark.parametrize(
    ("options", "values", "names"),
    [
        ({}, [1, None], ["value", "missing"]), ({}, [1, 2], ["value"]), ({"indicator": False}, [1, None], ["value"]),
        ({"missing": "drop"}, [1, None], ["value"]),
    ],
)  # fmt: skip
def test_missing_is_marked_where_training_rows_are_missing(
    options: dict[str, object], values: list[object], names: list[str]
) -> None:
    column = fit_column("x", "number", options, pl.Series("x", values))
    assert [field.name for field in column.fields] == names
    arrays = column.encode(pl.Series("x", [None, 1]))
    if "missing" in arrays:
        assert arrays["missing"].tolist() == [1, 0]
        assert column.decode(arrays).to_list() == [None, 1.0]


@pytest.mark.parametrize("options", [{"missing": "constant"}, {"missing": "mean", "fill": 1.0}])
def test_fill_and_constant_go_together(options: dict[str, object]) -> None:
    with pytest.raises(DataError, match=r"missing is .* and fill is") as caught:
        fit_column("x", "number", options, pl.Series("x", [1.0]))
    assert "only there" in caught.value.hint


def test_numbers_too_large_to_scale_are_refused() -> None:
    with pytest.raises(DataError, match="too large to be scaled"):
        fit_column("x", "number", {}, pl.Series("x", [1e308, -1e308, 1e308]))


def test_a_million_texts_are_read_in_a_second() -> None:
    values = pl.Series("x", np.arange(1_000_000) / 7).cast(pl.String)
    column = fit_column("x", "number", {"scale": "quantile"}, values)
    assert column.encode(values)["value"].shape == (1_000_000,)
