"""The traps of guessing a column's type."""

import hashlib
import uuid
from datetime import date, datetime, time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from danlu.columns.column import fit_column, nulled
from danlu.columns.inference import Inferred, infer
from danlu.recipe.schema import Data

MISSING = Data.model_fields["missing_values"].default
RANDOM = np.random.default_rng(0)


def verdict(values: object, name: str = "x", *, is_target: bool = False) -> Inferred:
    series = values if isinstance(values, pl.Series) else pl.Series(name, values)
    return infer(nulled(series, MISSING), is_target=is_target, name=name)


def short(found: Inferred) -> tuple[str, str]:
    return found.type, found.finding_key


def cycle(values: list[object], num_rows: int = 120) -> list[object]:
    return [values[row % len(values)] for row in range(num_rows)]


NUMBERS = [str(value) for value in RANDOM.normal(size=200).round(4)]
UUIDS = [str(uuid.UUID(int=int(value))) for value in RANDOM.integers(0, 2**62, 100)]
HASHES = [hashlib.sha256(str(row).encode()).hexdigest() for row in range(100)]
SENTENCES = [f"the {word} thing is number {row} of them" for row, word in enumerate(cycle(["good", "bad"], 60))]


@pytest.mark.parametrize(
    ("values", "name", "expected"),
    [
        # nothing to learn from
        ([None, None], "x", ("ignore", "empty")),
        (["?", "NA", ""], "x", ("ignore", "empty")),
        ([float("nan"), None], "x", ("ignore", "empty")),
        ([], "x", ("ignore", "empty")),
        (["a"] * 30, "x", ("ignore", "constant")),
        ([5] * 30, "x", ("ignore", "constant")),
        ([True] * 30, "x", ("ignore", "constant")),
        (["a", None] * 30, "x", ("category", "")),
        # yes and no
        (cycle(["Yes", "No"]), "x", ("boolean", "")),
        (cycle(["Yes", "No", "?"]), "x", ("boolean", "")),
        (cycle(["true", "false"]), "x", ("boolean", "")),
        (cycle(["是", "否"]), "x", ("boolean", "")),
        (cycle(["Y", "N"]), "x", ("boolean", "")),
        (cycle(["0", "1"]), "x", ("boolean", "")),
        (cycle(["0.0", "1.0", None]), "x", ("boolean", "")),
        (cycle([0, 1]), "x", ("boolean", "")),
        (cycle(["Yes", "No", "maybe"]), "x", ("category", "")),
        (cycle(["Yes", "false"]), "x", ("category", "")),
        (cycle([1, 2]), "x", ("category", "")),
        # numbers and codes
        (NUMBERS, "x", ("number", "")),
        (RANDOM.random(1000), "x", ("number", "")),
        (RANDOM.random(1000), "id", ("number", "")),
        (cycle(["1", "2", "3", "4"]), "x", ("category", "")),
        (cycle([0, 1, 2, 3, 4]), "children", ("number", "")),
        (cycle(list(range(20, 60))), "age", ("number", "")),
        (cycle(list(range(1, 8))), "pclass", ("category", "")),
        (cycle(["01234", "20095", "10115"]), "zip", ("category", "")),
        (cycle(["01234", "20095", "10115"]), "x", ("category", "")),
        (cycle([1234, 20095, 10115, 4, 5, 6]), "邮编", ("category", "")),
        (cycle([2006, 2007, 2008]), "year", ("number", "")),
        (list(range(1950, 2010)), "year", ("number", "")),
        (["1,234", "2,500.5", "7", "12"] * 9, "x", ("number", "")),
        (["$5", "$7.50", "$11", "$1,200"] * 9, "x", ("number", "")),
        # ids
        (list(range(1, 101)), "x", ("ignore", "id")),
        ([str(value) for value in range(100, 200)], "Order", ("ignore", "id")),
        ([int(value) for value in RANDOM.permutation(10_000)[:100]], "PassengerId", ("ignore", "id")),
        ([int(value) for value in RANDOM.permutation(10_000)[:100]], "客户编号", ("ignore", "id")),
        ([int(value) for value in RANDOM.permutation(10_000)[:100]], "序号", ("ignore", "id")),
        ([int(value) for value in RANDOM.permutation(10_000)[:100]], "用户ID", ("ignore", "id")),
        ([int(value) for value in RANDOM.permutation(10_000)[:100]], "income", ("number", "")),
        ([int(value) for value in RANDOM.permutation(10_000)[:100]], "paid", ("number", "")),
        (cycle(list(range(1000, 1030)), 3000), "user_id", ("category", "")),
        (UUIDS, "x", ("ignore", "id")),
        (HASHES + HASHES[:30], "x", ("ignore", "id")),
        ([f"A-{row:05}" for row in range(100)], "x", ("ignore", "id")),
        ([13800000000 + int(value) for value in RANDOM.permutation(10_000)[:100]], "phone_number", ("ignore", "id")),
        (cycle([13, 47, 20, 11, 12, 19, 31]), "area_code", ("category", "")),
        (cycle([13, 47, 20, 11, 12, 19, 31]), "class_size", ("number", "")),
        # words
        (cycle(["red", "green", "blue"]), "x", ("category", "")),
        (SENTENCES, "x", ("text", "")),
        ([f"这家酒店的服务非常好第{row}次来" for row in range(60)], "x", ("text", "")),
        ([f"我第{row}次来。" for row in range(60)], "x", ("text", "")),
        ([f"住第{row}号房" for row in range(60)], "x", ("ignore", "id")),
        (cycle(SENTENCES[:3]), "x", ("category", "")),
        ([f"car {row % 80}" for row in range(100)], "x", ("ignore", "high_cardinality")),
        # dates
        (["2024-01-05", "2024-01-06", "2023-12-31"] * 9, "x", ("datetime", "")),
        (["31/01/2024", "05/02/2024"] * 9, "x", ("datetime", "")),
        (["03/01/2024", "05/02/2024"] * 9, "x", ("datetime", "ambiguous_dates")),
        (["2024年1月5日", "2024年12月31日"] * 9, "x", ("datetime", "")),
        (["20240105", "20240106", "20231231"] * 9, "x", ("datetime", "")),
        ([20240105, 20240106, 20231231] * 9, "x", ("datetime", "")),
        ([20240105, 20240199, 20231231] * 9, "x", ("number", "")),
        ([f"2024-01-{1 + row % 28:02}" for row in range(60)] + ["soon"], "x", ("datetime", "mixed_values")),
        # pictures
        ([f"images/{row}.JPG" for row in range(50)], "x", ("image", "")),
        ([b"\x89PNG", b"\xff\xd8"], "x", ("image", "")),
        (RANDOM.random((5, 8, 8)), "x", ("image", "")),
        ([[[1, 2], [3, 4]]], "x", ("image", "")),
        # sequences
        ([[1, 2], [3]], "x", ("series", "")),
        (RANDOM.normal(size=(5, 8)), "x", ("series", "")),
        ([[1, 2]] * 5, "x", ("ignore", "constant")),
        ([["a"]] * 5, "x", ("ignore", "constant")),
        ([[[1, 2], [3, 4]], [[5, 6]]], "x", ("series", "")),
        ([[[1, 2], [3, -4]]], "x", ("series", "")),
        (RANDOM.normal(size=(5, 8, 8)), "x", ("series", "")),
        ([["a", "b"], ["c"]], "x", ("tokens", "")),
        # what there is no type for
        ([[True], [False]], "x", ("ignore", "unsupported")),
        ([time(1, 2)], "x", ("ignore", "unsupported")),
    ],
)
def test_what_a_column_is_taken_for(values: object, name: str, expected: tuple[str, str]) -> None:
    found = verdict(values, name)
    assert short(found) == expected, found.note
    assert found.note


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (cycle(["yes", "no"]), ("category", "")),
        (cycle([">50K", "<=50K"]), ("category", "")),
        (cycle([True, False]), ("boolean", "")),
        (cycle(["True", "False"]), ("boolean", "")),
        (cycle([0, 1]), ("category", "")),
        (cycle(["1", "2"]), ("category", "")),
        (cycle([1.0, 2.0, None]), ("category", "")),
        (cycle(list(range(10))), ("category", "")),
        (cycle([0.5, 1.5]), ("number", "")),
        (list(range(100)), ("number", "")),
        (NUMBERS, ("number", "")),
        ([*NUMBERS, "unknown"], ("number", "mixed_values")),
        (["a"] * 20, ("category", "constant")),
        ([f"label {row}" for row in range(100)], ("category", "")),
        ([None, None], ("ignore", "empty")),
    ],
)
def test_what_a_target_is_taken_for(values: object, expected: tuple[str, str]) -> None:
    found = verdict(values, "id", is_target=True)
    assert short(found) == expected, found.note


def test_a_few_values_that_are_no_numbers_are_shown() -> None:
    found = verdict([*NUMBERS, "unknown", "unknown", "n.a."])
    assert short(found) == ("number", "mixed_values")
    assert found.note == "3 of 203 values are not numbers ('unknown', 'n.a.')"


def test_more_of_them_make_it_words() -> None:
    assert verdict(NUMBERS[:60] + cycle(["low", "high"], 60)).type != "number"


def test_the_options_that_go_with_it() -> None:
    assert verdict(["31/01/2024", "05/02/2024"] * 9).options == {"format": "%d/%m/%Y"}
    assert verdict(["01/31/2024", "05/02/2024"] * 9).options == {"format": "%m/%d/%Y"}
    assert verdict(["2024-01-05", "2024-01-05T10:00:00Z"] * 9).options == {}
    assert verdict(["1,5", "2,25", "3,0", "1.234,5"] * 9).options == {"decimal": ","}
    assert verdict([f"name {row % 100}" for row in range(1000)]).options == {"min_count": 5}


@pytest.mark.parametrize(
    ("values", "type"),
    [
        (pl.Series([date(2024, 1, 5), date(2024, 1, 6)]), "datetime"),
        (pl.Series([datetime(2024, 1, 5), None, datetime(2024, 1, 6)]), "datetime"),
        (pl.Series([True, False, None]), "boolean"),
        (pl.Series(["a", "b", "a"], dtype=pl.Categorical), "category"),
        (pl.Series(["1.50", "2.25", "1.50"]).cast(pl.Decimal(8, 2)), "number"),
        (pl.Series([{"bytes": b"x", "path": "a.png"}]), "image"),
    ],
)
def test_typed_columns_keep_their_type(values: pl.Series, type: str) -> None:
    assert verdict(values).type == type


REAL = {
    "adult/adult_train.csv.gz": {
        "ignore": [],
        "number": ["age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week"],
    },
    "titanic/train.csv": {"ignore": ["PassengerId", "Name", "Ticket"], "number": ["Age", "SibSp", "Parch", "Fare"]},
    "german_credit/german.csv": {"ignore": [], "number": ["duration_months", "credit_amount", "age"]},
    "telco_churn/telco_customer_churn.csv.gz": {
        "ignore": ["customerID"],
        "number": ["tenure", "MonthlyCharges", "TotalCharges"],
        "boolean": ["SeniorCitizen", "Partner", "Dependents", "PhoneService", "PaperlessBilling", "Churn"],
    },
    "diamonds/diamonds.csv.gz": {"ignore": [], "number": ["carat", "depth", "table", "price", "x", "y", "z"]},
    "auto_mpg/mpg.csv": {
        "ignore": ["name"],
        "number": ["mpg", "displacement", "horsepower", "weight", "acceleration", "model_year"],
    },
    "etth1/ETTh1.csv.gz": {"ignore": [], "datetime": ["date"]},
}


@pytest.mark.parametrize("file", REAL)
def test_real_tables(data: Path, file: str) -> None:
    frame = pl.read_csv(data / file, infer_schema=False)
    found = {values.name: verdict(values, values.name) for values in frame}
    for type, names in REAL[file].items():
        assert [name for name, one in found.items() if one.type == type] == names
    for values in frame:
        if found[values.name].type != "ignore":
            one = fit_column(
                values.name, found[values.name].type, dict(found[values.name].options), nulled(values, MISSING)
            )
            assert all(np.isfinite(array).all() for array in one.encode(nulled(values, MISSING)).values())
