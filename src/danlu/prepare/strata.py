"""Kinds of rows: the classes or bins of the target, and the levels of other columns that splits are stratified by.

Rows are alike in a column where they have one level of it: a class, a tenth of the numbers or times, or missing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from danlu.base.errors import DataError
from danlu.prepare.columnar import numbered
from danlu.prepare.prepared import Finding

# N rows, S classes or bins of a column

# Quantile bins that numbers and times are stratified by.
NUM_BINS = 10
# A class with fewer rows cannot be in all three splits.
_MIN_CLASS_ROWS = 3
# Columns of more classes tell single rows, not kinds of them.
_MOST_LEVELS = 10_000


def levels(values: pl.Series) -> np.ndarray:
    """Each row's level in one column.

    Args:
        values: (N,) parsed values or nulls.

    Returns:
        (N,) int32, 0 … S: classes in sorted order, or bins; the last one is that of missing values. Numbers and times
        of no more than `NUM_BINS` different values are classes, others have about that many bins of equal size.

    Raises:
        DataError: its values are no classes, or are more than `_MOST_LEVELS`.
    """
    if values.dtype.is_nested() or values.dtype in (pl.Binary, pl.Object):
        raise DataError(
            f"{values.name} holds values of type {values.dtype}, which are no classes",
            where=f"column {values.name}",
            hint="name columns of classes, booleans, numbers or times in prepare.split.by.stratify",
        )
    if values.dtype.is_numeric() or values.dtype.is_temporal():
        return _binned(values.to_physical().cast(pl.Float64).fill_nan(None))
    words = values.cast(pl.String)
    known = words.drop_nulls().unique().sort()
    if len(known) > _MOST_LEVELS:
        raise DataError(
            f"{values.name} has {len(known):,} classes; rows are stratified by at most {_MOST_LEVELS:,} of a column",
            where=f"column {values.name}",
            hint="take it out of prepare.split.by.stratify, or make it prepare.split.by.group",
        )
    return words.cast(pl.Enum(known)).to_physical().fill_null(len(known)).cast(pl.Int32).to_numpy()


def _binned(numbers: pl.Series) -> np.ndarray:
    there = numbers.drop_nulls().unique().sort().to_numpy()
    if len(there) > NUM_BINS:
        there = np.unique(np.quantile(numbers.drop_nulls().to_numpy(), np.linspace(0, 1, NUM_BINS + 1)[1:-1]))
    # "left": where most values are the least one, as 0 often is, the larger ones are not in a bin with it.
    codes = np.searchsorted(there, numbers.fill_null(0.0).to_numpy(), side="left").astype(np.int32)
    codes[numbers.is_null().to_numpy()] = len(there) + 1
    return codes


def stratified_order(target: pl.Series, random: np.random.Generator) -> tuple[np.ndarray, list[Finding]]:
    """An order whose every stretch holds each class (or each tenth of a number) in its share.

    A class's rows, shuffled, are put at even distances from a random start; rows of classes too small to be in every
    split come last, where they train.
    """
    strata, is_class = _strata(target)
    count = len(strata)
    shuffled = random.permutation(numbered(count))
    strata = strata.astype(np.min_scalar_type(int(strata.max(initial=0))))  # small integers are sorted by counting
    order = shuffled[np.argsort(strata[shuffled], kind="stable")]
    sizes = np.bincount(strata)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    places = np.empty(count)
    for start, size, offset in zip(starts, sizes, random.random(len(sizes)), strict=True):
        places[start : start + size] = (np.arange(size) + offset) / size
    is_rare, findings = _rare(target, strata, is_class)
    if findings:
        places[is_rare[order]] = 2.0
    return order[np.argsort(places, kind="stable")], findings


def rare_classes(target: pl.Series) -> tuple[np.ndarray, list[Finding]]:
    """(N,) bool, True for rows of classes too small to be in every split, and a finding where there are any."""
    return _rare(target, *_strata(target))


def _rare(target: pl.Series, strata: np.ndarray, is_class: bool) -> tuple[np.ndarray, list[Finding]]:
    sizes = np.bincount(strata)
    small = (sizes < _MIN_CLASS_ROWS) & (len(sizes) > 1) & is_class
    if not small.any():
        return np.zeros(len(strata), bool), []
    names = [str(name) for name in target.unique().sort().to_list()]
    rare = [name for name, is_small in zip(names, small, strict=True) if is_small]
    return small[strata], [_rare_finding(target.name, rare)]


def _strata(target: pl.Series) -> tuple[np.ndarray, bool]:
    """Each row's stratum, 0 … S-1, and whether strata are classes (in sorted order) rather than bins of a number."""
    if target.dtype.is_nested():
        return _rarest(target), False
    if not (target.dtype.is_float() or target.dtype.is_integer()):
        words = target.cast(pl.String)
        return words.cast(pl.Enum(words.unique().sort())).to_physical().to_numpy(), True
    values = target.cast(pl.Float64).to_numpy()
    edges = np.unique(np.quantile(values, np.linspace(0, 1, NUM_BINS + 1)[1:-1]))
    bins = np.searchsorted(edges, values, side="right")
    return np.unique(bins, return_inverse=True)[1], False


def _rarest(target: pl.Series) -> np.ndarray:
    """The rarest value in each row's list, 0 … S-1 with none before them: every split then has its share of each."""
    rows = pl.DataFrame({"row": np.arange(len(target)), "value": target})
    rows = rows.explode("value", empty_as_null=True, keep_nulls=True).unique()
    rows = rows.with_columns(pl.len().over("value").alias("count"), pl.col("value").rank("dense").alias("place"))
    rarest = rows.sort(["row", "count", "place"], nulls_last=True).group_by("row", maintain_order=True).first()
    return np.unique(rarest["place"].fill_null(0).to_numpy(), return_inverse=True)[1]


def _rare_finding(name: str, rare: Sequence[str]) -> Finding:
    return Finding(
        key="rare_classes",
        severity="warning",
        message=f"{len(rare)} of the classes of {name} {'has' if len(rare) == 1 else 'have'} fewer than "
        f"{_MIN_CLASS_ROWS} rows and only train, untested: " + ", ".join(rare[:10]),
        columns=(name,),
        remedy="gather more rows of them, join them with others, or leave them out",
        evidence={"classes": list(rare[:100])},
    )
