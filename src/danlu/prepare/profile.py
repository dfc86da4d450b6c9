"""Figures of every column for the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from danlu.columns.number import NumberState
from danlu.columns.schema import Schema
from danlu.prepare.choose import Chosen

_NUM_BINS = 20
_TOP = 10
_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def with_outliers(figures: Mapping[str, Mapping[str, Any]], schema: Schema) -> dict[str, dict[str, Any]]:
    """Figures of every column, and `outliers` (`low`, `high`, `below`, `above`) where the recipe caps or marks them."""
    found = {name: dict(one) for name, one in figures.items()}
    for column in (*schema.inputs, schema.target):
        if isinstance(column.state, NumberState) and column.state.bounds:
            found[column.name]["outliers"] = _outliers(column.state)
    return found


def _outliers(state: NumberState) -> dict[str, float]:
    (low, high), (below, above) = state.bounds, state.num_outside
    return {"low": low, "high": high, "below": below, "above": above}


def figures_of(one: Chosen, values: pl.Series) -> dict[str, Any]:
    """JSON-able figures of one column.

    Args:
        one: its type and options.
        values: (N,) parsed values, or raw ones with blanks nulled where it is not used.

    Returns:
        `type`, `options` (those inferred), `note`, `rows`, `missing` (a share), and, where they can be told:
        `distinct`; `min`, `max`, `mean`, `std`, `quantiles`, `histogram` (`edges`, `counts`) for numbers and times;
        `top` for others.
    """
    figures: dict[str, Any] = {
        "type": one.type,
        "options": dict(one.inferred),
        "given": one.given,
        "note": one.note,
        "rows": len(values),
        "missing": values.null_count() / max(1, len(values)),
    }
    if values.dtype.is_nested() or values.dtype in (pl.Binary, pl.Object):
        return figures
    known = values.drop_nulls()
    if known.dtype.is_numeric():
        ordered = np.sort(known.cast(pl.Float64).to_numpy())
        return figures | {"distinct": _distinct(ordered)} | _numbers(ordered[np.isfinite(ordered)])
    figures["distinct"] = known.n_unique()
    if not len(known):
        return figures
    if known.dtype.is_temporal():
        return figures | _times(known)
    return figures | _texts(known.cast(pl.String))


def _distinct(ordered: np.ndarray) -> int:
    return int((ordered[1:] != ordered[:-1]).sum()) + 1 if len(ordered) else 0


def _numbers(ordered: np.ndarray) -> dict[str, Any]:
    """Figures of sorted finite numbers."""
    if not len(ordered):
        return {}
    counts, edges = _histogram(ordered)
    largest = max(abs(float(ordered[0])), abs(float(ordered[-1])), 1e-300)  # squares of large numbers would overflow
    scaled = ordered / largest
    return {
        "min": float(ordered[0]),
        "max": float(ordered[-1]),
        "mean": float(scaled.mean() * largest),
        "std": float(scaled.std() * largest),
        "quantiles": dict(zip(map(str, _LEVELS), np.quantile(ordered, _LEVELS).tolist(), strict=True)),
        "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
    }


def _histogram(ordered: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts of sorted numbers in equal bins; few distinct whole numbers have a bin each."""
    low, high = float(ordered[0]), float(ordered[-1])
    with np.errstate(all="ignore"):
        spread = high - low
    if not np.isfinite(spread) or spread <= 0 or spread / _NUM_BINS <= np.spacing(max(abs(low), abs(high))) * 4:
        return np.array([len(ordered)]), np.array([low, high])
    edges = np.linspace(low, high, _NUM_BINS + 1)
    if spread < _NUM_BINS and bool((ordered == np.rint(ordered)).all()):
        edges = np.arange(low - 0.5, high + 1.0)
    places = np.searchsorted(ordered, edges[1:-1])
    return np.diff(np.concatenate([[0], places, [len(ordered)]])), edges


def _times(values: pl.Series) -> dict[str, Any]:
    numbers = values.to_physical().cast(pl.Float64).to_numpy()
    counts, edges = _histogram(np.sort(numbers))
    labels = (
        pl.Series(edges).cast(pl.Int64).cast(values.to_physical().dtype).cast(values.dtype).cast(pl.String).to_list()
    )
    return {
        "min": str(values.min()),
        "max": str(values.max()),
        "histogram": {"edges": labels, "counts": counts.tolist()},
    }


def _texts(values: pl.Series) -> dict[str, Any]:
    top = values.alias("value").value_counts(sort=True).sort(["count", "value"], descending=[True, False]).head(_TOP)
    return {"top": [{"value": value[:200], "count": count} for value, count in top.iter_rows()]}
