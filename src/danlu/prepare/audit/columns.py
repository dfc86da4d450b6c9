"""Inputs that teach nothing, or nothing that another input does not."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from danlu.prepare.audit.audited import Audited, drawn
from danlu.prepare.prepared import Finding
from danlu.prepare.splits import TRAIN

_MAX_ROWS = 20_000
_MIN_ROWS = 50
_FIRST_ROWS = 1_000  # tell at once that most columns are not constant
_MIN_CORRELATION = 0.999
_MIN_VARIED = 10  # rows that are not the commonest value: fewer agree by chance
_MAX_VALUES = 50  # of columns that are compared value by value
_MAX_FOUND = 20


def find_constant(data: Audited) -> list[Finding]:
    """Columns of one value in the training rows; such of one value in all rows are left out before."""
    train = pl.Series(np.flatnonzero(data.codes == TRAIN))
    some = train.head(_FIRST_ROWS)
    return [
        Finding(
            key=f"constant:{name}",
            severity="note",
            message=f"{name} is the same in all {len(train):,} training rows, but not in all others: nothing is "
            "learned from it",
            columns=(name,),
            remedy=f"set data.columns.{name} to ignore, or split so that its values train",
            evidence={"train_rows": len(train)},
        )
        for name, values in data.parsed.items()
        if data.type(name) not in ("image", "audio")
        and all(values.gather(rows).n_unique() == 1 for rows in (some, train))
    ]


def find_collinear(data: Audited) -> list[Finding]:
    """Pairs of columns that say the same: of equal order (numbers), or each value of one with one of the other."""
    count = len(data.codes)
    if count < _MIN_ROWS:
        return []
    rows = pl.Series(np.sort(drawn("collinear", count, _MAX_ROWS)))
    some = {
        name: values.gather(rows) for name, values in data.of_type("number", "category", "boolean", "datetime").items()
    }
    pairs = {**_same_order({name: one for name, one in some.items() if one.dtype.is_numeric()}), **_same_values(some)}
    return [
        Finding(
            key=f"collinear:{first},{second}",
            severity="note",
            message=f"{first} and {second} say the same: {how}",
            columns=(first, second),
            remedy=f"set data.columns.{second} to ignore, if it is no more than {first} written otherwise",
            evidence={"rows": len(rows), "correlation": correlation},
        )
        for (first, second), (how, correlation) in list(pairs.items())[:_MAX_FOUND]
    ]


Pairs = dict[tuple[str, str], tuple[str, float | None]]


def _same_order(columns: Mapping[str, pl.Series]) -> Pairs:
    """Pairs of numbers whose ranks correlate, over the rows where both are known."""
    names = [name for name, one in columns.items() if one.n_unique() > 2]
    if len(names) < 2:
        return {}
    ranks = np.stack([_centred_ranks(columns[name]) for name in names], axis=1)
    known = (~np.isnan(ranks)).astype(np.float64)
    ranks = np.nan_to_num(ranks)
    count, total, squares = known.T @ known, ranks.T @ known, (ranks**2).T @ known
    with np.errstate(divide="ignore", invalid="ignore"):
        covariance = ranks.T @ ranks / count - (total / count) * (total / count).T
        variance = squares / count - (total / count) ** 2
        correlation = np.nan_to_num(covariance / np.sqrt(variance * variance.T))
    found: Pairs = {}
    taken: set[int] = set()
    for first, second in np.argwhere(np.triu(np.abs(correlation) >= _MIN_CORRELATION, 1) & (count >= _MIN_ROWS)):
        value = float(correlation[first, second])
        if second not in taken:
            found[names[first], names[second]] = (f"their ranks correlate by {value:.4f}", value)
            taken.add(second)
    return found


def _centred_ranks(values: pl.Series) -> np.ndarray:
    """Ranks around 0, NaN where missing."""
    ranks: np.ndarray = values.rank("average").cast(pl.Float64).fill_null(float("nan")).to_numpy() / len(values)
    return ranks - np.nanmean(ranks) if not np.isnan(ranks).all() else ranks


def _same_values(columns: Mapping[str, pl.Series]) -> Pairs:
    """Pairs of columns of few values, each value of one always with the same of the other.

    Values are numbered in the order in which they come first; such columns are then equal.
    """
    seen: dict[bytes, str] = {}
    found: Pairs = {}
    for name, values in columns.items():
        if not 2 <= values.n_unique() <= _MAX_VALUES:
            continue
        codes = values.rank("dense").fill_null(0).to_numpy()
        _, first, inverse, counts = np.unique(codes, return_index=True, return_inverse=True, return_counts=True)
        if len(codes) - counts.max() < _MIN_VARIED:
            continue
        numbered = np.argsort(np.argsort(first))[inverse].astype(np.uint8).tobytes()
        if numbered in seen:
            found[seen[numbered], name] = ("each value of one goes with one value of the other", None)
        seen.setdefault(numbered, name)
    return found
