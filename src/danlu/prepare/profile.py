"""Figures of every column for the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from danlu.columns.column import nulled
from danlu.columns.number import NumberState
from danlu.columns.schema import Schema
from danlu.prepare.choose import Chosen

_NUM_BINS = 20
_TOP = 10


def profile(
    frame: pl.DataFrame,
    chosen: Mapping[str, Chosen],
    parsed: Mapping[str, pl.Series],
    missing_values: list[str],
    schema: Schema,
) -> dict[str, dict[str, Any]]:
    """Column name → JSON-able figures.

    Args:
        frame: the training rows as they were read.
        chosen: every column's type and options.
        parsed: parsed values of the training rows, for columns that are used.
        missing_values: texts that stand for a missing value.
        schema: the fitted columns.

    Returns:
        `type`, `options` (those inferred), `note`, `rows`, `missing` (a share), and, where they can be told:
        `distinct`; `min`, `max`, `mean`, `std`, `quantiles`, `histogram` (`edges`, `counts`) for numbers and times;
        `outliers` (`low`, `high`, `below`, `above`) where the recipe has them capped or marked; `top` for others.
    """
    figures = {name: figures_of(one, frame[name], parsed.get(name), missing_values) for name, one in chosen.items()}
    for column in (*schema.inputs, schema.target):
        if isinstance(column.state, NumberState) and column.state.bounds:
            figures[column.name]["outliers"] = _outliers(column.state)
    return figures


def _outliers(state: NumberState) -> dict[str, float]:
    (low, high), (below, above) = state.bounds, state.num_outside
    return {"low": low, "high": high, "below": below, "above": above}


def figures_of(one: Chosen, raw: pl.Series, parsed: pl.Series | None, missing_values: list[str]) -> dict[str, Any]:
    """One column's figures, see `profile`."""
    values = nulled(raw, missing_values) if parsed is None else parsed
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
    figures["distinct"] = known.n_unique()
    if not len(known):
        return figures
    if known.dtype.is_numeric():
        return figures | _numbers(known.cast(pl.Float64).to_numpy())
    if known.dtype.is_temporal():
        return figures | _times(known)
    return figures | _texts(known.cast(pl.String))


def _numbers(values: np.ndarray) -> dict[str, Any]:
    values = values[np.isfinite(values)]
    if not len(values):
        return {}
    quantiles = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])
    counts, edges = _histogram(values)
    largest = max(float(np.abs(values).max()), 1e-300)  # squares of very large numbers would overflow
    return {
        "min": float(values.min()),
        "max": float(values.max()),
        "mean": float((values / largest).mean() * largest),
        "std": float((values / largest).std() * largest),
        "quantiles": dict(zip(("0.05", "0.25", "0.5", "0.75", "0.95"), quantiles.tolist(), strict=True)),
        "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
    }


def _histogram(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts in equal bins; few distinct whole numbers have a bin each."""
    low, high = float(values.min()), float(values.max())
    if high - low < _NUM_BINS and bool((values == np.rint(values)).all()):
        return np.histogram(values, bins=np.arange(low - 0.5, high + 1.0))
    with np.errstate(all="ignore"):
        spread = high - low
    if not np.isfinite(spread) or spread <= 0 or spread / _NUM_BINS <= np.spacing(max(abs(low), abs(high))) * 4:
        return np.array([len(values)]), np.array([low, high])
    return np.histogram(values, bins=_NUM_BINS, range=(low, high))


def _times(values: pl.Series) -> dict[str, Any]:
    numbers = values.to_physical().cast(pl.Float64).to_numpy()
    counts, edges = _histogram(numbers)
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
