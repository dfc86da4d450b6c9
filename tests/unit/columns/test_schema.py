"""All columns together, saved and loaded."""

from __future__ import annotations

import numpy as np
import polars as pl

from danlu.columns.column import FittedColumn, fit_column
from danlu.columns.schema import Schema


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
