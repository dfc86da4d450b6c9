"""What each filler fills with, by hand-made examples."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

from danlu import catalog
from danlu.base.errors import DataError
from danlu.base.registry import build, validate
from danlu.columns.category import Category
from danlu.columns.column import FittedColumn, fit_column
from danlu.columns.fillers import group, time
from danlu.columns.fillers.filler import FittedFiller
from danlu.columns.filling import encode_column
from danlu.columns.schema import Schema
from danlu.columns.target import TargetRows


def fitted(name: str, rows: dict[str, pl.Series], **options: Any) -> FittedFiller:
    component = catalog.find("fillers", name)
    whole = validate(component, options)
    return FittedFiller(name, whole, build(component, whole).fit(rows))


def columns(**values: Any) -> dict[str, pl.Series]:
    return {name: pl.Series(name, given) for name, given in values.items()}


def days(*numbers: int | None) -> list[datetime | None]:
    return [None if number is None else datetime(2024, 1, number) for number in numbers]


class TestGroup:
    rows = columns(
        age=[1.0, 3.0, 8.0, None, 5.0, 7.0, 40.0],
        port=["C", "C", "S", "S", None, "C", "S"],
        sex=["m", "m", "m", "f", "f", "f", None],
    )

    @pytest.mark.parametrize(("statistic", "expected"), [("mean", 2.0), ("median", 2.0), ("most_frequent", 1.0)])
    def test_the_figure_of_the_rows_that_agree_in_all_columns(self, statistic: str, expected: float) -> None:
        filler = fitted("group", self.rows, columns=["age"], by=["port", "sex"], statistic=statistic)
        asked = columns(age=[None, 9.0], port=["C", "C"], sex=["m", "m"])
        asked["age"] = asked["age"].cast(pl.Float64)
        assert filler.fill(asked["age"], asked).to_list() == [expected, 9.0]

    def test_unknown_and_incomplete_groups_are_left(self) -> None:
        filler = fitted("group", self.rows, columns=["age"], by=["port", "sex"])
        asked = columns(age=[None] * 4, port=["S", "S", "X", None], sex=["m", "f", "m", "m"])
        asked["age"] = asked["age"].cast(pl.Float64)
        assert filler.fill(asked["age"], asked).to_list() == [8.0, None, None, None]

    def test_small_groups_are_left(self) -> None:
        filler = fitted("group", self.rows, columns=["age"], by=["port"], min_count=3)
        asked = columns(age=[None, None], port=["C", "S"])
        asked["age"] = asked["age"].cast(pl.Float64)
        assert filler.fill(asked["age"], asked).to_list() == [3.0, None]

    def test_of_equally_frequent_values_the_smallest(self) -> None:
        rows = columns(word=["b", "a", "b", "a", "c", None], kind=[1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
        filler = fitted("group", rows, columns=["word"], by=["kind"], statistic="most_frequent")
        assert filler.fill(rows["word"], rows).to_list() == ["b", "a", "b", "a", "c", "a"]

    def test_minus_zero_is_zero(self) -> None:
        rows = columns(x=[4.0, None], kind=[0.0, -0.0])
        assert fitted("group", rows, columns=["x"], by=["kind"]).fill(rows["x"], rows).to_list() == [4.0, 4.0]

    def test_more_groups_than_can_be_kept_are_an_error(self) -> None:
        count = group.MAX_GROUPS + 1
        rows = {"x": pl.Series("x", np.zeros(count)), "id": pl.Series("id", np.arange(count, dtype=float))}
        with pytest.raises(DataError, match="id make 100,001 groups; at most 100,000 can be kept") as caught:
            fitted("group", rows, columns=["x"], by=["id"])
        assert "fewer values" in caught.value.hint


class TestTime:
    rows = columns(
        x=[10.0, 20.0, None, 40.0, 100.0, 300.0],
        day=days(1, 3, 4, 9, 1, 5),
        station=["a", "a", "a", "a", "b", "b"],
    )

    def asked(self, *numbers: int | None, station: str = "a") -> dict[str, pl.Series]:
        given = columns(x=[None] * len(numbers), day=days(*numbers), station=[station] * len(numbers))
        given["x"], given["day"] = given["x"].cast(pl.Float64), given["day"].cast(pl.Datetime("us"))
        return given

    @pytest.mark.parametrize(
        ("how", "expected"),
        [
            ("forward", [10.0, 10.0, 20.0, 20.0, 40.0, None]),
            ("backward", [10.0, 20.0, 20.0, 40.0, None, None]),
            ("linear", [10.0, 15.0, 20.0, 30.0, None, None]),
        ],
    )
    def test_what_was_known_at_that_time(self, how: str, expected: list[float | None]) -> None:
        filler = fitted("time", self.rows, columns=["x"], along="day", by=["station"], how=how)
        asked = self.asked(1, 2, 3, 6, 20, None)
        assert filler.fill(asked["x"], asked).to_list() == expected

    def test_each_series_by_itself(self) -> None:
        filler = fitted("time", self.rows, columns=["x"], along="day", by=["station"], how="linear")
        asked = self.asked(3, station="b")
        assert filler.fill(asked["x"], asked).to_list() == [200.0]
        asked = self.asked(3, station="elsewhere")
        assert filler.fill(asked["x"], asked).to_list() == [None]

    @pytest.mark.parametrize(("how", "expected"), [("forward", [20.0, None]), ("linear", [None, None])])
    def test_what_is_too_far_off_is_not_taken(self, how: str, expected: list[float | None]) -> None:
        filler = fitted("time", self.rows, columns=["x"], along="day", by=["station"], how=how, within=2.5)
        asked = self.asked(5, 7)
        assert filler.fill(asked["x"], asked).to_list() == expected

    def test_of_several_values_at_one_time_their_mean_or_the_most_frequent(self) -> None:
        rows = columns(x=[1.0, 3.0, 3.0], word=["b", "a", "a"], at=[5.0, 5.0, 5.0])
        filler = fitted("time", rows, columns=["x", "word"], along="at")
        asked = columns(x=[None], word=[None], at=[6.0])
        asked = {**asked, "x": asked["x"].cast(pl.Float64), "word": asked["word"].cast(pl.String)}
        assert filler.fill(asked["x"], asked).to_list() == pytest.approx([7 / 3])
        assert filler.fill(asked["word"], asked).to_list() == ["a"]

    def test_long_series_are_thinned_evenly_and_it_says_so(self) -> None:
        count = 2 * time.MAX_POINTS + 1
        rows = {"x": pl.Series("x", np.arange(count, dtype=float)), "at": pl.Series("at", np.arange(count) / 10)}
        filler = fitted("time", rows, columns=["x"], along="at")
        state: Any = filler.state
        assert np.array_equal(state.values, np.arange(count - 1, -1, -3)[::-1])
        assert filler.filler.notes(state) == "time keeps 133,334 of 400,001 known values, evenly"

    def test_more_series_than_can_be_kept_are_an_error(self) -> None:
        count = time.MAX_POINTS + 1
        names = pl.Series("id", np.arange(count)).cast(pl.Float64)
        rows = {"x": pl.Series("x", np.ones(count)), "at": pl.Series("at", np.ones(count)), "id": names}
        with pytest.raises(DataError, match="id tell 200,001 series apart; at most 200,000 can be kept"):
            fitted("time", rows, columns=["x"], along="at", by=["id"])


def test_neighbors_and_regressions_say_how_many_rows_they_were_drawn_from() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=50)
    rows = {"x": pl.Series("x", x), "y": pl.Series("y", x + random.normal(size=50))}
    filler = fitted("neighbors", rows, columns=["x"], by=["y"], max_rows=20)
    assert filler.filler.notes(filler.state) == "neighbors looks among 20 of 50 rows"
    filler = fitted("iterative", rows, columns=["x"], by=["y"], max_rows=20)
    assert filler.filler.notes(filler.state) == "iterative is fitted on 20 of 50 rows"


def test_a_column_without_a_value_in_the_drawn_rows_is_an_error() -> None:
    x = np.full(400, np.nan)
    x[0] = 1.0
    rows = {"x": pl.Series("x", x).fill_nan(None), "y": pl.Series("y", np.arange(400.0))}
    with pytest.raises(DataError, match="missing in all rows that were drawn"):
        fitted("iterative", rows, columns=["x"], by=["y"], max_rows=10)


def schema(frame: pl.DataFrame, *fillers: FittedFiller, **types: tuple[str, dict[str, Any]]) -> Schema:
    inputs = tuple(fit_column(name, kind, options, frame[name]) for name, (kind, options) in types.items())
    return Schema(inputs, fit_column("y", "number", {"missing": "drop"}, frame["y"]), (), fillers)


def test_the_indicator_tells_what_was_missing_before_it_was_filled() -> None:
    frame = pl.DataFrame(
        {"age": [2.0, None, 6.0], "sex": ["m", "m", "f"], "rank": ["low", None, "high"], "y": [1, 2, 3]}
    )
    rows = {"age": frame["age"], "sex": frame["sex"], "rank": frame["rank"]}
    fillers = (
        fitted("group", rows, columns=["age"], by=["sex"]),
        fitted("group", rows, columns=["rank"], by=["sex"], statistic="most_frequent"),
    )
    kinds = {
        "age": ("number", {"scale": "none"}),
        "sex": ("category", {}),
        "rank": ("category", {"order": ["low", "high"]}),
    }
    arrays = schema(frame, *fillers, **kinds).encode(frame)["scalars"]  # type: ignore[arg-type]
    np.testing.assert_array_equal(arrays, [[2, 0, 0, 0], [2, 1, 0, 1], [6, 0, 1, 0]])


def test_what_one_filler_leaves_the_next_fills_and_then_the_column_itself() -> None:
    frame = pl.DataFrame(
        {"x": [1.0, None, None, None], "a": ["p", "p", "q", None], "b": ["u", "v", "u", None], "y": range(4)}
    )
    rows = {name: frame[name] for name in ("x", "a", "b")}
    fillers = (fitted("group", rows, columns=["x"], by=["a"]), fitted("group", rows, columns=["x"], by=["b"]))
    options = {"scale": "none", "missing": "constant", "fill": -9.0, "indicator": False}
    made = schema(frame, *fillers, x=("number", options), a=("category", {}), b=("category", {}))
    assert made.looks_at("x") == ("x", "a", "b")
    assert made.looks_at("a") == ("a",)
    assert made.encode(frame)["scalars"].ravel().tolist() == [1.0, 1.0, 1.0, -9.0]


def test_a_column_is_encoded_from_what_it_looks_at_alone() -> None:
    frame = pl.DataFrame({"x": [1.0, None], "a": ["p", "p"], "b": ["u", "v"], "y": [0, 1]})
    made = schema(
        frame,
        fitted("group", {"x": frame["x"], "a": frame["a"]}, columns=["x"], by=["a"]),
        x=("number", {"scale": "none"}),
        a=("category", {}),
        b=("category", {}),
    )
    parsed = {name: frame[name] for name in made.looks_at("x")}
    assert made.encode_column(made.inputs[0], parsed)["value"].tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("category", {"indicator": True}),
        ("category", {"indicator": True, "num_hashes": 8}),
        ("category", {"indicator": True, "missing": "most_frequent"}),
        ("category", {"indicator": True, "order": ["false", "true"], "missing": "most_frequent"}),
        ("boolean", {"indicator": True}),
        ("boolean", {"indicator": True, "missing": "most_frequent"}),
    ],
)
def test_codes_have_an_indicator_where_it_is_asked_for(kind: str, options: dict[str, Any]) -> None:
    frame = pl.DataFrame({"x": [True, None, False, None], "a": ["p", "p", "q", None], "y": range(4)})
    parsed = {"x": frame["x"] if kind == "boolean" else frame["x"].cast(pl.String), "a": frame["a"]}
    filler = fitted("group", parsed, columns=["x"], by=["a"], statistic="most_frequent")
    made = schema(frame, filler, x=(kind, options), a=("category", {}))
    column = made.inputs[0]
    assert [field.name for field in column.fields][1] == "missing"
    arrays, plain = made.encode_column(column, parsed), column.encode(frame["x"])
    assert arrays["missing"].tolist() == plain["missing"].tolist() == [0, 1, 0, 1]
    (first,) = set(arrays) - {"missing"}
    assert arrays[first][1] == plain[first][0]
    assert arrays[first][3] == plain[first][3]
    if "num_hashes" not in options:  # hashes are not decoded
        assert column.encode(column.decode(plain))["missing"].tolist() == [0, 1, 0, 1]
    never = schema(frame.head(1), x=(kind, options), a=("category", {})).inputs[0]
    assert len(never.fields) == 1, "no training row was missing"


def test_means_of_the_target_have_an_indicator_too() -> None:
    frame = pl.DataFrame({"x": ["u", "v", None, "u"], "a": ["p", "q", "q", "p"], "y": [0.0, 1.0, 1.0, 0.0]})
    options = validate(Category, {"encoding": "target", "indicator": True})
    taught = TargetRows(frame["y"].to_numpy().astype(np.float32), 0, np.arange(4), 0)
    column = FittedColumn("x", "category", options, build(Category, options).fit_with_target(frame["x"], taught))
    filler = fitted("group", frame.to_dict(), columns=["x"], by=["a"], statistic="most_frequent")
    for training in (None, np.arange(4)):
        found = encode_column(column, (filler,), frame.to_dict(), training)
        assert found["missing"].tolist() == [0, 0, 1, 0]
    served = encode_column(column, (filler,), frame.to_dict())
    assert served["value"][2] == served["value"][1] > 0
