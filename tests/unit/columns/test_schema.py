"""All columns together, saved and loaded."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from danlu.columns.column import FittedColumn, fit_column
from danlu.columns.schema import Schema, rows_at_once


def test_columns_whose_names_begin_with_anothers_and_a_stroke_keep_their_own_arrays() -> None:
    numbers = np.random.default_rng(0).exponential(size=50)
    names = ("a", "a/b", "a/b/c", "a/")
    fitted: list[FittedColumn] = [
        fit_column(name, "number", {"scale": "quantile"}, pl.Series(numbers + place))
        for place, name in enumerate(names)
    ]
    schema = Schema(tuple(fitted), fit_column("y", "category", {}, pl.Series(["p", "q"])))
    loaded = Schema.load(*schema.dump())
    frame = pl.DataFrame(dict.fromkeys(names, numbers))
    assert np.array_equal(loaded.encode(frame)["scalars"], schema.encode(frame)["scalars"])


@pytest.mark.parametrize(
    ("shapes", "rows"),
    [
        ({"scalars": (5000,), "codes": (40,)}, 1024),
        ({"image_0": (28, 28, 1)}, 1024),
        ({"image_0": (224, 224, 3), "scalars": (8,)}, 20),
        ({"tokens_0": (512,), "image_0": (32, 32, 3)}, 32),
        ({"series_0": (400, 64)}, 40),
        ({"image_0": (2000, 2000, 3)}, 1),
    ],
)
def test_the_longer_a_row_the_fewer_are_answered_at_once(shapes: dict[str, tuple[int, ...]], rows: int) -> None:
    assert rows_at_once(shapes) == rows
