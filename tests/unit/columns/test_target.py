"""Categories as means of the target: no training row sees its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as some

from danlu.base.errors import DataError
from danlu.base.registry import build, validate
from danlu.columns.category import Category
from danlu.columns.column import FittedColumn, fit_column
from danlu.columns.schema import Schema
from danlu.columns.target import NUM_FOLDS, TargetRows, deal

ROWS = np.arange(600)


def fitted(values: pl.Series, target: TargetRows, **options: Any) -> FittedColumn:
    whole = validate(Category, {"encoding": "target", **options})
    column: Category = build(Category, whole)
    return FittedColumn("x", "category", whole, column.fit_with_target(column.parse(values), target))


def training(column: FittedColumn, values: pl.Series, rows: np.ndarray) -> np.ndarray:
    found: np.ndarray = column.column.encode_training(column.parse(values), rows, column.state)["value"]  # type: ignore[attr-defined]
    return found


def numbers(values: np.ndarray) -> TargetRows:
    return TargetRows(values.astype(np.float32), 0, ROWS[: len(values)], seed=3)


def test_folds_hang_on_the_seed_and_the_row_alone_and_are_about_as_large() -> None:
    folds = deal(0, np.arange(10_000))
    assert np.bincount(folds, minlength=NUM_FOLDS).min() > 1_850
    np.testing.assert_array_equal(deal(0, np.array([17, 3, -1])), [folds[17], folds[3], NUM_FOLDS])
    assert (deal(1, np.arange(10_000)) != folds).mean() > 0.7


def test_an_id_tells_nothing_of_its_own_target_though_in_sample_it_would_tell_all() -> None:
    target = np.random.default_rng(0).normal(size=600)
    values = pl.Series("x", [f"id {row}" for row in ROWS])
    column = fitted(values, numbers(target), smooth=0.0)
    naive = column.encode(values)["value"]
    assert np.corrcoef(naive, target)[0, 1] == pytest.approx(1)
    assert not training(column, values, ROWS).any()


def test_a_random_category_gains_nothing_out_of_fold() -> None:
    """With 150 random values of four rows each, in-sample means look like knowledge; the other folds' do not."""
    apart, naive = [], []
    for seed in range(20):
        random = np.random.default_rng(seed)
        target, values = random.normal(size=600), pl.Series("x", random.integers(0, 150, size=600).astype(str))
        column = fitted(values, numbers(target), smooth=1.0)
        apart.append(np.corrcoef(training(column, values, ROWS), target)[0, 1])
        naive.append(np.corrcoef(column.encode(values)["value"], target)[0, 1])
    assert np.mean(naive) > 0.4
    assert abs(np.mean(apart)) < 0.04
    assert np.max(apart) < 0.15


def test_a_row_is_encoded_the_same_whatever_its_own_target() -> None:
    random = np.random.default_rng(1)
    target, values = random.normal(size=60), pl.Series("x", random.integers(0, 5, size=60).astype(str))
    moved = target.copy()
    # What scales the target stays: two rows of one fold change places.
    one, other = np.flatnonzero(deal(3, ROWS[:60]) == 2)[:2]
    moved[[one, other]] = target[[other, one]]
    first = training(fitted(values, numbers(target)), values, ROWS[:60])
    second = training(fitted(values, numbers(moved)), values, ROWS[:60])
    np.testing.assert_allclose(first[[one, other]], second[[one, other]], rtol=1e-6)


def test_unseen_and_pooled_values_are_the_mean_of_all_and_missing_ones_their_own() -> None:
    values = pl.Series("x", ["a", "a", "b", "b", "c", None, None])
    target = numbers(np.array([1.0, 1.0, -1.0, -1.0, 0.0, 1.0, -1.0]))
    column = fitted(values, target, min_count=2, smooth=2.0)
    asked = pl.Series("x", ["a", "b", "c", "never seen", None])
    deviation = np.sqrt(6 / 7)
    np.testing.assert_allclose(column.encode(asked)["value"], [0.5 / deviation, -0.5 / deviation, 0, 0, 0], rtol=1e-6)
    filled = fitted(values, target, smooth=0.0, missing="most_frequent")
    assert filled.encode(asked)["value"][4] == filled.encode(asked)["value"][0]
    assert column.decode(column.encode(pl.Series("x", ["a", "b"]))).to_list() == ["a", "b"]


@pytest.mark.parametrize(("num_classes", "width"), [(0, ()), (2, ()), (3, (3,))])
def test_one_number_or_one_for_each_of_more_classes(num_classes: int, width: tuple[int, ...]) -> None:
    random = np.random.default_rng(2)
    target = random.integers(0, num_classes or 7, size=80).astype(np.int32 if num_classes else np.float32)
    values = pl.Series("x", random.choice(["a", "b", "c"], size=80))
    column = fitted(values, TargetRows(target, num_classes, ROWS[:80], 0))
    (field,) = column.fields
    assert (field.name, field.kind, field.shape) == ("value", "scalar", width)
    array = column.encode(values)["value"]
    assert array.dtype == np.float32
    assert array.shape == (80, *width)
    assert array.flags.writeable
    assert training(column, values, ROWS[:80]).shape == (80, *width)
    assert column.encode(values.head(0))["value"].shape == (0, *width)
    assert (column.encode(column.decode({"value": array}))["value"] == array).all()


@given(
    rows=some.lists(
        some.tuples(some.sampled_from(["a", "b", "c", None]), some.floats(-1e6, 1e6, width=32)), min_size=2, max_size=30
    ).filter(lambda rows: any(value for value, _ in rows)),
    data=some.data(),
)
def test_rows_in_any_order_teach_the_same(rows: list[tuple[str | None, float]], data: some.DataObject) -> None:
    order = np.array(data.draw(some.permutations(range(len(rows)))))
    values = pl.Series("x", [value for value, _ in rows], dtype=pl.String)
    target = np.array([number for _, number in rows], np.float32)
    one = fitted(values, TargetRows(target, 0, ROWS[: len(rows)], 5))
    other = fitted(values.gather(pl.Series(order)), TargetRows(target[order], 0, ROWS[order], 5))
    assert one.state.dump()[0] == other.state.dump()[0]
    np.testing.assert_array_equal(one.state.dump()[1]["means"], other.state.dump()[1]["means"])
    whole = training(one, values, ROWS[: len(rows)])
    for row in range(len(rows)):
        assert training(one, values[row : row + 1], ROWS[row : row + 1]) == whole[row]


def test_a_schema_encodes_training_rows_by_the_other_folds_and_all_others_by_all() -> None:
    random = np.random.default_rng(0)
    values, target = pl.Series("x", random.choice(["a", "b"], size=60)), random.normal(size=60)
    column = fitted(values, numbers(target))
    goal = fit_column("y", "number", {"missing": "drop"}, pl.Series("y", target))
    description, arrays = Schema((column,), goal).dump()
    schema = Schema.load(description, arrays)
    frame = pl.DataFrame({"x": values})
    rows = np.where(ROWS[:60] < 30, ROWS[:60], -1)
    found = schema.encode(frame, rows)["scalars"][:, 0]
    np.testing.assert_array_equal(found[:30], training(column, values, ROWS[:60])[:30])
    np.testing.assert_array_equal(found[30:], schema.encode(frame)["scalars"][30:, 0])
    assert (found[:30] != schema.encode(frame)["scalars"][:30, 0]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoding": "target", "num_hashes": 8}, "encoding is target, which has no use for num_hashes"),
        ({"encoding": "target", "order": ["a", "b"]}, "encoding is target, which has no use for order"),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        fitted(pl.Series("x", ["a", "b"]), numbers(np.array([0.0, 1.0])), **options)


def test_smooth_is_for_means_of_the_target() -> None:
    with pytest.raises(DataError, match="smooth is given, and encoding is code"):
        fit_column("x", "category", {"smooth": 3.0}, pl.Series("x", ["a", "b"]))


def test_an_unseen_value_can_be_an_error_here_too() -> None:
    column = fitted(pl.Series("x", ["red", "blue"] * 3), numbers(np.arange(6.0)), unseen="error")
    with pytest.raises(DataError, match="'gred' is not one of the values of the training rows"):
        column.encode(pl.Series("x", ["red", "gred"]))
