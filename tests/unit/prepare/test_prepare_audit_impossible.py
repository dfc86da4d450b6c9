"""Values that cannot be what they say, and honest ones that look like them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from danlu.columns.inference import Inferred
from danlu.prepare.audit import Audited
from danlu.prepare.audit.impossible import find_odd_dates, find_sentinels, find_zeros
from danlu.prepare.choose import Chosen
from danlu.prepare.sources.reading import read_source


def audited(columns: dict[str, pl.Series], type_name: str = "number") -> Audited:
    count = len(next(iter(columns.values())))
    parsed = {name: one.cast(pl.Float64) if type_name == "number" else one for name, one in columns.items()}
    parsed = {name: one.alias(name) for name, one in parsed.items()}
    chosen = {name: Chosen(name, type_name, {}, {}, Inferred("category")) for name in columns}
    target = pl.Series("label", ["a"] * count)
    codes, rows = np.zeros(count, np.int8), np.arange(count)
    return Audited(parsed, chosen, target, codes, rows, {}, today=date(2030, 6, 1))


def numbers(data: Path, file: str) -> Audited:
    frame = read_source(file, base=data).frame
    wide = [frame[name].cast(pl.Float64, strict=False) for name in frame.columns]
    return audited({one.name: one for one in wide if one.null_count() < len(one) / 2 and one.n_unique() > 10})


@pytest.mark.parametrize(
    ("file", "columns"),
    [
        ("pima_diabetes/pima.csv", ["glucose", "blood_pressure", "skin_thickness", "insulin", "bmi"]),
        ("diamonds/diamonds.csv.gz", ["x", "y", "z"]),
        ("adult/adult_train.csv.gz", []),
        ("titanic/train.csv", []),
        ("ames_housing/AmesHousing.csv.gz", []),
        ("telco_churn/telco_customer_churn.csv.gz", []),
        ("california_housing/housing.csv.gz", []),
    ],
)
def test_zeros_of_real_tables(data: Path, file: str, columns: list[str]) -> None:
    found = find_zeros(numbers(data, file))
    assert [one.key for one in found] == [f"zeros_for_missing:{name}" for name in columns]


def test_the_top_code_of_adult_is_told(data: Path) -> None:
    found = find_sentinels(numbers(data, "adult/adult_train.csv.gz"))
    assert [one.key for one in found] == ["sentinel:capital_gain"]
    assert found[0].message == (
        "capital_gain is 99999 in 159 rows, far from all other values (0 to 41310): it seems to stand for missing, or "
        "for a limit"
    )


def test_negative_codes_among_positive_values() -> None:
    values = pl.Series([-1.0, -1.0, -1.0, *range(100)])
    found = find_sentinels(audited({"days": values}))
    assert (found[0].rows, found[0].evidence) == ((0, 1, 2), {"value": -1.0, "rows": 3})
    assert find_sentinels(audited({"change": pl.Series([-1.0, -1.0, -1.0, -0.5, *range(100)])})) == []


def test_dates_are_held_against_the_clock() -> None:
    days = pl.Series([date(2029, 1, 1 + day % 28) for day in range(97)] + [date(2031, 1, 1), None, date(1753, 1, 1)])
    found = find_odd_dates(audited({"day": days}, "datetime"))
    assert [(one.key, one.severity, one.rows) for one in found] == [
        ("future_dates:day", "warning", (97,)),
        ("old_dates:day", "warning", (99,)),
    ]
    assert found[0].message == "day: 1 of 100 rows have a date in the future, from 2031-01-01 to 2031-01-01"
    ends = pl.Series([date(2031, 1, 1), date(2029, 1, 1)] * 20)
    assert [one.severity for one in find_odd_dates(audited({"end": ends}, "datetime"))] == ["note"]
    assert find_odd_dates(audited({"born": pl.Series([date(1850, 1, 1)] * 40)}, "datetime")) == []
