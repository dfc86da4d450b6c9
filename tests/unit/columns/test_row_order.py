"""What a column learns hangs neither on the order of the training rows nor on how they are cut into chunks."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as some

from danlu.base.errors import DataError
from danlu.columns.column import FittedColumn, fit_column

NUMBERS = some.one_of(
    some.floats(-1e12, 1e12), some.integers(-3, 3).map(float), some.floats(0, 1), some.just(1e9), some.none()
)
TEXTS = some.one_of(some.sampled_from(["low", "middle", "high", "LOW", " low", "ｌｏｗ", "1", "1.0"]), some.none())
DAYS = some.one_of(some.datetimes(datetime(1950, 1, 1), datetime(2100, 1, 1)).map(str), some.none())
CASES: list[tuple[str, dict[str, Any], some.SearchStrategy[Any]]] = [
    *(("number", {"scale": scale}, NUMBERS)
      for scale in ("standard", "min_max", "robust", "quantile", "log", "yeo_johnson", "none")),
    *(("number", {"missing": missing}, NUMBERS) for missing in ("mean", "most_frequent")),
    *(("number", {"outliers": outliers, "outlier_rule": rule}, NUMBERS)
      for outliers in ("clip", "mark") for rule in ("iqr", "z_score", "quantile")),
    ("category", {}, TEXTS),
    ("category", {"min_count": 2, "missing": "most_frequent"}, TEXTS),
    ("category", {"max_values": 2, "normalize": "spaces"}, TEXTS),
    ("category", {"normalize": "lowercase", "order": ["low", "middle", "high", "1"]}, TEXTS),
    ("category", {"num_hashes": 8, "missing": "drop"}, TEXTS),
    ("boolean", {}, some.one_of(some.sampled_from(["yes", "no"]), some.none())),
    ("datetime", {}, DAYS),
]  # fmt: skip


def fitted(type_name: str, options: dict[str, Any], values: pl.Series) -> FittedColumn | str:
    """The column, or the message where there is nothing to fit."""
    try:
        return fit_column("x", type_name, options, values)
    except DataError as error:
        return str(error)


def assert_same(one: FittedColumn | str, other: FittedColumn | str) -> None:
    if isinstance(one, str) or isinstance(other, str):
        assert one == other
        return
    (values, arrays), (others, other_arrays) = one.state.dump(), other.state.dump()
    assert values == others
    assert list(arrays) == list(other_arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, other_arrays[name])


@pytest.mark.parametrize(("type_name", "options", "values"), CASES, ids=[f"{kind} {given}" for kind, given, _ in CASES])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=some.data())
def test_rows_in_any_order_and_any_chunks_teach_the_same(
    type_name: str, options: dict[str, Any], values: some.SearchStrategy[Any], data: some.DataObject
) -> None:
    rows = data.draw(some.lists(values, min_size=1, max_size=20))
    dtype = pl.Float64 if values is NUMBERS else pl.String
    whole = pl.Series("x", rows, dtype=dtype)
    column = fitted(type_name, options, whole)
    shuffled = pl.Series("x", data.draw(some.permutations(rows)), dtype=dtype)
    assert_same(column, fitted(type_name, options, shuffled))
    cuts = [0, *sorted(data.draw(some.lists(some.integers(0, len(rows)), max_size=4))), len(rows)]
    chunks = [whole[start:stop] for start, stop in pairwise(cuts)]
    assert_same(column, fitted(type_name, options, pl.concat(chunks, rechunk=False)))
    assume(isinstance(column, FittedColumn))
    assert isinstance(column, FittedColumn)
    encoded = [column.encode(chunk) for chunk in chunks]
    for name, array in column.encode(whole).items():
        np.testing.assert_array_equal(array, np.concatenate([chunk[name] for chunk in encoded]))
