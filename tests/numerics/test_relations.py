"""Measures of how columns go together, against SciPy and closed forms."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats

from danlu.prepare.relations import Coded, along, association, coded, relations


def test_two_numbers_are_spearmans_correlation_over_the_rows_that_have_both() -> None:
    random = np.random.default_rng(0)
    a = random.integers(0, 9, 200).astype(float)
    b = a**3 + random.normal(size=200) * 50
    a[:20] = np.nan
    expected = stats.spearmanr(a[20:], b[20:]).statistic
    assert association(Coded(a, False), Coded(b, False)) == pytest.approx(expected, abs=1e-12)


def test_two_classes_are_cramers_v_without_its_bias() -> None:
    random = np.random.default_rng(1)
    a, b = random.integers(0, 4, 500).astype(float), random.integers(0, 6, 500).astype(float)
    b[:200] = a[:200]
    table = np.histogram2d(a, b, bins=(4, 6))[0]
    phi2 = max(0, stats.chi2_contingency(table, correction=False).statistic / 500 - 3 * 5 / 499)
    expected = np.sqrt(phi2 / min(4 - 9 / 499 - 1, 6 - 25 / 499 - 1))
    assert association(Coded(a, True), Coded(b, True)) == pytest.approx(expected)
    assert association(Coded(a, True), Coded(a, True)) == pytest.approx(1.0)


def test_a_number_and_a_class_are_the_correlation_ratio_of_ranks_both_ways_round() -> None:
    random = np.random.default_rng(2)
    group = random.integers(0, 3, 300).astype(float)
    number = group + random.normal(size=300)
    statistic = stats.f_oneway(*(stats.rankdata(number)[group == one] for one in range(3))).statistic
    share = statistic * 2 / (statistic * 2 + 297)
    expected = np.sqrt(1 - (1 - share) * 299 / 297)
    one, two = Coded(group, True), Coded(number, False)
    assert association(one, two) == pytest.approx(expected) == association(two, one)


def test_what_has_nothing_to_do_with_each_other_is_near_nothing_even_with_many_classes() -> None:
    random = np.random.default_rng(3)
    many, number = random.integers(0, 90, 1000).astype(float), random.normal(size=1000)
    assert (association(Coded(many, True), Coded(number, False)) or 0) < 0.15


def test_what_does_not_vary_or_is_too_little_is_undefined() -> None:
    values = Coded(np.arange(20.0), False)
    assert association(values, Coded(np.ones(20), False)) is None
    assert association(values, Coded(np.r_[np.arange(5.0), np.full(15, np.nan)], False)) is None
    assert relations({"a": values, "b": Coded(np.ones(20), True)}) == [[1.0, None], [None, 1.0]]


def test_columns_without_order_or_classes_are_not_compared() -> None:
    assert coded(pl.Series("image", ["a.png"]), "image") is None
    assert coded(pl.Series("id", [str(one) for one in range(200)]), "category") is None
    found = coded(pl.Series("城市", ["北京", None, "上海"]), "category")
    assert found is not None
    np.testing.assert_array_equal(found.values, [1, np.nan, 0])


def test_a_target_along_a_column() -> None:
    x = pl.Series("x", np.arange(100.0))
    found = along(x, "number", pl.Series("y", ["no"] * 50 + ["yes"] * 50), ["no", "yes"])
    assert found is not None
    assert found["ordered"]
    assert found["rows"] == [10] * 10
    assert found["shares"] == [[1.0, 0.0]] * 5 + [[0.0, 1.0]] * 5
    city = pl.Series("city", ["a"] * 60 + ["b"] * 40)
    found = along(city, "category", x, [])
    assert found is not None
    assert (found["bins"], found["rows"], found["means"]) == (["a", "b"], [60, 40], [29.5, 79.5])
    mostly = pl.Series("gain", [0.0] * 96 + [1.0, 2.0, 3.0, 4.0])
    assert len((along(mostly, "number", x, []) or {})["bins"]) == 3
