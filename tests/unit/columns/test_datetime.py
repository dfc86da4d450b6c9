"""Dates in the forms that people write, and their parts."""

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import polars as pl
import pytest

from danlu.base.errors import DataError
from danlu.columns.column import fit_column
from danlu.columns.dates import find_format
from danlu.columns.datetime import Datetime

DAY = datetime(2024, 1, 5)


@pytest.mark.parametrize(
    "text",
    ["2024-01-05", "2024-1-5", "2024/1/5", "2024.01.05", "5.1.2024", "05.01.2024", "5.1.24", "2024年1月5日", "20240105",
     "5 Jan 2024", "05-Jan-2024", "Jan 5, 2024", "January 5, 2024", "2024-01-05T00:00:00Z", "20240105T000000"],
)  # fmt: skip
def test_dates_that_can_be_read_one_way(text: str) -> None:
    assert Datetime().parse(pl.Series([text])).to_list() == [DAY]


@pytest.mark.parametrize(
    "text",
    ["2024-01-05 10:30", "2024-01-05T10:30:00", "2024-01-05 10:30:00.000", "2024-01-05T10:30:00Z",
     "2024-01-05T12:30:00+02:00", "2024-01-05 12:30+0200", "2024/1/5 10:30",
     "2024年1月5日 10时30分", "2024年1月5日 10:30:00", "2024-01-05 10:30 AM",
     "5.1.2024 10:30:00", "20240105103000"],
)  # fmt: skip
def test_times_and_zones(text: str) -> None:
    assert Datetime().parse(pl.Series([text])).to_list() == [datetime(2024, 1, 5, 10, 30)]


def test_a_month_is_its_first_day() -> None:
    assert Datetime().parse(pl.Series(["2024-01", "2024/01", "2024年1月"])).to_list() == [datetime(2024, 1, 1)] * 3


@pytest.mark.parametrize(
    "values",
    [
        pl.Series([date(2024, 1, 5)]), pl.Series([DAY]), pl.Series([DAY.replace(tzinfo=UTC)]), pl.Series([20240105]),
        pl.Series([20240105.0]), pl.Series([DAY]).cast(pl.Datetime("ns")),
        pl.Series(["2024-01-05"], dtype=pl.Categorical),
        pl.Series([datetime(2024, 1, 5, 8, tzinfo=timezone(timedelta(hours=8)))]).dt.convert_time_zone("Asia/Shanghai"),
    ],
)  # fmt: skip
def test_the_dtype_a_date_comes_in_does_not_matter(values: pl.Series) -> None:
    parsed = Datetime().parse(values)
    assert parsed.dtype == pl.Datetime("us")
    assert parsed.to_list() == [DAY]


def test_a_format_says_which_is_the_day_and_iso_is_understood_besides() -> None:
    values = pl.Series(["05/01/2024", "2024-01-05", None, "2024-01-05T00:00:00Z"])
    assert Datetime(format="%d/%m/%Y").parse(values).to_list() == [DAY, DAY, None, DAY]
    assert Datetime(format="%m/%d/%Y").parse(values).to_list() == [datetime(2024, 5, 1), DAY, None, DAY]


def test_day_and_month_are_never_guessed() -> None:
    with pytest.raises(DataError, match="'05/01/2024' is not a date of which day and month can be told") as caught:
        Datetime().parse(pl.Series("due", ["2024-01-05", "05/01/2024", "31/01/2024"]))
    assert caught.value.where == "column due, row 1"
    assert caught.value.hint == 'set data.columns.due.format to "%m/%d/%Y" or "%d/%m/%Y"'


@pytest.mark.parametrize("text", ["2024-02-30", "tomorrow", "24-01-05", "2024-13-01", "12", "2024-01-05 25:00"])
def test_what_is_no_date_is_named(text: str) -> None:
    with pytest.raises(DataError, match=f"'{text}' is not a date in a known form") as caught:
        Datetime().parse(pl.Series("due", [None, text]))
    assert caught.value.where == "column due, row 1"


def test_a_year_of_two_digits_is_not_the_first_century() -> None:
    with pytest.raises(DataError, match="like %m/%d/%Y"):
        Datetime(format="%m/%d/%Y").parse(pl.Series("due", ["01/05/24"]))


def test_a_format_without_directives_is_refused() -> None:
    with pytest.raises(DataError, match="format is 'yyyy-mm-dd', which has no directive such as %Y"):
        Datetime(format="yyyy-mm-dd").parse(pl.Series("due", ["2024-01-05"]))


def test_a_format_that_does_not_fit_is_named() -> None:
    with pytest.raises(DataError, match="'x' is not a date like %Q%é"):
        Datetime(format="%Q%é").parse(pl.Series("due", ["x"]))


@pytest.mark.parametrize(
    ("texts", "format", "other"),
    [
        (["01/31/2024", "02/01/2024"], "%m/%d/%Y", ""),
        (["31/01/2024", "02/01/2024"], "%d/%m/%Y", ""),
        (["03/01/2024", "02/01/2024"], "%m/%d/%Y", "%d/%m/%Y"),
        (["2024-01-05", "2024-01-06"], "%Y-%m-%d", ""),
        (["2024-01-05", "2024-01-06 10:00"], "auto", ""),
        (["2024-01-05", "5.1.2024"], "auto", ""),
        (["13-1-2024 10:00", "1-2-2024 9:30"], "%d-%m-%Y %H:%M", ""),
    ],
)
def test_all_values_together_tell_the_format(texts: list[str], format: str, other: str) -> None:
    found = find_format(pl.Series(texts))
    assert found is not None
    assert (found.format, found.other, found.num_bad) == (format, other, 0)


def test_bad_values_are_counted_where_there_are_several_forms() -> None:
    texts = ["2024-01-05", "soon", *(f"{day}.1.2024" for day in range(1, 29)), "2024-02-30", "2024/1/7"]
    found = find_format(pl.Series(texts))
    assert found is not None
    assert (found.format, found.num_bad, found.bad) == ("auto", 2, ("soon", "2024-02-30"))


def test_words_have_no_format() -> None:
    assert find_format(pl.Series(["a", "b12", "1.2.3.4", "10:30"])) is None


def test_parts_are_angles_of_the_calendar() -> None:
    column = fit_column("x", "datetime", {}, pl.Series("x", ["2024-01-01 06:00", "2022-07-01"]))
    (field,) = column.fields
    assert field.shape == (12,)
    year, elapsed, *waves = column.encode(pl.Series("x", ["2024-01-01 06:00"]))["value"][0].tolist()
    assert (year, round(elapsed, 5)) == (1, 1)
    # January, the first of a month, a Monday and the first of a year are all at angle 0; 6 o'clock is a quarter.
    np.testing.assert_allclose(waves, [0, 1, 0, 1, 0, 1, 0, 1, 1, 0], atol=1e-6)


def test_no_parts_of_the_day_where_there_are_no_times() -> None:
    column = fit_column("x", "datetime", {}, pl.Series("x", ["2024-01-01", "2022-07-01"]))
    assert column.fields[0].shape == (10,)


def test_a_decade_of_seconds_comes_back() -> None:
    stamps = np.random.default_rng(0).integers(0, 10 * 366 * 86_400, 2000) + 1_400_000_000
    values = pl.Series("x", stamps * 1_000_000).cast(pl.Datetime("us"))
    column = fit_column("x", "datetime", {}, values)
    assert column.decode(column.encode(values)).to_list() == values.to_list()


def test_the_median_stands_for_a_missing_date() -> None:
    column = fit_column("x", "datetime", {}, pl.Series("x", ["2024-01-01", None, "2024-01-02", "2024-06-01"]))
    arrays = column.encode(pl.Series("x", [None, "2024-01-02"]))
    np.testing.assert_array_equal(arrays["value"][0], arrays["value"][1])
    assert arrays["missing"].tolist() == [1, 0]


def test_one_date_only_is_no_division_by_zero() -> None:
    column = fit_column("x", "datetime", {}, pl.Series("x", ["2024-01-01"] * 3))
    assert np.isfinite(column.encode(pl.Series("x", ["2024-01-01", "1900-01-01", "9999-12-31"]))["value"]).all()


def test_bytes_are_refused() -> None:
    with pytest.raises(DataError, match="this needs dates"):
        Datetime().parse(pl.Series("x", [b"2024"]))


def test_one_time_stamp_only_has_no_spread_but_rounding_errors() -> None:
    column = fit_column("x", "datetime", {}, pl.Series("x", ["2023-11-17 10:11:12.000001"] * 6))
    assert abs(column.encode(pl.Series("x", ["2023-11-18"]))["value"]).max() < 2


@pytest.mark.parametrize("wrong", [float("inf"), 1e300, 20240105.5])
def test_a_number_that_is_no_date_is_named_and_not_those_beside_it(wrong: float) -> None:
    with pytest.raises(DataError, match="is not a date in a known form") as caught:
        Datetime().parse(pl.Series("x", [20240105.0, wrong]))
    assert caught.value.where == "column x, row 1"
