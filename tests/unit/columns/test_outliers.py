"""Outliers of a number: their bounds, capping and marking."""

import numpy as np
import polars as pl
import pytest

from danlu.base.errors import DataError
from danlu.columns.column import FittedColumn, fit_column
from danlu.columns.outliers import count_outside, find_bounds

VALUES = np.arange(1.0, 101.0)


def fitted(options: dict[str, object], values: list[object]) -> FittedColumn:
    return fit_column("x", "number", {"scale": "none", **options}, pl.Series("x", values, dtype=pl.Float64))


def test_bounds_by_their_formulas() -> None:
    low, high = np.quantile(VALUES, 0.25), np.quantile(VALUES, 0.75)
    assert find_bounds("iqr", 1.5, VALUES) == (low - 1.5 * (high - low), high + 1.5 * (high - low))
    assert find_bounds("z_score", 3, VALUES) == (50.5 - 3 * VALUES.std(), 50.5 + 3 * VALUES.std())
    assert find_bounds("quantile", 0.1, VALUES) == pytest.approx((10.9, 90.1))
    assert count_outside(VALUES, (10.9, 95.0)) == (10, 5)


def test_clip_caps_before_the_scale_is_fitted_and_at_serving() -> None:
    values = [*range(100), 10_000.0]
    column = fitted({"outliers": "clip", "scale": "min_max"}, values)
    low, high = column.state.bounds
    assert (low, high) == (25 - 75, 75 + 75)
    assert column.state.num_outside == (0, 1)
    found = column.encode(pl.Series("x", [0.0, 150.0, 10_000.0, 1e9, -1e9]))["value"]
    np.testing.assert_allclose(found, [0, 1, 1, 1, -np.log1p(50 / 150)], rtol=1e-6)
    assert [field.name for field in column.fields] == ["value"]


def test_what_stands_for_a_missing_value_is_not_capped() -> None:
    options = {"outliers": "clip", "missing": "constant", "fill": -999.0}
    assert fitted(options, [*range(100), None]).encode(pl.Series("x", [None]))["value"].item() == -999


def test_mark_leaves_the_values_and_adds_an_input() -> None:
    column = fitted({"outliers": "mark"}, [*range(100), 10_000.0, None])
    assert [field.name for field in column.fields] == ["value", "missing", "outlier"]
    arrays = column.encode(pl.Series("x", [5.0, 10_000.0, None, -50.1]))
    assert arrays["outlier"].tolist() == [0, 1, 0, 1]
    assert arrays["value"].tolist() == [5, 10_000, 50, pytest.approx(-50.1)]
    assert column.decode(arrays).to_list() == [5, 10_000, None, pytest.approx(-50.1)]


def test_nothing_to_mark_adds_no_input() -> None:
    assert [field.name for field in fitted({"outliers": "mark"}, [*range(100)]).fields] == ["value"]


@pytest.mark.parametrize(
    ("options", "values", "message"),
    [
        ({"outlier_limit": 2.0}, [1, 2], "outlier_limit is given, and outliers is none"),
        ({"outliers": "clip", "outlier_rule": "quantile", "outlier_limit": 3.0}, [1, 2], "share of the rows"),
        ({"outliers": "clip", "outlier_rule": "isolation_forest", "outlier_limit": 0.5}, [1, 2], "share of the rows"),
        ({"outliers": "clip", "outlier_rule": "isolation_forest"}, [1, 1, 1, 1], "finds no spread"),
        ({"outliers": "clip", "outlier_rule": "isolation_forest"}, [-1.7e308, 0, 1.7e308], "too large"),
        ({"outliers": "clip"}, [0] * 9 + [5], "iqr finds no spread: most training rows are 0"),
        ({"outliers": "mark", "outlier_rule": "z_score"}, [1e308, -1e308], "too large to tell outliers by"),
    ],
)  # fmt: skip
def test_options_that_cannot_work_are_refused(options: dict[str, object], values: list[object], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        fitted(options, values)
    assert caught.value.where == "column x"
    assert caught.value.hint


def test_a_forest_sets_planted_values_apart_and_about_its_share_of_others() -> None:
    plain = np.random.default_rng(0).normal(50, 3, size=4_000)
    column = fitted({"outliers": "mark", "outlier_rule": "isolation_forest"}, [*plain, 120.0, 150.0, -90.0])
    low, high = column.state.bounds
    assert 39 < low < 46
    assert 54 < high < 61
    assert 20 <= sum(column.state.num_outside) <= 80
    marked = column.encode(pl.Series("x", [-90.0, 50.0, 120.0, 1e9, None]))["outlier"]
    assert marked.tolist() == [1, 0, 1, 1, 0]


def test_what_lies_between_two_heaps_is_no_reason_to_give_up_one() -> None:
    random = np.random.default_rng(1)
    low, high = find_bounds(
        "isolation_forest", 0.01, np.sort(np.r_[random.normal(size=3_000), 50.0, random.normal(100, 1, size=2_000)])
    )
    assert -5 < low < -2
    assert 102 < high < 105


def test_the_forests_bounds_hang_neither_on_the_order_of_the_rows_nor_on_their_unit() -> None:
    values = np.random.default_rng(2).lognormal(size=30_000)
    options: dict[str, object] = {"outliers": "clip", "outlier_rule": "isolation_forest", "outlier_limit": 0.02}
    one = fitted(options, values.tolist())
    other = fitted(options, values[::-1].tolist())
    assert one.state.dump()[0] == other.state.dump()[0]
    far = fitted(options, (values * 1024 + 2**40).tolist())
    np.testing.assert_allclose(far.state.bounds, np.array(one.state.bounds) * 1024 + 2**40, rtol=1e-12)
