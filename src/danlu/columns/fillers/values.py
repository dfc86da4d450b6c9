"""Parsed values as numbers and back, keys of groups, and figures of groups of values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import polars as pl

Statistic = Literal["mean", "median", "most_frequent"]
_BETWEEN = "\x1f"  # Unicode's own unit separator: no text that people write holds it


def labels_of(values: pl.Series) -> tuple[str, ...]:
    """The different texts in sorted order; none for values that are numbers already."""
    return tuple(values.drop_nulls().unique().sort().to_list()) if values.dtype == pl.String else ()


def to_numbers(values: pl.Series, labels: Sequence[str] = ()) -> np.ndarray:
    """(N,) float64, NaN for null: texts as their place in `labels`, booleans as 0 and 1, dates as microseconds."""
    if values.dtype == pl.String:
        if not labels:
            return np.full(len(values), np.nan)
        places = pl.Series(range(len(labels)), dtype=pl.Float64)
        values = values.replace_strict(pl.Series(labels), places, default=None, return_dtype=pl.Float64)
    numbers: np.ndarray = values.to_physical().cast(pl.Float64).fill_null(float("nan")).to_numpy(writable=True)
    return numbers


def to_values(numbers: np.ndarray, dtype: pl.DataType, labels: Sequence[str] = ()) -> pl.Series:
    """(N,) values of `dtype` again, null for NaN."""
    found = pl.Series(numbers, dtype=pl.Float64).fill_nan(None)
    if dtype == pl.String:
        return pl.Series(labels, dtype=pl.String).gather(found.cast(pl.UInt32))
    return found.cast(pl.Boolean) if dtype == pl.Boolean else found


def keys_of(values: Sequence[pl.Series], num_rows: int) -> pl.Series:
    """(N,) texts that are equal where rows are of one group; null where a row lacks one of the values.

    Args:
        values: (N,) parsed values of each column that makes the groups; with none, all rows are one group.
        num_rows: N.
    """
    if not values:
        return pl.Series([""], dtype=pl.String).new_from_index(0, num_rows)
    texts = [(one.set(one == 0, 0.0) if one.dtype.is_float() else one).cast(pl.String) for one in values]  # not -0.0
    frame = pl.DataFrame([text.alias(str(place)) for place, text in enumerate(texts)])
    return frame.select(pl.concat_str(pl.all(), separator=_BETWEEN)).to_series()


def places_of(keys: pl.Series, known: Sequence[str]) -> np.ndarray:
    """(N,) int64, the place of each key in `known`; -1 for null and for others."""
    if not known:
        return np.full(len(keys), -1, np.int64)
    places = pl.Series(range(len(known)), dtype=pl.Int64)
    found = keys.replace_strict(pl.Series(known, dtype=pl.String), places, default=-1, return_dtype=pl.Int64)
    numbers: np.ndarray = found.fill_null(-1).to_numpy()
    return numbers


def summarize(groups: np.ndarray, values: np.ndarray, statistic: Statistic) -> tuple[np.ndarray, ...]:
    """One figure for each group, the same to the last bit in whatever order the rows come.

    Args:
        groups: (N,) numbers of groups, N ≥ 1.
        values: (N,) float64, none NaN.
        statistic: the mean, the median, or the most frequent value (the smallest of equals).

    Returns:
        (G,) the groups that there are, in increasing order; (G,) float64 their figures; (G,) int64 their rows.
    """
    order = np.lexsort((values, groups))
    groups, values = groups[order], values[order]
    starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
    counts = np.diff(np.r_[starts, len(groups)])
    if statistic == "mean":
        figures = np.add.reduceat(values, starts) / counts
    elif statistic == "median":
        figures = (values[starts + (counts - 1) // 2] + values[starts + counts // 2]) / 2
    else:
        figures = _most_frequent(groups, values)
    return groups[starts], figures, counts


def _most_frequent(groups: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(G,) the most frequent value of each group; both (N,), sorted by group, then by value."""
    starts = np.flatnonzero(np.r_[True, (groups[1:] != groups[:-1]) | (values[1:] != values[:-1])])
    lengths, owners = np.diff(np.r_[starts, len(groups)]), groups[starts]
    best = np.lexsort((starts, -lengths, owners))  # in each group the longest run first, the smallest value of equals
    _, first = np.unique(owners[best], return_index=True)
    return np.asarray(values[starts[best[first]]])
