"""How strongly two columns of any types go together, and what a target does along a column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

# A column of more values than this says nothing by its groups.
_MOST_VALUES = 100
_MOST_CLASSES = 5
_NUM_BINS = 10
_TOP_VALUES = 8
# Fewer rows that have both say nothing.
_FEWEST_ROWS = 10
_FEWEST_EDGES = 4


@dataclass(frozen=True)
class Coded:
    """A column as numbers.

    Attributes:
        values: (N,) float64 numbers or the codes of classes; NaN where missing.
        is_class: whether they are codes.
    """

    values: np.ndarray
    is_class: bool


def coded(values: pl.Series, kind: str) -> Coded | None:
    """A parsed column as numbers; None where its type has no order and no classes, or too many of them."""
    if kind in ("number", "datetime"):
        numbers = values.to_physical().cast(pl.Float64).to_numpy().copy()
        numbers[~np.isfinite(numbers)] = np.nan
        return Coded(numbers, is_class=False)
    if kind not in ("category", "boolean"):
        return None
    codes = (values.cast(pl.String).rank("dense") - 1).cast(pl.Float64).to_numpy()
    return Coded(codes, is_class=True) if values.n_unique() <= _MOST_VALUES else None


def relations(columns: Mapping[str, Coded]) -> list[list[float | None]]:
    """A square of `association`, in the columns' order; 1 on the diagonal, None where it is undefined."""
    found = list(columns.values())
    square: list[list[float | None]] = [[1.0 if one is two else None for two in found] for one in found]
    for row, one in enumerate(found):
        for place in range(row):
            square[row][place] = square[place][row] = association(one, found[place])
    return square


def association(one: Coded, other: Coded) -> float | None:
    """How strongly two columns go together, over the rows that have both.

    Returns:
        Two numbers: Spearman's rank correlation, −1 … 1. Two classes: Cramér's V, 0 … 1, without the bias of small
        tables (Source: Bergsma, J. Korean Stat. Soc. 42, 2013). A number and a class: the correlation ratio of the
        number's ranks, 0 … 1, without its bias, √ε², ε² = 1 − (1 − η²)(N − 1)/(N − K) (Source: Kelley, PNAS 21, 1935).
        None where fewer than ten rows have both, or one does not vary among them.
    """
    both = ~(np.isnan(one.values) | np.isnan(other.values))
    a, b = one.values[both], other.values[both]
    if len(a) < _FEWEST_ROWS or (a == a[0]).all() or (b == b[0]).all():
        return None
    if one.is_class and other.is_class:
        return _cramer(a, b)
    if one.is_class:
        return _ratio(_ranks(b), a)
    if other.is_class:
        return _ratio(_ranks(a), b)
    return float(np.clip(np.corrcoef(_ranks(a), _ranks(b))[0, 1], -1, 1))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1; equal values share their mean rank."""
    ranks: np.ndarray = pl.Series(values).rank("average").to_numpy()
    return ranks


def _cramer(a: np.ndarray, b: np.ndarray) -> float:
    rows, columns = np.unique(a, return_inverse=True)[1], np.unique(b, return_inverse=True)[1]
    shape = (int(rows.max()) + 1, int(columns.max()) + 1)
    counts = np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1]).reshape(shape)
    total = counts.sum()
    expected = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True) / total
    phi2 = float(((counts - expected) ** 2 / expected).sum() / total)
    phi2 = max(0.0, phi2 - (shape[0] - 1) * (shape[1] - 1) / (total - 1))
    least = min(size - (size - 1) ** 2 / (total - 1) for size in shape) - 1
    return float(min(1.0, np.sqrt(phi2 / least))) if least > 0 else 0.0


def _ratio(ranks: np.ndarray, groups: np.ndarray) -> float:
    codes = np.unique(groups, return_inverse=True)[1]
    sizes = np.bincount(codes)
    if len(sizes) >= len(ranks):
        return 0.0
    means = np.bincount(codes, ranks) / sizes
    between = (sizes * (means - ranks.mean()) ** 2).sum() / ((ranks - ranks.mean()) ** 2).sum()
    return float(np.sqrt(max(0.0, 1 - (1 - between) * (len(ranks) - 1) / (len(ranks) - len(sizes)))))


def target_classes(target: pl.Series) -> list[str]:
    """The target's most frequent classes, at most five."""
    counts = target.drop_nulls().cast(pl.String).alias("value").value_counts(sort=True)
    return counts.sort(["count", "value"], descending=[True, False])["value"].head(_MOST_CLASSES).to_list()


def along(values: pl.Series, kind: str, target: pl.Series, classes: Sequence[str]) -> dict[str, Any] | None:
    """What a target does along a column: numbers in bins of equal counts, classes by their most frequent values.

    Args:
        values: (N,) parsed.
        kind: the column's type.
        target: (N,) parsed; numbers where `classes` is empty.
        classes: of `target_classes`.

    Returns:
        "ordered": whether bins follow each other; "bins": their labels; "rows": their counts; and "shares":
        [bin][class], what is missing from 1 are other classes, or "means" of the target. None for types that have
        neither order nor classes.
    """
    own = coded(values, kind) if kind in ("number", "datetime") else None
    frame = pl.DataFrame({"value": values, "target": target.cast(pl.String if classes else pl.Float64)}).drop_nulls()
    if (own is None and kind not in ("category", "boolean")) or frame.height < _FEWEST_ROWS:
        return None
    if own is None:
        named = frame.with_columns(pl.col("value").cast(pl.String))
        counts = named["value"].value_counts(sort=True).sort(["count", "value"], descending=[True, False])
        labels = [str(label) for label in counts["value"].head(_TOP_VALUES)]
        bins = named["value"].replace_strict(labels, list(range(len(labels))), default=None).to_numpy()
    else:
        labels, bins = _bins(frame["value"])
    drawn = _by_bin(labels, np.asarray(bins, np.float64), frame["target"], classes)
    return {"ordered": own is not None, **drawn}


def _bins(values: pl.Series) -> tuple[list[str], np.ndarray]:
    numbers = values.to_physical().cast(pl.Float64).to_numpy()
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, _NUM_BINS + 1)))
    days = values.dtype.is_temporal()
    if len(edges) < _FEWEST_EDGES:  # most rows have one value: bins of the different values then
        edges = np.unique(np.quantile(np.unique(numbers), np.linspace(0, 1, _FEWEST_EDGES)))
    ends = [str(values[int(np.abs(numbers - edge).argmin())]) if days else _short(edge) for edge in edges]
    bins = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, max(0, len(edges) - 2))
    return [f"{low} … {high}" for low, high in pairwise(ends)] or [ends[0]], bins


def _short(number: float) -> str:
    return f"{number:,.0f}" if 1000 <= abs(number) < 1e9 else f"{number:.4g}"


def _by_bin(labels: list[str], bins: np.ndarray, target: pl.Series, classes: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"bins": [], "rows": []}
    found["shares" if classes else "means"] = []
    for place, label in enumerate(labels):
        inside = target.filter(pl.Series(bins == place))
        if not len(inside):
            continue
        found["bins"].append(label)
        found["rows"].append(len(inside))
        if classes:
            found["shares"].append([float((inside == one).to_numpy().mean()) for one in classes])
        else:
            found["means"].append(float(inside.to_numpy().mean()))
    return found
