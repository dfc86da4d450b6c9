"""The unit of a column, by its name and by its texts."""

from __future__ import annotations

import polars as pl
import pytest

from danlu.columns.units import unit_in_name, unit_in_texts


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("weight_kg", "kg"), ("Weight (kg)", "kg"), ("体重kg", "kg"), ("sepal length (cm)", "cm"), ("price_usd", "USD"),
        ("Price ($)", "$"), ("金额(元)", "元"), ("收入（万元）", "万元"), ("温度℃", "℃"), ("share%", "%"),
        ("growth_pct", "%"), ("tenure_months", "months"), ("Age (in years)", "years"), ("max_temp_c", "°C"),
        ("weight_g", "g"), ("size_mb", "MB"), ("Pressure_hPa", "hPa"), ("speed [km/h]", "km/h"), ("time (s)", "s"),
        ("lengthMm", "mm"),
    ],
)  # fmt: skip
def test_a_name_tells_the_unit(name: str, unit: str) -> None:
    assert unit_in_name(name) == unit


@pytest.mark.parametrize(
    "name",
    ["age", "birth_year", "temp_min", "plan_g", "vit_C", "hours", "hours_per_week", "count (log)", "Grade (n)",
     "Mo Sold", "class (first)", "MonthlyCharges", "year", "stay_in", "x1", "", "成绩"],
)  # fmt: skip
def test_other_names_tell_none(name: str) -> None:
    assert unit_in_name(name) == ""


@pytest.mark.parametrize(
    ("texts", "unit"),
    [
        (["$3", "$4.50", "$1,000", None], "$"), (["3%", "4 %"], "%"), (["12 kg", "5kg"], "kg"),
        (["3 m/s", "5 m/s"], "m/s"), (["5元", "6元"], "元"),
        ([*["1 cm"] * 3, *[f"{row} cm" for row in range(20)], "?"], "cm"),
        (["12", "13"], ""), (["3 apples", "4"], ""), (["a", "b"], ""), (["1 m", "2 cm"], ""), ([None], ""),
        (["3rd", "4th"], ""),
    ],
)  # fmt: skip
def test_texts_tell_the_unit_where_nine_tenths_do(texts: list[str | None], unit: str) -> None:
    assert unit_in_texts(pl.Series(texts, dtype=pl.String)) == unit


def test_numbers_are_no_texts() -> None:
    assert unit_in_texts(pl.Series([1, 2])) == ""
